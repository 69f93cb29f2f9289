"""Every broken file gives one sentence that names the thing, the place and the cure."""

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
import pytest
from numpy.typing import ArrayLike
from PIL import Image

from auditor.domain.auditfiles import DataSection, InputSection, TaskSection
from auditor.domain.datasets import DatasetRole
from auditor.errors import AuditFileError, DatasetError
from auditor.inputs.datasets.formats import read_parquet

Load: TypeAlias = Callable[..., object]
Write: TypeAlias = Callable[[str, str | bytes], None]
Paint: TypeAlias = Callable[..., None]
CSV = DataSection(path="t.csv", labels="y")
UNSAID, ANYTHING = TaskSection(), InputSection()


@dataclass(frozen=True)
class Case:
    """Files to write, what the audit file says of them, and what the error must name."""

    names: tuple[str, ...]
    files: Mapping[str, bytes | str]
    section: DataSection = CSV
    task: TaskSection = UNSAID
    space: InputSection = ANYTHING
    artifact: str | None = "model.onnx"
    more: Mapping[DatasetRole, DataSection] = field(default_factory=dict)


def npz(**arrays: ArrayLike) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: ArrayLike) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parquet(**columns: list[object]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


X = np.zeros((3, 2))
Y = np.array([0, 1, 1])
NPZ = DataSection(path="t.npz", labels="y")
PARQUET = DataSection(path="t.parquet", labels="y")
UNIT = InputSection(domain=(0.0, 1.0))
SCHEMA = InputSection(features="s.yaml")
BINARY = TaskSection(classes=("0", "1"))
ROW = "a,y\n1,0\n2,1\n"


def schema(feature: str, rows: str = ROW) -> dict[str, bytes | str]:
    return {"t.csv": rows, "s.yaml": f"features:\n  - {feature}\n"}


def scored(rows: str, *scores: str, names: tuple[str, ...]) -> Case:
    section = DataSection(path="t.csv", labels="y", scores=scores)
    return Case(names, {"t.csv": rows}, section, artifact=None)


CASES = {
    "a missing file": Case(("t.csv", "does not exist", "Fix the path"), {}),
    "an empty file": Case(("t.csv", "0 bytes", "again"), {"t.csv": b""}),
    "a table without rows": Case(("t.csv", "no rows"), {"t.csv": "a,y\n"}),
    "a folder for a file": Case(("t.csv", "is a folder"), {"t.csv/x": "1"}),
    "an unknown ending": Case(
        ("t.xlsx", "'.xlsx'", ".parquet"), {"t.xlsx": "x"}, DataSection(path="t.xlsx", labels="y")
    ),
    "a column that is not there": Case(
        ("t.csv", "no column 'y'", "'a', 'b'", "Name one"), {"t.csv": "a,b\n1,2\n"}
    ),
    "a header twice": Case(("column 'a' stands twice", "Rename"), {"t.csv": "a,a,y\n1,2,0\n"}),
    "a column without a name": Case(
        ("column 1 has no name", "index=False"), {"t.csv": ",a,y\n0,1,0\n1,2,1\n"}
    ),
    "a row too short": Case(("line 3: 1 cells", "2 columns"), {"t.csv": "a,y\n1,0\n2\n"}),
    "a row too long": Case(("line 3: 3 cells", "2 columns"), {"t.csv": "a,y\n1,0\n2,1,5\n"}),
    "another encoding": Case(("t.csv", "not UTF-8", "byte 5"), {"t.csv": b"a,y\n1\xff,0\n"}),
    "words among numbers": Case(
        ("column 'a'", "row 2 (counted from below the header)", "'two'", "2 other rows", "empty"),
        {"t.csv": "a,y\n1,0\ntwo,1\nx,1\nNA,1\n"},
    ),
    "a missing label": Case(
        ("column 'y'", "no label in row 2", "leave the row out"), {"t.csv": "a,y\n1,0\n2,\n3,1\n"}
    ),
    "no label at all": Case(("column 'y' holds no label at all",), {"t.csv": "a,y\n1,\n2,\n"}),
    "NaN as a label": Case(
        ("column 'y'", "no label in row 3"),
        {"t.npz": npz(x=X, y=[0, 1, np.nan])},
        NPZ,
    ),
    "a label outside the classes": Case(
        ("row 3", "'2' is none of the classes 0, 1", "task.classes"),
        {"t.csv": "a,y\n1,0\n2,1\n3,2\n"},
        task=BINARY,
    ),
    "one class only": Case(
        ("every row has the label '1'", "at least two classes"),
        {"t.csv": "a,y\n1,1\n2,1\n"},
        task=BINARY,
    ),
    "a number to predict": Case(
        ("'y' holds 150 different labels", "task.classes"),
        {"t.csv": "a,y\n" + "".join(f"1,{i}.5\n" for i in range(150))},
    ),
    "a positive class of none": Case(
        ("task.positive is 'yes'", "0, 1", "Choose"),
        {"t.csv": ROW},
        task=TaskSection(positive="yes"),
    ),
    "the truth among the inputs": Case(
        ("data.evaluation.labels", "column 'y' is also an input", "Take it out"),
        schema("{name: y, kind: binary}"),
        space=SCHEMA,
    ),
    "a text that is the truth": Case(
        ("data.evaluation.labels", "column 'y' is also an input"),
        {"t.csv": "a,y\n1,no\n2,yes\n"},
        space=InputSection(text="y"),
    ),
    "NaN in a feature": Case(
        ("'a', row 1", "missing or NaN", '{name: "a", nullable: true}', 'pass input={"features"'),
        {"t.csv": "a,y\n,0\n2,1\n"},
    ),
    "NaN in a feature of a schema": Case(
        ("'a', row 1", "missing or NaN", "write nullable: true for 'a' (s.yaml:2)"),
        schema("{name: a}", "a,y\n,0\n2,1\n"),
        space=SCHEMA,
    ),
    "infinity in a feature": Case(("'a', row 2", "infinite"), {"t.csv": "a,y\n1,0\ninf,1\n"}),
    "NaN in an array": Case(
        ("'x', row 2, position (1)", "NaN", "leave the row out"),
        {"t.npz": npz(x=[[0, 0], [0, np.nan], [1, 1]], y=Y)},
        NPZ,
    ),
    "a value outside the domain": Case(
        ("row 3, position (0)", "is 7", "[0, 1]", "domain"),
        {"t.npz": npz(x=[[0, 0], [0, 1], [7, 1]], y=Y)},
        NPZ,
        space=UNIT,
    ),
    "more labels than inputs": Case(
        ("'y' has 4 rows", "there are 3 in the others", "same order"),
        {"t.npz": npz(x=X, y=[0, 1, 1, 0])},
        NPZ,
    ),
    "more labels than inputs in two files": Case(
        ("x.npy: 'y.npy' has 4 rows", "there are 3 in the others"),
        {"x.npy": npy(X), "y.npy": npy([0, 1, 1, 0])},
        DataSection(path="x.npy", labels="y.npy"),
    ),
    "labels of an npy that are no path": Case(
        ("x.npy", "no column 'y'", "labels: y.npy"),
        {"x.npy": npy(X)},
        DataSection(path="x.npy", labels="y"),
    ),
    "one-hot labels": Case(
        ("'y' has shape (3, 2)", "argmax"), {"t.npz": npz(x=X, y=np.eye(3)[:, :2])}, NPZ
    ),
    "inputs without a second axis": Case(
        ("'x' has shape (3,)", "(rows, 1)"), {"t.npz": npz(x=np.zeros(3), y=Y)}, NPZ
    ),
    "no telling which array": Case(
        ("which array", "'a' (3, 2)", "'b' (3, 2)", "Name exactly one"),
        {"t.npz": npz(a=X, b=X, y=Y)},
        NPZ,
    ),
    "text as inputs": Case(
        ("'x' holds <U1", "as numbers"), {"t.npz": npz(x=[["a"], ["b"], ["c"]], y=Y)}, NPZ
    ),
    "complex numbers": Case(("complex128",), {"t.npz": npz(x=X + 1j, y=Y)}, NPZ),
    "objects in an npz": Case(
        ("array 'y'", "pickle", "run code", "astype"),
        {"t.npz": npz(x=X, y=np.array([0, None, 1], dtype=object))},
        NPZ,
    ),
    "a pickle called npy": Case(
        ("x.npy", "not a NumPy array"),
        {"x.npy": pickle.dumps([1, 2]), "y.npy": npy(Y)},
        DataSection(path="x.npy", labels="y.npy"),
    ),
    "a truncated npz": Case(("t.npz", "cut short"), {"t.npz": npz(x=X, y=Y)[:-40]}, NPZ),
    "a flipped byte in an npz": Case(
        ("t.npz", "numpy.savez"),
        {"t.npz": npz(x=X, y=Y).replace(b"\x93NUMPY", b"\x92NUMPY", 1)},
        NPZ,
    ),
    "an npy that promises too much": Case(
        ("x.npy", "cut short"),
        {"x.npy": npy(X).replace(b"(3, 2), }        ", b"(30000000, 2), } ")},
        DataSection(path="x.npy"),
        BINARY,
    ),
    "a truncated parquet": Case(
        ("t.parquet", "cut short"), {"t.parquet": parquet(a=[1])[:-9]}, PARQUET
    ),
    "lists in a parquet": Case(
        ("'a' holds List", "single values"), {"t.parquet": parquet(a=[[1], [2]], y=[0, 1])}, PARQUET
    ),
    "lists as labels": Case(
        ("'y' holds List", "single values"), {"t.parquet": parquet(a=[1, 2], y=[[0], [1]])}, PARQUET
    ),
    "an id twice": Case(
        ("id 'q' stands in row 1", "row 3", "of its own"),
        {"t.csv": "i,a,y\nq,1,0\nr,2,1\nq,3,1\n"},
        DataSection(path="t.csv", labels="y", id="i"),
    ),
    "an id missing": Case(
        ("column 'i' has no id in row 2",),
        {"t.csv": "i,a,y\nq,1,0\n,2,1\n"},
        DataSection(path="t.csv", labels="y", id="i"),
    ),
    "a cluster missing": Case(
        ("column 'i' has no cluster in row 2",),
        {"t.csv": "i,a,y\nq,1,0\n,2,1\n"},
        DataSection(path="t.csv", labels="y", cluster="i"),
    ),
    "no feature left": Case(("no column left", "schema"), {"t.csv": "y\n0\n1\n"}),
    "nothing says the classes": Case(
        ("audit.yaml", "task.classes", "labels"), {"t.csv": "a\n1\n"}, DataSection(path="t.csv")
    ),
    "a score above one": scored(
        "p,y\n0.5,0\n1.5,1\n", "p", names=("column 'p'", "row 2", "1.5", "between 0 and 1")
    ),
    "a score missing": scored("p,y\n0.5,0\n,1\n", "p", names=("column 'p'", "row 2")),
    "scores that do not sum to one": scored(
        "p,q,y\n0.5,0.5,0\n0.5,0.4,1\n", "p", "q", names=("row 2", "sum to 0.9")
    ),
    "too few score columns": scored(
        "p,q,y\n1,0,0\n1,0,1\n1,0,2\n",
        "p",
        "q",
        names=("2 columns for 3 classes", "one column a class"),
    ),
    "a value outside its range": Case(
        (
            "column 'a', row 2",
            "2 is outside the range [0, 1]",
            "write range: [0, 2] for 'a' (s.yaml:2)",
        ),
        schema("{name: a, range: [0, 1]}"),
        space=SCHEMA,
    ),
    "values outside the ranges of two columns": Case(
        (
            "2 is outside the range [0, 1]; column 'b', row 1",
            "7 is outside the range [0, 5]",
            "write range: [0, 2] for 'a' (s.yaml:2); write range: [0, 7] for 'b' (s.yaml:3)",
        ),
        schema("{name: a, range: [0, 1]}\n  - {name: b, range: [0, 5]}", "a,b,y\n1,7,0\n2,3,1\n"),
        space=SCHEMA,
    ),
    "half a whole number": Case(
        ("column 'a', row 1", "1.5 is not a whole number", "write kind: numeric for 'a'"),
        schema("{name: a, kind: integer}", "a,y\n1.5,0\n2,1\n"),
        space=SCHEMA,
    ),
    "a category of none": Case(
        ("column 'a', row 2", "2 is none of 0, 1", "kind: categorical, categories: [0, 1, 2]"),
        schema("{name: a, kind: binary}"),
        space=SCHEMA,
    ),
    "a schema with a column that is not there": Case(
        ("s.yaml:2: t.csv has no column 'b'", "'a', 'y'"), schema("{name: b}"), space=SCHEMA
    ),
    "a schema with an unknown setting": Case(
        ("s.yaml:2: features.0.rang",), schema("{name: a, rang: [0, 1]}"), space=SCHEMA
    ),
    "a one-hot group of a number": Case(
        ("s.yaml:2: feature 'a' is numeric and in a one-hot group", "kind: binary"),
        schema("{name: a, one_hot: g}"),
        space=SCHEMA,
    ),
    "a schema with an empty range": Case(
        ("s.yaml:2: feature 'a'", "empty range", "low below high"),
        schema("{name: a, range: [1, 1]}"),
        space=SCHEMA,
    ),
    "a schema with a feature twice": Case(
        ("s.yaml:3: feature 'a' stands twice",),
        schema("{name: a}\n  - {name: a}"),
        space=SCHEMA,
    ),
    "a schema with categories of a number": Case(
        ("feature 'a' is numeric and has categories", "kind: categorical"),
        schema("{name: a, categories: [0, 1]}"),
        space=SCHEMA,
    ),
    "a schema with text categories": Case(
        ("s.yaml:2: features.0.categories.0", "number"),
        schema("{name: a, kind: categorical, categories: [red, blue]}"),
        space=SCHEMA,
    ),
    "a schema of another width": Case(
        ("'x' has shape (3, 2)", "names 1 features"),
        {"t.npz": npz(x=X, y=Y), "s.yaml": "features:\n  - {name: a}\n"},
        NPZ,
        space=SCHEMA,
    ),
    "training data of another shape": Case(
        ("u.npz (training)", "(5,)", "t.npz (evaluation)", "(2,)"),
        {"t.npz": npz(x=X, y=Y), "u.npz": npz(x=np.zeros((3, 5)), y=Y)},
        NPZ,
        more={DatasetRole.TRAINING: DataSection(path="u.npz", labels="y")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_dataset_is_refused_in_one_clear_sentence(
    name: str, load: Load, write: Write
) -> None:
    case = CASES[name]
    for path, content in case.files.items():
        write(path, content)
    with pytest.raises((DatasetError, AuditFileError)) as caught:
        load(
            case.section,
            task=case.task,
            space=case.space,
            artifact=case.artifact,
            more=dict(case.more),
        )
    said = str(caught.value)
    assert [part for part in case.names if part not in said] == [], said
    assert caught.value.cure
    assert "\n" not in said


def refused(load: Load, section: DataSection) -> str:
    with pytest.raises(DatasetError) as caught:
        load(section)
    return str(caught.value)


def test_one_picture_of_another_size_is_named(load: Load, paint: Paint) -> None:
    paint("shots/a/1.png", (4, 6))
    paint("shots/b/odd.png", (5, 6))
    said = refused(load, DataSection(path="shots"))
    assert "shots/b/odd.png is 6x5 grey, but a/1.png is 6x4 grey" in said
    assert "same size" in said


def test_one_picture_of_another_colour_is_named(load: Load, paint: Paint) -> None:
    paint("shots/a/1.png", (4, 6))
    paint("shots/b/odd.png", (4, 6, 3))
    assert "shots/b/odd.png is 6x4 RGB" in refused(load, DataSection(path="shots"))


def test_a_truncated_picture_is_named(load: Load, paint: Paint, tmp_path: Path) -> None:
    paint("shots/a/1.png", (40, 60), 3)
    raw = (tmp_path / "shots/a/1.png").read_bytes()
    (tmp_path / "shots/a/1.png").write_bytes(raw[:50])
    assert "shots/a/1.png is not a picture that can be read" in refused(
        load, DataSection(path="shots")
    )


def test_a_picture_with_transparency_is_refused_with_the_conversion(
    load: Load, paint: Paint
) -> None:
    paint("shots/a/1.png", (4, 6, 4))
    said = refused(load, DataSection(path="shots"))
    assert "pixels of kind 'RGBA'" in said
    assert "RGB" in said


def test_a_picture_that_unpacks_to_far_too_much_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "shots/a").mkdir(parents=True)
    Image.new("1", (15000, 15000)).save(tmp_path / "shots/a/1.png")
    assert "too large" in refused(load, DataSection(path="shots"))


def test_stray_files_beside_the_classes_are_named(load: Load, paint: Paint, write: Write) -> None:
    paint("shots/a/1.png", (4, 6))
    write("shots/readme.txt", "x")
    assert "shots/readme.txt lies outside the classes" in refused(load, DataSection(path="shots"))


def test_other_files_among_the_pictures_are_named(load: Load, paint: Paint, write: Write) -> None:
    paint("shots/a/1.png", (4, 6))
    write("shots/a/notes.txt", "x")
    assert "shots/a/notes.txt is not a picture" in refused(load, DataSection(path="shots"))


def test_an_empty_folder_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    assert "folder without pictures" in refused(load, DataSection(path="shots"))


def test_pictures_take_their_labels_from_their_folders_alone(load: Load, paint: Paint) -> None:
    paint("shots/a/1.png", (4, 6))
    paint("shots/b/1.png", (4, 6))
    said = refused(load, DataSection(path="shots", labels="y"))
    assert "no column 'y'; there are 'class', 'file'" in said


# Found by flipping bytes at random: each of these made the Parquet reader panic when written.
BREAKING = [(360, 255), (378, 1), (384, 73), (444, 165), (444, 251)]


@pytest.mark.parametrize(("position", "value"), BREAKING)
def test_a_parquet_that_breaks_its_reader_takes_nothing_down(
    load: Load,
    write: Write,
    capfd: pytest.CaptureFixture[str],
    position: int,
    value: int,
) -> None:
    buffer = io.BytesIO()
    table = pl.DataFrame({"a": [1.5, 2.5, None], "y": [0, 1, 1]})
    table.write_parquet(buffer, compression="uncompressed")
    damaged = bytearray(buffer.getvalue())
    damaged[position] = value
    write("t.parquet", bytes(damaged))
    assert "t.parquet" in refused(load, PARQUET)
    assert capfd.readouterr().err == ""


def test_a_reader_that_is_killed_is_reported_as_broken(tmp_path: Path) -> None:
    aborting = tmp_path / "child.py"
    aborting.write_text("import os\nos.abort()\n")
    with pytest.raises(DatasetError, match=r"t\.parquet is not .* \(the reader broke on it\)"):
        read_parquet(b"PAR1", "t.parquet", aborting)
