"""Look at a data file before anyone has said what is in it, and guess."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import polars as pl

from auditor.domain.auditfiles import DataSection
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.inputs.datasets.columns import normalize_label, to_texts
from auditor.inputs.datasets.formats import as_column, read_bytes, read_npy, read_npz, read_pictures
from auditor.inputs.datasets.sources import ARRAYS, INPUT_NAMES, TABLES

LABEL_NAMES = ("y", "label", "labels", "target", "targets", "class", "outcome", "y_true")
ID_NAMES = ("id", "ids", "row_id", "uuid", "key")
GROUP_NAMES = (
    "sex",
    "gender",
    "race",
    "ethnicity",
    "age",
    "age_group",
    "religion",
    "nationality",
    "disability",
    "marital_status",
)
PROTECTED = frozenset(
    {
        "sex", "gender", "race", "racial", "ethnicity", "ethnic", "age", "religion", "nationality",
        "disability", "disabled", "marital", "pregnancy", "pregnant", "citizenship", "caste",
    }
)  # fmt: skip
"""Words of names of columns that say who a person is, and never what a model should answer."""
MOST_LABELS = 100
MOST_LAST_LABELS = 20
TWO = 2
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
MOST_GROUPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFileSummary:
    """What a data file seems to hold.

    ``input_shape`` is one input's shape, ``value_range`` the least and the greatest of its
    values, both ``None`` for tables; ``labels``, ``id`` and ``groups`` are guesses by name;
    ``classes`` the distinct labels; ``texts`` the other columns that hold text, and ``longest`` the
    one of them with the longest texts. ``spread`` is the
    standard deviation of labels that look like numbers to be predicted, of which there are no
    classes. ``number`` is the column that a model of one number a row would predict, and
    ``deviation`` its standard deviation.
    """

    columns: tuple[str, ...]
    rows: int
    labels: str | None = None
    classes: tuple[str, ...] = ()
    id: str | None = None
    groups: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    longest: str | None = None
    input_shape: tuple[int, ...] | None = None
    value_range: tuple[float, float] | None = None
    pictures: bool = False
    spread: float | None = None
    number: str | None = None
    deviation: float | None = None


def inspect_data_file(path: Path) -> DataFileSummary:
    """Guess what a data file or a folder of pictures holds. Raises ``DatasetError``."""
    if path.is_dir():
        source = read_pictures(DataSection(path=path.name), path)
        classes = _classes(source.column(source.labels or ""))
        found = _sketch({}, source.inputs, source.rows)
        return DataFileSummary(
            columns=tuple(source.columns),
            rows=found.rows,
            classes=classes,
            input_shape=found.input_shape,
            value_range=found.value_range,
            pictures=True,
        )
    suffix = PurePath(path).suffix.lower()
    if suffix not in (*TABLES, *ARRAYS):
        raise DatasetError(
            f"{path.name} has the ending {suffix!r}, which is of no kind that can be read",
            cure=f"Name a {', '.join((*ARRAYS, *TABLES))} file, or a folder of pictures.",
        )
    raw = read_bytes(path, path.name)
    if suffix in TABLES:
        table = TABLES[suffix](raw, path.name)
        return _sketch({item.name: item for item in table.get_columns()}, None, table.height)
    if suffix == ".npy":
        array = read_npy(raw, path.name)
        return _sketch({}, array, array.shape[0] if array.ndim else 0)
    return _sketch_npz(read_npz(raw, path.name), path.name)


def _sketch_npz(arrays: Mapping[str, Array], name: str) -> DataFileSummary:
    wide = [key for key, array in arrays.items() if array.ndim > 1]
    chosen = next((key for key in INPUT_NAMES if key in arrays), wide[0] if wide else None)
    columns = {
        key: as_column(array, f"{name}: array {key!r}")
        for key, array in arrays.items()
        if array.ndim == 1 and key != chosen
    }
    if chosen is None:
        return _sketch(columns, None, max((len(item) for item in columns.values()), default=0))
    inputs = arrays[chosen]
    rows = inputs.shape[0] if inputs.ndim else 0
    return _sketch({key: item for key, item in columns.items() if len(item) == rows}, inputs, rows)


def _sketch(columns: Mapping[str, pl.Series], inputs: Array | None, rows: int) -> DataFileSummary:
    number = _guess_number(columns)
    predicted = number or _guess_predicted(columns)
    labels = number or _guess_labels(columns, table=inputs is None)
    free = {name: column for name, column in columns.items() if name != labels}
    ids = next((name for name in free if name.lower() in ID_NAMES and _unique(free[name])), None)
    groups = tuple(
        name
        for name, column in free.items()
        if name.lower() in GROUP_NAMES and column.n_unique() <= MOST_GROUPS
    )
    words = tuple(n for n in free if n not in (ids, *groups) and not _numeric(free[n]))
    return DataFileSummary(
        columns=tuple(columns),
        rows=rows,
        labels=labels,
        classes=() if labels is None or number else _classes(columns[labels]),
        id=ids,
        groups=groups,
        texts=words,
        longest=max(words, key=lambda name: _length(free[name]), default=None),
        input_shape=None if inputs is None else inputs.shape[1:],
        value_range=_range(inputs),
        spread=None if number is None else _spread(columns[number]),
        number=predicted,
        deviation=None if predicted is None else _spread(columns[predicted]),
    )


def _guess_number(columns: Mapping[str, pl.Series]) -> str | None:
    """Return the column that looks like numbers to be predicted: named so, and of many values."""
    return next(
        (
            name
            for name, column in columns.items()
            if name.lower() in LABEL_NAMES
            and column.n_unique() > MOST_LABELS
            and _numeric(column)
            and _spread(column)
        ),
        None,
    )


def _guess_predicted(columns: Mapping[str, pl.Series]) -> str | None:
    """Return the column of numbers that is named as a label, else the last that may be one."""
    numbers = [
        name
        for name, column in columns.items()
        if not is_protected_name(name)
        and column.n_unique() > TWO
        and _numeric(column)
        and _spread(column)
    ]
    named = [name for name in numbers if name.lower() in LABEL_NAMES]
    free = [
        name for name in columns if not is_protected_name(name) and name.lower() not in ID_NAMES
    ]
    return next(iter(named), numbers[-1] if numbers and free[-1] == numbers[-1] else None)


def is_protected_name(name: str) -> bool:
    """Whether the name of a column says that it holds who a person is."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return not PROTECTED.isdisjoint(re.split(r"[^a-z]+", words.lower()))


