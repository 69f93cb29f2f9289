"""Opens the data sources of an audit file, and reports columns that are missing in them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath

import polars as pl

from auditor._yaml import Place
from auditor.domain.auditfiles import SINGLE, AuditFile, DataSection
from auditor.domain.datasets import DatasetRole, find_joined_columns
from auditor.domain.tasks import Array
from auditor.domain.text_limits import explain_too_long
from auditor.errors import DatasetError
from auditor.inputs.datasets.formats import (
    InputFileBytes,
    as_column,
    read_csv,
    read_file,
    read_npy,
    read_npz,
    read_parquet,
    read_pictures,
    to_native_array,
)
from auditor.inputs.datasets.raw_dataset import (
    MissingColumnError,
    RawDataset,
    describe_similar_columns,
)
from auditor.inputs.datasets.schema import FeatureSchema
from auditor.inputs.resolve import Locate, locate_setting, resolve_setting_path

TABLES = {".csv": read_csv, ".parquet": read_parquet}
ARRAYS = (".npz", ".npy")
INPUT_NAMES = ("x", "X", "images", "inputs")


def open_raw_dataset(section: DataSection, locate: Locate, *, with_inputs: bool) -> RawDataset:
    """Read the file or folder of a section.

    ``with_inputs`` is false in a predictions-only audit, where arrays are no inputs. For an
    ``.npy`` file the names of columns are paths of further ``.npy`` files. Raises
    ``DatasetError``.
    """
    suffix = PurePath(section.path).suffix.lower()
    if suffix in TABLES:
        file = read_file(section.path, locate)
        table = TABLES[suffix](file.raw, section.name)
        return _source(
            section,
            files=(file,),
            rows=table.height,
            columns={column.name: column for column in table.get_columns()},
            below_header=suffix == ".csv",
        )
    if suffix == ".npz":
        npz_file = read_file(section.path, locate)
        arrays = read_npz(npz_file.stream, section.name)
        asked = list_column_names(section, arrays)
        chosen = _choose_input(section.name, arrays, asked) if with_inputs else None
        columns = {
            name: as_column(array, f"{section.name}: array {name!r}")
            for name, array in arrays.items()
            if name != chosen and (name in asked or array.ndim == 1)
        }
        if chosen is not None:
            return _array_source(section, arrays[chosen], chosen, columns, (npz_file,))
        rows = next((len(columns[name]) for name in asked if name in columns), 0)
        return _source(section, files=(npz_file,), rows=rows, columns=columns)
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


def list_column_names(section: DataSection, there: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of columns that a section asks for, each once.

    A name of groups that is none of those ``there`` may join several.
    """
    return tuple(dict.fromkeys(name for _, name in named_columns(section, there)))


def named_columns(section: DataSection, there: Collection[str] = ()) -> Iterator[tuple[Place, str]]:
    """Yield each column that a section asks for, as ``list_column_names``, with the setting that
    does.
    """
    for setting in SINGLE:
        if (name := getattr(section, setting)) is not None:
            yield (setting,), name
    for at, name in enumerate(section.groups):
        for part in (name,) if name in there else find_joined_columns(name):
            yield ("groups", at), part
    for setting in ("slices", "scores"):
        for at, name in enumerate(getattr(section, setting)):
            yield (setting, at), name


def _open_npy(section: DataSection, locate: Locate) -> RawDataset:
    file = read_file(section.path, locate)
    inputs = read_npy(file.stream, section.path)
    columns: dict[str, pl.Series] = {}
    files = [file]
    for name in list_column_names(section):
        if PurePath(name).suffix.lower() != ".npy":
            raise DatasetError(
                f"{section.path} holds one array and no column {name!r}",
                cure="Write the path of a second .npy file instead (labels: y.npy), or use .npz.",
            )
        files.append(read_file(name, locate))
        columns[name] = as_column(read_npy(files[-1].stream, name), name)
    return _array_source(section, inputs, section.path, columns, tuple(files))


def _array_source(
    section: DataSection,
    inputs: Array,
    name: str,
    columns: Mapping[str, pl.Series],
    files: tuple[InputFileBytes, ...],
) -> RawDataset:
    place = section.path if name == section.path else f"{section.name}: array {name!r}"
    ready = to_native_array(inputs, place)
    return _source(
        section, files=files, rows=len(ready), columns=columns, inputs=ready, input_name=name
    )


