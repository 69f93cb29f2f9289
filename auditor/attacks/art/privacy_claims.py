"""Claims of membership that others make, held against rows whose membership we know."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence, Item
from auditor.domain.intervals import Interval
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Repeat, Scalar, Unit
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Floats, class_names
from auditor.exposing.attacks import Include
from auditor.exposing.gates import FPR, Gate, area, averaged, blind_area, blind_scores, tail
from auditor.exposing.labels import of_stack
from auditor.exposing.membership import AUC, RATES, VERDICT, few
from auditor.exposing.pools import Pool, gather
from auditor.exposing.sided import taught_on_one_side
from auditor.exposing.standins import KINDS, NETWORK_KIND, halves
from auditor.exposing.thresholds import cut, rank_test, rate_at
from auditor.exposing.verdicts import LEVEL, TESTS, Finding, power
from auditor.shadows.features import numbers
from auditor.shadows.stacks import Stack
from auditor.shadows.training import train_stack
from auditor.stats.differences import share_difference
from auditor.stats.proportions import clopper_pearson
from auditor.stats.ranking import auc

ADVANTAGE = "membership_advantage"
MODELS = 4
SALT = 77
UNSEEN, SIDED = "unseen", "sided"
"""Stand-ins that learn from both kinds of rows, or from members alone."""
EMITS: Mapping[str, Metric] = {
    ADVANTAGE: Metric(
        "Members that are called members, less others that are",
        Unit.SHARE,
        Bound.AT_LEAST,
        higher_is_better=False,
    ),
}
Mask = NDArray[np.bool_]
Told = tuple[Mask, Floats]
"""Of each row, whether it is called a member, and how much like one it is said to look."""
Tell = Callable[[Array, NDArray[np.int64], Callable[[Array], Floats] | None], Told | None]
"""An attack: of rows with labels, by what the target answers, or another model in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Stand-ins that saw rows or did not, ``include`` ``[k, n]`` of a pool."""

    stack: Stack
    include: Include


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A pool of which one half, ``known`` ``[n]``, is the attacker's, and the other half judges.

    ``blind`` ``[n]`` is how much like a member each row looks to whom no model is known; ``unseen``
    are stand-ins of both kinds of rows, ``sided`` of training data alone.
    """

    pool: Pool
    known: Mask
    blind: Floats
    unseen: Side
    sided: Side
    labels_only: bool

    @classmethod
    def of(cls, subject: Subject, rows: int) -> "Stage | Gap":
        """Take up to ``rows`` rows of each kind, and train what stands in for the model."""
        pool = gather(subject, rows)
        if isinstance(pool, Gap):
            return pool
        classes = len(class_names(subject.task))
        features = numbers(pool.inputs)
        include = halves(MODELS, len(features), np.random.default_rng([subject.seed, SALT]))
        both = train_stack(
            features, pool.labels, classes, include, KINDS[NETWORK_KIND],
            seed=subject.seed + SALT, progress=subject.progress,
        )  # fmt: skip
        known = np.zeros(len(pool.labels), dtype=np.bool_)
        for side in (pool.member, ~pool.member):
            known[np.flatnonzero(side)[::2]] = True
        return cls(
            pool,
            known,
            blind_scores(features, pool.labels, pool.member, subject.seed),
            Side(both, include),
            Side(*taught_on_one_side(subject, pool, classes, NETWORK_KIND)),
            subject.labels_only(Role.EVALUATION),
        )

    def hear(self, subject: Subject, tell: Tell) -> Evidence | None:
        """Let an attack tell of the judging half, by the target and by stand-ins; ``None`` where it
        tells nothing of the target.
        """
        judged = np.flatnonzero(~self.known)
        rows, labels = self.pool.inputs[judged], self.pool.labels[judged]
        told = tell(rows, labels, None)
        if told is None:
            return None
        found: dict[str, Item] = {
            "claimed": told[0],
            "scores": told[1].astype(np.float64),
            "member": self.pool.member[judged],
            "blind": self.blind[judged],
            "ids": np.asarray(self.pool.ids, dtype=np.str_)[judged],
        }
        for name, side in ((UNSEEN, self.unseen), (SIDED, self.sided)):
            said = [
                tell(rows, labels, _answer(subject, side.stack, at, labels_only=self.labels_only))
                for at in range(side.stack.models)
            ]
            kept = [at for at, one in enumerate(said) if one is not None]
            if kept:
                scores = [one[1] for one in said if one is not None]
                found[f"{name}_scores"] = np.stack(scores).astype(np.float64)
                found[f"{name}_saw"] = side.include[kept][:, judged]
        return found


