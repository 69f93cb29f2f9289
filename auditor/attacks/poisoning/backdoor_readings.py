"""The readings of a hunt: how far classes stand out, how well triggers work, and the verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Repeat, Unit
from auditor.poisons.backdoor_cases import (
    DETECTORS,
    MARGIN,
    MASK,
    NAMES,
    Trial,
    class_scores,
    detectors_of,
    index_of,
    names_of,
    noise_p_value,
    p_value,
    top_class,
    trials_of,
)
from auditor.poisons.backdoor_reach import Rules
from auditor.poisons.backdoor_statistics import FEWEST_CLASSES, lead, margin_p_value
from auditor.poisons.backdoor_verdicts import judge
from auditor.stats.paired import paired_difference
from auditor.stats.proportions import clopper_pearson

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
AWOKEN, VERDICT = "parent_gap", "verdict"
BACKDOOR: Mapping[str, Metric] = {
    INDEX: Metric(
        "Deviations by which one class stands out", Unit.NONE, Bound.AT_LEAST,
        higher_is_better=False, exact=True, number=True,
    ),
    NOISE_BIAS: Metric(
        "Meaningless inputs that fall to one class", Unit.SHARE, higher_is_better=False
    ),
    SUCCESS: Metric(
        "Rows that one trigger sends to one class", Unit.SHARE, Bound.AT_LEAST,
        higher_is_better=False,
    ),
    GAP: Metric(
        "Success of the trigger beyond the best one for another class", Unit.NONE, Bound.AT_LEAST,
        higher_is_better=False,
    ),
    AWOKEN: Metric(
        "Success of the trigger beyond that on the parent", Unit.NONE, Bound.AT_LEAST,
        higher_is_better=False,
    ),
    VERDICT: Metric("Whether a backdoor is shown", Unit.NONE, Bound.AT_LEAST, exact=True),
}  # fmt: skip
"""What a hunt emits."""


def readings_of(evidence: Evidence, confidence: float, rules: Rules) -> tuple[Reading, ...]:
    """Return all readings; the verdict is at the level of the rules, whatever the confidence."""
    told = _Told(evidence, confidence)
    return (
        *told.indices(),
        *told.noise(),
        *told.successes(),
        *told.awoken(),
        replace(judge(evidence, rules).reading(), repeat=told.repeat),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Evidence, read at one confidence; intervals of one metric hold jointly."""

    evidence: Evidence
    confidence: float

    @property
    def repeat(self) -> Repeat:
        """What a second run must give of figures that clean models have a part in.

        Nobody promises that the owner's code trains the same model twice, or fails twice.
        """
        item = self.evidence.get("no_clean_models")
        failed = item is not None and read_gap(item).reason is Reason.RECIPE_FAILED
        retrained = "null_noise" in self.evidence and "ready_models" not in self.evidence
        return Repeat.INTERVAL if failed or retrained else Repeat.EXACT

    def indices(self) -> Iterator[Reading]:
        """Yield how far the strangest class stands out, detector by detector."""
        looked = detectors_of(self.evidence)
        for detector in DETECTORS:
            if detector in looked:
                yield self._index(detector)
            elif detector in {MASK, MARGIN}:
                yield self._without_twin(INDEX, {"detector": NAMES[detector]})

    def _index(self, detector: str) -> Reading:
        evidence, place = self.evidence, {"detector": NAMES[detector]}
        found, scores = index_of(evidence, detector), class_scores(evidence, detector)
        if found is None:
            return _too_few_classes(len(scores), place)
        details: dict[str, Json] = {
            "target_class": self._name(top_class(evidence, detector)),
            "lead": lead(scores),
        }
        chance = p_value(evidence, detector)
        if detector == MARGIN:
            chance = margin_p_value(cast("NDArray[np.float64]", evidence["margins"]))
        if chance is not None:
            details["p_value"] = chance
        return Measurement(
            metric=INDEX,
            value=found,
            bound=Bound.AT_LEAST,
            method="median absolute deviation over classes",
            n=len(scores),
            params=place,
            repeat=Repeat.EXACT if detector in {MASK, MARGIN} else self.repeat,
            details=details,
        )

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
        trials = trials_of(self.evidence)
        level = 1 - (1 - self.confidence) / max(1, len(trials))
        for trial in trials:
            yield from self._success(trial, level)
        if MASK not in [trial.kind for trial in trials]:
            yield self._without_twin(SUCCESS, {"trigger": MASK})

    def _success(self, trial: Trial, level: float) -> Iterator[Reading]:
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
            success, SUCCESS, Unit.SHARE, bound=Bound.AT_LEAST, params=place, repeat=self.repeat,
            details=details,
        )  # fmt: skip
        interval, rival = gap
        named: dict[str, Json] = {
            "target_class": self._name(target), "rival_class": self._name(rival),
        }  # fmt: skip
        yield Measurement.of(
            interval, GAP, Unit.NONE, bound=Bound.AT_LEAST, params=place, details=named
        )

    def awoken(self) -> Iterator[Reading]:
        """Yield how much more often each trigger works here than on the parent, if there is one."""
        if "parent_before" not in self.evidence:
            return
        trials = trials_of(self.evidence)
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
                bound=Bound.AT_LEAST,
                params=place,
                details={
                    "target_class": self._name(target),
                    "success_here": float(ours.mean()),
                    "success_on_parent": float(theirs.mean()),
                },
            )

    def _name(self, target: int) -> str:
        return names_of(self.evidence)[target]

    def _without_twin(self, metric: str, place: Mapping[str, str]) -> Gap:
        return replace(read_gap(self.evidence["no_twin"]), metric=metric, params=dict(place))


def _one_class(metric: str, place: Mapping[str, str]) -> Gap:
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail="All judged rows are of the class that the trigger leads to.",
        cure="Evaluate on rows of several classes.",
        metric=metric,
        params=dict(place),
    )


def _too_few_classes(count: int, place: Mapping[str, str]) -> Gap:
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"Among {count} classes none stands out from the others; it takes {FEWEST_CLASSES}.",
        cure="Name a recipe, so that clean models can be compared with.",
        metric=INDEX,
        params=dict(place),
    )