def _spread(column: pl.Series) -> float | None:
    values = to_texts(column).drop_nulls().str.strip_chars().cast(pl.Float64, strict=False)
    found = values.drop_nulls().to_numpy()
    spread = float(found.std()) if found.size else 0.0
    return spread if np.isfinite(spread) and spread > 0 else None


def _guess_labels(columns: Mapping[str, pl.Series], *, table: bool) -> str | None:
    free = [name for name in columns if not is_protected_name(name)]
    named = [name for name in free if name.lower() in LABEL_NAMES]
    for name in named:
        if 1 < columns[name].n_unique() <= MOST_LABELS:
            return name
    last = next(reversed(free), None)
    if table and last is not None and 1 < columns[last].n_unique() <= MOST_LAST_LABELS:
        return last
    return None


def _classes(column: pl.Series) -> tuple[str, ...]:
    distinct = {normalize_label(text) for text in to_texts(column).drop_nulls().unique().to_list()}
    if all(NUMBER.fullmatch(text) for text in distinct):
        return tuple(sorted(distinct, key=lambda text: (float(text), text)))
    return tuple(sorted(distinct))  # as libraries sort the classes of a model


def _unique(column: pl.Series) -> bool:
    return column.null_count() == 0 and column.n_unique() == len(column)


def _numeric(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return column.dtype.is_numeric() or column.dtype == pl.Boolean
    filled = to_texts(column).drop_nulls()
    return filled.str.strip_chars().cast(pl.Float64, strict=False).null_count() == 0


def _length(column: pl.Series) -> int:
    return int(to_texts(column).str.len_chars().sum())


def _range(inputs: Array | None) -> tuple[float, float] | None:
    if inputs is None or inputs.dtype.kind not in "biuf" or inputs.size == 0:
        return None
    low, high = float(np.min(inputs)), float(np.max(inputs))
    return (low, high) if np.isfinite([low, high]).all() else None