def _answer(
    subject: Subject, stack: Stack, at: int, *, labels_only: bool
) -> Callable[[Array], Floats]:
    """Return how one stand-in answers, as the model does: with chances, or with decisions."""
    if labels_only:
        decide = of_stack(subject, stack)
        return lambda rows: np.eye(stack.classes)[decide(rows)[at]]
    return lambda rows: stack.probabilities(numbers(rows))[at].astype(np.float64)


def readings(evidence: Evidence, name: str, looks: int, confidence: float) -> Iterator[Reading]:
    """Yield what an attack's claims are worth: ``looks`` attacks share the verdict's level."""
    finding = _finding(evidence, name, looks)
    scores, member = finding.scores, finding.member
    yield _measured(finding, auc(scores, member, confidence), AUC, {})
    claimed = cast("Mask", evidence["claimed"]).astype(np.bool_)
    hits, false = int(claimed[member].sum()), int(claimed[~member].sum())
    sizes = int(member.sum()), int((~member).sum())
    gap = share_difference((hits, sizes[0]), (false, sizes[1]), confidence)
    yield _measured(finding, gap, ADVANTAGE, _claims(hits, false, sizes, confidence))
    for metric, (fpr, least) in RATES.items():
        if sizes[1] < least:
            yield replace(few(metric, sizes[1], least), params=_params(finding))
        else:
            yield _measured(finding, rate_at(scores, member, fpr, confidence), metric, {})
    yield Measurement(
        metric=VERDICT,
        value=finding.said.value,
        bound=Bound.AT_LEAST,
        method="fisher's and mann-whitney's tests at 0.001, bonferroni over attacks",
        n=len(member),
        params=_params(finding),
        repeat=Repeat.INTERVAL,
        doubted=finding.doubted,
        astray=finding.astray,
        details={**finding.details(), "power": power(finding), "reason": finding.reason},
    )


def _params(finding: Finding) -> dict[str, Scalar]:
    return {"attack": finding.attack[0]}


def _measured(
    finding: Finding, interval: Interval, metric: str, more: Mapping[str, Json]
) -> Measurement:
    return Measurement.of(
        interval,
        metric,
        Unit.SHARE,
        bound=Bound.AT_LEAST,
        params=_params(finding),
        repeat=Repeat.INTERVAL,
        doubted=finding.doubted,
        astray=finding.astray,
        details={**finding.details(), **more},
    )


def _claims(hits: int, false: int, sizes: tuple[int, int], confidence: float) -> dict[str, Json]:
    """Return what came of the rows that were called members."""
    called = hits + false
    told: dict[str, Json] = {
        "called_members": called,
        "that_are": hits,
        "judged_members": sizes[0],
        "judged_others": sizes[1],
    }
    if called:
        right = clopper_pearson(hits, called, confidence)
        told["precision"] = [right.value, right.low, right.high]
    return {"claims": told}


def _finding(evidence: Evidence, name: str, looks: int) -> Finding:
    scores = cast("Floats", evidence["scores"])
    member = cast("Mask", evidence["member"]).astype(np.bool_)
    return Finding(
        (name, NETWORK_KIND),
        scores,
        member,
        rank_test(scores, member),
        cut(scores, member, FPR),
        area(scores, member),
        tail(scores, member),
        _gate(evidence, UNSEEN, member),
        _gate(evidence, SIDED, member),
        blind_area(cast("Floats", evidence["blind"]), member),
        LEVEL / (TESTS * looks),
    )


def _gate(evidence: Evidence, name: str, member: Mask) -> Gate | None:
    if f"{name}_scores" not in evidence:
        return None
    scores = cast("Floats", evidence[f"{name}_scores"])
    saw = cast("Mask", evidence[f"{name}_saw"]).astype(np.bool_)
    return averaged(np.where(saw, np.nan, scores), member, taught_by_members=name == SIDED)
