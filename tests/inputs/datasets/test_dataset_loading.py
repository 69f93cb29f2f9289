import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
import pytest

from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import DataSection, InputSection, TaskSection
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask, InputSpace
from auditor.errors import DatasetError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.load import LoadedDatasets, count_rows_by_label, load_datasets

Load: TypeAlias = Callable[..., LoadedDatasets]
Write: TypeAlias = Callable[[str, str | bytes], None]
Paint: TypeAlias = Callable[..., None]
EXAMPLES = Path(__file__).parents[3] / "examples"
LOANS = """\
id,income,age,owner,sex,note,approve
a,1000,30,0,f,"x, y",1
b,2000.5,41,1,,z,0
c,1500,52,1,m,,1
"""
SCHEMA = """\
features:
  - {name: age, kind: integer, range: [18, 100], immutable: true}
  - {name: income, range: [0, 5000]}
  - {name: owner, kind: binary}
"""


def test_a_table_is_read_in_the_order_of_its_schema(load: Load, write: Write) -> None:
    write("loans.csv", LOANS)
    write("schema.yaml", SCHEMA)
    loaded = load(
        DataSection(path="loans.csv", labels="approve", id="id", groups=("sex",)),
        space=InputSection(features="schema.yaml"),
    )
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert found.features == ("age", "income", "owner")
    assert found.inputs.tolist() == [[30, 1000, 0], [41, 2000.5, 1], [52, 1500, 1]]
    assert found.ids == ("a", "b", "c")
    assert loaded.task.classes == ("0", "1")
    assert (loaded.task.positive, loaded.task.favourable) == ("1", "1")
    assert found.labels.tolist() == [1, 0, 1]
    assert tuple(found.groups["sex"]) == ("f", "unknown", "m")
    assert {name: tuple(found.slices[name]) for name in found.slices} == {
        "note": ("x, y", "z", "unknown")
    }


@pytest.mark.parametrize(
    ("words", "declared", "hoped"),
    [
        (("approve", "deny"), None, "approve"),
        (("approve", "deny"), "deny", "deny"),
        (("blue", "red"), None, "red"),
        (("0", "1"), None, "1"),
    ],
)
def test_a_class_that_is_named_as_a_good_outcome_is_favourable_unless_another_is_declared(
    load: Load, write: Write, words: tuple[str, str], declared: str | None, hoped: str
) -> None:
    write("rows.csv", f"a,said\n1,{words[0]}\n2,{words[1]}\n3,{words[0]}\n")
    found = load(DataSection(path="rows.csv", labels="said"), task=TaskSection(favourable=declared))
    assert isinstance(found.task, ClassificationTask)
    assert (found.task.positive, found.task.favourable) == (words[1], hoped)
    listed = TaskSection(favourable=declared, classes=words)
    kept = load(DataSection(path="rows.csv", labels="said"), task=listed).task
    assert isinstance(kept, ClassificationTask)
    assert kept.favourable == (declared or words[1])


def test_a_schema_says_where_attacks_may_move(load: Load, write: Write) -> None:
    write("loans.csv", LOANS)
    write("schema.yaml", SCHEMA)
    space = load(
        DataSection(path="loans.csv", labels="approve", id="id", groups=("sex",)),
        space=InputSection(features="schema.yaml"),
    ).space
    assert isinstance(space, InputSpace)
    assert space.low.tolist() == [18, 0, 0]
    assert space.high.tolist() == [100, 5000, 1]
    assert space.quantum.tolist() == [1, 0, 1]
    assert space.mutable.tolist() == [False, True, False]
    assert [feature.name for feature in space.features] == ["age", "income", "owner"]


def test_without_a_schema_the_columns_that_nothing_names_are_the_features(
    load: Load, write: Write
) -> None:
    write("loans.csv", LOANS)
    loaded = load(
        DataSection(path="loans.csv", labels="approve", id="id", groups=("sex",), slices=("note",))
    )
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert found.features == ("income", "age", "owner")
    assert isinstance(loaded.space, Gap)
    assert loaded.space.reason is GapReason.NEEDS_NUMERIC_INPUT
    assert 'in Python: input={"features": "schema.yaml"}' in loaded.space.cure
    assert "input.domain" in loaded.space.cure


