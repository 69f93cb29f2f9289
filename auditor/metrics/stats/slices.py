"""Slices with more errors than the rest: put forward by one half of the rows, tried on the other.

A search looks at thousands of slices, and the worst of them look bad by chance alone. So one half
of the rows only chooses a few, and what they are tested and measured on is the other half, which
had no part in the choice (Cox 1975, Biometrika 62, "A note on data-splitting").
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, log_ndtr, ndtri
from scipy.stats import hypergeom

from auditor.domain.tasks import Floats
from auditor.stats.explaining import Bits, Explained, excess_of, excesses
from auditor.stats.lattices import (
    Conditions,
    Count,
    Lattice,
    Sample,
    affordable_depth,
    enumerate_slices,
    slice_counts,
)
from auditor.stats.multiplicity import benjamini_hochberg, holm
from auditor.stats.shortlists import Shortlist

CORRECTIONS: Mapping[str, Callable[[ArrayLike], Floats]] = {"holm": holm, "bh": benjamini_hochberg}
"""Adjusts p-values: for the chance of any false finding, or for the mean share of false ones."""
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
POWER = 0.8
DOUBTFUL = 0.05
"""The chance at which a slice is no worse than others and is put forward, if few are looked at."""
MOST_WEIGHED = 1_000_000_000
"""Rows of slices that are compared with what was put forward, about a second of one core."""


@dataclass(frozen=True, slots=True)
class Search:
    """How deep to search, how many rows a slice must have, and how many to put forward at most."""

    depth: int
    least_rows: int
    most: int


@dataclass(frozen=True, slots=True)
class Found:
    """What one half put forward, out of how many ``looked`` at, to which ``depth``.

    The depth is less than was asked for where there are too many sets of columns. ``bad`` slices
    exceed the overall rate, and the worst ``weighed`` of them were compared with each other.
    """

    slices: tuple[tuple[Conditions, Count], ...]
    looked: int
    depth: int
    bad: int
    weighed: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A slice with its counts in the half that ``found`` it and the half that tried it (``held``).

    ``rest`` counts the other rows of the trying half, ``p_value`` is of the slice alone, and
    ``adjusted`` is corrected for all slices that were tried. Of slices that are worse than the rest
    those that another ``confirmed`` one does not explain are confirmed.
    """

    conditions: Conditions
    found: Count
    held: Count
    rest: Count
    p_value: float
    adjusted: float
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Detectable:
    """The least error rate of a slice of ``rows`` rows that is confirmed with ``POWER``.

    ``lift`` is that rate over the rest's; both are ``None`` where no rate is enough.
    """

    share: float
    rows: int
    rate: float | None
    lift: float | None


