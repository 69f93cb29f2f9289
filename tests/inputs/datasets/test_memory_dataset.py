import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from auditor.domain.auditfiles import DataSection, InputSection
from auditor.domain.datasets import Dataset as LoadedDataset
from auditor.domain.datasets import DatasetRole
from auditor.errors import DatasetError
from auditor.inputs.datasets.in_memory import Dataset, describe_settings, write_dataset
from auditor.inputs.datasets.load import LoadedDatasets

Load = Callable[..., LoadedDatasets]
Handed = Callable[..., LoadedDataset]
EVALUATION = DatasetRole.EVALUATION
rng = np.random.default_rng(5)
X = rng.integers(0, 256, (12, 2, 3)).astype(np.uint8)
ROWS = (rng.integers(0, 100, (12, 3)) / 4).astype(np.float32)
Y = np.array([0, 1, 2] * 4)
SEX = np.array(["f", "m", "x", "f"] * 3)
TABLE: dict[str, list[Any]] = {
    "age": [30, 41, 52, 30],
    "income": [1.5, 2.0, float("nan"), 4.25],
    "owner": [True, False, True, True],
    "sex": ["f", None, "m", "f"],
    "who": ["a", "b", "c", "d"],
    "y": ["no", "yes", "no", "yes"],
}


class ArrowColumn:
    """An array of any library that speaks Arrow, and nothing else."""

    def __init__(self, column: pl.Series) -> None:
        self.__arrow_c_stream__ = column.__arrow_c_stream__


class ArrowTable:
    """A table of any library that speaks Arrow, and nothing else."""

    def __init__(self, table: pl.DataFrame) -> None:
        self.schema = table.schema
        self.__arrow_c_stream__ = table.__arrow_c_stream__


@pytest.fixture
def handed(load: Load, tmp_path: Path) -> Handed:
    """Load a dataset as an audit does that was handed over by a program."""

    def run(dataset: Dataset, **settings: object) -> LoadedDataset:
        section = write_dataset(dataset, EVALUATION, tmp_path)
        return load(section, **settings).datasets[EVALUATION]

    return run


def assert_same(found: LoadedDataset, known: LoadedDataset) -> None:
    assert found.inputs.dtype == known.inputs.dtype
    assert np.array_equal(found.inputs, known.inputs, equal_nan=found.inputs.dtype.kind == "f")
    assert found.labels.tolist() == known.labels.tolist()
    assert found.ids == known.ids
    assert found.features == known.features
    for name in ("groups", "slices"):
        held, meant = getattr(found, name), getattr(known, name)
        assert {key: tuple(held[key]) for key in held} == {key: tuple(meant[key]) for key in meant}
    for name in ("scores", "decisions", "times", "as_of"):
        assert np.array_equal(getattr(found, name), getattr(known, name)), name


@pytest.mark.parametrize(
    "inputs",
    [
        X,
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X.tolist(),
        torch.from_numpy(X),
        pl.Series(X.astype(np.int64)),
    ],
    ids=["numpy", "fortran", "strided", "lists", "torch", "polars"],
)
def test_arrays_of_each_library_are_the_file_that_numpy_writes_of_them(
    load: Load, handed: Handed, tmp_path: Path, inputs: object
) -> None:
    dataset = Dataset(inputs, Y, groups=SEX, ids=[f"r{at}" for at in range(12)])
    found = handed(dataset)
    stored = inputs if isinstance(inputs, pl.Series | list) else X
    stored = np.asarray(stored.to_numpy() if isinstance(stored, pl.Series) else stored)
    ids = np.array([f"r{at}" for at in range(12)])
    (tmp_path / "evaluation.npz").unlink()
    np.savez(tmp_path / "evaluation.npz", inputs=stored, labels=Y, group=SEX, id=ids)
    section = DataSection(path="evaluation.npz", labels="labels", groups=("group",), id="id")
    known = load(section).datasets[EVALUATION]
    assert_same(found, known)
    assert found.digest == known.digest


def test_floats_of_torch_on_its_graph_are_detached(handed: Handed) -> None:
    found = handed(Dataset(torch.tensor(ROWS, requires_grad=True), torch.tensor(Y)))
    assert found.inputs.dtype == np.float32
    assert np.array_equal(found.inputs, ROWS)