def test_csv_parquet_and_npz_of_the_same_rows_give_the_same_dataset(
    load: Load, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (20, 3)) / 4, rng.integers(0, 2, 20)
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    table.write_csv(tmp_path / "t.csv")
    table.with_columns(pl.col("y").cast(pl.Float64)).write_parquet(tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", x=x, y=y.astype(np.uint8))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y.astype(str))
    sections = [DataSection(path=f"t.{kind}", labels="y") for kind in ("csv", "parquet", "npz")]
    sections.append(DataSection(path="x.npy", labels="y.npy"))
    for section in sections:
        loaded = load(section)
        found = loaded.datasets[DatasetRole.EVALUATION]
        assert np.array_equal(found.inputs, x), section.path
        assert found.labels.tolist() == y.tolist(), section.path
        assert loaded.task.classes == ("0", "1"), section.path
        assert found.ids == tuple(str(row) for row in range(1, 21))


def test_every_file_is_digested_under_the_name_that_the_audit_file_gives_it(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    np.save(tmp_path / "deep" / "x.npy", np.zeros((2, 3)))
    np.save(tmp_path / "y.npy", np.array([0, 1]))
    loaded = load(DataSection(path="./deep/x.npy", labels="y.npy"))
    raw = (tmp_path / "deep" / "x.npy").read_bytes()
    first, second = loaded.inputs
    assert first.path == "./deep/x.npy"
    assert first.file == FileDigest("deep/x.npy", len(raw), hashlib.sha256(raw).hexdigest())
    assert second.path == "y.npy"
    assert loaded.datasets[DatasetRole.EVALUATION].files == (first.file, second.file)


def test_an_absolute_path_leaves_nothing_of_the_machine_in_the_digest(
    load: Load, tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 3)), y=np.array([0, 1]))
    loaded = load(DataSection(path=str(tmp_path / "t.npz"), labels="y"))
    assert loaded.inputs[0].file.name == "t.npz"


def test_arrays_stay_as_the_file_holds_them(load: Load, tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=">u2").reshape(2, 3, 4)
    np.savez(tmp_path / "t.npz", images=pixels, y=["b", "a"], who=[7.0, 8.0], extra=np.ones(9))
    loaded = load(
        DataSection(path="t.npz", labels="y", id="who"), space=InputSection(domain=(0, 255))
    )
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert found.inputs.dtype == np.dtype(np.uint16)
    assert np.array_equal(found.inputs, pixels)
    assert found.ids == ("7", "8")
    assert found.labels.tolist() == [1, 0]
    assert loaded.space.quantum.shape == (3, 4)
    assert loaded.space.quantum.max() == loaded.space.quantum.min() == 1


def test_a_bound_may_be_stored_in_single_precision(load: Load, tmp_path: Path) -> None:
    x = np.array([[0.1], [0.0]], dtype=np.float32)
    assert float(x[0, 0]) > 0.1
    np.savez(tmp_path / "t.npz", x=x, y=[0, 1])
    loaded = load(DataSection(path="t.npz", labels="y"), space=InputSection(domain=(0.0, 0.1)))
    assert loaded.space.high.tolist() == [0.1]


def test_a_domain_wider_than_the_precision_of_the_data_holds_them_all(
    load: Load, tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", x=np.full((2, 1), 6e4, dtype=np.float16), y=[0, 1])
    loaded = load(DataSection(path="t.npz", labels="y"), space=InputSection(domain=(-1e300, 1e300)))
    assert loaded.space.high.tolist() == [1e300]


def test_a_folder_of_pictures_is_read_by_class_and_then_by_name(
    load: Load, paint: Paint, write: Write
) -> None:
    paint("shots/dog/2.png", (4, 6), 20)
    paint("shots/dog/10.PNG", (4, 6), 10)
    paint("shots/cat/1.png", (4, 6), 255)
    write("shots/.DS_Store", "x")
    loaded = load(DataSection(path="shots"))
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert found.ids == ("cat/1.png", "dog/10.PNG", "dog/2.png")
    assert loaded.task.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 1, 1]
    assert found.inputs.shape == (3, 4, 6)
    assert found.inputs[:, 0, 0].tolist() == [255, 10, 20]
    assert loaded.space.high.max() == 255
    assert loaded.space.quantum.min() == 1
    assert [file.name for file in found.files] == [f"shots/{name}" for name in found.ids]


def test_pixels_are_spread_over_a_declared_domain(load: Load, paint: Paint) -> None:
    paint("shots/a/1.png", (2, 2, 3), 255)
    paint("shots/b/1.png", (2, 2, 3), 51)
    loaded = load(DataSection(path="shots"), space=InputSection(domain=(-1.0, 1.0)))
    inputs = loaded.datasets[DatasetRole.EVALUATION].inputs
    assert inputs.dtype == np.float32
    assert np.allclose(inputs[:, 0, 0, 0], [1.0, -0.6])
    assert np.allclose(loaded.space.quantum, 2 / 255)


