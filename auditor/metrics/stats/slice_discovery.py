"""Slice discovery: finds slices with excess errors in one half, and confirms them in the other.

A search tries thousands of slices, and the worst of them look bad by chance alone. So one half of
the rows only selects a few candidates, and the other half, which had no part in the selection,
tests and measures them (Cox 1975, Biometrika 62, "A note on data-splitting"). A slice is not
selected if earlier ones explain its errors.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, log_ndtr, ndtri, xlogy
from scipy.stats import hypergeom

from auditor.domain.tasks import Floats
from auditor.metrics.stats.p_values import benjamini_hochberg, holm
from auditor.metrics.stats.slice_lattices import (
    CodedSample,
    Conditions,
    ErrorCount,
    affordable_depth,
    enumerate_slices,
    slice_counts,
)

WORD = 64
Words = NDArray[np.uint64]
"""Rows as bits, 64 to a word: what two slices share is then one pass over few bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceBitsets:
    """The rows of each level of each column, ``[words]``, all rows, and those that are wrong."""

    levels: tuple[tuple[Words, ...], ...]
    everyone: Words
    wrong: Words

    @classmethod
    def of(cls, sample: CodedSample) -> "SliceBitsets":
        """Pack a sample."""
        columns = tuple(
            tuple(_packed(codes == level) for level in range(size))
            for codes, size in zip(sample.codes, sample.levels, strict=True)
        )
        return cls(columns, _packed(np.ones_like(sample.wrong)), _packed(sample.wrong))

    def members(self, conditions: Conditions) -> Words:
        """Return the rows of a slice."""
        found = self.everyone
        for column, level in conditions:
            found = found & self.levels[column][level]
        return found

    def count(self, members: Words) -> ErrorCount:
        """Count the rows of a slice, and the errors among them."""
        wrong = np.bitwise_count(members & self.wrong).sum(dtype=np.int64)
        return ErrorCount(int(wrong), int(np.bitwise_count(members).sum(dtype=np.int64)))


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedParts:
    """Parts of the rows, ``[parts, words]``, that share none, and each one's rate ``[parts]``."""

    parts: Words
    rates: NDArray[np.float64]

    @classmethod
    def by_overall_rate(cls, bits: SliceBitsets, rate: float) -> "ExplainedParts":
        """Take every row to be wrong at one rate."""
        return cls(bits.everyone[None], np.array([rate]))

    def expected(self, members: Words) -> float:
        """Return how many rows of a slice would be wrong if each had the rate of its part."""
        shared = np.bitwise_count(self.parts & members).sum(axis=1, dtype=np.int64)
        return float(shared @ self.rates)

    def joined(self, members: Words, rate: float) -> "ExplainedParts":
        """Return the same with a slice, whose rows have its rate where theirs was lower."""
        lower = self.rates < rate
        taken = np.bitwise_or.reduce(self.parts[lower] & members, axis=0, keepdims=True)
        left = np.where(lower[:, None], self.parts & ~members, self.parts)
        return ExplainedParts(np.concatenate((left, taken)), np.append(self.rates, rate))


def slice_excesses(errors: ArrayLike, rows: ArrayLike, expected: ArrayLike, total: int) -> Floats:
    """Return ``[s]``: by how many standard errors each slice's errors exceed those ``expected``.

    The signed root of the likelihood ratio statistic (Wilks 1938), which keeps its level for rare
    errors where the score statistic does not, over the root of the share of the ``total`` rows
    that lie outside, since errors expected from a whole that holds the slice are drawn towards it.
    Zero where nothing lies outside.
    """
    wrong, size, mean = (np.asarray(item, dtype=np.float64) for item in (errors, rows, expected))
    right, others = size - wrong, size - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = xlogy(wrong, wrong / mean) + xlogy(right, right / others)
        root = np.sqrt(2 * np.maximum(deviance, 0) / (1 - size / total))
    found: Floats = np.where(np.isfinite(root), np.sign(wrong - mean) * root, 0.0)
    return found


def slice_excess(count: ErrorCount, expected: float, total: ErrorCount) -> float:
    """Return the one of ``slice_excesses`` of a slice of ``total``."""
    return float(slice_excesses([count.errors], [count.rows], [expected], total.rows)[0])