def _source(  # noqa: PLR0913 -- mirrors the fields of a source
    section: DataSection,
    *,
    files: tuple[InputFileBytes, ...],
    rows: int,
    columns: Mapping[str, pl.Series],
    inputs: Array | None = None,
    input_name: str = "",
    below_header: bool = False,
) -> RawDataset:
    asked = list_column_names(section, columns)
    if rows == 0:
        raise DatasetError(f"{section.name} has no rows", cure="Write the data again.")
    # Refuse columns, and labels, groups and names of rows in them, that are longer than names
    path = section.name
    for names_name in columns:
        mistake = explain_too_long(names_name)
        if mistake:
            raise DatasetError(f"{path}: the column {mistake}", cure="Give it a shorter name.")
    for names_name in (it for it in asked if it in columns and columns[it].dtype == pl.String):
        longest = columns[names_name].str.len_chars().arg_max() or 0
        mistake = explain_too_long(str(columns[names_name][longest]))
        if mistake:
            raise DatasetError(
                f"{path}: column {names_name!r}, row {longest + 1}: {mistake}",
                cure="Write a shorter name there; what a model reads is named by `input.text`.",
            )
    _refuse_other_lengths(section.name, {n: columns[n] for n in asked if n in columns}, rows)
    kept = {name: column for name, column in columns.items() if len(column) == rows}
    named = frozenset(asked)
    source = RawDataset(
        name=section.name,
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
    # Asked for now: a column under another name would be taken for an input.
    for name in asked:
        source.column(name)
    return source


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


TRUTH = ("labels", "predictions", "scores")
"""Settings whose columns hold what a model is asked for."""


def refuse_missing_columns(audit: AuditFile, locate: Locate, roles: Sequence[DatasetRole]) -> None:
    """Raise ``DatasetError`` for the first data file, or schema, that the audit names in vain."""
    places: list[tuple[Place, str]] = []
    if audit.input.features is not None:
        places.append((("input", "features"), audit.input.features))
    for role in roles:
        section = audit.data[role]
        places.append((("data", role.value, "path"), section.path))
        if PurePath(section.path).suffix.lower() == ".npy":  # its columns are files too
            arrays = [item for item in named_columns(section) if item[1].lower().endswith(".npy")]
            places += [(("data", role.value, *place), name) for place, name in arrays]
    for place, written in places:
        resolve_setting_path(audit, place, written, locate, error=DatasetError, plain=False)


@contextmanager
def describe_column_setting(audit: AuditFile, role: DatasetRole) -> Iterator[None]:
    """Say of a column that the block lacks, which setting of the audit file names it.

    Raises ``DatasetError`` for memory that is not there, too.
    """
    try:
        yield
    except MemoryError:
        name = audit.data[role].name
        raise DatasetError(
            f"{locate_setting(audit, 'data', role.value, 'path')}: {name} does not fit into the "
            "memory of this machine",
            cure="Take a smaller sample, or a machine with more memory.",
        ) from None
    except MissingColumnError as error:
        named = [(("data", role.value, *at), it) for at, it in named_columns(audit.data[role])]
        named.append((("input", "text"), audit.input.text or ""))
        place = next((place for place, name in named if name == error.column), None)
        if place is None:
            raise
        problem = f"{locate_setting(audit, *place)}: {error.problem}"
        raise DatasetError(problem, cure=error.cure) from None


def refuse_unknown_features(source: RawDataset, schema: FeatureSchema) -> None:
    """Raise ``DatasetError`` at the line of the schema that lists what is no column of a table."""
    listed = {feature.name for feature in schema.features}
    for feature, place in zip(schema.features, schema.places, strict=True):
        if feature.name not in source.columns:
            free = [name for name in source.columns if name not in listed]
            raise DatasetError(
                f"{place}: {source.name} has no column {feature.name!r}; "
                f"{describe_similar_columns(feature.name, free or list(source.columns))}",
                cure="Fix the name in the schema, or the data file.",
            )


def refuse_label_features(audit: AuditFile, role: DatasetRole, names: Sequence[str]) -> None:
    """Raise ``DatasetError`` where the model would read the very column that it is judged by."""
    for place, name in named_columns(audit.data[role]):
        if place[0] in TRUTH and name in names:
            raise DatasetError(
                f"{locate_setting(audit, 'data', role.value, *place)}: the column {name!r} is also "
                "an input of the model, which would only have to repeat it",
                cure="Take it out of the inputs (the schema of input.features, or input.text), or "
                "name the column that holds the truth.",
            )
