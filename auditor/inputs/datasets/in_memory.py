"""In-memory datasets of the Python API: arrays and tables, or a file that a program names."""

import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from auditor.domain.auditfiles import DataSection
from auditor.domain.datasets import TABLE_AXES, DatasetRole, find_joined_columns
from auditor.domain.json import Json
from auditor.domain.name_suggestions import format_name_list, suggest_names, suggest_near_names
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.inputs.api_arguments import StrPath, describe_value, read_path_name, speak_python
from auditor.inputs.datasets.column_conversion import describe_other_rows, to_row_names
from auditor.inputs.datasets.foreign_arrays import (
    is_ordered_alike,
    is_series,
    is_table,
    read_column,
    read_table,
    refuse_column_names,
    to_numpy_array,
)
from auditor.inputs.datasets.formats import as_column, refuse_unusable_inputs
from auditor.inputs.datasets.raw_dataset import is_single_valued
from auditor.inputs.datasets.sources import INPUT_NAMES, list_column_names, open_raw_dataset

UNIX = 3
"""The system that a zip archive says it was made on: always this, so that bytes are the same."""
BLOCK_BYTES = 1 << 24
TEXT_COLUMN = "text"
MANY = {"groups": "group", "slices": "slice", "scores": "score"}
"""Arguments that may bring several columns, and what a column without a name is called."""
SETTINGS = {
    "labels": "labels",
    "groups": "groups",
    "slices": "slices",
    "ids": "id",
    "clusters": "cluster",
    "times": "time",
    "as_of": "as_of",
    "scores": "scores",
    "predictions": "predictions",
}
"""Each argument, and the setting of an audit file that it stands for."""


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Dataset:
    """Rows for an audit: what the model reads, and what is known of each row.

    This is the user's side, before an audit gives it a role; ``auditor.domain.datasets.Dataset`` is
    what the loader makes of it. Nothing is copied that need not be: an array must stay as it is
    until the audit has begun. ``section`` says which columns are what, ``inputs`` is an array, a
    table, or ``None`` where a file (``section.path``) holds everything or there are no inputs,
    ``columns`` are those beside them, ``text`` is the column of texts that the model reads.
    """

    section: DataSection
    inputs: Array | pl.DataFrame | None
    columns: dict[str, pl.Series]
    text: str | None

    @speak_python
    def __init__(  # noqa: PLR0913 -- one argument a setting of the audit file
        self,
        inputs: Any,  # noqa: ANN401 -- of any library
        labels: Any = None,  # noqa: ANN401
        *,
        groups: Any = None,  # noqa: ANN401
        slices: Any = None,  # noqa: ANN401
        ids: Any = None,  # noqa: ANN401
        clusters: Any = None,  # noqa: ANN401
        times: Any = None,  # noqa: ANN401
        as_of: Any = None,  # noqa: ANN401
        scores: Any = None,  # noqa: ANN401
        predictions: Any = None,  # noqa: ANN401
        names: Sequence[str] | None = None,
    ) -> None:
        """Take the rows of a program.

        ``inputs`` is ``[n, …]`` numbers, ``[n]`` texts, or a table; ``None`` where there is no
        model to ask. Each of the others brings ``n`` values, or the name of a column of the table;
        ``groups``, ``slices`` and ``scores`` may bring several: a table, a mapping of names to
        values, or a list of names. A label of ``None`` is not known yet (production). ``names``
        makes a table of ``[n, features]``. Raises ``DatasetError``.
        """
        given = {
            "labels": labels,
            "groups": groups,
            "slices": slices,
            "ids": ids,
            "clusters": clusters,
            "times": times,
            "as_of": as_of,
            "scores": scores,
            "predictions": predictions,
        }
        rows, text = _read_inputs(inputs, names)
        there = rows.columns if isinstance(rows, pl.DataFrame) and text is None else None
        named: dict[str, tuple[str, ...]] = {}
        beside: dict[str, pl.Series] = {}
        for argument, value in given.items():
            if isinstance(value, str) or (there is not None and _is_name_list(argument, value)):
                named[argument] = _list_names(argument, value, there)
            elif value is not None:
                columns = _read_columns(argument, value)
                _refuse_misfits(argument, columns, rows, beside)
                _refuse_other_order(argument, value, inputs)
                beside |= columns
                named[argument] = tuple(columns)
        if rows is None and not beside:
            raise DatasetError(
                "there are neither inputs nor columns",
                cure="Pass inputs, or at least labels with scores or predictions.",
            )
        _refuse_lost_labels(named.get("labels", ()), beside, rows)
        _fill(self, _describe_columns("", named), rows, beside, text)

    @classmethod
    @speak_python
    def load(  # noqa: PLR0913 -- one argument a setting of the audit file
        cls,
        path: StrPath,
        labels: str | None = None,
        *,
        groups: str | Sequence[str] = (),
        slices: str | Sequence[str] = (),
        ids: str | None = None,
        clusters: str | None = None,
        times: str | None = None,
        as_of: str | None = None,
        scores: str | Sequence[str] = (),
        predictions: str | None = None,
    ) -> "Dataset":
        """Name a file (``.npz``, ``.npy``, ``.csv``, ``.parquet``) or a folder of pictures.

        It is read when the audit begins; the others name columns or arrays in it. Raises
        ``DatasetError`` for a path that is not there.
        """
        written = read_path_name(path, "path", DatasetError)
        if not Path(written).exists():
            siblings_path = Path(written)
            try:
                near = sorted(item.name for item in siblings_path.parent.iterdir())
            except OSError:
                near = []
            raise DatasetError(
                f"{written} does not exist{suggest_near_names(Path(written).name, near)}",
                cure="Fix the path; it is relative to the working directory.",
            )
        given = {
            "labels": labels,
            "groups": groups,
            "slices": slices,
            "ids": ids,
            "clusters": clusters,
            "times": times,
            "as_of": as_of,
            "scores": scores,
            "predictions": predictions,
        }
        named = {name: _read_names(name, value) for name, value in given.items()}
        made = cls.__new__(cls)
        _fill(made, _describe_columns(written, named), None, {}, None)
        return made

    def __len__(self) -> int:
        """Count the rows; of a file, it is read for that."""
        if self.section.path:
            asked = any(describe_settings(self.section).keys() - {"path"})
            return open_raw_dataset(self.section, Path, with_inputs=not asked).rows
        return len(next(iter(self.columns.values())) if self.inputs is None else self.inputs)

    def __repr__(self) -> str:
        """Say how many rows there are, what the model reads, and what is known of each row."""
        held = self.inputs
        parts = [repr(self.section.path)] if self.section.path else [f"{len(self):,} rows"]
        if isinstance(held, pl.DataFrame):
            free = [name for name in held.columns if name not in self._used]
            parts.append(f"inputs {format_name_list([repr(name) for name in free])}")
        elif held is not None:
            parts.append(f"inputs {held.dtype} {list(held.shape)}")
        for argument, setting in SETTINGS.items():
            found = getattr(self.section, setting)
            if found:
                names = [found] if isinstance(found, str) else found
                parts.append(f"{argument} {format_name_list([repr(name) for name in names])}")
        return f"Dataset({', '.join(parts)})"

    @property
    def _used(self) -> tuple[str, ...]:
        held = self.inputs.columns if isinstance(self.inputs, pl.DataFrame) else ()
        return list_column_names(self.section, held)