def _packed(rows: NDArray[np.bool_]) -> Words:
    padded = np.zeros(-(-rows.size // WORD) * WORD, dtype=np.bool_)
    padded[: rows.size] = rows
    return np.packbits(padded).view(np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class SliceShortlist:
    """Slices with their counts, in the order in which they were taken.

    Errors are ``explained`` where each row of the ``total`` has the overall rate, or that of a
    slice on the list in which it lies; what is put on it exceeds that by more standard errors than
    are ``least`` for its number of conditions.
    """

    bits: SliceBitsets
    explained: ExplainedParts
    total: ErrorCount
    least: tuple[float, ...]
    slices: tuple[tuple[Conditions, ErrorCount], ...] = ()

    def offered(self, conditions: Conditions) -> "SliceShortlist":
        """Return the list with a slice, if its errors are not explained.

        So neither parts of a slice nor slices that overlap it follow it, unless they are worse.
        """
        members = self.bits.members(conditions)
        count, expected = self.bits.count(members), self.explained.expected(members)
        if slice_excess(count, expected, self.total) <= self.least[len(conditions) - 1]:
            return self
        explained = self.explained.joined(members, count.rate)
        return replace(self, explained=explained, slices=(*self.slices, (conditions, count)))


CORRECTIONS: Mapping[str, Callable[[ArrayLike], Floats]] = {"holm": holm, "bh": benjamini_hochberg}
"""Adjusts p-values: for the chance of any false finding, or for the mean share of false ones."""
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
POWER = 0.8
DOUBTFUL = 0.05
"""The chance at which a slice is no worse than others and is put forward, if few are looked at."""
MOST_WEIGHED = 1_000_000_000
"""Rows of slices that are compared with what was put forward, about a second of one core."""


@dataclass(frozen=True, slots=True)
class SliceSearch:
    """How deep to search, how many rows a slice must have, and how many to put forward at most."""

    depth: int
    least_rows: int
    most: int


@dataclass(frozen=True, slots=True)
class SliceCandidates:
    """What one half put forward, out of how many ``looked`` at, to which ``depth``.

    The depth is less than was asked for where there are too many sets of columns. ``bad`` slices
    exceed the overall rate, and the worst ``weighed`` of them were compared with each other.
    """

    slices: tuple[tuple[Conditions, ErrorCount], ...]
    looked: int
    depth: int
    bad: int
    weighed: int


@dataclass(frozen=True, slots=True)
class SliceTest:
    """A slice with its counts in the half that ``found`` it and the half that tried it (``held``).

    ``rest`` counts the other rows of the trying half, ``p_value`` is of the slice alone, and
    ``adjusted`` is corrected for all slices that were tried. Of slices that are worse than the rest
    those that another ``confirmed`` one does not explain are confirmed.
    """

    conditions: Conditions
    found: ErrorCount
    held: ErrorCount
    rest: ErrorCount
    p_value: float
    adjusted: float
    confirmed: bool


@dataclass(frozen=True, slots=True)
class DetectableSlice:
    """The least error rate of a slice of ``rows`` rows that is confirmed with ``POWER``.

    ``lift`` is that rate over the rest's; both are ``None`` where no rate is enough.
    """

    share: float
    rows: int
    rate: float | None
    lift: float | None


def discover_slices(half: CodedSample, search: SliceSearch) -> SliceCandidates:
    """Put forward the slices whose errors most exceed what the rest and each other explain.

    Slices are offered to a ``SliceShortlist`` in the order of the chance of their excess over the
    overall rate, times how many slices of as many conditions there are: there are many more of
    three conditions than of one, and the worst of many is bad by chance. Of each number of
    conditions chance alone would offer about ``search.most``. The search ends after
    ``MOST_WEIGHED`` rows. Where columns repeat each other, what is put forward in place of a bad
    slice is often another of mostly the same rows.
    """
    depth = affordable_depth(len(half.wrong), len(half.levels), search.depth)
    lattice = enumerate_slices(half, depth, search.least_rows)
    looked = slice_counts(half.levels, depth)
    total = ErrorCount.of(half.wrong)
    chances = [min(DOUBTFUL, search.most / max(1, number)) for number in looked]
    # The slices whose excess has less than its chance, those hardest to explain first. `looked` and
    # `chances` are by number of conditions.
    first_chances = np.array(chances)
    excess = slice_excesses(lattice.errors, lattice.rows, total.rate * lattice.rows, total.rows)
    size = (lattice.columns >= 0).sum(axis=1) - 1
    high = np.flatnonzero(excess > -ndtri(first_chances)[size])
    odds = log_ndtr(-excess[high]) + np.log(np.maximum(looked, 1))[size[high]]
    bad: NDArray[np.int64] = high[np.lexsort((high, size[high], odds))]
    bits = SliceBitsets.of(half)
    least = tuple(float(-ndtri(chance)) for chance in chances)
    listed = SliceShortlist(bits, ExplainedParts.by_overall_rate(bits, total.rate), total, least)
    weighed = 0
    for index in bad[: MOST_WEIGHED // max(1, total.rows)]:
        if len(listed.slices) >= search.most:
            break
        listed = listed.offered(lattice.conditions(index))
        weighed += 1
    return SliceCandidates(listed.slices[: search.most], sum(looked), depth, len(bad), weighed)


def confirm_slices(
    half: CodedSample, found: SliceCandidates, correction: str, level: float
) -> tuple[SliceTest, ...]:
    """Test each slice against the rest of the half that had no part in choosing it.

    Given how many of all rows are wrong, those of a slice that is no worse than the rest follow
    the hypergeometric distribution (Fisher's exact test, one-sided, with mid-p: Lancaster 1961,
    JASA 56). A slice without rows, or without a rest, has the p-value one. ``correction`` is one
    of ``CORRECTIONS``; raises ``KeyError`` for others. What is at most ``level`` after it is
    confirmed, if here too its errors exceed what those confirmed before it explain: a part of a bad
    slice is worse than the rest whether or not anything is the matter with it.
    """
    total = ErrorCount.of(half.wrong)
    bits = SliceBitsets.of(half)
    insides = [bits.members(conditions) for conditions, _ in found.slices]
    held = [bits.count(inside) for inside in insides]
    p_values = mid_p_values(held, total)
    adjusted = CORRECTIONS[correction](p_values)
    explained, least = ExplainedParts.by_overall_rate(bits, total.rate), -float(ndtri(level))
    tried = list[SliceTest]()
    for at, (conditions, seen) in enumerate(found.slices):
        count, p_value, corrected = held[at], float(p_values[at]), float(adjusted[at])
        excess = slice_excess(count, explained.expected(insides[at]), total)
        sure = corrected <= level and excess > least
        if sure:
            explained = explained.joined(insides[at], count.rate)
        rest = total.without(count)
        tried.append(SliceTest(conditions, seen, count, rest, p_value, corrected, sure))
    return tuple(tried)


def mid_p_values(held: Sequence[ErrorCount], total: ErrorCount) -> Floats:
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


def detectable_slices(total: ErrorCount, tried: int, level: float) -> tuple[DetectableSlice, ...]:
    """Return, for slices of each of ``SHARES``, the error rate that would have been confirmed.

    With chance ``POWER``, if the slice was put forward: the rest is taken to have as many errors as
    its size says, and the slice to meet the strictest of ``tried`` corrected levels (Bonferroni's,
    which is that of Holm's first step). A table for planning, not a test.
    """
    return tuple(_detectable(total, share, level / max(1, tried)) for share in SHARES)


def _detectable(total: ErrorCount, share: float, level: float) -> DetectableSlice:
    rows = max(1, round(share * total.rows))
    rest = total.rows - rows
    others = round(total.rate * rest)
    fewest = bisect_left(
        range(rows + 1),
        -level,
        key=lambda wrong: (
            -mid_p_values([ErrorCount(wrong, rows)], ErrorCount(others + wrong, total.rows))[0]
        ),
    )
    if fewest > rows:
        return DetectableSlice(share, rows, None, None)
    rate = float(betaincinv(fewest, rows - fewest + 1, POWER))
    return DetectableSlice(share, rows, rate, rate * rest / others if others else None)
