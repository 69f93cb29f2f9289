"""Readings of altered answers: what they still give away, and what altering costs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence, Item
from auditor.domain.intervals import Interval
from auditor.domain.readings import Astray, Bound, Measurement, Reading, Repeat, Scalar, Unit
from auditor.domain.tasks import Floats
from auditor.exposing.attacks import SQUEEZED, Shadows, rmia
from auditor.exposing.mitigations import LABELS, Answers, Mitigation
from auditor.exposing.standins import NETWORK_KIND
from auditor.exposing.verdicts import Finding, Said, examine, power
from auditor.exposing.witnesses import Witness
from auditor.stats.paired import mean_difference, paired_difference
from auditor.stats.ranking import auc, paired_auc_difference
from auditor.stats.smooth_changes import smooth_change

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
        "Chance that a member still looks more like one than a non-member does",
        Unit.SHARE,
        Bound.AT_LEAST,
        higher_is_better=False,
    ),
    "auc_change": Metric(
        "What altering adds to the attack, negative where it hides",
        Unit.SHARE,
        Bound.AT_LEAST,
        higher_is_better=False,
    ),
    "smece_change": Metric("Calibration error that altering adds", Unit.SHARE),
    "brier_change": Metric("Brier score that altering adds", Unit.NONE),
    "accuracy_change": Metric("Accuracy that altering adds", Unit.SHARE),
    "verdict": Metric("Whether membership still leaks", Unit.NONE, Bound.AT_LEAST, exact=True),
}


def evidence_of(
    way: Mitigation, answers: Answers, shadows: Floats, sided: Floats
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


def readings(
    evidence: Evidence, witness: Witness, ways: tuple[Mitigation, ...], confidence: float
) -> Iterator[Reading]:
    """Yield the figures of every way, of which the first leaves answers as they are."""
    plain, before = _altered(evidence, witness, ways[0]), _answers(evidence, ways[0])
    for way in ways:
        seen = _altered(evidence, witness, way)
        finding = examine(seen, ATTACK, looks=len(ways))
        place: dict[str, Scalar] = {"mitigation": way.name, "strength": way.strength}
        attacker = attacker_of(way)
        yield _leak(finding, auc(finding.scores, finding.member, confidence), place)
        if way is not ways[0]:
            gain = _less_leak(seen, plain, confidence)
            yield _change(gain, place, attacker, doubted=finding.doubted)
        if way is not ways[0] and not way.of_copies:
            yield from _costs(before, _answers(evidence, way), ~witness.member, confidence, place)
        yield _verdict(finding, place, attacker)


def attacker_of(way: Mitigation) -> str:
    """Say what the attacker knows of answers that are altered in a way, and does about it."""
    if way.name != LABELS:
        return ATTACKER
    return OF_LABELS.format(copies=int(way.strength)) if way.of_copies else ONE_LABEL


def _altered(evidence: Evidence, witness: Witness, way: Mitigation) -> Witness:
    target = np.clip(_answers(evidence, way).chance, SQUEEZED, 1)
    kinds, sided = (
        {NETWORK_KIND: _stand_ins(evidence, f"{name}_{way.key}", of[NETWORK_KIND].include)}
        for name, of in (("shadows", witness.kinds), ("sided", witness.sided))
    )
    lost = witness.saturated and way.of_scores
    return replace(witness, target=target, kinds=kinds, sided=sided, saturated=lost)


def _stand_ins(evidence: Evidence, name: str, include: NDArray[np.bool_]) -> Shadows:
    chances = cast("NDArray[np.float32]", evidence[name]).astype(np.float64)
    return Shadows(np.clip(chances, SQUEEZED, 1), include)


def _answers(evidence: Evidence, way: Mitigation) -> Answers:
    chance, stated, brier = (
        cast("Floats", evidence[f"{name}_{way.key}"]) for name in ("chance", "stated", "brier")
    )
    return Answers(chance, stated, cast("NDArray[np.bool_]", evidence[f"right_{way.key}"]), brier)


def _less_leak(seen: Witness, plain: Witness, confidence: float) -> Interval:
    """Return the area after altering less that before, over the same rows."""
    after, before = (rmia(it.target, it.kinds[NETWORK_KIND]) for it in (seen, plain))
    return paired_auc_difference(after, before, seen.member, confidence)


def _costs(
    before: Answers,
    after: Answers,
    rows: NDArray[np.bool_],
    confidence: float,
    place: Mapping[str, Scalar],
) -> Iterator[Measurement]:
    """Compare altered answers with plain ones on rows that the model did not learn from."""
    runs = [(it.stated[rows], it.right[rows]) for it in (before, after)]
    error = smooth_change(runs[0], runs[1], confidence, SEED)
    yield _cost(error, "smece_change", Unit.SHARE, place)
    brier = mean_difference(after.brier[rows] - before.brier[rows], confidence)
    yield _cost(brier, "brier_change", Unit.NONE, place)
    was, now = before.right[rows], after.right[rows]
    counts = int((now & ~was).sum()), int((was & ~now).sum()), int(rows.sum())
    yield _cost(paired_difference(*counts, confidence), "accuracy_change", Unit.SHARE, place)


def _cost(
    interval: Interval,
    metric: str,
    unit: Unit,
    place: Mapping[str, Scalar],
) -> Measurement:
    return Measurement.of(interval, metric, unit, params=place, repeat=Repeat.INTERVAL)


def _change(
    interval: Interval, place: Mapping[str, Scalar], attacker: str, *, doubted: bool
) -> Measurement:
    doubt = {"doubt": "a gate of the attack failed"} if doubted else {}
    return Measurement.of(
        interval,
        "auc_change",
        Unit.SHARE,
        bound=Bound.AT_LEAST,
        params=place,
        repeat=Repeat.INTERVAL,
        doubted=doubted,
        astray=Astray.EITHER if doubted else None,
        details={"attacker": attacker, **doubt},
    )


def _leak(finding: Finding, interval: Interval, place: Mapping[str, Scalar]) -> Measurement:
    return Measurement.of(
        interval,
        "auc",
        Unit.SHARE,
        bound=Bound.AT_LEAST,
        params=place,
        repeat=Repeat.INTERVAL,
        doubted=finding.doubted,
        astray=finding.astray,
        details=finding.details(),
    )


def _verdict(finding: Finding, place: Mapping[str, Scalar], attacker: str) -> Measurement:
    return Measurement(
        metric="verdict",
        value=finding.said.value,
        bound=Bound.AT_LEAST,
        method="fisher's and mann-whitney's tests at 0.001, bonferroni over ways of altering",
        n=len(finding.member),
        params=place,
        repeat=Repeat.INTERVAL,
        doubted=finding.said is Said.INCONCLUSIVE,
        details={
            **finding.details(),
            "power": power(finding),
            "reason": finding.reason,
            "attacker": attacker,
        },
    )