def _fill(dataset: Dataset, *values: object) -> None:
    for field, value in zip(fields(dataset), values, strict=True):
        object.__setattr__(dataset, field.name, value)


def write_dataset(dataset: Dataset, role: DatasetRole, folder: Path) -> DataSection:
    """Write a dataset's rows into ``folder`` once, and return the section that names them.

    A table becomes ``<role>.parquet``, arrays ``<role>.npz``: the same rows give the same bytes. A
    dataset that was loaded is not written, and its section has the path as it was given. The
    section's ``title`` names what is in memory in messages; no audit file holds it.
    Raises ``DatasetError``.
    """
    if dataset.section.path:
        return dataset.section
    title = f"{role.value} data (in memory)"
    held = dataset.inputs
    path = folder / f"{role.value}.{'npz' if isinstance(held, np.ndarray) else 'parquet'}"
    try:
        with path.open("xb") as file:
            if isinstance(held, np.ndarray):
                _write_npz(file, held, dataset.columns)
            else:
                table = {} if held is None else held.to_dict()
                pl.DataFrame(table | dataset.columns).write_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as mistake:
        raise DatasetError(
            f"{title} cannot be written to {path} ({str(mistake).splitlines()[0]})",
            cure="Make room there, or pass plain numbers and texts.",
        ) from None
    return replace(dataset.section, path=path.name, title=title)


def describe_settings(section: DataSection) -> dict[str, Json]:
    """Return a section as an audit file writes it, without what is not set."""
    settings = {name: getattr(section, name) for name in ("path", *SETTINGS.values())}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.items()
        if value
    }


def _describe_columns(path: str, named: Mapping[str, Sequence[str]]) -> DataSection:
    settings: dict[str, Any] = {
        SETTINGS[argument]: tuple(names) if argument in MANY else next(iter(names), None)
        for argument, names in named.items()
    }
    return DataSection(path=path, **settings)


def _read_inputs(
    value: Any,  # noqa: ANN401 -- of any library
    names: Sequence[str] | None,
) -> tuple[Array | pl.DataFrame | None, str | None]:
    """Return the inputs as an array or a table, and which of its columns holds texts."""
    rows = None if value is None else _read_rows(value)
    text = None
    if isinstance(rows, pl.Series):
        text = rows.name or TEXT_COLUMN
        rows = rows.to_frame(text)
    if rows is not None and rows.shape[:1] == (0,):
        raise DatasetError("inputs has no rows", cure="Pass at least one row.")
    if isinstance(rows, np.ndarray):
        refuse_unusable_inputs(rows, "inputs")
    if names is not None:
        if not isinstance(rows, np.ndarray) or rows.ndim != TABLE_AXES:
            raise DatasetError(
                "names are given, but inputs is not an array of shape [rows, features]",
                cure="Remove names; a table has names of its own, and pictures have none.",
            )
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise DatasetError(
                f"names is {describe_value(names)}, not a list of names",
                cure="Give one name a column.",
            )
        names = list(names)
        refuse_column_names(names, "names")
        if len(names) != rows.shape[1]:
            raise DatasetError(
                f"names has {len(names)} names, but inputs has {rows.shape[1]} columns",
                cure="Give one name a column.",
            )
        rows = pl.DataFrame(
            {name: as_column(rows[:, at], f"inputs: {name!r}") for at, name in enumerate(names)}
        )
    return rows, text


def _read_rows(value: Any) -> Array | pl.DataFrame | pl.Series:  # noqa: ANN401 -- of any library
    """Return inputs as an array or a table, or a column of texts."""
    if isinstance(value, str | os.PathLike):
        path = read_path_name(value, "inputs", DatasetError)
        raise DatasetError(
            f"inputs is the path {path!r}, not rows",
            cure=f"Call Dataset.load({path!r}) for a file.",
        )
    if isinstance(value, pl.LazyFrame):
        raise DatasetError("inputs is a LazyFrame", cure="Pass inputs.collect().")
    if is_table(value):
        return read_table(value, "inputs")
    if is_series(value):
        column = read_column(value, "inputs")
        return column if column.dtype == pl.String else column.to_numpy()
    rows = to_numpy_array(value, "inputs")
    if rows.ndim == 1 and (rows.dtype.kind in "US" or _holds_texts(rows)):
        return read_column(rows, "inputs")
    return rows


def _holds_texts(array: Array) -> bool:
    """Whether an array of objects holds texts, of which some may be missing."""
    held = {type(it) for it in array.tolist()} if array.dtype.kind == "O" else set()
    return str in held and held <= {str, np.str_, type(None)}


def _is_name_list(argument: str, value: object) -> bool:
    """Whether a list names columns of a table: its texts would be values without one."""
    return (
        argument in MANY
        and isinstance(value, list | tuple)
        and all(isinstance(it, str) for it in value)
    )


