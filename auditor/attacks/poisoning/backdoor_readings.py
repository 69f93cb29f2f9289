"""Readings and verdict of a backdoor scan.

A backdoor is shown only if independent detectors agree on a class and a trigger works.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.backdoor_detectors import (
    FEWEST_CLASSES,
    lead_over_second,
    margin_p_value,
)
from auditor.attacks.poisoning.backdoor_evidence import (
    AGREEING,
    DETECTORS,
    MARGIN,
    MASK,
    NAMES,
    DetectionRules,
    TriggerEvidence,
    anomaly_index,
    class_scores,
    detector_p_value,
    least_success,
    list_able_detectors,
    list_detectors,
    list_obstacles,
    noise_p_value,
    read_class_names,
    read_trigger_evidence,
    top_class,
)
from auditor.attacks.poisoning.suspect_classes import find_suspect_classes
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT, read_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.metrics.stats.means import paired_difference
from auditor.metrics.stats.proportions import clopper_pearson

OF_SHADOWS = frozenset(
    {GapReason.NEEDS_SHADOWS, GapReason.SHADOWS_MISMATCH, GapReason.SHADOWS_FAILED}
)
LOOKED_FOR = (
    "triggers that send rows of every other class to one class; one that works on rows of a single "
    "class alone is not looked for, and what is seen of it is what is seen of a clean model"
)


@dataclass(frozen=True, slots=True)
class BackdoorVerdict:
    """The verdict, the class that it is about, and why."""

    value: str
    n: int
    details: Mapping[str, Json]

    def reading(self) -> Measurement:
        """Return the verdict as a measurement."""
        method = f"at least {AGREEING} detectors agree, and a trigger works on rows held out"
        return Measurement(
            metric=VERDICT,
            value=self.value,
            bound=BoundKind.AT_LEAST,
            method=method,
            n=self.n,
            details=self.details,
        )


def judge_backdoor(evidence: Evidence, rules: DetectionRules) -> BackdoorVerdict:
    """Return the verdict of a hunt."""
    named = dict(find_suspect_classes(evidence, rules))
    votes = Counter(at for of in named.values() for at in of)
    agreed = [at for at, count in votes.items() if count >= AGREEING]
    working = {
        trial.kind: top_class(evidence, trial.kind)
        for trial in read_trigger_evidence(evidence)
        if (trial.kind in named or anomaly_index(trial.evidence, trial.kind) is None)
        and _works(trial, rules, agreed)
    }
    value, reason, target = _verdict(votes, agreed, working)
    why = list(list_obstacles(evidence, rules))
    if why:
        value, reason = OPEN, " ".join([*([reason] if reason else []), *why])
    names = read_class_names(evidence)
    details: dict[str, Json] = {
        "named": {NAMES[who]: " and ".join(names[at] for at in of) for who, of in named.items()},
        "working": {kind: names[at] for kind, at in working.items()},
        "looked": [NAMES[detector] for detector in list_detectors(evidence)],
        "able": [NAMES[detector] for detector in list_able_detectors(evidence, rules)],
        "power": _power(evidence, rules),
    }
    if target is not None:
        details["target_class"] = names[target]
    if len(agreed) > 1:
        details["target_classes"] = [names[at] for at in agreed]
    if "ready_models" in evidence:
        clean_models = {"ready_shadows": cast("Json", evidence["ready_models"])}
    else:
        gap = read_gap(evidence["no_clean_models"]) if "no_clean_models" in evidence else None
        clean_models = (
            {"ready_shadows": gap.detail} if gap is not None and gap.reason in OF_SHADOWS else {}
        )
    details |= clean_models
    if reason:
        details["reason"] = reason
    return BackdoorVerdict(value, len(cast("NDArray[np.int64]", evidence["before"])), details)


def _verdict(
    votes: Mapping[int, int], agreed: Sequence[int], working: Mapping[str, int]
) -> tuple[str, str, int | None]:
    for at in agreed:
        if at in working.values():
            return SHOWN, "", at
    if agreed:
        return (
            OPEN,
            "Detectors agree on a class, but no trigger for it works as asked.",
            agreed[0],
        )
    both = [at for at in working.values() if at in votes]
    if both:
        return OPEN, "A trigger works for a class that one detector alone names.", both[0]
    if working:
        return (
            OPEN,
            "A trigger works, but no detector singles its class out.",
            next(iter(working.values())),
        )
    return NOT_SEEN, "", None


def _works(trial: TriggerEvidence, rules: DetectionRules, agreed: Sequence[int]) -> bool:
    """Return whether the trigger of the strangest class works by all that is asked of it.

    Where it is one of several on which detectors agree, the triggers of those work too.
    """
    target = top_class(trial.evidence, trial.kind)
    confidence, most = rules.confidence(trial.evidence), rules.largest(trial.kind)
    besides = agreed if target in agreed else ()
    success, gap = trial.success(target, confidence), trial.gap(target, confidence, besides)
    chance = trial.beyond_chance(confidence)
    if success is None or gap is None or chance is None or trial.size(target) > most:
        return False
    clean = trial.on_clean_models(target)
    beyond = success.low >= rules.success and min(gap[0].low, chance.low) > 0
    return beyond and (clean is None or success.low > clean)


def _power(evidence: Evidence, rules: DetectionRules) -> dict[str, Json]:
    """Say in plain numbers the least that would have been seen."""
    trials = read_trigger_evidence(evidence)
    rows = min(
        (
            int(trial.others(at).sum())
            for trial in trials
            for at in [top_class(evidence, trial.kind)]
        ),
        default=0,
    )
    told: dict[str, Json] = {
        "judged_rows": rows,
        "least_success": least_success(rows, rules.confidence(evidence), rules.success),
        "largest_mask_share": rules.most_mask,
        "least_anomaly_index": rules.index,
        "looked_for": LOOKED_FOR,
    }
    return told


INDEX, SUCCESS, GAP, NOISE_BIAS = (
    "anomaly_index",
    "attack_success_rate",
    "success_gap",
    "noise_bias",
)
CARRIED = (
    "this trigger as found here, carried over to clean models: one that is fitted to one model "
    "works on others seldom, backdoor or none, so that a low figure alone is no sign"
)
AWOKEN = "parent_gap"
BACKDOOR: Mapping[str, Metric] = {
    INDEX: Metric(
        "Anomaly index of the most suspicious class", Unit.NONE, BoundKind.AT_LEAST,
        higher_is_better=False, exact=True, number=True,
    ),
    NOISE_BIAS: Metric(
        "Meaningless inputs decided as one class", Unit.SHARE, higher_is_better=False
    ),
    SUCCESS: Metric(
        "Attack success rate of one trigger", Unit.SHARE, BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    GAP: Metric(
        "Success of the trigger, minus that of the best trigger for another class", Unit.NONE,
        BoundKind.AT_LEAST, higher_is_better=False,
    ),
    AWOKEN: Metric(
        "Success of the trigger, minus that on the parent", Unit.NONE, BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    VERDICT: Metric("Backdoor detected", Unit.NONE, BoundKind.AT_LEAST, exact=True),
}  # fmt: skip
"""What a hunt emits."""


def backdoor_readings(
    evidence: Evidence, confidence: float, rules: DetectionRules
) -> tuple[Reading, ...]:
    """Return all readings; the verdict is at the level of the rules, whatever the confidence."""
    told = _BackdoorEvidence(evidence, confidence)
    return (
        *told.indices(),
        *told.noise(),
        *told.successes(),
        *told.awoken(),
        replace(judge_backdoor(evidence, rules).reading(), repeat=told.repeat),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _BackdoorEvidence:
    """Evidence, read at one confidence; intervals of one metric hold jointly."""

    evidence: Evidence
    confidence: float

    @property
    def repeat(self) -> Repeatability:
        """What a second run must give of figures that clean models have a part in.

        Nobody promises that the owner's code trains the same model twice, or fails twice.
        """
        item = self.evidence.get("no_clean_models")
        failed = item is not None and read_gap(item).reason is GapReason.RECIPE_FAILED
        retrained = "null_noise" in self.evidence and "ready_models" not in self.evidence
        return Repeatability.INTERVAL if failed or retrained else Repeatability.EXACT

    def indices(self) -> Iterator[Reading]:
        """Yield how far the strangest class stands out, detector by detector."""
        looked = list_detectors(self.evidence)
        for detector in DETECTORS:
            if detector in looked:
                index: Reading
                evidence, place = self.evidence, {"detector": NAMES[detector]}
                found, scores = anomaly_index(evidence, detector), class_scores(evidence, detector)
                if found is None:
                    index = _too_few_classes(len(scores), place)
                else:
                    details: dict[str, Json] = {
                        "target_class": self._name(top_class(evidence, detector)),
                        "lead": lead_over_second(scores),
                    }
                    chance = detector_p_value(evidence, detector)
                    if detector == MARGIN:
                        chance = margin_p_value(cast("NDArray[np.float64]", evidence["margins"]))
                    if chance is not None:
                        details["p_value"] = chance
                    index = Measurement(
                        metric=INDEX,
                        value=found,
                        bound=BoundKind.AT_LEAST,
                        method="median absolute deviation over classes",
                        n=len(scores),
                        params=place,
                        repeat=Repeatability.EXACT if detector in {MASK, MARGIN} else self.repeat,
                        details=details,
                    )
                yield index
            elif detector in {MASK, MARGIN}:
                yield self._without_twin(INDEX, {"detector": NAMES[detector]})

    def noise(self) -> Iterator[Reading]:
        """Yield the largest share of either kind of noise that falls to one class."""
        counts = cast("NDArray[np.int64]", self.evidence["noise"])
        level = 1 - (1 - self.confidence) / 2
        for at, (kind, tally) in enumerate(zip(("uniform", "mixed"), counts, strict=True)):
            details: dict[str, Json] = {"target_class": self._name(int(tally.argmax()))}
            chance = noise_p_value(self.evidence, at)
            if chance is not None:
                details["p_value"] = chance
            interval = clopper_pearson(int(tally.max()), int(tally.sum()), level)
            yield Measurement.of(
                interval, NOISE_BIAS, Unit.SHARE, params={"noise": kind}, repeat=self.repeat,
                details=details,
            )  # fmt: skip

    def successes(self) -> Iterator[Reading]:
        """Yield how well the trigger of each kind's strangest class works, and beyond rivals."""
        trials = read_trigger_evidence(self.evidence)
        level = 1 - (1 - self.confidence) / max(1, len(trials))
        for trial in trials:
            yield from self._success(trial, level)
        if MASK not in [trial.kind for trial in trials]:
            yield self._without_twin(SUCCESS, {"trigger": MASK})

    def _success(self, trial: TriggerEvidence, level: float) -> Iterator[Reading]:
        target, place = top_class(self.evidence, trial.kind), {"trigger": trial.kind}
        success, gap = trial.success(target, level), trial.gap(target, level)
        chance = trial.beyond_chance(level)
        if success is None or gap is None or chance is None:
            yield from (_one_class(metric, place) for metric in (SUCCESS, GAP))
            return
        details: dict[str, Json] = {
            "target_class": self._name(target),
            "mask_share": trial.size(target),
            "beyond_random_contents": chance.value,
        }
        clean = trial.on_clean_models(target)
        if clean is not None:
            details |= {"on_clean_models": clean, "on_clean_models_is": CARRIED}
        yield Measurement.of(
            success, SUCCESS, Unit.SHARE, bound=BoundKind.AT_LEAST, params=place,
            repeat=self.repeat, details=details,
        )  # fmt: skip
        interval, rival = gap
        named: dict[str, Json] = {
            "target_class": self._name(target), "rival_class": self._name(rival),
        }  # fmt: skip
        yield Measurement.of(
            interval, GAP, Unit.NONE, bound=BoundKind.AT_LEAST, params=place, details=named
        )

    def awoken(self) -> Iterator[Reading]:
        """Yield how much more often each trigger works here than on the parent, if there is one."""
        if "parent_before" not in self.evidence:
            return
        trials = read_trigger_evidence(self.evidence)
        level = 1 - (1 - self.confidence) / max(1, len(trials))
        before = cast("NDArray[np.int64]", self.evidence["parent_before"])
        for trial in trials:
            target, place = top_class(self.evidence, trial.kind), {"trigger": trial.kind}
            others = trial.others(target) & (before != target)
            if not others.any():
                yield _one_class(AWOKEN, place)
                continue
            ours = trial.sent(target)[others]
            decided = cast("NDArray[np.int64]", self.evidence[f"parent_{trial.kind}"])
            theirs = decided[others] == target
            gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
            yield Measurement.of(
                paired_difference(gained, lost, len(ours), level),
                AWOKEN,
                Unit.NONE,
                bound=BoundKind.AT_LEAST,
                params=place,
                details={
                    "target_class": self._name(target),
                    "success_here": float(ours.mean()),
                    "success_on_parent": float(theirs.mean()),
                },
            )

    def _name(self, target: int) -> str:
        return read_class_names(self.evidence)[target]

    def _without_twin(self, metric: str, place: Mapping[str, str]) -> Gap:
        return replace(read_gap(self.evidence["no_twin"]), metric=metric, params=dict(place))


def _one_class(metric: str, place: Mapping[str, str]) -> Gap:
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail="All judged rows are of the class that the trigger leads to.",
        cure="Evaluate on rows of several classes.",
        metric=metric,
        params=dict(place),
    )


def _too_few_classes(count: int, place: Mapping[str, str]) -> Gap:
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"Among {count} classes none stands out from the others; it takes {FEWEST_CLASSES}.",
        cure="Name a recipe, so that clean models can be compared with.",
        metric=INDEX,
        params=dict(place),
    )
