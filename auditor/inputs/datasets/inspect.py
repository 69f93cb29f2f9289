"""Inspects a data file before it is declared, and guesses the roles of its columns."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np
import polars as pl

from auditor.domain.auditfiles import DataSection
from auditor.domain.column_names import is_protected_name, split_name
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.inputs.datasets.column_conversion import holds_times, normalize_label, to_texts
from auditor.inputs.datasets.formats import (
    as_column,
    list_index_columns,
    read_bytes,
    read_npy,
    read_npz,
    read_pictures,
)
from auditor.inputs.datasets.sources import ARRAYS, INPUT_NAMES, TABLES

LABEL_NAMES = (
    "y", "label", "labels", "target", "targets", "class", "outcome", "y_true", "truth",
    "ground_truth", "true_label", "actual",
)  # fmt: skip
ID_NAMES = ("id", "ids", "row_id", "uuid", "key")
ID_WORDS = frozenset({"id", "ids", "uuid", "guid"})
ANSWERS = frozenset(
    {
        "pred", "preds", "prediction", "predictions", "predicted", "score", "scores", "prob",
        "probs", "proba", "probability", "probabilities", "logit", "logits", "confidence", "hat",
        "argmax",
    }
)  # fmt: skip
"""Words of names of columns that hold what a model answered."""
PARQUET = ".parquet"
MOST_LABELS = 100
MOST_LAST_LABELS = 20
MOST_CANDIDATES = 32
TWO = 2
DECIMAL_COMMA = r"^\s*-?[0-9]{1,15},[0-9]{1,15}\s*$"
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
MOST_GROUPS = 20
BIRTH = frozenset({"birth", "birthday", "birthdate", "birthyear", "born", "dob"})
LEAST_NAMED = 20
"""Of more rows than so many, a column without blanks of which no value stands twice names them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataFileSummary:
    """What a data file seems to hold.

    ``input_shape`` is one input's shape, ``value_range`` the least and the greatest of its
    values, both ``None`` for tables; ``labels``, ``id`` and ``groups`` are guesses by name;
    ``classes`` the distinct labels; ``unbanded`` columns that say who a person is, in too many
    values for groups; ``time`` the one column of dates; ``apart`` the columns of dates, and of
    which no value stands twice; ``texts`` the other columns that hold text, and ``longest`` the
    one of all texts with the longest. ``spread`` is the standard deviation of labels that look like
    numbers to be predicted, of which there are no classes. ``number`` is the column that a model of
    one number a row would predict, and ``deviation`` its standard deviation. ``series`` are the
    columns themselves, and ``inputs`` the array of inputs.
    """

    columns: tuple[str, ...]
    rows: int
    labels: str | None = None
    classes: tuple[str, ...] = ()
    id: str | None = None
    groups: tuple[str, ...] = ()
    unbanded: tuple[str, ...] = ()
    time: str | None = None
    apart: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    longest: str | None = None
    input_shape: tuple[int, ...] | None = None
    value_range: tuple[float, float] | None = None
    pictures: bool = False
    spread: float | None = None
    number: str | None = None
    deviation: float | None = None
    series: Mapping[str, pl.Series] = field(default_factory=dict)
    inputs: Array | None = None


