"""Open the source that a ``data`` section of an audit file names."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePath

import polars as pl

from auditor.datasets.arrays import as_column, plain, read_npy, read_npz
from auditor.datasets.csv_tables import read_csv
from auditor.datasets.files import ReadFile, read_file
from auditor.datasets.parquet import read_parquet
from auditor.datasets.pictures import read_pictures
from auditor.datasets.sources import Source
from auditor.documents import Place
from auditor.domain.auditfiles import SINGLE, DataSection
from auditor.domain.bounds import too_long
from auditor.domain.columns import parts_of
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.pointing import Locate

TABLES = {".csv": read_csv, ".parquet": read_parquet}
ARRAYS = (".npz", ".npy")
INPUT_NAMES = ("x", "X", "images", "inputs")


def open_source(section: DataSection, locate: Locate, *, with_inputs: bool) -> Source:
    """Read the file or folder of a section.

    ``with_inputs`` is false in a predictions-only audit, where arrays are no inputs. For an
    ``.npy`` file the names of columns are paths of further ``.npy`` files. Raises
    ``DatasetError``.
    """
    suffix = PurePath(section.path).suffix.lower()
    if suffix in TABLES:
        return _open_table(section, read_file(section.path, locate), suffix)
    if suffix == ".npz":
        return _open_npz(section, read_file(section.path, locate), with_inputs=with_inputs)
    if suffix == ".npy":
        return _open_npy(section, locate)
    real = locate(section.path)
    if real.is_dir():
        return read_pictures(section, real)
    read_file(section.path, locate)  # a missing file is a better reason than its ending
    raise DatasetError(
        f"{section.path} has the ending {suffix!r}, which is of no kind that can be read",
        cure=f"Name a {', '.join((*ARRAYS, *TABLES))} file, or a folder of pictures.",
    )


def mentioned(section: DataSection, there: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of columns that a section asks for, each once.

    A name of groups that is none of those ``there`` may join several.
    """
    return tuple(dict.fromkeys(name for _, name in named_columns(section, there)))


def named_columns(section: DataSection, there: Collection[str] = ()) -> Iterator[tuple[Place, str]]:
    """Yield each column that a section asks for, as ``mentioned``, with the setting that does."""
    for setting in SINGLE:
        if (name := getattr(section, setting)) is not None:
            yield (setting,), name
    for at, name in enumerate(section.groups):
        for part in (name,) if name in there else parts_of(name):
            yield ("groups", at), part
    for setting in ("slices", "scores"):
        for at, name in enumerate(getattr(section, setting)):
            yield (setting, at), name


def _open_table(section: DataSection, file: ReadFile, suffix: str) -> Source:
    table = TABLES[suffix](file.raw, section.path)
    return _source(
        section,
        files=(file,),
        rows=table.height,
        columns={column.name: column for column in table.get_columns()},
        below_header=suffix == ".csv",
    )


def _open_npz(section: DataSection, file: ReadFile, *, with_inputs: bool) -> Source:
    arrays = read_npz(file.raw, section.path)
    asked = mentioned(section, arrays)
    chosen = _choose_input(section.path, arrays, asked) if with_inputs else None
    columns = {
        name: as_column(array, f"{section.path}: array {name!r}")
        for name, array in arrays.items()
        if name != chosen and (name in asked or array.ndim == 1)
    }
    if chosen is not None:
        return _array_source(section, arrays[chosen], chosen, columns, (file,))
    rows = next((len(columns[name]) for name in asked if name in columns), 0)
    return _source(section, files=(file,), rows=rows, columns=columns)


def _open_npy(section: DataSection, locate: Locate) -> Source:
    file = read_file(section.path, locate)
    inputs = read_npy(file.raw, section.path)
    columns: dict[str, pl.Series] = {}
    files = [file]
    for name in mentioned(section):
        if PurePath(name).suffix.lower() != ".npy":
            raise DatasetError(
                f"{section.path} holds one array and no column {name!r}",
                cure="Write the path of a second .npy file instead (labels: y.npy), or use .npz.",
            )
        files.append(read_file(name, locate))
        columns[name] = as_column(read_npy(files[-1].raw, name), name)
    return _array_source(section, inputs, section.path, columns, tuple(files))


def _array_source(
    section: DataSection,
    inputs: Array,
    name: str,
    columns: Mapping[str, pl.Series],
    files: tuple[ReadFile, ...],
) -> Source:
    place = section.path if name == section.path else f"{section.path}: array {name!r}"
    ready = plain(inputs, place)
    return _source(
        section, files=files, rows=len(ready), columns=columns, inputs=ready, input_name=name
    )


def _source(  # noqa: PLR0913 -- mirrors the fields of a source
    section: DataSection,
    *,
    files: tuple[ReadFile, ...],
    rows: int,
    columns: Mapping[str, pl.Series],
    inputs: Array | None = None,
    input_name: str = "",
    below_header: bool = False,
) -> Source:
    asked = mentioned(section, columns)
    if rows == 0:
        raise DatasetError(f"{section.path} has no rows", cure="Write the data again.")
    _refuse_long_names(section.path, columns, asked)
    _refuse_other_lengths(section.path, {n: columns[n] for n in asked if n in columns}, rows)
    kept = {name: column for name, column in columns.items() if len(column) == rows}
    named = frozenset(asked)
    source = Source(
        name=section.path,
        rows=rows,
        files=tuple(file.input for file in files),
        columns=kept,
        inputs=inputs,
        input_name=input_name,
        labels=section.labels,
        id=section.id,
        scores=section.scores,
        spare=tuple(name for name in kept if name not in named),
        below_header=below_header,
    )
    return _with_all_columns(source, asked)


def _with_all_columns(source: Source, asked: tuple[str, ...]) -> Source:
    # Asked for now: a column under another name would be taken for an input.
    for name in asked:
        source.column(name)
    return source


def _refuse_long_names(path: str, columns: Mapping[str, pl.Series], asked: tuple[str, ...]) -> None:
    """Refuse columns, and labels, groups and names of rows in them, that are longer than names."""
    for name in columns:
        mistake = too_long(name)
        if mistake:
            raise DatasetError(f"{path}: the column {mistake}", cure="Give it a shorter name.")
    for name in (it for it in asked if it in columns and columns[it].dtype == pl.String):
        longest = columns[name].str.len_chars().arg_max() or 0
        mistake = too_long(str(columns[name][longest]))
        if mistake:
            raise DatasetError(
                f"{path}: column {name!r}, row {longest + 1}: {mistake}",
                cure="Write a shorter name there; what a model reads is named by `input.text`.",
            )


def _refuse_other_lengths(path: str, columns: Mapping[str, pl.Series], rows: int) -> None:
    for name, column in columns.items():
        if len(column) != rows:
            raise DatasetError(
                f"{path}: {name!r} has {len(column)} rows, but there are {rows} in the others",
                cure="Store one value a row, in the same order.",
            )


def _choose_input(path: str, arrays: Mapping[str, Array], asked: tuple[str, ...]) -> str:
    free = [name for name in arrays if name not in asked]
    known = [name for name in free if name in INPUT_NAMES]
    candidates = known or free
    if len(candidates) != 1:
        there = ", ".join(f"{name!r} {array.shape}" for name, array in arrays.items()) or "none"
        raise DatasetError(
            f"{path}: no telling which array holds the inputs; there are {there}",
            cure=f"Name exactly one of them {', '.join(INPUT_NAMES[:-1])} or {INPUT_NAMES[-1]}.",
        )
    return candidates[0]