@pytest.mark.parametrize("dtype", [">f4", "<f8", "<f2", "longdouble", "?", ">u2", "<i8", "i1"])
def test_numbers_of_each_kind_come_back_as_from_a_file(
    load: Load, handed: Handed, tmp_path: Path, dtype: str
) -> None:
    numbers = (ROWS > 9).astype(dtype) if dtype == "?" else ROWS.astype(dtype)
    found = handed(Dataset(numbers, Y))
    np.savez(tmp_path / "t.npz", inputs=numbers, labels=Y)
    assert_same(found, load(DataSection(path="t.npz", labels="labels")).datasets[EVALUATION])


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, lambda t: ArrowTable(pl.DataFrame(t))]
)
def test_tables_of_each_library_are_the_file_that_polars_writes_of_them(
    load: Load, handed: Handed, tmp_path: Path, make: Callable[[Any], Any]
) -> None:
    table = make({name: values for name, values in TABLE.items() if name != "income"})
    found = handed(Dataset(table, "y", groups="sex", ids="who"))
    (tmp_path / "evaluation.parquet").unlink()
    pl.DataFrame(TABLE).drop("income").write_parquet(tmp_path / "evaluation.parquet")
    section = DataSection(path="evaluation.parquet", labels="y", groups=("sex",), id="who")
    known = load(section).datasets[EVALUATION]
    assert_same(found, known)
    assert found.digest == known.digest
    assert found.features == ("age", "owner")
    assert tuple(found.groups["sex"]) == ("f", "unknown", "m", "f")


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, lambda t: ArrowTable(pl.DataFrame(t))]
)
def test_values_that_are_missing_are_missing_from_each_library(
    handed: Handed, tmp_path: Path, make: Callable[[Any], Any]
) -> None:
    features = "features:\n  - {name: age}\n  - {name: income, nullable: true}\n"
    (tmp_path / "schema.yaml").write_text(features, encoding="utf-8")
    found = handed(Dataset(make(TABLE), "y"), space=InputSection(features="schema.yaml"))
    assert np.isnan(found.inputs).tolist() == [[False, at == 2] for at in range(4)]


def test_columns_beside_a_table_are_as_those_in_it(handed: Handed, tmp_path: Path) -> None:
    frame = pd.DataFrame(TABLE)
    inside = Dataset(frame.drop(columns="income"), "y", groups=["sex"], ids="who")
    beside = Dataset(
        frame[["age", "owner"]], frame["y"], groups={"sex": frame["sex"]}, ids=frame["who"]
    )
    first = handed(inside)
    (tmp_path / "evaluation.parquet").unlink()
    assert_same(handed(beside), first)


def test_names_make_a_table_of_an_array(handed: Handed) -> None:
    found = handed(Dataset(ROWS, Y, names=["a", "b", "c"]))
    assert found.features == ("a", "b", "c")
    assert np.array_equal(found.inputs, ROWS)


@pytest.mark.parametrize(
    "texts",
    [
        ["so", "", "naïve\tx"],
        np.array(["so", "", "naïve\tx"]),
        np.array(["so", "", "naïve\tx"], dtype=object),
        pd.Series(["so", "", "naïve\tx"]),
        pl.Series(["so", "", "naïve\tx"]),
        ArrowColumn(pl.Series(["so", "", "naïve\tx"])),
        pl.Series(["so", "", "naïve\tx"], dtype=pl.Categorical),
    ],
)
def test_texts_are_the_column_that_the_model_reads(handed: Handed, texts: object) -> None:
    dataset = Dataset(texts, [0, 1, 0], groups=["f", "m", "f"])
    assert dataset.text == "text"
    found = handed(dataset, space=InputSection(text=dataset.text))
    assert found.inputs.tolist() == ["so", "", "naïve\tx"]
    assert tuple(found.groups["group"]) == ("f", "m", "f")


def test_rows_that_were_shuffled_together_stay_together(handed: Handed) -> None:
    shuffled = FRAME.iloc[[2, 0, 3, 1]]
    found = handed(Dataset(shuffled[["age"]], shuffled["y"], groups=shuffled[["sex"]]))
    assert found.inputs.tolist() == [[52.0], [30.0], [30.0], [41.0]]
    assert found.labels.tolist() == [0, 0, 1, 1]


