"""Rows of tables, and what goes wrong on the way into them: noise, gaps, wrong units, mix-ups."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from auditor.attacks.corruptions.columns import Columns, Mask, look_at
from auditor.attacks.corruptions.media import Rng, settle
from auditor.attacks.corruptions.strengths import Five
from auditor.domain.tasks import Array, Floats, InputSpace

NOISE: Five = (0.1, 0.25, 0.5, 0.75, 1.0)
MISSING: Five = (0.05, 0.1, 0.2, 0.3, 0.5)
COLUMNS: Five = (0.0, 0.1, 0.25, 0.5, 0.75)
"""Of the columns that a kind is for, the share that it hits in each row; at least one."""
ROUNDING: Five = (0.1, 0.25, 0.5, 1.0, 2.0)
OUTLIERS: Five = (0.01, 0.02, 0.05, 0.1, 0.2)
FLIPS: Five = (0.05, 0.1, 0.2, 0.3, 0.5)
THOUSAND = 1000.0
PAIR = 2


Corruption = Callable[[Floats, int, Rng, Columns], Floats]


def measurement_noise(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
    """Add normal noise to each number, ``NOISE`` standard deviations of its column wide."""
    noise = NOISE[severity - 1] * columns.spread * rng.normal(size=rows.shape)
    return np.where(columns.quantity, rows + noise, rows)


def missing_values(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
    """Lose a share ``MISSING`` of the values: blank where that may be, else as is usual there."""
    lost = rng.random(rows.shape) < MISSING[severity - 1]
    return np.where(lost, np.where(columns.blank, np.nan, columns.usual), rows)


def unit_error(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
    """Write numbers of ``COLUMNS`` in a unit a thousand times too small, or too large."""
    wrong = _some(columns.quantity, len(rows), severity, rng)
    times = np.where(rng.random(rows.shape) < 1 / 2, THOUSAND, 1 / THOUSAND)
    return np.where(wrong, rows * times, rows)


def rounding(rows: Floats, severity: int, _: Rng, columns: Columns) -> Floats:
    """Round numbers to steps of ``ROUNDING`` standard deviations of their column."""
    step = ROUNDING[severity - 1] * columns.spread
    stepped = columns.quantity & (step > 0)
    safe = np.where(stepped, step, 1.0)
    return np.where(stepped, columns.low + np.rint((rows - columns.low) / safe) * safe, rows)


def stuck_sensor(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
    """Let numbers of ``COLUMNS`` read the same in all rows: what they read in one clean row."""
    places = rng.integers(0, len(columns.pool), rows.shape[1])
    last = columns.pool[places, np.arange(rows.shape[1])]
    return np.where(_some(columns.quantity, len(rows), severity, rng), last, rows)


def swapped_columns(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
    """Move the numbers of ``COLUMNS``, and at least of two, one place on among themselves."""
    numbers = np.flatnonzero(columns.quantity)
    count = _count(len(numbers), severity, least=PAIR)
    chosen = numbers[rng.random((len(rows), len(numbers))).argsort(axis=1)[:, :count]]
    found = rows.copy()
    values = np.take_along_axis(rows, chosen, axis=1)
    np.put_along_axis(found, np.roll(chosen, 1, axis=1), values, axis=1)
    return found


def outliers(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
    """Send a share ``OUTLIERS`` of the numbers to either end of their range."""
    far = columns.quantity & (rng.random(rows.shape) < OUTLIERS[severity - 1])
    ends = np.where(rng.random(rows.shape) < 1 / 2, columns.low, columns.high)
    return np.where(far, ends, rows)


def category_flips(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
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


def permuted_feature(rows: Floats, severity: int, rng: Rng, columns: Columns) -> Floats:
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
class Table:
    """Rows of a table, as a medium of corruptions."""

    space: InputSpace
    columns: Columns
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
        found = settle(points.reshape(rows.shape), rows, self.space, self.quantum)
        if blank.any():
            found[blank.reshape(rows.shape)] = np.nan
        return found


def table(pool: Array, space: InputSpace, *, whole: bool = False) -> Table:
    """Return the table that clean rows ``pool`` ``[m, ...]`` come from.

    ``whole`` says that only whole numbers fit.
    """
    row = pool.shape[1:]
    columns = look_at(pool, space, whole=whole)
    step = np.maximum(
        np.broadcast_to(space.quantum, row).reshape(-1), np.maximum(columns.integer, whole)
    )
    return Table(space, columns, row, np.where(columns.coded, 0.0, step).reshape(row))


def _count(columns: int, severity: int, least: int = 1) -> int:
    return min(columns, max(least, math.ceil(COLUMNS[severity - 1] * columns)))


def _some(eligible: Mask, rows: int, severity: int, rng: Rng) -> Mask:
    """Choose for each row as many of the eligible columns as ``COLUMNS`` says."""
    count = _count(int(eligible.sum()), severity)
    order = np.where(eligible, rng.random((rows, len(eligible))), np.inf)
    chosen = np.zeros((rows, len(eligible)), dtype=np.bool_)
    np.put_along_axis(chosen, order.argsort(axis=1)[:, :count], values=True, axis=1)
    return chosen
