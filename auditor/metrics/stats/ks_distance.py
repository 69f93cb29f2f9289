"""Kolmogorov-Smirnov distance and threshold rules that separate groups, with a half split.

A rule found on one half of the rows is evaluated on the other half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Codes, TextColumn
from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import exact_limits

METHOD = "difference of two clopper-pearson proportions, joint by bonferroni, rule found apart"


@dataclass(frozen=True, slots=True)
class SeparationRule:
    """A rule: rows on one side of ``at`` are said to be of ``kind``."""

    kind: int
    at: float
    above: bool

    def says(self, values: Floats) -> NDArray[np.bool_]:
        """Return which values lie on the rule's side."""
        return values > self.at if self.above else values <= self.at


def ks_distance(values: Floats, ours: NDArray[np.bool_]) -> tuple[float, float, bool]:
    """Return the largest difference of two distribution functions, where it is, and its side.

    The Kolmogorov-Smirnov distance of ``values`` inside and outside of ``ours``: what the best cut
    gains over guessing on these very rows. 0 where one side is empty.
    """
    inside = int(ours.sum())
    if inside in {0, ours.size}:
        return 0.0, 0.0, True
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    steps = np.where(ours[order], 1.0 / inside, -1.0 / (ours.size - inside))
    below = np.cumsum(steps)
    last = np.append(ordered[1:] != ordered[:-1], True)  # equal values fall on one side
    below = np.where(last, below, 0.0)
    at = int(np.argmax(np.abs(below[:-1])))
    between = (ordered[at] + ordered[at + 1]) / 2  # halfway, so that other rows fall on its side
    return float(abs(below[at])), float(between), bool(below[at] < 0)


def largest_ks_distance(values: Floats, kinds: NDArray[np.int64]) -> float:
    """Return the largest distance of any kind from all others."""
    return max((ks_distance(values, kinds == kind)[0] for kind in np.unique(kinds)), default=0.0)


def best_separation_rule(values: Floats, kinds: NDArray[np.int64]) -> SeparationRule:
    """Return the cut that tells one kind from all others best. Raises ``ValueError`` for none."""
    found = {int(kind): ks_distance(values, kinds == kind) for kind in np.unique(kinds)}
    kind = max(found, key=lambda name: found[name][0])
    _, at, above = found[kind]
    return SeparationRule(kind, at, above)


def separation_gain(
    cut: SeparationRule, values: Floats, kinds: NDArray[np.int64], confidence: float
) -> ConfidenceInterval | None:
    """Return the share of its kind that a cut hits, less the share of others that it hits.

    On rows that the cut was not found on, it estimates what an attacker who has it gains, so no
    chance is mistaken for skill. ``None`` where one of the two kinds is missing.
    """
    said, ours = cut.says(values), kinds == cut.kind
    trials = np.array([int(ours.sum()), int((~ours).sum())])
    if trials.min() == 0:
        return None
    hits = np.array([int((said & ours).sum()), int((said & ~ours).sum())])
    low, high = exact_limits(hits, trials, (1 - confidence) / 4)
    value = float(hits[0] / trials[0] - hits[1] / trials[1])
    ends = float(low[0] - high[1]), float(high[0] - low[1])
    return ConfidenceInterval(value, *ends, confidence, METHOD, int(trials.sum()))


def first_half(order: NDArray[np.int64], clusters: Sequence[str] | None) -> NDArray[np.bool_]:
    """Return ``[n]``: which rows lie in the first half.

    ``order`` is a random order of the units that stay together: of the rows, or, where there are
    ``clusters`` ``[n]``, of the distinct ones, as sorted. Units are taken in turn while what was
    taken before is less than half of the rows.
    """
    members: Codes = np.arange(len(order), dtype=np.int32)
    if clusters is not None:
        members = TextColumn.of(clusters).codes
    sizes = np.bincount(members)[order]
    before = np.cumsum(sizes) - sizes
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order] = before + sizes // 2 < len(members) // 2
    found: NDArray[np.bool_] = chosen[members]
    return found
