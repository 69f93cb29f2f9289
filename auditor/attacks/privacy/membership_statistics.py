"""Statistics of membership inference: TPR at low FPR, AUC, power and negative controls.

If members and non-members differ before any model has seen them, the attack results do not count.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom, hypergeom, mannwhitneyu

from auditor.attacks.privacy.membership import ATTACKS, ShadowPredictions, score_shadows_by_others
from auditor.attacks.privacy.shadow_training import LOGISTIC, train_stack
from auditor.domain.json import Json
from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Array, Floats
from auditor.metrics.stats.proportions import exact_limits
from auditor.metrics.stats.roc_auc import auc_and_influence

PRIORS = (0.01, 0.1, 0.5)
POWER = 0.95
ThresholdMask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ThresholdTest:
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
        found = {}
        for prior in PRIORS:
            right, wrong = prior * rate, (1 - prior) * worst
            found[f"{prior:g}"] = right / (right + wrong) if right + wrong > 0 else 0.0
        return {
            "threshold": self.at,
            "hits": self.hits,
            "realised_fpr": self.false / self.judged,
            "realised_fpr_low": float(low[0]),
            "realised_fpr_high": worst,
            "judged": self.judged,
            "p_value": self.p_value,
            "ppv": found,
        }


def apply_threshold(scores: Floats, member: ThresholdMask, fpr: float) -> ThresholdTest:
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
    return ThresholdTest(
        at, int((ours > at).sum()), len(ours), int((judged > at).sum()), len(judged)
    )


def tpr_at_fpr(
    scores: Floats, member: ThresholdMask, fpr: float, confidence: float
) -> ConfidenceInterval:
    """Return the share of members above the limit that non-members exceed at ``fpr`` in truth.

    Limits are order statistics, whose own rate of false alarms is random (a beta variable): below
    stands the share above the limit that a rate of ``fpr`` is surely not exceeded by, above the
    share not below the one that surely has such a rate. Each end gives half of its error to the
    limit and half to the share (Clopper and Pearson 1934), so that both hold jointly. All
    non-members set the limit.
    """
    others, ours = np.sort(scores[~member])[::-1], scores[member]
    tail = (1 - confidence) / 4
    fewer, more = lower_rank_limit(len(others), fpr, tail), upper_rank_limit(len(others), fpr, tail)
    sure = int((ours > others[fewer - 1]).sum()) if fewer else 0
    most = int((ours >= others[more - 1]).sum()) if more <= len(others) else len(ours)
    middle = int((ours > others[int(fpr * len(others))]).sum())
    low, high = exact_limits([sure, most], [len(ours)] * 2, tail)
    method = "clopper-pearson at limits that are order statistics, half of the error each"
    return ConfidenceInterval(
        middle / len(ours), float(low[0]), float(high[1]), confidence, method, len(scores)
    )


def lower_rank_limit(others: int, fpr: float, tail: float) -> int:
    """Return the largest rank from above whose score non-members exceed at ``fpr`` at most.

    It fails to with the chance ``tail``; 0 where even the highest score of so many might.
    """
    return int(np.searchsorted(binom.cdf(np.arange(others), others, fpr), tail, side="right"))


def upper_rank_limit(others: int, fpr: float, tail: float) -> int:
    """Return the smallest rank from above whose score non-members reach at ``fpr`` at least.

    It fails to with the chance ``tail``; ``others + 1`` where none of so many surely does.
    """
    enough = binom.sf(np.arange(others), others, fpr) <= tail
    return int(np.argmax(enough)) + 1 if enough.any() else others + 1


def rank_test(scores: Floats, member: ThresholdMask) -> float:
    """Return the chance that members score so high by luck of who is one.

    Mann and Whitney (1947), one-sided, normal with ties.
    """
    ours, others = scores[member], scores[~member]
    if np.ptp(scores) == 0:
        return 1.0
    return float(mannwhitneyu(ours, others, alternative="greater", method="asymptotic").pvalue)


def smallest_detectable_auc(members: int, others: int, level: float, power: float = POWER) -> float:
    """Return the least area that the rank test at ``level`` sees with the chance ``power``."""
    spread = np.sqrt((members + others + 1) / (12 * members * others))
    return float(min(1.0, 0.5 + (ndtri(1 - level) + ndtri(power)) * spread))


def auc_of_advantage(advantage: float) -> float:
    """Return the area of normal scores whose best limit has such an advantage.

    The advantage is what members found exceed false alarms by (Yeom et al. 2018, IEEE CSF).
    """
    return float(ndtr(np.sqrt(2) * ndtri((1 + advantage) / 2)))


def smallest_detectable_tpr(members: int, judged: int, fpr: float, level: float) -> float | None:
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


FOLDS = 5
GATES = 3
LEVEL = 1 - 1 / 40 / GATES
"""An attack's gates together fail a clean audit once in forty, by Bonferroni."""
HIDING = 1 - 1 / 40
"""Of what hides a leak each gate is less sure: that to doubt is the safe side."""
CHANCE = 0.5
FPR = 0.01
MemberMask = NDArray[np.bool_]
Figure = Callable[[Floats, MemberMask], tuple[float, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class AttackAuc:
    """An area under the curve, and what each row ``[n]`` adds to its error.

    Or another figure that is ``chance`` where members are as all others. ``besides`` is variance
    that the rows do not tell, since what judges one of them has learnt from others.
    """

    value: float
    influence: Floats
    chance: float = CHANCE
    besides: float = 0.0

    def ends(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the normal interval."""
        half = _half(level, self.influence, self.besides)
        return max(2 * self.chance - 1, self.value - half), min(1.0, self.value + half)

    def beyond(self, other: "AttackAuc", level: float) -> tuple[float, float, float]:
        """Return how much larger this area is than ``other`` over the same rows, and its ends."""
        gain = self.value - other.value
        apart = self.influence - other.influence
        half = _half(level, apart, self.besides + other.besides)
        return gain, gain - half, gain + half

    @property
    def raised(self) -> bool:
        """Whether non-members are told from members without a leak, as a leak would do it."""
        return self.ends()[0] > self.chance

    @property
    def lowered(self) -> bool:
        """Whether members look less like members than non-members do, which hides a leak."""
        return self.ends(HIDING)[1] < self.chance

    def to_json(self) -> list[Json]:
        """Return the area and its interval."""
        return [self.value, *self.ends()]


def attack_auc(scores: Floats, member: MemberMask) -> AttackAuc:
    """Return the area of scores ``[n]``, all of them known."""
    return AttackAuc(*auc_and_influence(scores, member))


def blind_auc(scores: Floats, member: MemberMask) -> AttackAuc:
    """Return the area of ``blind_scores`` ``[n]``, of twice the variance that rows alone give it.

    What a row adds by being judged it adds once more by judging: of two rows in different folds,
    each is scored by a classifier that learnt from the other. Where members are as all others,
    a cross-validated figure is a sum over such pairs, whose variance is at most twice that of the
    scores held fast (Cauchy and Schwarz), and so much where the classifier is symmetric in them.
    """
    found = attack_auc(scores, member)
    return replace(found, besides=float(found.influence @ found.influence))


def blind_scores(inputs: Array, labels: NDArray[np.int64], member: MemberMask, seed: int) -> Floats:
    """Return how much like a member each row ``[n]`` looks to a classifier that asks no model.

    A logistic regression on inputs and label, fitted on four fifths of the rows and asked about
    the fifth (Das, Zhang and Tramer 2024, arXiv 2406.16201: blind baselines).
    """
    known = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    flat = np.asarray(inputs).reshape(len(inputs), -1).astype(np.float32)
    # The fold `[n]` of each row, as many members in each
    folds = np.empty(len(member), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for kind in (True, False):
        folds_rows = rng.permutation(np.flatnonzero(member == kind))
        folds[folds_rows] = np.arange(len(folds_rows)) % FOLDS
    include = folds != np.arange(FOLDS)[:, None]
    rows = np.concatenate([flat, known], axis=1)
    stack = train_stack(rows, member.astype(np.int64), 2, include, LOGISTIC, seed=seed)
    said = stack.logits(rows)
    margin = (said[..., 1] - said[..., 0])[folds, np.arange(len(rows))]
    return margin.astype(np.float64)


def tail_advantage(scores: Floats, member: MemberMask) -> AttackAuc:
    """Return how many more members than judged non-members lie above the limit, as shares."""
    return AttackAuc(*_tail_and_influence(scores, member), chance=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class NegativeControl:
    """What an attack finds on models that saw none of the rows: by ranks, and above the limit."""

    area: AttackAuc
    tail: AttackAuc


def unseen_control(
    name: str, shadows: ShadowPredictions, member: MemberMask
) -> NegativeControl | None:
    """Return what an attack finds on models that saw neither the members nor the non-members.

    Each stand-in is attacked over the rows that it has not seen, by the others; what is
    found is averaged. ``None`` where no stand-in has unseen rows of both kinds.
    """
    return average_control(score_shadows_by_others(name, shadows), member)


def one_sided_control(
    name: str, sided: ShadowPredictions, shadows: ShadowPredictions, member: MemberMask
) -> NegativeControl | None:
    """Return what an attack finds on models that know members' kind alone, over unseen rows.

    Each of ``sided`` is attacked as the model is, by the same ``shadows``. Where non-members
    differ from members in what labels follow from inputs, a model that learnt from members alone
    is less sure of the former, whether or not it saw the latter.
    """
    scores = np.stack([ATTACKS[name](said, shadows) for said in sided.chances])
    return average_control(np.where(sided.include, np.nan, scores), member, taught_by_members=True)


def average_control(
    scores: Floats, member: MemberMask, *, taught_by_members: bool = False
) -> NegativeControl | None:
    """Return the means of what ``[k, n]`` scores find, each over the rows of which they are known.

    ``None`` where none has two rows of either kind. Where models are ``taught_by_members`` alone,
    members that judge one of them have taught another: what they add to the variance counts twice,
    as in ``blind_auc``.
    """
    known = np.isfinite(scores)
    useful = [
        at
        for at, rows in enumerate(known)
        if min((rows & it).sum() for it in (member, ~member)) > 1
    ]
    if not useful:
        return None
    found = []
    for of, chance in ((auc_and_influence, CHANCE), (_tail_and_influence, 0.0)):
        values, parts = zip(
            *[_whole(of, scores[at], member, known[at]) for at in useful], strict=True
        )
        value, influence = float(np.mean(values)), np.mean(parts, axis=0)
        learnt = influence[member] if taught_by_members else np.zeros(0)
        found.append(AttackAuc(value, influence, chance, float(learnt @ learnt)))
    return NegativeControl(*found)


def _whole(
    of: Figure, scores: Floats, member: MemberMask, known: MemberMask
) -> tuple[float, Floats]:
    value, influence = of(scores[known], member[known])
    whole = np.zeros(len(scores))
    whole[known] = influence
    return value, whole


def _half(level: float, influence: Floats, besides: float) -> float:
    """Return half of the normal interval of a figure."""
    return float(ndtri((1 + level) / 2)) * float(np.sqrt(influence @ influence + besides))


def _tail_and_influence(scores: Floats, member: MemberMask) -> tuple[float, Floats]:
    found = apply_threshold(scores, member, FPR)
    judged = np.flatnonzero(~member)[1::2]
    above = (scores > found.at).astype(np.float64)
    influence = np.zeros(len(scores))
    for rows, sign in ((np.flatnonzero(member), 1), (judged, -1)):
        spread = np.sqrt(len(rows) * max(len(rows) - 1, 1))
        influence[rows] = sign * (above[rows] - above[rows].mean()) / spread
    return found.hits / found.members - found.false / found.judged, influence
