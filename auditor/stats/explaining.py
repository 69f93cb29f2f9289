"""How many errors of a slice are explained by the slices that were put forward before it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from auditor.domain.tasks import Floats
from auditor.stats.lattices import Conditions, Count, Sample

WORD = 64
Words = NDArray[np.uint64]
"""Rows as bits, 64 to a word: what two slices share is then one pass over few bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """The rows of each level of each column, ``[words]``, all rows, and those that are wrong."""

    levels: tuple[tuple[Words, ...], ...]
    everyone: Words
    wrong: Words

    @classmethod
    def of(cls, sample: Sample) -> "Bits":
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

    def count(self, members: Words) -> Count:
        """Count the rows of a slice, and the errors among them."""
        wrong = np.bitwise_count(members & self.wrong).sum(dtype=np.int64)
        return Count(int(wrong), int(np.bitwise_count(members).sum(dtype=np.int64)))


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Parts of the rows, ``[parts, words]``, that share none, and each one's rate ``[parts]``."""

    parts: Words
    rates: NDArray[np.float64]

    @classmethod
    def by_overall_rate(cls, bits: Bits, rate: float) -> "Explained":
        """Take every row to be wrong at one rate."""
        return cls(bits.everyone[None], np.array([rate]))

    def expected(self, members: Words) -> float:
        """Return how many rows of a slice would be wrong if each had the rate of its part."""
        shared = np.bitwise_count(self.parts & members).sum(axis=1, dtype=np.int64)
        return float(shared @ self.rates)

    def joined(self, members: Words, rate: float) -> "Explained":
        """Return the same with a slice, whose rows have its rate where theirs was lower."""
        lower = self.rates < rate
        taken = np.bitwise_or.reduce(self.parts[lower] & members, axis=0, keepdims=True)
        left = np.where(lower[:, None], self.parts & ~members, self.parts)
        return Explained(np.concatenate((left, taken)), np.append(self.rates, rate))


def excesses(errors: ArrayLike, rows: ArrayLike, expected: ArrayLike, total: int) -> Floats:
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


def excess_of(count: Count, expected: float, total: Count) -> float:
    """Return the one of ``excesses`` of a slice of ``total``."""
    return float(excesses([count.errors], [count.rows], [expected], total.rows)[0])


def _packed(rows: NDArray[np.bool_]) -> Words:
    padded = np.zeros(-(-rows.size // WORD) * WORD, dtype=np.bool_)
    padded[: rows.size] = rows
    return np.packbits(padded).view(np.uint64)
