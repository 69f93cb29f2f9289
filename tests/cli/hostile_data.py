"""Broken evaluation data, and data that contradicts its audit file."""

import io
import os
from pathlib import Path

import numpy as np
import polars as pl
from hostile import Break, Case, both, cut, edited, missing, swapped, written

CSV, NPZ, PARQUET, NPY = "test.csv", "test.npz", "test.parquet", "test.npy"
HEAD = "id,a,b,c,town,y\n"
ROW = "r0,0.7964,0.8052,0.1236,north,"
FIRST = "r0,"


def table(*rows: str) -> Break:
    return written(CSV, HEAD + "".join(f"{row}\n" for row in rows))


def cell(row: int, column: int, value: str) -> Break:
    """Put ``value`` into a cell; rows count from 1 below the header, columns from 0."""

    def put(folder: Path) -> None:
        lines = (folder / CSV).read_text().splitlines()
        cells = lines[row].split(",")
        cells[column] = value
        lines[row] = ",".join(cells)
        (folder / CSV).write_text("\n".join(lines) + "\n")

    return put


def named(path: str) -> Break:
    """Let the audit file name other data, without ids and groups."""
    old = "{path: test.csv, labels: y, id: id, groups: [town]}"
    return edited("audit.yaml", (old, f"{{path: {path}, labels: y}}"))


def arrays(**content: object) -> Break:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(value) for name, value in content.items()})
    return both(named(NPZ), written(NPZ, buffer.getvalue()))


def parquet(share: float) -> Break:
    buffer = io.BytesIO()
    pl.DataFrame({"a": [0.1], "b": [0.2], "c": [0.3], "y": ["no"]}).write_parquet(buffer)
    return both(named(PARQUET), written(PARQUET, buffer.getvalue()), cut(PARQUET, share))


X, Y = np.full((2, 3), 0.5), ["no", "yes"]
DATA = {
    "that is not there": Case((CSV, "does not exist", "Fix the path"), missing(CSV)),
    "of 0 bytes": Case((CSV, "0 bytes", "Write the data again"), written(CSV, b"")),
    "with a header alone": Case((CSV, "no rows", "Write the data again"), table()),
    "of blank lines": Case((CSV, "header"), written(CSV, "\n\n\n")),
    "without the label column": Case(
        (CSV, "no column 'y'", "'a', 'b', 'c'", "Name one"), edited(CSV, (",y\n", ",truth\n"))
    ),
    "without a label in one row": Case((CSV, "'y'", "row 3", "leave the row out"), cell(3, 5, "")),
    "with NaN as a label": Case((CSV, "'y'", "row 3", "leave the row out"), cell(3, 5, "nan")),
    "with a label of no class": Case(
        (CSV, "row 4", "'maybe'", "no, yes", "task.classes"), cell(4, 5, "maybe")
    ),
    "of one class": Case(
        (CSV, "every row has the label 'no'", "two classes"),
        table(*(f"r{i},0.1,0.2,0.3,north,no" for i in range(9))),
    ),
    "with words among numbers": Case(
        (CSV, "'b'", "row 5", "'much'", "Write a number"), cell(5, 2, "much")
    ),
    "with a row too short": Case(
        (CSV, "line 2: 2 cells", "6 columns", "Give every row"), table("r0,1")
    ),
    "with a row too long": Case(
        (CSV, "line 2: 7 cells", "6 columns", "Give every row"),
        table("r0,0.1,0.2,0.3,north,no,more"),
    ),
    "with an id twice": Case((CSV, "'r0'", "row 1", "row 8", "of its own"), cell(8, 0, "r0")),
    "without an id in one row": Case((CSV, "'id'", "row 8", "Fill it in"), cell(8, 0, "")),
    "with infinity": Case(
        (CSV, "'a'", "row 6", "infinite", "leave the row out"), cell(6, 1, "inf")
    ),
    "with a hole": Case((CSV, "'a'", "row 6", "missing", "leave the row out"), cell(6, 1, "")),
    "beyond the declared range": Case(
        (CSV, "'a'", "row 6", "7", "[0, 1]", "domain"), cell(6, 1, "7")
    ),
    "with a huge number": Case((CSV, "'a'", "row 6", "[0, 1]"), cell(6, 1, "1e300")),
    "with a header twice": Case(
        (CSV, "'a' stands twice", "Rename"), edited(CSV, ("a,b,c", "a,a,c"))
    ),
    "with quotes that never close": Case((CSV, "line"), cell(2, 4, '"north')),
    "in another encoding": Case(
        (CSV, "not UTF-8", "byte", "Save it as UTF-8"),
        written(CSV, HEAD.encode("utf-16")),
    ),
    "of binary garbage": Case(
        (CSV, "not UTF-8", "Save it as UTF-8"), written(CSV, np.random.default_rng(2).bytes(999))
    ),
    "of null bytes": Case((CSV,), written(CSV, bytes(500))),
    "without the group column": Case(
        (CSV, "no column 'town'", "Name one"), edited(CSV, ("town", "city"))
    ),
    "with markup for a group": Case(
        (CSV, "'a'", "row 2", "[/red]"), both(cell(1, 4, "[bold"), cell(2, 1, "[/red]"))
    ),
    "that is a folder": Case((CSV, "is a folder", "Name a file in it"), swapped(CSV, Path.mkdir)),
    "that is a pipe": Case((CSV, "regular file"), swapped(CSV, os.mkfifo)),
    "that is a device": Case(
        (CSV, "regular file"), swapped(CSV, lambda path: path.symlink_to("/dev/zero"))
    ),
    "of an unknown kind": Case(
        ("test.xlsx", "'.xlsx'", ".parquet"), both(named("test.xlsx"), written("test.xlsx", "x"))
    ),
    "at a URL": Case(
        ("audit.yaml:8", "data.evaluation.path", "not supported", "local file"),
        named('"https://example.org/t.csv"'),
    ),
    "of fewer columns than the model reads": Case(
        ("(2,)", "'x' takes [any, 3]", "Give the data the shape"),
        written(CSV, "id,a,b,town,y\nr0,0,0,n,no\nr1,1,1,n,yes\n"),
    ),
    "of objects": Case(
        (NPZ, "array 'y'", "pickle", "run code", "astype"),
        arrays(x=X, y=np.array(["no", None], dtype=object)),
    ),
    "whose arrays differ in length": Case(
        (NPZ, "'y' has 3 rows", "there are 2", "same order"), arrays(x=X, y=[*Y, "no"])
    ),
    "with NaN in an array": Case(
        (NPZ, "'x'", "row 2", "NaN", "leave the row out"),
        arrays(x=[[0, 0, 0], [0, 0, np.nan]], y=Y),
    ),
    "of complex numbers": Case((NPZ, "'x'", "complex128", "as numbers"), arrays(x=X + 1j, y=Y)),
    "of an archive cut short": Case(
        (NPZ, "cut short", "again"), both(arrays(x=X, y=Y), cut(NPZ, 0.7))
    ),
    "of an npy that is text": Case(
        (NPY, "not a NumPy array", "numpy.save"),
        both(named(NPY), written(NPY, "1 2")),
    ),
    "of a Parquet file cut short": Case((PARQUET, "cut short"), parquet(0.8)),
    "of a Parquet file that is CSV": Case(
        (PARQUET, "Write it again"), both(named(PARQUET), written(PARQUET, HEAD))
    ),
}