def test_a_text_that_is_missing_is_said_by_its_row(handed: Handed) -> None:
    dataset = Dataset(np.array(["a", None, "b"], dtype=object), [0, 1, 0])
    with pytest.raises(DatasetError, match=r"column 'text', row 2: has no text"):
        handed(dataset, space=InputSection(text="text"))


def test_a_series_names_its_column() -> None:
    dataset = Dataset(pd.Series(["a", "b"], name="review"), pl.Series("kind", [0, 1]))
    assert (dataset.text, dataset.section.labels) == ("review", "kind")


@pytest.mark.parametrize(
    "times",
    [
        np.array(["2026-01-01", "2026-01-02"], "M8[D]"),
        np.array(["2026-01-01", "2026-01-02"], "M8[h]"),
        np.array(["2026-01-01", "2026-01-02"], "M8[ns]"),
        pd.to_datetime(pd.Series(["2026-01-01", "2026-01-02"])),
        pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"]).tz_localize("UTC")),
        pl.Series(["2026-01-01", "2026-01-02"]).str.to_date(),
        ["2026-01-01", "2026-01-02"],
        [1767225600, 1767312000.0],
    ],
)
@pytest.mark.parametrize("inputs", [ROWS[:2], pl.DataFrame(ROWS[:2])])
def test_times_of_each_library_are_seconds(handed: Handed, times: object, inputs: object) -> None:
    found = handed(Dataset(inputs, [0, 1], times=times))
    assert found.times.tolist() == [1767225600.0, 1767312000.0]


def test_scores_predictions_and_clusters_come_with_their_rows(handed: Handed) -> None:
    scores = np.eye(3)[Y] * 0.7 + 0.1
    found = handed(Dataset(ROWS, Y, scores=scores, predictions=Y[::-1], clusters=SEX))
    assert np.array_equal(found.scores, scores)
    assert found.decisions.tolist() == Y[::-1].tolist()
    assert found.entities is not None
    assert tuple(found.entities) == tuple(SEX)


def test_without_a_model_to_ask_there_are_no_inputs(handed: Handed) -> None:
    dataset = Dataset(
        None, [0, 1, 1], scores=[0.2, 0.8, 0.6], groups=pl.DataFrame({"a": [1, 2, 2]})
    )
    found = handed(dataset, artifact=None)
    assert len(dataset) == found.rows == 3
    assert found.scores[:, 1].tolist() == [0.2, 0.8, 0.6]


def test_a_label_that_is_not_known_yet_is_none_in_production(load: Load, tmp_path: Path) -> None:
    first = write_dataset(Dataset(ROWS, Y), EVALUATION, tmp_path)
    late = Dataset(ROWS[:3], [0, None, 2])
    more = {DatasetRole.PRODUCTION: write_dataset(late, DatasetRole.PRODUCTION, tmp_path)}
    assert load(first, more=more).datasets[DatasetRole.PRODUCTION].labels.tolist() == [0, -1, 2]


@pytest.mark.parametrize("known", ["group", "x", "inputs", "file", "a/b", "a, b", "a.npy"])
def test_a_group_may_have_any_name(handed: Handed, known: str) -> None:
    found = handed(Dataset(X, Y, groups={known: SEX}))
    assert tuple(found.groups[known]) == tuple(SEX)
    assert found.inputs.shape == X.shape


NUMBERS = arrays.arrays(
    dtype=st.one_of(arrays.floating_dtypes(), arrays.integer_dtypes(), arrays.boolean_dtypes()),
    shape=arrays.array_shapes(min_dims=2, max_dims=4, max_side=4),
)
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0"), max_size=4))


@given(inputs=NUMBERS, data=st.data())
def test_the_same_rows_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, inputs: np.ndarray[Any, Any], data: st.DataObject
) -> None:
    groups = data.draw(st.lists(TEXTS, min_size=len(inputs), max_size=len(inputs)))
    written = []
    for held in (inputs, np.asfortranarray(inputs), inputs.astype(inputs.dtype.newbyteorder())):
        folder = tmp_path_factory.mktemp("written")
        section = write_dataset(Dataset(held, groups={"g": groups}), EVALUATION, folder)
        written.append((folder / section.path).read_bytes())
        with np.load(folder / section.path) as stored:
            assert np.array_equal(stored["inputs"], inputs, equal_nan=inputs.dtype.kind == "f")
            assert stored["g"].tolist() == [text or "" for text in groups]
    assert written[0] == written[1] == written[2]