def inspect_data_file(path: Path) -> DataFileSummary:
    """Guess what a data file or a folder of pictures holds. Raises ``DatasetError``.

    The index of a table that pandas wrote is left aside, unless it is the id of the rows.
    """
    if path.is_dir():
        source = read_pictures(DataSection(path=path.name), path)
        classes = list_labels(source.column(source.labels or ""))
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
        index = list_index_columns(raw, path.name) if suffix == PARQUET else ()
        columns = {
            item.name: item
            for item in table.get_columns()
            if item.name not in index or (is_id_name(item.name) and _unique(item))
        }
        return _sketch(columns, None, table.height)
    if suffix == ".npy":
        array = read_npy(io.BytesIO(raw), path.name)
        return _sketch({}, array, array.shape[0] if array.ndim else 0)
    arrays = read_npz(io.BytesIO(raw), path.name)
    wide = [key for key, array in arrays.items() if array.ndim > 1]
    chosen = next((key for key in INPUT_NAMES if key in arrays), wide[0] if wide else None)
    columns = {
        key: as_column(array, f"{path.name}: array {key!r}")
        for key, array in arrays.items()
        if array.ndim == 1 and key != chosen
    }
    if chosen is None:
        return _sketch(columns, None, max((len(item) for item in columns.values()), default=0))
    inputs = arrays[chosen]
    rows = inputs.shape[0] if inputs.ndim else 0
    return _sketch({key: item for key, item in columns.items() if len(item) == rows}, inputs, rows)


def _sketch(columns: Mapping[str, pl.Series], inputs: Array | None, rows: int) -> DataFileSummary:
    # The column that looks like numbers to be predicted: named so, and of many values
    number = next(
        (
            name
            for name, column in columns.items()
            if name.lower() in LABEL_NAMES
            and column.n_unique() > MOST_LABELS
            and is_numeric(column)
            and spread_of(column)
        ),
        None,
    )
    predicted = number or _guess_predicted(columns)
    labels = number or _guess_labels(columns, table=inputs is None)
    free = {name: column for name, column in columns.items() if name != labels}
    ids = next((name for name in free if is_id_name(name) and _unique(free[name])), None)
    groups = tuple(
        name
        for name, column in free.items()
        if is_protected_name(name) and column.n_unique() <= MOST_GROUPS
    )
    words = tuple(n for n in free if n not in (ids, *groups) and not is_numeric(free[n]))
    dates = tuple(name for name in words if holds_times(free[name]))
    marks = tuple(name for name in words if name not in dates and _names_rows(free[name]))
    return DataFileSummary(
        columns=tuple(columns),
        rows=rows,
        labels=labels,
        classes=() if labels is None or number else list_labels(columns[labels]),
        id=marks[0] if ids is None and len(marks) == 1 else ids,
        groups=groups,
        unbanded=tuple(name for name in free if name not in groups and is_of_person(name)),
        time=dates[0] if len(dates) == 1 else None,
        apart=(*dates, *marks),
        texts=tuple(name for name in words if name not in (*dates, *marks)),
        longest=max(
            words, key=lambda name: int(to_texts(free[name]).str.len_chars().sum()), default=None
        ),
        input_shape=None if inputs is None else inputs.shape[1:],
        value_range=_range(inputs),
        spread=None if number is None else spread_of(columns[number]),
        number=predicted,
        deviation=None if predicted is None else spread_of(columns[predicted]),
        series=columns,
        inputs=inputs,
    )


def list_label_candidates(found: DataFileSummary) -> tuple[str, ...]:
    """Return the columns that could hold the truth, likeliest first: by name, then by place.

    A column that says who a person is, names rows, or holds what a model answered is none.
    """
    free = [
        name
        for name, column in found.series.items()
        if name != found.id
        and not is_protected_name(name)
        and not is_answer_name(name)
        and column.n_unique() > 1
    ]
    named = [name for name in free if name.lower() in LABEL_NAMES]
    words = [name for name in reversed(free) if not is_numeric(found.series[name])]
    ends = [*free[-1:], *free[:1]]
    ordered = dict.fromkeys([*named, *ends, *words, *reversed(free)])
    return tuple(ordered)[:MOST_CANDIDATES]


def list_texts(found: DataFileSummary, label: str | None) -> tuple[str, ...]:
    """Return the columns of text that are neither ``label``, nor dates, ids or groups."""
    taken = (label, found.id, *found.groups, *found.apart)
    return tuple(n for n, it in found.series.items() if n not in taken and not is_numeric(it))