def test_predictions_alone_make_a_dataset_without_inputs(load: Load, write: Write) -> None:
    write("scored.csv", "y,p,city\n1,0.9,here\n0,0.25,there\n")
    loaded = load(DataSection(path="scored.csv", labels="y", scores=("p",)), artifact=None)
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert found.inputs is None
    assert np.allclose(found.scores, [[0.1, 0.9], [0.75, 0.25]])
    assert {name: tuple(found.slices[name]) for name in found.slices} == {"city": ("here", "there")}
    assert isinstance(loaded.space, Gap)


def test_one_score_column_is_the_probability_of_the_positive_class(
    load: Load, write: Write
) -> None:
    write("scored.csv", "y,p\n1,0.9\n0,0.25\n")
    loaded = load(
        DataSection(path="scored.csv", labels="y", scores=("p",)),
        task=TaskSection(classes=("0", "1"), positive="0"),
        artifact=None,
    )
    assert np.allclose(loaded.datasets[DatasetRole.EVALUATION].scores, [[0.9, 0.1], [0.25, 0.75]])


@pytest.mark.parametrize("written", ["1,0", "1.0,0.0", " 1, 0", "true,false", "yes,no"])
def test_labels_match_classes_as_text(load: Load, write: Write, written: str) -> None:
    first, second = written.split(",")
    classes = {"true": ("false", "true"), "yes": ("no", "yes")}.get(first, ("0", "1"))
    write("t.csv", f"x,y\n3,{first}\n4,{second}\n")
    loaded = load(DataSection(path="t.csv", labels="y"), task=TaskSection(classes=classes))
    assert loaded.datasets[DatasetRole.EVALUATION].labels.tolist() == [1, 0]


def test_classes_taken_from_the_data_are_sorted_as_numbers(load: Load, write: Write) -> None:
    write("t.csv", "x,y\n" + "".join(f"0,{label}\n" for label in (10, 9, 1, 2)))
    assert load(DataSection(path="t.csv", labels="y")).task.classes == ("1", "2", "9", "10")


def test_a_nullable_feature_may_be_missing_but_then_nothing_is_attacked(
    load: Load, write: Write
) -> None:
    write("t.csv", "a,y\n1,0\n,1\n")
    write("s.yaml", "features:\n  - {name: a, range: [0, 2], nullable: true}\n")
    loaded = load(DataSection(path="t.csv", labels="y"), space=InputSection(features="s.yaml"))
    assert np.isnan(loaded.datasets[DatasetRole.EVALUATION].inputs[1, 0])
    assert isinstance(loaded.space, Gap)
    assert loaded.space.reason is GapReason.UNSUPPORTED


def test_a_schema_without_a_range_leaves_no_input_space(load: Load, write: Write) -> None:
    write("t.csv", "a,b,y\n1,5,0\n2,6,1\n")
    write("s.yaml", "features:\n  - {name: a, range: [0, 2]}\n  - {name: b}\n")
    space = load(DataSection(path="t.csv", labels="y"), space=InputSection(features="s.yaml")).space
    assert isinstance(space, Gap)
    assert "no range for b" in space.detail


def test_labels_may_be_absent_where_the_classes_are_declared(load: Load, write: Write) -> None:
    write("t.csv", "a\n1\n2\n")
    loaded = load(DataSection(path="t.csv"), task=TaskSection(classes=("0", "1")))
    assert loaded.datasets[DatasetRole.EVALUATION].labels is None
    assert count_rows_by_label(loaded.datasets[DatasetRole.EVALUATION], loaded.task).labels == {}


def test_a_spreadsheets_byte_order_mark_and_blank_lines_do_not_count(
    load: Load, write: Write
) -> None:
    write("t.csv", "\ufeffa,y\r\n1,0\r\n\r\n2,1\r\n\r\n")
    found = load(DataSection(path="t.csv", labels="y")).datasets[DatasetRole.EVALUATION]
    assert found.features == ("a",)
    assert found.inputs.tolist() == [[1], [2]]


def test_rows_are_counted_by_label_and_by_group(load: Load, write: Write) -> None:
    write("t.csv", "a,sex,y\n1,f,0\n2,f,1\n3,,1\n4,f,1\n")
    loaded = load(DataSection(path="t.csv", labels="y", groups=("sex",)))
    size = count_rows_by_label(loaded.datasets[DatasetRole.EVALUATION], loaded.task)
    assert (size.rows, size.classes, size.labels) == (4, 2, {"0": 1, "1": 3})
    assert size.groups == {"sex": {"f": {"0": 1, "1": 2}, "unknown": {"1": 1}}}


