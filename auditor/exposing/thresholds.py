"""What an attacker gets at a low rate of false alarms, and whether chance would give it too."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom, hypergeom, mannwhitneyu

from auditor.domain.canonical import Json
from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.proportions import exact_limits

PRIORS = (0.01, 0.1, 0.5)
POWER = 0.95
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cut:
    """How many rows lie above a limit that one half of the non-members has set.

    ``hits`` of ``members``, and ``false`` of the ``judged`` non-members of the other half.
    """

    at: float
    hits: int
    members: int
    false: int
    judged: int

    @property
    def p_value(self) -> float:
        """The chance of so many hits if members lay above as often as non-members do.

        Fisher's exact test, one-sided, given how many lie above in all: the rate of false alarms
        is itself only estimated, which a binomial test against it would forget.
        """
        above, total = self.hits + self.false, self.members + self.judged
        return float(hypergeom.sf(self.hits - 1, total, above, self.members))

    def details(self, confidence: float) -> dict[str, Json]:
        """Return the rate of false alarms that came of it, and what an alarm is worth.

        ``ppv`` is the share of alarms that are right where so many of all rows are members, at the
        upper limit of that rate.
        """
        low, high = exact_limits([self.false], [self.judged], (1 - confidence) / 2)
        rate, worst = self.hits / self.members, float(high[0])
        return {
            "threshold": self.at,
            "hits": self.hits,
            "realised_fpr": self.false / self.judged,
            "realised_fpr_low": float(low[0]),
            "realised_fpr_high": worst,
            "judged": self.judged,
            "p_value": self.p_value,
            "ppv": {f"{prior:g}": _worth(prior, rate, worst) for prior in PRIORS},
        }


def cut(scores: Floats, member: Mask, fpr: float) -> Cut:
    """Set the limit on every other non-member, so that ``fpr`` of them lie above it at most.

    ``scores`` ``[n]`` grow with membership. Raises ``ValueError`` for fewer than two non-members.
    """
    others = scores[~member]
    setting, judged = others[::2], others[1::2]
    if not len(judged):
        message = "a limit needs non-members to set it and others to judge it"
        raise ValueError(message)
    at = float(np.sort(setting)[::-1][int(fpr * len(setting))])
    ours = scores[member]
    return Cut(at, int((ours > at).sum()), len(ours), int((judged > at).sum()), len(judged))


def rate_at(scores: Floats, member: Mask, fpr: float, confidence: float) -> Interval:
    """Return the share of members above the limit that non-members exceed at ``fpr`` in truth.

    Limits are order statistics, whose own rate of false alarms is random (a beta variable): below
    stands the share above the limit that a rate of ``fpr`` is surely not exceeded by, above the
    share not below the one that surely has such a rate. Each end gives half of its error to the
    limit and half to the share (Clopper and Pearson 1934), so that both hold jointly. All
    non-members set the limit.
    """
    others, ours = np.sort(scores[~member])[::-1], scores[member]
    tail = (1 - confidence) / 4
    fewer, more = surely_below(len(others), fpr, tail), surely_above(len(others), fpr, tail)
    sure = int((ours > others[fewer - 1]).sum()) if fewer else 0
    most = int((ours >= others[more - 1]).sum()) if more <= len(others) else len(ours)
    middle = int((ours > others[int(fpr * len(others))]).sum())
    low, high = exact_limits([sure, most], [len(ours)] * 2, tail)
    method = "clopper-pearson at limits that are order statistics, half of the error each"
    return Interval(
        middle / len(ours), float(low[0]), float(high[1]), confidence, method, len(scores)
    )


def surely_below(others: int, fpr: float, tail: float) -> int:
    """Return the largest rank from above whose score non-members exceed at ``fpr`` at most.

    It fails to with the chance ``tail``; 0 where even the highest score of so many might.
    """
    return int(np.searchsorted(binom.cdf(np.arange(others), others, fpr), tail, side="right"))


def surely_above(others: int, fpr: float, tail: float) -> int:
    """Return the smallest rank from above whose score non-members reach at ``fpr`` at least.

    It fails to with the chance ``tail``; ``others + 1`` where none of so many surely does.
    """
    enough = binom.sf(np.arange(others), others, fpr) <= tail
    return int(np.argmax(enough)) + 1 if enough.any() else others + 1


def rank_test(scores: Floats, member: Mask) -> float:
    """Return the chance that members score so high by luck of who is one.

    Mann and Whitney (1947), one-sided, normal with ties.
    """
    ours, others = scores[member], scores[~member]
    if np.ptp(scores) == 0:
        return 1.0
    return float(mannwhitneyu(ours, others, alternative="greater", method="asymptotic").pvalue)


def smallest_auc(members: int, others: int, level: float, power: float = POWER) -> float:
    """Return the least area that the rank test at ``level`` sees with the chance ``power``."""
    spread = np.sqrt((members + others + 1) / (12 * members * others))
    return float(min(1.0, 0.5 + (ndtri(1 - level) + ndtri(power)) * spread))


def area_of(advantage: float) -> float:
    """Return the area of normal scores whose best limit has such an advantage.

    The advantage is what members found exceed false alarms by (Yeom et al. 2018, IEEE CSF).
    """
    return float(ndtr(np.sqrt(2) * ndtri((1 + advantage) / 2)))


def smallest_tpr(members: int, judged: int, fpr: float, level: float) -> float | None:
    """Return the least share of members above the limit that Fisher's test sees with ``POWER``.

    The non-members are taken to lie above it at ``fpr``; ``None`` where not even all members do.
    """
    false = int(np.ceil(fpr * judged))
    counts = np.arange(members + 1)
    chances = hypergeom.sf(counts - 1, members + judged, counts + false, members)
    enough = np.flatnonzero(chances <= level)
    if not len(enough):
        return None
    shares = np.linspace(0, 1, 1001)
    seen = binom.sf(enough[0] - 1, members, shares) >= POWER
    return float(shares[seen][0])


def _worth(prior: float, rate: float, false: float) -> float:
    right, wrong = prior * rate, (1 - prior) * false
    return right / (right + wrong) if right + wrong > 0 else 0.0
