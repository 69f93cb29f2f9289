"""Whether members and non-members differ before any model has seen one: then no attack counts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.canonical import Json
from auditor.domain.tasks import Array, Floats
from auditor.exposing.attacks import ATTACKS, Shadows, against_each_other
from auditor.exposing.thresholds import cut
from auditor.shadows.training import LOGISTIC, train_stack
from auditor.stats.delong import area_and_influence

FOLDS = 5
GATES = 3
LEVEL = 1 - 1 / 40 / GATES
"""An attack's gates together fail a clean audit once in forty, by Bonferroni."""
HIDING = 1 - 1 / 40
"""Of what hides a leak each gate is less sure: that to doubt is the safe side."""
CHANCE = 0.5
FPR = 0.01
Mask = NDArray[np.bool_]
Figure = Callable[[Floats, Mask], tuple[float, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class Area:
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

    def beyond(self, other: "Area", level: float) -> tuple[float, float, float]:
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


def area(scores: Floats, member: Mask) -> Area:
    """Return the area of scores ``[n]``, all of them known."""
    return Area(*area_and_influence(scores, member))


def blind_area(scores: Floats, member: Mask) -> Area:
    """Return the area of ``blind_scores`` ``[n]``, of twice the variance that rows alone give it.

    What a row adds by being judged it adds once more by judging: of two rows in different folds,
    each is scored by a classifier that learnt from the other. Where members are as all others,
    a cross-validated figure is a sum over such pairs, whose variance is at most twice that of the
    scores held fast (Cauchy and Schwarz), and so much where the classifier is symmetric in them.
    """
    found = area(scores, member)
    return replace(found, besides=float(found.influence @ found.influence))


def blind_scores(inputs: Array, labels: NDArray[np.int64], member: Mask, seed: int) -> Floats:
    """Return how much like a member each row ``[n]`` looks to a classifier that asks no model.

    A logistic regression on inputs and label, fitted on four fifths of the rows and asked about
    the fifth (Das, Zhang and Tramer 2024, arXiv 2406.16201: blind baselines).
    """
    known = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    flat = np.asarray(inputs).reshape(len(inputs), -1).astype(np.float32)
    folds = _folds(member, seed)
    include = folds != np.arange(FOLDS)[:, None]
    rows = np.concatenate([flat, known], axis=1)
    stack = train_stack(rows, member.astype(np.int64), 2, include, LOGISTIC, seed=seed)
    said = stack.logits(rows)
    margin = (said[..., 1] - said[..., 0])[folds, np.arange(len(rows))]
    return margin.astype(np.float64)


def tail(scores: Floats, member: Mask) -> Area:
    """Return how many more members than judged non-members lie above the limit, as shares."""
    return Area(*_tail_and_influence(scores, member), chance=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """What an attack finds on models that saw none of the rows: by ranks, and above the limit."""

    area: Area
    tail: Area


def neither(name: str, shadows: Shadows, member: Mask) -> Gate | None:
    """Return what an attack finds on models that saw neither the members nor the non-members.

    Each stand-in is attacked over the rows that it has not seen, by the others; what is
    found is averaged. ``None`` where no stand-in has unseen rows of both kinds.
    """
    return averaged(against_each_other(name, shadows), member)


def one_sided(name: str, sided: Shadows, shadows: Shadows, member: Mask) -> Gate | None:
    """Return what an attack finds on models that know members' kind alone, over unseen rows.

    Each of ``sided`` is attacked as the model is, by the same ``shadows``. Where non-members
    differ from members in what labels follow from inputs, a model that learnt from members alone
    is less sure of the former, whether or not it saw the latter.
    """
    scores = np.stack([ATTACKS[name](said, shadows) for said in sided.chances])
    return averaged(np.where(sided.include, np.nan, scores), member, taught_by_members=True)


def averaged(scores: Floats, member: Mask, *, taught_by_members: bool = False) -> Gate | None:
    """Return the means of what ``[k, n]`` scores find, each over the rows of which they are known.

    ``None`` where none has two rows of either kind. Where models are ``taught_by_members`` alone,
    members that judge one of them have taught another: what they add to the variance counts twice,
    as in ``blind_area``.
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
    for of, chance in ((area_and_influence, CHANCE), (_tail_and_influence, 0.0)):
        value, influence = _mean([_whole(of, scores[at], member, known[at]) for at in useful])
        learnt = influence[member] if taught_by_members else np.zeros(0)
        found.append(Area(value, influence, chance, float(learnt @ learnt)))
    return Gate(*found)


def _whole(of: Figure, scores: Floats, member: Mask, known: Mask) -> tuple[float, Floats]:
    value, influence = of(scores[known], member[known])
    whole = np.zeros(len(scores))
    whole[known] = influence
    return value, whole


def _mean(found: list[tuple[float, Floats]]) -> tuple[float, Floats]:
    values, parts = zip(*found, strict=True)
    return float(np.mean(values)), np.mean(parts, axis=0)


def _half(level: float, influence: Floats, besides: float) -> float:
    """Return half of the normal interval of a figure."""
    return float(ndtri((1 + level) / 2)) * float(np.sqrt(influence @ influence + besides))


def _tail_and_influence(scores: Floats, member: Mask) -> tuple[float, Floats]:
    found = cut(scores, member, FPR)
    judged = np.flatnonzero(~member)[1::2]
    above = (scores > found.at).astype(np.float64)
    influence = np.zeros(len(scores))
    for rows, sign in ((np.flatnonzero(member), 1), (judged, -1)):
        spread = np.sqrt(len(rows) * max(len(rows) - 1, 1))
        influence[rows] = sign * (above[rows] - above[rows].mean()) / spread
    return found.hits / found.members - found.false / found.judged, influence


def _folds(member: Mask, seed: int) -> NDArray[np.int64]:
    """Return the fold ``[n]`` of each row, as many members in each."""
    folds = np.empty(len(member), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for kind in (True, False):
        rows = rng.permutation(np.flatnonzero(member == kind))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds
