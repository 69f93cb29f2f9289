"""Arrays and tables of other libraries, converted to NumPy arrays and polars columns.

A library is known by what its objects offer: ``iloc`` (pandas), ``detach`` (torch), the Arrow
interface for streams, or ``__array__``.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from auditor.domain.tasks import Array
from auditor.domain.text_limits import explain_too_long
from auditor.errors import DatasetError
from auditor.inputs.datasets.formats import as_column

ARROW = ("__arrow_c_stream__", "__arrow_c_array__")
TIME_TYPES = ("M8[D]", "M8[ms]", "M8[us]", "M8[ns]")
"""NumPy's dates that polars takes as they are."""
ACCEPTED = (
    "a NumPy array, a pandas, polars or Arrow table, a PyTorch tensor, or a list of values",
    "a NumPy array, a pandas or polars Series, an Arrow array, a PyTorch tensor, or a list",
)
PLAIN_SCALARS = (np.bool_, np.integer, np.floating, np.str_)
FAMILIES: Mapping[type, tuple[type, ...]] = {
    bool: (bool,),
    float: (int, float),
    str: (str,),
    date: (date,),
}
"""Kinds of Python values, one of which a column may hold; a time is a date, too."""
ONE_KIND = "Store one kind of value in it; write None where a value is missing."


def is_table(value: object) -> bool:
    """Whether an object has columns: a DataFrame of pandas or polars, or an Arrow table."""
    if _is_pandas(value):
        return getattr(value, "ndim", 0) == 2  # noqa: PLR2004 -- rows and columns
    return _is_arrow(value) and hasattr(value, "schema")


def is_series(value: object) -> bool:
    """Whether an object is one column: a Series of pandas or polars, or an Arrow array."""
    if _is_pandas(value):
        return getattr(value, "ndim", 0) == 1
    return _is_arrow(value) and not is_table(value)


def is_ordered_alike(value: Any, other: Any) -> bool:  # noqa: ANN401 -- of any library
    """Whether two objects of pandas have one index; others have none, and count by place."""
    both = _is_pandas(value) and _is_pandas(other)
    return not both or bool(value.index.equals(other.index))


def read_table(value: Any, place: str) -> pl.DataFrame:  # noqa: ANN401 -- of any library
    """Return a table of another library, its columns as ``read_column`` gives them.

    Raises ``DatasetError`` for names that are no text or stand twice.
    """
    with _explain_unreadable(value, place):
        if not _is_pandas(value):
            table = value if isinstance(value, pl.DataFrame) else pl.DataFrame(value)
            columns = {name: table[name] for name in table.columns}
        else:
            refuse_column_names(list(value.columns), place)
            columns = {name: value.iloc[:, at] for at, name in enumerate(value.columns)}
        refuse_column_names(list(columns), place)
        return pl.DataFrame(
            [
                read_column(column, f"{place}: column {name!r}").alias(name)
                for name, column in columns.items()
            ]
        ).rechunk()


def read_column(value: Any, place: str) -> pl.Series:  # noqa: ANN401 -- of any library
    """Return one value a row as a column under its own name, missing values as null.

    Raises ``DatasetError`` for other shapes, for values of different kinds, and for objects.
    """
    with _explain_unreadable(value, place):
        if _is_pandas(value):
            column = _read_pandas(value, place)
        elif _is_arrow(value):
            column = pl.Series(value)
        elif isinstance(value, list | tuple):
            column = _read_values(value, place)
        else:
            column = _read_array_column(to_numpy_array(value, place, column=True), place)
    if column.dtype == pl.Object:
        raise DatasetError(f"{place} holds Python objects, neither numbers nor text", cure=ONE_KIND)
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String).rechunk()
    return column.rechunk()


def to_numpy_array(value: Any, place: str, *, column: bool = False) -> Array:  # noqa: ANN401
    """Return an array, a tensor or nested lists as a NumPy array, without a copy where it can be.

    A tensor is detached, and copied from another device. Raises ``DatasetError`` for masked arrays,
    for rows of different lengths, and for what is no array.
    """
    with _explain_unreadable(value, place):
        if isinstance(value, np.ma.MaskedArray):
            raise DatasetError(
                f"{place} is a masked array, and what is masked would be lost",
                cure="Fill it, or leave the masked rows out: array[~mask.any(axis=1)].data.",
            )
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            found = value.detach().cpu().numpy()
        elif isinstance(value, list | tuple):
            try:
                found = np.array(value)
            except ValueError:
                first, *_ = lengths = [len(it) if hasattr(it, "__len__") else 0 for it in value]
                row = next((at for at, length in enumerate(lengths) if length != first), None)
                where = (
                    "its rows have different shapes"
                    if row is None
                    else f"row {row + 1} has {lengths[row]} values, but row 1 has {first}"
                )
                raise DatasetError(
                    f"{place}: {where}", cure="Give every row the same number of values."
                ) from None
            if found.dtype.kind in "US" and not all(isinstance(it, str) for it in _flatten(value)):
                raise DatasetError(f"{place} holds values of different kinds", cure=ONE_KIND)
        elif hasattr(value, "__array__") or isinstance(value, np.generic | bool | int | float):
            found = np.asarray(value)
        else:
            raise DatasetError(
                f"{place} is an object of type {type(value).__name__}, which holds no rows that "
                "can be read",
                cure=f"Pass {ACCEPTED[column]} (of a sparse matrix, its .toarray()).",
            )
    return np.asarray(found)


