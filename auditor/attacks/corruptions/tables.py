"""Corruptions of tabular rows: noise, missing values, wrong units, outliers and swapped columns."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.images import Five
from auditor.attacks.corruptions.input_medium import Rng, snap_inputs
from auditor.domain.tasks import Array, FeatureKind, Floats, InputSpace

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class CorruptionColumns:
    """What is known of each of ``d`` columns, from the schema and from ``pool``, clean rows.

    ``quantity`` marks numbers, ``integer`` whole ones, ``coded`` binary and categorical columns,
    whose codes are ``categories``. ``spread`` is the standard deviation, ``usual`` the median, of
    codes the commonest one. ``blank`` says where a value may be missing.
    """

    pool: Floats
    low: Floats
    high: Floats
    spread: Floats
    usual: Floats
    quantity: Mask
    integer: Mask
    coded: Mask
    blank: Mask
    categories: tuple[Floats, ...]


def profile_columns(pool: Array, space: InputSpace, *, whole: bool) -> CorruptionColumns:
    """Return the columns of clean rows ``pool`` ``[m, ...]``.

    Without declared features every coordinate is a number. Only numbers with a finite range that
    is wider than nothing are ever touched. Where only whole numbers fit, none may be missing.
    """
    row = pool.shape[1:]
    flat = pool.astype(np.float64).reshape(len(pool), -1)
    low = np.broadcast_to(space.low, row).reshape(-1)
    high = np.broadcast_to(space.high, row).reshape(-1)
    kinds = [feature.kind for feature in space.features] or [FeatureKind.NUMERIC] * len(low)
    coded = np.array([kind in {FeatureKind.BINARY, FeatureKind.CATEGORICAL} for kind in kinds])
    integer = np.array([kind is FeatureKind.INTEGER for kind in kinds])
    blank = np.array([item.nullable for item in space.features] or [False] * len(low))
    quantity = ~coded & np.isfinite(high - low) & (high > low)
    may_be_blank = blank & (pool.dtype.kind == "f") & (not whole)
    categories = tuple(_codes(space, index, flat) for index in range(len(low)))
    return CorruptionColumns(
        pool=flat,
        low=low,
        high=high,
        spread=np.nanstd(flat, axis=0),
        usual=np.array([_usual(flat[:, index], coded[index]) for index in range(len(low))]),
        quantity=quantity,
        integer=integer,
        coded=coded & np.array([len(codes) > 1 for codes in categories]),
        blank=may_be_blank,
        categories=categories,
    )


def _codes(space: InputSpace, index: int, pool: Floats) -> Floats:
    if not space.features:
        return np.empty(0)
    feature = space.features[index]
    if feature.kind is FeatureKind.BINARY:
        return np.array([0.0, 1.0])
    if feature.kind is FeatureKind.CATEGORICAL:
        return np.sort(np.array(feature.categories or np.unique(pool[:, index])))
    return np.empty(0)


def _usual(values: Floats, coded: np.bool_) -> float:
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan
    if not coded:
        return float(np.median(known))
    codes, counts = np.unique(known, return_counts=True)
    return float(codes[counts.argmax()])


NOISE: Five = (0.1, 0.25, 0.5, 0.75, 1.0)
MISSING: Five = (0.05, 0.1, 0.2, 0.3, 0.5)
COLUMNS: Five = (0.0, 0.1, 0.25, 0.5, 0.75)
"""Of the columns that a kind is for, the share that it hits in each row; at least one."""
ROUNDING: Five = (0.1, 0.25, 0.5, 1.0, 2.0)
OUTLIERS: Five = (0.01, 0.02, 0.05, 0.1, 0.2)
FLIPS: Five = (0.05, 0.1, 0.2, 0.3, 0.5)
THOUSAND = 1000.0
PAIR = 2


Corruption = Callable[[Floats, int, Rng, CorruptionColumns], Floats]


def measurement_noise(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Add normal noise to each number, ``NOISE`` standard deviations of its column wide."""
    noise = NOISE[severity - 1] * columns.spread * rng.normal(size=rows.shape)
    return np.where(columns.quantity, rows + noise, rows)


