"""What scores of training rows say beside those of trusted rows: who is named, and how surely."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.excess import excess_p_value
from auditor.stats.multiplicity import benjamini_hochberg
from auditor.stats.proportions import clopper_pearson
from auditor.stats.tails import tail_p_values

Codes = NDArray[np.int64]
Chosen = NDArray[np.bool_]
PLANTED_SHARES = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
LOOKS = 2
"""Tests of each method: the excess of high scores, and the highest one of all."""
ALIKE = 0.65
"""The share of training rows beyond the trusted median from which the two samples differ as such:
clean ones have a half, and poison in a fifth of the rows makes it 0.6."""
LEAST_SPREAD = 1e-9
LOW = (0.05, 0.25)


@dataclass(frozen=True, slots=True, eq=False)
class Yardstick:
    """The middle and spread ``[classes]`` of a method's scores in each class; NaN where unknown."""

    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, scores: Floats, labels: Codes, scored: Chosen, classes: int) -> "Yardstick":
        """Take a low quantile of the ``scored`` rows of each class, and how far a lower one is.

        Poison scores high, so that it moves low quantiles least, even where it is half of a class.
        Training and trusted rows together give them, so that rows that are alike are treated alike.
        """
        middle, spread = np.full((2, classes), np.nan)
        for kind in np.unique(labels[scored]):
            values = scores[scored & (labels == kind)]
            low, middle[kind] = np.quantile(values, LOW)
            spread[kind] = max(float(middle[kind] - low), LEAST_SPREAD)
        return cls(middle, spread)

    def measure(self, scores: Floats, labels: Codes, scored: Chosen) -> Floats:
        """Return ``[n]``: how far scores lie above the middle of their class, in its spreads;
        minus infinity where nothing is scored.
        """
        found = np.full(len(scores), -np.inf)
        kinds = labels[scored]
        found[scored] = (scores[scored] - self.middle[kinds]) / self.spread[kinds]
        return np.where(np.isnan(found), -np.inf, found)


@dataclass(frozen=True, slots=True, eq=False)
class Suspicion:
    """One method's scores, the higher the stranger: of training rows ``[n]``, of trusted rows
    ``[m]``, and of trusted rows with another label planted ``[m]`` (empty: labels play no part).

    Minus infinity where the method says nothing of a row.
    """

    training: Floats
    trusted: Floats
    planted: Floats

    @property
    def scored(self) -> Chosen:
        """Which training rows the method speaks of."""
        return np.isfinite(self.training)

    @property
    def known(self) -> Floats:
        """The scores that make the null."""
        return self.trusted[np.isfinite(self.trusted)]

    def chances(self) -> Floats:
        """Return the p-value ``[n]`` of each training row; 1 where it has none."""
        found = np.ones(len(self.training))
        found[self.scored] = tail_p_values(self.training[self.scored], self.known)
        return found

    def p_value(self) -> float:
        """Return how likely all of this is of training rows that are like the trusted ones."""
        return _existence(self.training[self.scored], self.known)

    def differs(self) -> bool:
        """Whether the training rows as a whole are stranger than the trusted ones."""
        over = self.training[self.scored] > np.median(self.known)
        return bool(over.mean() > ALIKE)

    def named(self, false_share: float) -> Chosen:
        """Return the rows ``[n]`` of which at most ``false_share`` are ordinary, on average."""
        found = np.zeros(len(self.training), dtype=np.bool_)
        chances = self.chances()[self.scored]
        found[self.scored] = benjamini_hochberg(chances) <= false_share
        return found

    def precision(self, named: Chosen, confidence: float) -> Interval:
        """Return the share of named rows that are no ordinary ones, at least.

        The value takes the p-value of the last one named for how often an ordinary row comes so
        far; the interval counts the trusted rows that do (Clopper and Pearson).
        """
        count, rows = int(named.sum()), int(self.scored.sum())
        last = float(self.chances()[named].max())
        beyond = int((self.known >= self.training[named].min()).sum())
        rate = clopper_pearson(beyond, self.known.size, confidence)
        low, high = (float(np.clip(1 - rows * end / count, 0, 1)) for end in (rate.high, rate.low))
        value = float(np.clip(1 - rows * last / count, low, high))
        method = "clopper-pearson of trusted rows as strange"
        return Interval(value, low, high, confidence, method, self.known.size)

    def least_share(self, level: float) -> float | None:
        """Return the smallest share of poison that would have been shown, of those tried.

        Poison scores as trusted rows with a wrong label do, or, where labels play no part, beyond
        all others; it joins trusted-like rows as many as were scanned.
        """
        rows, known = int(self.scored.sum()), np.sort(self.known)
        clean = np.quantile(known, (np.arange(rows) + 0.5) / rows, method="higher")
        planted = self.planted[np.isfinite(self.planted)]
        top = np.array([known[-1] + 1.0])
        source = np.sort(planted if planted.size else top)
        for share in PLANTED_SHARES:
            count = max(1, round(share * rows))
            poison = np.quantile(source, (np.arange(count) + 0.5) / count)
            if excess_p_value(np.concatenate((clean[: rows - count], poison)), known) <= level:
                return share
        return None


def _existence(training: Floats, known: Floats) -> float:
    highest = float(benjamini_hochberg(tail_p_values(training, known)).min())
    return min(1.0, LOOKS * min(highest, excess_p_value(training, known)))