def list_decimal_commas(found: DataFileSummary) -> list[str]:
    """Return the columns of text whose values are all numbers with a decimal comma: 155,6."""
    texts = {name: found.series[name].drop_nulls() for name in list_texts(found, None)}
    return [
        name
        for name, column in texts.items()
        if len(column) and column.cast(pl.String).str.contains(DECIMAL_COMMA).all()
    ]


def list_numbers(found: DataFileSummary, label: str | None) -> list[str]:
    """Return the columns of numbers that are neither ``label`` nor the id, nor blank."""
    return [
        name
        for name, column in found.series.items()
        if name not in (label, found.id)
        and is_numeric(column)
        and column.null_count() < len(column)
    ]


def list_feature_sets(found: DataFileSummary, label: str | None) -> tuple[tuple[str, ...], ...]:
    """Return the sets of columns of numbers that a model may take beside ``label``, likeliest
    first: without groups and answers, without answers, all, and without ids and who people are.
    """
    free = list_numbers(found, label)
    told = [name for name in free if not is_answer_name(name)]
    plain = [name for name in told if name not in found.groups]
    lean = [name for name in told if not is_protected_name(name) and not is_id_name(name)]
    return tuple(dict.fromkeys(tuple(names) for names in (plain, told, free, lean) if names))


def _guess_predicted(columns: Mapping[str, pl.Series]) -> str | None:
    """Return the column of numbers that is named as a label, else the last that may be one."""
    numbers = [
        name
        for name, column in columns.items()
        if not is_protected_name(name)
        and not is_answer_name(name)
        and column.n_unique() > TWO
        and is_numeric(column)
        and spread_of(column)
    ]
    named = [name for name in numbers if name.lower() in LABEL_NAMES]
    free = [
        name for name in columns if not is_protected_name(name) and name.lower() not in ID_NAMES
    ]
    return next(iter(named), numbers[-1] if numbers and free[-1] == numbers[-1] else None)


def is_answer_name(name: str) -> bool:
    """Whether the name of a column says that it holds what a model answered."""
    return not ANSWERS.isdisjoint(split_name(name)) or re.fullmatch(r"p_?\d+", name) is not None


def is_of_person(name: str) -> bool:
    """Whether the name of a column says that it describes a person's attribute or birth."""
    return is_protected_name(name) or not BIRTH.isdisjoint(split_name(name))


def _names_rows(column: pl.Series) -> bool:
    """Whether the texts of a column name its rows, as names of files do, and say nothing else."""
    if len(column) <= LEAST_NAMED or not _unique(column):
        return False
    return not bool(to_texts(column).str.contains(r"\s").any())


def is_id_name(name: str) -> bool:
    """Whether the name of a column says that it names the rows."""
    return name.lower() in ID_NAMES or not ID_WORDS.isdisjoint(split_name(name))


def spread_of(column: pl.Series) -> float | None:
    """Return the standard deviation of a column's numbers; ``None`` where they do not differ."""
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


def list_labels(column: pl.Series) -> tuple[str, ...]:
    """Return the distinct labels of a column: numbers by size, else as libraries sort classes."""
    distinct = {normalize_label(text) for text in to_texts(column).drop_nulls().unique().to_list()}
    if all(NUMBER.fullmatch(text) for text in distinct):
        return tuple(sorted(distinct, key=lambda text: (float(text), text)))
    return tuple(sorted(distinct))


def _unique(column: pl.Series) -> bool:
    return column.null_count() == 0 and column.n_unique() == len(column)


def is_numeric(column: pl.Series) -> bool:
    """Whether every value of a column that is not missing is a number."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric() or column.dtype == pl.Boolean
    filled = to_texts(column).drop_nulls()
    return filled.str.strip_chars().cast(pl.Float64, strict=False).null_count() == 0


def _range(inputs: Array | None) -> tuple[float, float] | None:
    if inputs is None or inputs.dtype.kind not in "biuf" or inputs.size == 0:
        return None
    low, high = float(np.min(inputs)), float(np.max(inputs))
    return (low, high) if np.isfinite([low, high]).all() else None