def missing_values(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Lose a share ``MISSING`` of the values: blank where that may be, else as is usual there."""
    lost = rng.random(rows.shape) < MISSING[severity - 1]
    return np.where(lost, np.where(columns.blank, np.nan, columns.usual), rows)


def unit_error(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Write numbers of ``COLUMNS`` in a unit a thousand times too small, or too large."""
    wrong = _some(columns.quantity, len(rows), severity, rng)
    times = np.where(rng.random(rows.shape) < 1 / 2, THOUSAND, 1 / THOUSAND)
    return np.where(wrong, rows * times, rows)


def rounding(rows: Floats, severity: int, _: Rng, columns: CorruptionColumns) -> Floats:
    """Round numbers to steps of ``ROUNDING`` standard deviations of their column."""
    step = ROUNDING[severity - 1] * columns.spread
    stepped = columns.quantity & (step > 0)
    safe = np.where(stepped, step, 1.0)
    return np.where(stepped, columns.low + np.rint((rows - columns.low) / safe) * safe, rows)


def stuck_sensor(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Let numbers of ``COLUMNS`` read the same in all rows: what they read in one clean row."""
    places = rng.integers(0, len(columns.pool), rows.shape[1])
    last = columns.pool[places, np.arange(rows.shape[1])]
    return np.where(_some(columns.quantity, len(rows), severity, rng), last, rows)


def swapped_columns(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Move the numbers of ``COLUMNS``, and at least of two, one place on among themselves."""
    numbers = np.flatnonzero(columns.quantity)
    count = _count(len(numbers), severity, least=PAIR)
    chosen = numbers[rng.random((len(rows), len(numbers))).argsort(axis=1)[:, :count]]
    found = rows.copy()
    values = np.take_along_axis(rows, chosen, axis=1)
    np.put_along_axis(found, np.roll(chosen, 1, axis=1), values, axis=1)
    return found


def outliers(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Send a share ``OUTLIERS`` of the numbers to either end of their range."""
    far = columns.quantity & (rng.random(rows.shape) < OUTLIERS[severity - 1])
    ends = np.where(rng.random(rows.shape) < 1 / 2, columns.low, columns.high)
    return np.where(far, ends, rows)


def category_flips(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Give a share ``FLIPS`` of the codes another code of their column."""
    flipped = rng.random(rows.shape) < FLIPS[severity - 1]
    draws = rng.random(rows.shape)
    found = rows.copy()
    for index in np.flatnonzero(columns.coded):
        codes = columns.categories[index]
        own = np.searchsorted(codes, rows[:, index]).clip(max=len(codes) - 1)
        other = (own + 1 + np.floor(draws[:, index] * (len(codes) - 1)).astype(np.intp)) % len(
            codes
        )
        found[flipped[:, index], index] = codes[other][flipped[:, index]]
    return found


def permuted_feature(rows: Floats, severity: int, rng: Rng, columns: CorruptionColumns) -> Floats:
    """Take the values of ``COLUMNS`` from other clean rows, as permutation importance does."""
    others = rng.integers(0, len(columns.pool), rows.shape)
    values = np.take_along_axis(columns.pool, others, axis=0)
    every = np.ones(rows.shape[1], dtype=np.bool_)
    return np.where(_some(every, len(rows), severity, rng), values, rows)


KINDS: Mapping[str, Corruption] = MappingProxyType(
    {
        "measurement_noise": measurement_noise,
        "missing_values": missing_values,
        "unit_error": unit_error,
        "rounding": rounding,
        "stuck_sensor": stuck_sensor,
        "swapped_columns": swapped_columns,
        "outliers": outliers,
        "category_flips": category_flips,
        "permuted_feature": permuted_feature,
    }
)
"""Every kind for tables."""

NUMBERS = frozenset({"measurement_noise", "unit_error", "rounding", "stuck_sensor", "outliers"})


@dataclass(frozen=True, slots=True, eq=False)
class TableMedium:
    """Rows of a table, as a medium of corruptions."""

    space: InputSpace
    columns: CorruptionColumns
    row: tuple[int, ...]
    quantum: Floats

    @property
    def batch(self) -> int:
        """All rows at once: tables are small."""
        return 2**31

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.row

    def objection(self, kind: str) -> str:
        """Say why a kind has no meaning for this table."""
        numbers = int(self.columns.quantity.sum())
        if kind not in KINDS:
            return "it is for pictures, and the inputs are a table"
        if kind in NUMBERS and not numbers:
            return "it needs a numeric column, and there is none"
        if kind == "swapped_columns" and numbers < PAIR:
            return f"it needs two numeric columns, and there are {numbers}"
        if kind == "category_flips" and not self.columns.coded.any():
            return "it needs a binary or categorical column, and there is none"
        return ""

    def corrupt(self, rows: Array, kind: str, severity: int, rng: Rng) -> Array:
        """Return corrupted rows; severity 0 leaves them as they are."""
        if severity == 0:
            return rows.copy()
        exact = rows.astype(np.float64).reshape(len(rows), -1)
        points = KINDS[kind](exact, severity, rng, self.columns)
        blank = np.isnan(points) & self.columns.blank
        found = snap_inputs(points.reshape(rows.shape), rows, self.space, self.quantum)
        if blank.any():
            found[blank.reshape(rows.shape)] = np.nan
        return found


def build_table_medium(pool: Array, space: InputSpace, *, whole: bool = False) -> TableMedium:
    """Return the table that clean rows ``pool`` ``[m, ...]`` come from.

    ``whole`` says that only whole numbers fit.
    """
    row = pool.shape[1:]
    columns = profile_columns(pool, space, whole=whole)
    step = np.maximum(
        np.broadcast_to(space.quantum, row).reshape(-1), np.maximum(columns.integer, whole)
    )
    return TableMedium(space, columns, row, np.where(columns.coded, 0.0, step).reshape(row))


def _count(columns: int, severity: int, least: int = 1) -> int:
    return min(columns, max(least, math.ceil(COLUMNS[severity - 1] * columns)))


def _some(eligible: Mask, rows: int, severity: int, rng: Rng) -> Mask:
    """Choose for each row as many of the eligible columns as ``COLUMNS`` says."""
    count = _count(int(eligible.sum()), severity)
    order = np.where(eligible, rng.random((rows, len(eligible))), np.inf)
    chosen = np.zeros((rows, len(eligible)), dtype=np.bool_)
    np.put_along_axis(chosen, order.argsort(axis=1)[:, :count], values=True, axis=1)
    return chosen