@given(st.lists(st.tuples(st.integers(-9, 9), TEXTS), min_size=1, max_size=9))
def test_the_same_table_gives_the_same_bytes_in_pieces_and_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str | None]]
) -> None:
    schema = {"a": pl.Int64, "g": pl.String}
    whole = pl.DataFrame(rows, schema=schema, orient="row")
    pieces = pl.concat([whole[:1], whole[1:]], rechunk=False)
    written = []
    for table in (whole, pieces, ArrowTable(pieces)):
        folder = tmp_path_factory.mktemp("written")
        section = write_dataset(Dataset(table, groups="g"), EVALUATION, folder)
        written.append((folder / section.path).read_bytes())
    assert written[0] == written[1] == written[2]


def test_settings_are_those_of_an_audit_file(tmp_path: Path) -> None:
    section = write_dataset(Dataset(ROWS, Y, groups={"b": SEX, "a": SEX}), EVALUATION, tmp_path)
    assert describe_settings(section) == {
        "path": "evaluation.npz",
        "labels": "labels",
        "groups": ["b", "a"],
    }


def test_a_file_is_named_as_it_is_written_and_copied_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, x=ROWS, y=Y, sex=SEX)
    dataset = Dataset.load(path, "y", groups="sex")
    (tmp_path / "empty").mkdir()
    section = write_dataset(dataset, EVALUATION, tmp_path / "empty")
    assert section == DataSection(path=str(path), labels="y", groups=("sex",))
    assert list((tmp_path / "empty").iterdir()) == []
    assert len(dataset) == len(Dataset.load(str(path))) == 12
    assert repr(dataset) == f"Dataset({str(path)!r}, labels 'y', groups 'sex')"


def test_it_says_what_it_holds() -> None:
    assert repr(Dataset(X, Y, groups=SEX)) == (
        "Dataset(12 rows, inputs uint8 [12, 2, 3], labels 'labels', groups 'group')"
    )
    assert repr(Dataset(pd.DataFrame(TABLE), "y", groups=["sex"], ids="who")) == (
        "Dataset(4 rows, inputs 'age', 'income', 'owner', labels 'y', groups 'sex', ids 'who')"
    )


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Dataset(X, Y).inputs = None  # type: ignore[misc]