def refuse_column_names(names: Sequence[object], place: str) -> None:
    """Raise ``DatasetError`` for names that are no text that can be read, or stand twice."""
    for at, name in enumerate(names):
        if not isinstance(name, str):
            raise DatasetError(
                f"{place}: the name of column {at + 1} is {name!r}, not text",
                cure="Name the columns by text: table.columns = [str(name) for name in "
                "table.columns].",
            )
        if not name.strip() or not name.isprintable():
            raise DatasetError(
                f"{place}: the name of column {at + 1} is {name!r}, which cannot be printed",
                cure="Give it a name of printable characters.",
            )
        if mistake := explain_too_long(name):
            raise DatasetError(f"{place}: the column {mistake}", cure="Give it a shorter name.")
        if name in names[:at]:
            raise DatasetError(
                f"{place} has two columns named {name!r}", cure="Rename or remove one of the two."
            )


def _is_pandas(value: object) -> bool:
    return hasattr(value, "iloc") and hasattr(value, "isna")


def _is_arrow(value: object) -> bool:
    return any(hasattr(value, name) for name in ARROW)


@contextmanager
def _explain_unreadable(value: object, place: str) -> Iterator[None]:
    """Say which object could not be read, whatever its library raised.

    Memory that is not there is no fault of the object.
    """
    try:
        yield
    except (DatasetError, MemoryError):
        raise
    except pl.exceptions.DuplicateError as mistake:
        raise DatasetError(
            f"{place} has two columns of one name ({_first_line(mistake)})",
            cure="Rename or remove one of the two.",
        ) from None
    except (Exception, pl.exceptions.PanicException) as mistake:  # noqa: BLE001 -- of any library
        raise DatasetError(
            f"{place} is an object of type {type(value).__name__} that cannot be read "
            f"({_first_line(mistake)})",
            cure="Pass a NumPy array of plain numbers or text (of a tensor, .float().to_dense()).",
        ) from None


def _first_line(mistake: BaseException) -> str:
    return next(iter(str(mistake).splitlines()), "") or type(mistake).__name__


def _read_pandas(series: Any, place: str) -> pl.Series:  # noqa: ANN401 -- pandas is not imported
    name = "" if series.name is None else series.name
    if series.ndim != 1:
        raise DatasetError(
            f"{place} is a table of {series.shape[1]} columns, but a column has one value a row",
            cure="Pass one of its columns.",
        )
    refuse_column_names([name] if name != "" else [], place)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return _read_array_column(series.to_numpy(), place).alias(name)
    missing = series.isna().to_numpy()
    values = [None if gone else it for it, gone in zip(series.tolist(), missing, strict=True)]
    return _read_values(values, place).alias(name)


def _read_array_column(array: Array, place: str) -> pl.Series:
    if array.dtype.kind == "O" and array.ndim == 1:
        return _read_values(array.tolist(), place)
    if array.dtype.kind == "M" and array.ndim == 1:
        known = array.dtype.str[1:] in TIME_TYPES
        return pl.Series(array if known else array.astype("datetime64[us]"))
    return as_column(array, place)


def _read_values(values: Sequence[object], place: str) -> pl.Series:
    """Return Python values as a column, ``None`` as null. Raises ``DatasetError`` for a mixture."""
    plain: list[Any] = [it.item() if isinstance(it, PLAIN_SCALARS) else it for it in values]
    kinds = {type(it) for it in plain} - {type(None)}
    families = {
        next((it for it in FAMILIES if issubclass(kind, FAMILIES[it])), None) for kind in kinds
    }
    if len(families) > 1:
        held = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DatasetError(f"{place} holds values of different kinds ({held})", cure=ONE_KIND)
    if not families <= set(FAMILIES):
        held = next(iter(kinds)).__name__
        raise DatasetError(f"{place} holds {held} objects, neither numbers nor text", cure=ONE_KIND)
    if any(issubclass(kind, float) for kind in kinds):
        plain = [None if it is None else float(it) for it in plain]
    return pl.Series(plain, strict=True)


def _flatten(values: Sequence[object]) -> Iterator[object]:
    return chain.from_iterable(
        _flatten(it) if isinstance(it, list | tuple) else [it] for it in values
    )