def _list_names(
    argument: str, value: str | Sequence[str], there: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of columns of a table. Raises ``DatasetError`` for one that is not there."""
    names = (value,) if isinstance(value, str) else tuple(value)
    if there is None:
        raise DatasetError(
            f"{argument} names the column {names[0]!r}, but inputs has no named columns",
            cure=f"Pass the values as an array: {argument}=values.",
        )
    for name in names:
        joined = argument == "groups" and name not in there
        for part in find_joined_columns(name) if joined else (name,):
            if part not in there:
                raise DatasetError(
                    f"{argument} names the column {part!r}, which inputs does not have; "
                    f"{suggest_names(part, there, repr)}",
                    cure="Name one that is there, or pass the values as an array.",
                )
    return names


def _read_names(argument: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the names of a file's columns that an argument of ``Dataset.load`` is."""
    if value is None:
        return ()
    listed = argument in MANY and isinstance(value, list | tuple)
    if not isinstance(value, str) and not listed:
        raise DatasetError(
            f"{argument} is an object of type {type(value).__name__}, not the name of a column",
            cure=f"Name a column of the file: {argument}='name'; values come with Dataset(…).",
        )
    names = tuple(value) if listed else (value,)
    refuse_column_names(names, argument)
    return names


def _read_columns(argument: str, value: Any) -> dict[str, pl.Series]:  # noqa: ANN401
    """Return the columns that an argument brings, by name."""
    many = argument in MANY
    default = MANY.get(argument, SETTINGS[argument])
    if many and isinstance(value, Mapping):
        refuse_column_names(list(value), argument)
        return {
            name: read_column(it, f"{argument}: {name!r}").alias(name) for name, it in value.items()
        }
    if is_table(value):
        table = read_table(value, argument)
        if not many and table.width != 1:
            raise DatasetError(
                f"{argument} is a table of {table.width} columns, but one value a row is expected",
                cure=f"Pass one of its columns: {argument}=table[name].",
            )
        return {name: table[name] for name in table.columns}
    if argument == "scores" and not is_series(value):
        value = to_numpy_array(value, argument)
        if value.ndim == TABLE_AXES:
            return {
                f"{default}_{at + 1}": as_column(value[:, at], f"{argument}: column {at + 1}")
                for at in range(value.shape[1])
            }
    column = read_column(value, argument)
    name = column.name or default
    return {name: column.alias(name)}


def _refuse_misfits(
    argument: str,
    columns: Mapping[str, pl.Series],
    inputs: Array | pl.DataFrame | None,
    beside: Mapping[str, pl.Series],
) -> None:
    """Raise ``DatasetError`` for columns of another length, and for names that are taken."""
    first = next(iter((beside or columns).values()), ())
    rows = len(first if inputs is None else inputs)
    for name, column in columns.items():
        place = argument if len(columns) == 1 else f"{argument}: {name!r}"
        if len(column) != rows:
            raise DatasetError(
                f"{place} has {len(column)} values, but there are {rows} rows",
                cure="Pass one value a row, in the same order.",
            )
        if not is_single_valued(column):
            raise DatasetError(
                f"{place} holds {column.dtype}, not one number or text a row",
                cure="Pass single values.",
            )
        if isinstance(inputs, pl.DataFrame) and name in inputs.columns:
            raise DatasetError(
                f"{place}: inputs has a column {name!r} too",
                cure=_resolve_shared_name(argument, name),
            )
        if name in beside and not beside[name].equals(column):
            raise DatasetError(
                f"{place}: the name {name!r} stands for other values already",
                cure="Give the values another name: .rename(…) of a Series.",
            )


def _resolve_shared_name(argument: str, name: str) -> str:
    """Say how a column beside the inputs and one among them are told apart."""
    if argument == "groups":
        return (
            "If the model reads it too, give the values another name: "
            f"groups={{'{name}_group': …}}. If it does not, pass groups={name!r}, which takes it "
            "out of the inputs."
        )
    return (
        f"Drop it from inputs, or pass {argument}={name!r} to take it out of what the "
        "model reads, or give the values another name."
    )


def _refuse_other_order(argument: str, value: Any, inputs: Any) -> None:  # noqa: ANN401
    brought = value.values() if isinstance(value, Mapping) else [value]
    if not all(is_ordered_alike(it, inputs) for it in brought):
        raise DatasetError(
            f"{argument} has another index than inputs, so that its rows may stand in another "
            "order",
            cure=f"Align them by {argument}.loc[inputs.index], or pass {argument}.to_numpy() where "
            "the order is the same.",
        )


def _refuse_lost_labels(
    names: Sequence[str],
    beside: Mapping[str, pl.Series],
    inputs: Array | pl.DataFrame | None,
) -> None:
    held = inputs.get_columns() if isinstance(inputs, pl.DataFrame) else []
    for labels in (it for it in (*held, *beside.values()) if it.name in names):
        nan = labels.is_nan() if labels.dtype.is_float() else labels.clear()
        rows = np.flatnonzero(nan.fill_null(value=False).to_numpy())
        if rows.size:
            raise DatasetError(
                f"labels has no value (NaN) in row {rows[0] + 1}{describe_other_rows(rows.size)}",
                cure="Fill it in, or leave the row out; write None where it is not known yet.",
            )


def _write_npz(file: IO[bytes], inputs: Array, columns: Mapping[str, pl.Series]) -> None:
    """Write arrays as ``numpy.savez`` does, row by row: the same values give the same bytes."""
    free = chain(reversed(INPUT_NAMES), map("inputs_{}".format, count()))
    chosen = next(name for name in free if name not in columns)
    arrays = {chosen: inputs, **{name: _to_array(it) for name, it in columns.items()}}
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.create_system = UNIX
            with archive.open(member, "w", force_zip64=True) as out:
                wide = (
                    array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize
                )
                stored = np.dtype("<f8") if wide else array.dtype.newbyteorder("<")
                header = {
                    "descr": np.lib.format.dtype_to_descr(stored),
                    "fortran_order": False,
                    "shape": array.shape,
                }
                np.lib.format.write_array_header_1_0(out, header)
                step = max(1, BLOCK_BYTES * len(array) // max(1, array.nbytes))
                for start in range(0, len(array), step):
                    out.write(np.ascontiguousarray(array[start : start + step], dtype=stored).data)


def _to_array(column: pl.Series) -> Array:
    """Return a column as an array of numbers or texts, as an ``.npz`` can hold it."""
    plain = column.dtype.is_numeric() or column.dtype == pl.Boolean
    if column.dtype.is_float() or (plain and not column.null_count()):
        return column.to_numpy()
    return np.asarray(to_row_names(column.cast(pl.String).fill_null("")))