def test_no_library_is_imported_for_it(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        "from auditor.inputs.datasets.in_memory import Dataset, DatasetRole, write_dataset;"
        "dataset = Dataset(np.ones((3, 2)), [0, 1, 1]);"
        f"write_dataset(dataset, DatasetRole.EVALUATION, Path({str(tmp_path)!r}));"
        "print({'pandas', 'torch', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


class ClosedRows:
    """An array of some library that was closed before it was read."""

    def __array__(self, dtype: object = None, copy: object = None) -> None:
        message = "the file is closed\nat line 3"
        raise OSError(message)


FRAME = pd.DataFrame(TABLE)
ONE_KIND = "Store one kind of value in it; write None where a value is missing."
LENGTH = "Pass one value a row, in the same order."
AXES = "Store one input a row; a single column as shape (rows, 1)."
NUMBERS_ONLY = "Store the inputs as numbers."
KINDS = (
    "Pass a NumPy array, a pandas, polars or Arrow table, a PyTorch tensor, or a list of values "
    "(of a sparse matrix, its .toarray())."
)
PLAIN = "Pass a NumPy array of plain numbers or text (of a tensor, .float().to_dense())."
FILL_IN = "Fill it in, or leave the row out; write None where it is not known yet."
ONE_AXIS = "Store it with shape (rows,); one-hot labels as array.argmax(axis=1)."
PRINTABLE = "Give it a name of printable characters."
NAMED = "Name one that is there, or pass the values as an array."
RENAME = "Rename or remove one of the two."
WRONG: dict[str, tuple[Callable[[], object], str, str]] = {
    "fewer labels": (
        lambda: Dataset(X, Y[:5]),
        "labels has 5 values, but there are 12 rows",
        LENGTH,
    ),
    "more groups": (
        lambda: Dataset(X, Y, groups={"sex": SEX, "b": [*SEX, "f"]}),
        "groups: 'b' has 13 values, but there are 12 rows",
        LENGTH,
    ),
    "one value for all": (
        lambda: Dataset(FRAME, "y", groups=pd.Series(["f"])),
        "groups has 1 values, but there are 4 rows",
        LENGTH,
    ),
    "no rows": (lambda: Dataset(X[:0], Y[:0]), "inputs has no rows", "Pass at least one row."),
    "an empty list": (lambda: Dataset([], []), "inputs has no rows", "Pass at least one row."),
    "a table of no rows": (
        lambda: Dataset(FRAME[:0], "y"),
        "inputs has no rows",
        "Pass at least one row.",
    ),
    "no columns": (
        lambda: Dataset(X.reshape(12, 6)[:, :0], Y),
        "inputs has shape (12, 0), which is not [rows, …] with at least one value a row",
        AXES,
    ),
    "a number": (
        lambda: Dataset(np.float64(3), Y),
        "inputs has shape (), which is not [rows, …] with at least one value a row",
        AXES,
    ),
    "one axis": (
        lambda: Dataset(Y, Y),
        "inputs has shape (12,), which is not [rows, …] with at least one value a row",
        AXES,
    ),
    "complex inputs": (
        lambda: Dataset(X * 1j, Y),
        "inputs holds complex128, not numbers",
        NUMBERS_ONLY,
    ),
    "objects": (
        lambda: Dataset(FRAME.to_numpy(), Y),
        "inputs holds object, not numbers",
        NUMBERS_ONLY,
    ),
    "records": (
        lambda: Dataset(np.zeros(3, [("a", "f4")]), Y[:3]),
        "inputs holds [('a', '<f4')], not numbers",
        NUMBERS_ONLY,
    ),
    "masked": (
        lambda: Dataset(np.ma.masked_equal(X, 0), Y),
        "inputs is a masked array, and what is masked would be lost",
        "Fill it, or leave the masked rows out: array[~mask.any(axis=1)].data.",
    ),
    "ragged lists": (
        lambda: Dataset([[1, 2], [3, 4], [5]], Y[:3]),
        "inputs: row 3 has 1 values, but row 1 has 2",
        "Give every row the same number of values.",
    ),
    "deeply ragged lists": (
        lambda: Dataset([[[1], [2]], [[3], [4, 5]]], Y[:2]),
        "inputs: its rows have different shapes",
        "Give every row the same number of values.",
    ),
    "lists of several kinds": (
        lambda: Dataset([[1, "a"], [2, "b"]], Y[:2]),
        "inputs holds values of different kinds",
        ONE_KIND,
    ),
    "texts and numbers": (
        lambda: Dataset(["a", 1], Y[:2]),
        "inputs holds values of different kinds",
        ONE_KIND,
    ),
    "a sparse matrix": (
        lambda: Dataset(csr_array(ROWS), Y),
        "inputs is an object of type csr_array, which holds no rows that can be read",
        KINDS,
    ),
    "a sparse tensor": (
        lambda: Dataset(torch.eye(3).to_sparse(), Y[:3]),
        (
            "inputs is an object of type Tensor that cannot be read (can't convert Sparse layout "
            "tensor to numpy. Use Tensor.to_dense() first.)"
        ),
        PLAIN,
    ),
    "a tensor of short floats": (
        lambda: Dataset(torch.ones((2, 2), dtype=torch.bfloat16), Y[:2]),
        (
            "inputs is an object of type Tensor that cannot be read (Got unsupported ScalarType "
            "BFloat16)"
        ),
        PLAIN,
    ),
    "a set": (
        lambda: Dataset({1, 2}, Y[:2]),
        "inputs is an object of type set, which holds no rows that can be read",
        KINDS,
    ),
    "a closed file": (
        lambda: Dataset(ClosedRows(), Y),
        "inputs is an object of type ClosedRows that cannot be read (the file is closed)",
        PLAIN,
    ),
    "a path": (
        lambda: Dataset("rows.csv", "y"),
        "inputs is the path 'rows.csv', not rows",
        "Call Dataset.load('rows.csv') for a file.",
    ),
    "a lazy table": (
        lambda: Dataset(pl.LazyFrame(TABLE), "y"),
        "inputs is a LazyFrame",
        "Pass inputs.collect().",
    ),
    "nothing": (
        lambda: Dataset(None),
        "there are neither inputs nor columns",
        "Pass inputs, or at least labels with scores or predictions.",
    ),
    "columns of one name": (
        lambda: Dataset(FRAME.rename(columns={"age": "who"}), "y"),
        "inputs has two columns named 'who'",
        RENAME,
    ),
    "columns without names": (
        lambda: Dataset(pd.DataFrame(ROWS), Y),
        "inputs: the name of column 1 is 0, not text",
        "Name the columns by text: table.columns = [str(name) for name in table.columns].",
    ),
    "a column that cannot be read": (
        lambda: Dataset(FRAME.rename(columns={"age": "a\n"}), "y"),
        r"inputs: the name of column 1 is 'a\n', which cannot be printed",
        PRINTABLE,
    ),
    "a column of several kinds": (
        lambda: Dataset(pd.DataFrame({"a": [1, "b"], "y": [0, 1]}), "y"),
        "inputs: column 'a' holds values of different kinds (int, str)",
        ONE_KIND,
    ),
    "a column of objects": (
        lambda: Dataset(FRAME, "y", groups=[Decimal(1)] * 4),
        "groups holds Decimal objects, neither numbers nor text",
        ONE_KIND,
    ),
    "a column of polars objects": (
        lambda: Dataset(pl.DataFrame({"a": pl.Series([{1}, {2}], dtype=pl.Object)}), Y[:2]),
        "inputs: column 'a' holds Python objects, neither numbers nor text",
        ONE_KIND,
    ),
    "a label that is NaN": (
        lambda: Dataset(X[:4], [0, 1, np.nan, np.nan]),
        "labels has no value (NaN) in row 3, and in 1 other row",
        FILL_IN,
    ),
    "a label in the table that is NaN": (
        lambda: Dataset(FRAME, "income"),
        "labels has no value (NaN) in row 3",
        FILL_IN,
    ),
    "one-hot labels": (
        lambda: Dataset(X, np.eye(3)[Y]),
        "labels has shape (12, 3), but a column has one value a row",
        ONE_AXIS,
    ),
    "complex labels": (
        lambda: Dataset(X, Y * 1j),
        "labels holds complex128, neither numbers nor text",
        "Store it as numbers or text.",
    ),
    "a table of labels": (
        lambda: Dataset(X[:4], FRAME[["y", "sex"]]),
        "labels is a table of 2 columns, but one value a row is expected",
        "Pass one of its columns: labels=table[name].",
    ),
    "groups of two axes": (
        lambda: Dataset(X, Y, groups=np.stack([SEX, SEX], axis=1)),
        "groups has shape (12, 2), but a column has one value a row",
        ONE_AXIS,
    ),
    "groups of lists": (
        lambda: Dataset(X[:2], Y[:2], groups=pl.Series([[1], [2]])),
        "groups holds List(Int64), not one number or text a row",
        "Pass single values.",
    ),
    "groups without a name": (
        lambda: Dataset(X, Y, groups={"": SEX}),
        "groups: the name of column 1 is '', which cannot be printed",
        PRINTABLE,
    ),
    "labels that are not there": (
        lambda: Dataset(FRAME, "yy"),
        (
            "labels names the column 'yy', which inputs does not have; nearest is: 'y'; there are "
            "'age', 'income', 'owner', 'sex', 'who', 'y'"
        ),
        NAMED,
    ),
    "a part of groups that is not there": (
        lambda: Dataset(FRAME, "y", groups=["sex, rac"]),
        (
            "groups names the column 'rac', which inputs does not have; there are 'age', 'income', "
            "'owner', 'sex', 'who', 'y'"
        ),
        NAMED,
    ),
    "a name of an array's column": (
        lambda: Dataset(X, "y"),
        "labels names the column 'y', but inputs has no named columns",
        "Pass the values as an array: labels=values.",
    ),
    "labels that the model would read": (
        lambda: Dataset(FRAME, FRAME["y"]),
        "labels: inputs has a column 'y' too",
        (
            "Drop it from inputs, or pass labels='y' to take it out of what the model reads, or "
            "give the values another name."
        ),
    ),
    "groups that the model would read": (
        lambda: Dataset(FRAME[["age"]], FRAME["y"], groups={"age": FRAME["age"]}),
        "groups: inputs has a column 'age' too",
        (
            "If the model reads it too, give the values another name: groups={'age_group': …}. If "
            "it does not, pass groups='age', which takes it out of the inputs."
        ),
    ),
    "labels in another order": (
        lambda: Dataset(FRAME[["age"]], FRAME["y"][::-1]),
        "labels has another index than inputs, so that its rows may stand in another order",
        (
            "Align them by labels.loc[inputs.index], or pass labels.to_numpy() where the order is "
            "the same."
        ),
    ),
    "groups in another order": (
        lambda: Dataset(FRAME[["age"]], [0, 1, 0, 1], groups={"a": Y[:4], "b": FRAME["sex"][::-1]}),
        "groups has another index than inputs, so that its rows may stand in another order",
        (
            "Align them by groups.loc[inputs.index], or pass groups.to_numpy() where the order is "
            "the same."
        ),
    ),
    "one name for two": (
        lambda: Dataset(X, Y, groups=pd.Series(SEX, name="a"), slices=pd.Series(Y, name="a")),
        "slices: the name 'a' stands for other values already",
        "Give the values another name: .rename(…) of a Series.",
    ),
    "fewer names": (
        lambda: Dataset(ROWS, Y, names=["a", "b"]),
        "names has 2 names, but inputs has 3 columns",
        "Give one name a column.",
    ),
    "names of pictures": (
        lambda: Dataset(X, Y, names=["a", "b"]),
        "names are given, but inputs is not an array of shape [rows, features]",
        "Remove names; a table has names of its own, and pictures have none.",
    ),
    "a name twice": (
        lambda: Dataset(ROWS, Y, names=["a", "b", "a"]),
        "names has two columns named 'a'",
        RENAME,
    ),
    "values of a file": (
        lambda: Dataset.load(__file__, Y),
        "labels is an object of type ndarray, not the name of a column",
        "Name a column of the file: labels='name'; values come with Dataset(…).",
    ),
    "a file that is not there": (
        lambda: Dataset.load(Path(__file__).with_name("test_memory_dataset.pi")),
        (
            f"{Path(__file__).with_name('test_memory_dataset.pi')} does not exist; there is "
            "test_memory_dataset.py"
        ),
        "Fix the path; it is relative to the working directory.",
    ),
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_says_what_is_wrong_and_what_to_do(call: str) -> None:
    run, problem, cure = WRONG[call]
    with pytest.raises(DatasetError) as caught:
        run()
    assert (caught.value.problem, caught.value.cure) == (problem, cure)


UNSEEN: dict[str, tuple[Dataset, str]] = {
    "a lost input": (
        Dataset(np.where(ROWS.max() == ROWS, np.nan, ROWS), Y),
        r"'inputs', row \d+, position \(\d\), is missing or NaN",
    ),
    "a lost id": (
        Dataset(FRAME[["age", "sex", "y"]], "y", ids="sex"),
        "'sex' has no id in row 2",
    ),
    "a lost label": (Dataset(ROWS[:3], [0, None, 1]), "'labels' has no label in row 2"),
    "texts among the inputs": (
        Dataset(FRAME, "y", ids="who"),
        "column 'sex' holds texts, as 'f' in row 1, and a model is given numbers",
    ),
    "is not a probability": (
        Dataset(ROWS, Y, scores=ROWS),
        r"'score_\d', row \d+: the score .* is no",
    ),
}


@pytest.mark.parametrize("fault", UNSEEN)
def test_what_only_an_audit_can_see_is_said_of_the_data_and_of_no_file(
    handed: Handed, fault: str
) -> None:
    dataset, problem = UNSEEN[fault]
    with pytest.raises(DatasetError, match=problem) as caught:
        handed(dataset)
    assert caught.value.problem.startswith("evaluation data (in memory): ")
    assert "evaluation." not in caught.value.problem


def test_an_array_is_copied_nowhere_on_its_way_to_the_file(tmp_path: Path) -> None:
    inputs = np.ones((2**11, 2**13), np.float32)
    tracemalloc.start()
    try:
        write_dataset(Dataset(inputs, np.arange(2**11) % 2), EVALUATION, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * inputs.nbytes


def test_rows_are_written_once(tmp_path: Path) -> None:
    write_dataset(Dataset(X, Y), EVALUATION, tmp_path)
    with pytest.raises(DatasetError, match="cannot be written") as caught:
        write_dataset(Dataset(X, Y), EVALUATION, tmp_path)
    assert caught.value.cure == "Make room there, or pass plain numbers and texts."
