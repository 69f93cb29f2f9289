"""Output perturbation as a privacy defence: remaining membership leakage and cost in utility."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.membership import SQUEEZED, ShadowPredictions, rmia_attack
from auditor.attacks.privacy.membership_evidence import MembershipEvidence
from auditor.attacks.privacy.membership_verdicts import (
    LeakVerdict,
    MembershipFinding,
    detectable_leaks,
    examine_attack,
)
from auditor.attacks.privacy.shadow_models import NETWORK_KIND
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence, Item
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    ConfidenceInterval,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import mean_difference, paired_difference
from auditor.metrics.stats.roc_auc import auc, paired_auc_difference
from auditor.metrics.stats.smooth_calibration import smooth_calibration_change

SMALL = 1e-12
NONE, LABELS = "none", "labels"
Alter = Callable[[Floats, float, np.random.Generator], Floats]


@dataclass(frozen=True, slots=True)
class OutputPerturbation:
    """One way to alter ``[..., classes]`` probabilities, and how far it goes.

    Of labels alone the strength is that of the attack: how many noisy copies are asked about.
    """

    name: str
    strength: float

    def __call__(self, probabilities: Floats, seed: int) -> Floats:
        """Return altered probabilities, which add up to one."""
        altered = WAYS[self.name](probabilities, self.strength, np.random.default_rng(seed))
        total = altered.sum(axis=-1, keepdims=True)
        even = np.full_like(altered, 1 / altered.shape[-1])
        return np.where(total > 0, altered / np.maximum(total, SMALL), even)

    @property
    def of_copies(self) -> bool:
        """Whether labels are all that is said, and those of noisy copies are asked for too."""
        return self.name == LABELS and self.strength > 0

    @property
    def of_scores(self) -> bool:
        """Whether answers still tell how sure the model is, on a scale of their own."""
        return self.name in {NONE, "noise", "temperature"}

    @property
    def key(self) -> str:
        """Its name as evidence has it."""
        return f"{self.name}_{self.strength:g}"


def _rounded(probabilities: Floats, decimals: float, _: np.random.Generator) -> Floats:
    found: Floats = probabilities.round(int(decimals))
    return found


def _top(probabilities: Floats, kept: float, _: np.random.Generator) -> Floats:
    """Keep the likeliest classes; the rest of the probability is spread over all others."""
    count, classes = int(kept), probabilities.shape[-1]
    if count >= classes:
        return probabilities
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    inside = np.zeros(probabilities.shape, dtype=np.bool_)
    np.put_along_axis(inside, order[..., :count], np.True_, axis=-1)
    rest = (probabilities * ~inside).sum(axis=-1, keepdims=True) / (classes - count)
    return np.where(inside, probabilities, rest)


def _labels(probabilities: Floats, _: float, __: np.random.Generator) -> Floats:
    """Say the likeliest class alone; who is told it puts some faith in all others."""
    classes = probabilities.shape[-1]
    found: Floats = np.eye(classes)[probabilities.argmax(axis=-1)]
    return found


def _noisy(probabilities: Floats, spread: float, rng: np.random.Generator) -> Floats:
    """Add normal noise of so many nats to each class's log probability."""
    logs = np.log(np.maximum(probabilities, SMALL))
    return _raised(logs + spread * rng.normal(size=logs.shape))


def _cooled(probabilities: Floats, temperature: float, _: np.random.Generator) -> Floats:
    return _raised(np.log(np.maximum(probabilities, SMALL)) / temperature)


def _same(probabilities: Floats, _: float, __: np.random.Generator) -> Floats:
    return probabilities


def _raised(logs: Floats) -> Floats:
    """Return what is proportional to probabilities; every altered row is scaled to 1 at the end."""
    found: Floats = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return found