def discover(half: Sample, search: Search) -> Found:
    """Put forward the slices whose errors most exceed what the rest and each other explain.

    Slices are offered to a ``Shortlist`` in the order of the chance of their excess over the
    overall rate, times how many slices of as many conditions there are: there are many more of
    three conditions than of one, and the worst of many is bad by chance. Of each number of
    conditions chance alone would offer about ``search.most``. The search ends after
    ``MOST_WEIGHED`` rows. Where columns repeat each other, what is put forward in place of a bad
    slice is often another of mostly the same rows.
    """
    depth = affordable_depth(len(half.wrong), len(half.levels), search.depth)
    lattice = enumerate_slices(half, depth, search.least_rows)
    looked = slice_counts(half.levels, depth)
    total = Count.of(half.wrong)
    chances = [min(DOUBTFUL, search.most / max(1, number)) for number in looked]
    bad = _worst_first(lattice, total, np.array(looked), np.array(chances))
    bits = Bits.of(half)
    least = tuple(float(-ndtri(chance)) for chance in chances)
    listed = Shortlist(bits, Explained.by_overall_rate(bits, total.rate), total, least)
    weighed = 0
    for index in bad[: MOST_WEIGHED // max(1, total.rows)]:
        if len(listed.slices) >= search.most:
            break
        listed = listed.offered(lattice.conditions(index))
        weighed += 1
    return Found(listed.slices[: search.most], sum(looked), depth, len(bad), weighed)


def confirm(half: Sample, found: Found, correction: str, level: float) -> tuple[Tried, ...]:
    """Test each slice against the rest of the half that had no part in choosing it.

    Given how many of all rows are wrong, those of a slice that is no worse than the rest follow
    the hypergeometric distribution (Fisher's exact test, one-sided, with mid-p: Lancaster 1961,
    JASA 56). A slice without rows, or without a rest, has the p-value one. ``correction`` is one
    of ``CORRECTIONS``; raises ``KeyError`` for others. What is at most ``level`` after it is
    confirmed, if here too its errors exceed what those confirmed before it explain: a part of a bad
    slice is worse than the rest whether or not anything is the matter with it.
    """
    total = Count.of(half.wrong)
    bits = Bits.of(half)
    insides = [bits.members(conditions) for conditions, _ in found.slices]
    held = [bits.count(inside) for inside in insides]
    p_values = mid_p_values(held, total)
    adjusted = CORRECTIONS[correction](p_values)
    explained, least = Explained.by_overall_rate(bits, total.rate), -float(ndtri(level))
    tried = list[Tried]()
    for at, (conditions, seen) in enumerate(found.slices):
        count, p_value, corrected = held[at], float(p_values[at]), float(adjusted[at])
        excess = excess_of(count, explained.expected(insides[at]), total)
        sure = corrected <= level and excess > least
        if sure:
            explained = explained.joined(insides[at], count.rate)
        rest = total.without(count)
        tried.append(Tried(conditions, seen, count, rest, p_value, corrected, sure))
    return tuple(tried)


def mid_p_values(held: Sequence[Count], total: Count) -> Floats:
    """Return ``[s]``: the chance of more errors in each slice, and half that of as many.

    A slice without rows or without a rest says nothing: one.
    """
    wrong = np.array([count.errors for count in held], dtype=np.int64)
    rows = np.array([count.rows for count in held], dtype=np.int64)
    law = hypergeom(total.rows, total.errors, rows)
    chances = np.minimum(1.0, law.sf(wrong) + law.pmf(wrong) / 2)
    silent = (rows == 0) | (rows == total.rows)
    found: Floats = np.where(silent, 1.0, chances)
    return found


def detectable(total: Count, tried: int, level: float) -> tuple[Detectable, ...]:
    """Return, for slices of each of ``SHARES``, the error rate that would have been confirmed.

    With chance ``POWER``, if the slice was put forward: the rest is taken to have as many errors as
    its size says, and the slice to meet the strictest of ``tried`` corrected levels (Bonferroni's,
    which is that of Holm's first step). A table for planning, not a test.
    """
    return tuple(_detectable(total, share, level / max(1, tried)) for share in SHARES)


def _detectable(total: Count, share: float, level: float) -> Detectable:
    rows = max(1, round(share * total.rows))
    rest = total.rows - rows
    others = round(total.rate * rest)
    fewest = bisect_left(
        range(rows + 1),
        -level,
        key=lambda wrong: -mid_p_values([Count(wrong, rows)], Count(others + wrong, total.rows))[0],
    )
    if fewest > rows:
        return Detectable(share, rows, None, None)
    rate = float(betaincinv(fewest, rows - fewest + 1, POWER))
    return Detectable(share, rows, rate, rate * rest / others if others else None)


def _worst_first(
    lattice: Lattice, total: Count, looked: NDArray[np.int64], chances: Floats
) -> NDArray[np.int64]:
    """Return the slices whose excess has less than its chance, those hardest to explain first.

    ``looked`` and ``chances`` are by number of conditions.
    """
    excess = excesses(lattice.errors, lattice.rows, total.rate * lattice.rows, total.rows)
    size = (lattice.columns >= 0).sum(axis=1) - 1
    high = np.flatnonzero(excess > -ndtri(chances)[size])
    odds = log_ndtr(-excess[high]) + np.log(looked)[size[high]]
    order: NDArray[np.int64] = high[np.lexsort((high, size[high], odds))]
    return order