def test_intersections_of_groups_are_named_in_the_audit_file(load: Load, write: Write) -> None:
    write("t.csv", "a,sex,race,y\n1,f,black,0\n2,m,,1\n3,,white,1\n4,f,white,1\n")
    loaded = load(DataSection(path="t.csv", labels="y", groups=("sex", "sex, race")))
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert list(found.groups["sex, race"]) == ["f, black", "unknown", "unknown", "f, white"]
    assert list(found.groups["sex"]) == ["f", "m", "unknown", "f"]
    assert (found.features, list(found.slices)) == (("a",), [])


def test_a_column_whose_name_has_a_comma_is_no_intersection(load: Load, write: Write) -> None:
    write("t.csv", 'a,"sex, race",y\n1,fb,0\n2,mw,1\n')
    loaded = load(DataSection(path="t.csv", labels="y", groups=("sex, race",)))
    assert list(loaded.datasets[DatasetRole.EVALUATION].groups["sex, race"]) == ["fb", "mw"]


def test_an_intersection_of_what_is_no_column_is_refused(load: Load, write: Write) -> None:
    write("t.csv", "a,sex,y\n1,f,0\n2,m,1\n")
    with pytest.raises(DatasetError, match="no column 'race'"):
        load(DataSection(path="t.csv", labels="y", groups=("sex, race",)))


def test_a_hundred_thousand_rows_load_whole(load: Load, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.random(100_000) for i in range(10)}
    table = pl.DataFrame({**columns, "id": range(100_000), "y": rng.integers(0, 2, 100_000)})
    table.write_csv(tmp_path / "t.csv")
    loaded = load(DataSection(path="t.csv", labels="y", id="id", groups=("f0",)))
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert np.array_equal(found.inputs[:, 0], columns["f1"])
    assert len(set(found.ids)) == len(found.groups["f0"]) == 100_000


@pytest.mark.parametrize(("name", "rows"), [("digits", 450), ("loans", 1149)])
def test_the_data_of_the_examples_load(name: str, rows: int) -> None:
    folder = EXAMPLES / name
    raw = (folder / "audit.yaml").read_bytes()
    audit = read_audit_file(raw, "audit.yaml", lambda entry: TargetSpec(str(entry)))
    loaded = load_datasets(audit, lambda path: folder / path)
    assert loaded.datasets[DatasetRole.EVALUATION].rows == rows
    assert isinstance(loaded.space, InputSpace)


def test_all_black_applicants_of_the_loans_are_in_the_sample() -> None:
    folder = EXAMPLES / "loans"
    raw = (folder / "audit.yaml").read_bytes()
    audit = read_audit_file(raw, "audit.yaml", lambda entry: TargetSpec(str(entry)))
    loaded = load_datasets(audit, lambda path: folder / path)
    size = count_rows_by_label(loaded.datasets[DatasetRole.EVALUATION], loaded.task)
    assert size.groups["race"]["black"] == {"0": 64, "1": 133}
    assert sum(size.groups["sex"]["unknown"].values()) == 8


def test_predictions_are_classes_and_times_are_numbers(load: Load, write: Write) -> None:
    write("t.csv", "y,said,at\n0,1,2015\n1,1.0,2016\n")
    section = DataSection(path="t.csv", labels="y", predictions="said", time="at", as_of="at")
    found = load(section, artifact=None).datasets[DatasetRole.EVALUATION]
    assert found.decisions is not None
    assert found.times is not None
    assert found.as_of is not None
    assert found.decisions.tolist() == [1, 1]
    assert found.times.tolist() == found.as_of.tolist() == [2015, 2016]
    assert found.slices == {}


def test_a_prediction_outside_the_classes_is_named(load: Load, write: Write) -> None:
    write("t.csv", "y,said\n0,1\n1,maybe\n")
    with pytest.raises(DatasetError, match=r"column 'said', row 2.*the prediction 'maybe'"):
        load(DataSection(path="t.csv", labels="y", predictions="said"), artifact=None)


def test_classes_that_are_taken_from_labels_say_so_and_which_is_the_rarest(
    load: Load, write: Write
) -> None:
    write("t.csv", "a,y\n1,no\n2,slip\n3,no\n4,yes\n5,yes\n")
    task = load(DataSection(path="t.csv", labels="y")).task
    assert isinstance(task, ClassificationTask)
    assert task.origin == (
        "the classes were taken from the labels in t.csv: no, slip, yes; the rarest is 'slip' "
        "(rows: 1, the first is row 2 (counted from below the header))"
    )
    listed = TaskSection(classes=("no", "slip", "yes"))
    said = load(DataSection(path="t.csv", labels="y"), task=listed).task
    assert isinstance(said, ClassificationTask)
    assert said.origin == ""