WAYS: Mapping[str, Alter] = {
    NONE: _same,
    "rounding": _rounded,
    "top": _top,
    LABELS: _labels,
    "noise": _noisy,
    "temperature": _cooled,
}


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedAnswers:
    """What altered answers come to, a row: the ``chance`` of its label, what is ``stated`` of the
    decision, whether that is ``right``, and the ``brier`` score.
    """

    chance: Floats
    stated: Floats
    right: NDArray[np.bool_]
    brier: Floats

    @classmethod
    def of(
        cls, probabilities: Floats, decided: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> "PerturbedAnswers":
        """Take ``[n, classes]`` probabilities, the decision ``[n]`` upon them and the truth."""
        rows = np.arange(len(labels))
        chance = probabilities[rows, labels]
        squares = (probabilities**2).sum(axis=1) - 2 * chance + 1
        stated = np.clip(probabilities[rows, decided], 0, 1)
        return cls(chance, stated, decided == labels, np.maximum(squares, 0))


SEED = 11
ATTACKER = (
    "asks once a row and does not adapt to how answers were altered; who asks about noisy copies, "
    "or averages noise away, loses less"
)
OF_LABELS = (
    "is given labels alone, asks for those of {copies} noisy copies a row and scale too, and takes "
    "for a member what keeps its label"
)
ONE_LABEL = (
    "is given one label a row, asks for no more and knows whether it is right; labels of noisy "
    "copies are another attack, at a strength of its own"
)
ATTACK = ("rmia", NETWORK_KIND)
EMITS: Mapping[str, Metric] = {
    "auc": Metric(
        "AUC of the membership attack after altering",
        Unit.SHARE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    "auc_change": Metric(
        "Change of the attack's AUC caused by altering (negative: less leakage)",
        Unit.SHARE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    "smece_change": Metric("Calibration error added by altering", Unit.SHARE),
    "brier_change": Metric("Brier score added by altering", Unit.NONE),
    "accuracy_change": Metric("Accuracy added by altering", Unit.SHARE),
    "verdict": Metric(
        "Membership leak detected after altering", Unit.NONE, BoundKind.AT_LEAST, exact=True
    ),
}


def perturbation_evidence(
    way: OutputPerturbation, answers: PerturbedAnswers, shadows: Floats, sided: Floats
) -> dict[str, Item]:
    """Return what is kept of one way: a place a row, and of each stand-in."""
    return {
        f"chance_{way.key}": answers.chance,
        f"stated_{way.key}": answers.stated,
        f"right_{way.key}": answers.right,
        f"brier_{way.key}": answers.brier,
        f"shadows_{way.key}": shadows.astype(np.float32),
        f"sided_{way.key}": sided.astype(np.float32),
    }


def perturbation_readings(
    evidence: Evidence,
    witness: MembershipEvidence,
    ways: tuple[OutputPerturbation, ...],
    confidence: float,
) -> Iterator[Reading]:
    """Yield the figures of every way, of which the first leaves answers as they are."""
    plain, before = _altered(evidence, witness, ways[0]), _answers(evidence, ways[0])
    for way in ways:
        seen = _altered(evidence, witness, way)
        finding = examine_attack(seen, ATTACK, looks=len(ways))
        place: dict[str, Scalar] = {"mitigation": way.name, "strength": way.strength}
        attacker = describe_attacker(way)
        yield Measurement.of(
            auc(finding.scores, finding.member, confidence),
            "auc",
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
            params=place,
            repeat=Repeatability.INTERVAL,
            doubted=finding.doubted,
            astray=finding.astray,
            details=finding.details(),
        )
        if way is not ways[0]:
            after, leak_before = (
                rmia_attack(it.target, it.kinds[NETWORK_KIND]) for it in (seen, plain)
            )
            gain = paired_auc_difference(after, leak_before, seen.member, confidence)
            doubt = {"doubt": "a gate of the attack failed"} if finding.doubted else {}
            yield Measurement.of(
                gain,
                "auc_change",
                Unit.SHARE,
                bound=BoundKind.AT_LEAST,
                params=place,
                repeat=Repeatability.INTERVAL,
                doubted=finding.doubted,
                astray=BiasDirection.EITHER if finding.doubted else None,
                details={"attacker": attacker, **doubt},
            )
        if way is not ways[0] and not way.of_copies:
            yield from _costs(before, _answers(evidence, way), ~witness.member, confidence, place)
        yield _verdict(finding, place, attacker)


def describe_attacker(way: OutputPerturbation) -> str:
    """Say what the attacker knows of answers that are altered in a way, and does about it."""
    if way.name != LABELS:
        return ATTACKER
    return OF_LABELS.format(copies=int(way.strength)) if way.of_copies else ONE_LABEL


def _altered(
    evidence: Evidence, witness: MembershipEvidence, way: OutputPerturbation
) -> MembershipEvidence:
    target = np.clip(_answers(evidence, way).chance, SQUEEZED, 1)
    kinds, sided = (
        {NETWORK_KIND: _stand_ins(evidence, f"{name}_{way.key}", of[NETWORK_KIND].include)}
        for name, of in (("shadows", witness.kinds), ("sided", witness.sided))
    )
    lost = witness.saturated and way.of_scores
    return replace(witness, target=target, kinds=kinds, sided=sided, saturated=lost)


def _stand_ins(evidence: Evidence, name: str, include: NDArray[np.bool_]) -> ShadowPredictions:
    chances = cast("NDArray[np.float32]", evidence[name]).astype(np.float64)
    return ShadowPredictions(np.clip(chances, SQUEEZED, 1), include)


def _answers(evidence: Evidence, way: OutputPerturbation) -> PerturbedAnswers:
    chance, stated, brier = (
        cast("Floats", evidence[f"{name}_{way.key}"]) for name in ("chance", "stated", "brier")
    )
    return PerturbedAnswers(
        chance, stated, cast("NDArray[np.bool_]", evidence[f"right_{way.key}"]), brier
    )


def _costs(
    before: PerturbedAnswers,
    after: PerturbedAnswers,
    rows: NDArray[np.bool_],
    confidence: float,
    place: Mapping[str, Scalar],
) -> Iterator[Measurement]:
    """Compare altered answers with plain ones on rows that the model did not learn from."""
    runs = [(it.stated[rows], it.right[rows]) for it in (before, after)]
    error = smooth_calibration_change(runs[0], runs[1], confidence, SEED)
    yield _cost(error, "smece_change", Unit.SHARE, place)
    brier = mean_difference(after.brier[rows] - before.brier[rows], confidence)
    yield _cost(brier, "brier_change", Unit.NONE, place)
    was, now = before.right[rows], after.right[rows]
    counts = int((now & ~was).sum()), int((was & ~now).sum()), int(rows.sum())
    yield _cost(paired_difference(*counts, confidence), "accuracy_change", Unit.SHARE, place)


def _cost(
    interval: ConfidenceInterval,
    metric: str,
    unit: Unit,
    place: Mapping[str, Scalar],
) -> Measurement:
    return Measurement.of(interval, metric, unit, params=place, repeat=Repeatability.INTERVAL)


def _verdict(finding: MembershipFinding, place: Mapping[str, Scalar], attacker: str) -> Measurement:
    return Measurement(
        metric="verdict",
        value=finding.said.value,
        bound=BoundKind.AT_LEAST,
        method="fisher's and mann-whitney's tests at 0.001, bonferroni over ways of altering",
        n=len(finding.member),
        params=place,
        repeat=Repeatability.INTERVAL,
        doubted=finding.said is LeakVerdict.INCONCLUSIVE,
        details={
            **finding.details(),
            "power": detectable_leaks(finding),
            "reason": finding.reason,
            "attacker": attacker,
        },
    )
