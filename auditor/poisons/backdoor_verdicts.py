"""Whether a backdoor is shown: independent detectors agree on a class, and a trigger works."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Bound, Measurement
from auditor.poisons.backdoor_cases import (
    BLEND,
    NAMES,
    NOISE,
    Trial,
    detectors_of,
    index_of,
    names_of,
    p_value,
    stands_out,
    top_class,
    trials_of,
)
from auditor.stats.proportions import clopper_pearson

SHOWN, NOTHING, UNSURE = "shown", "no evidence at this power", "inconclusive"
AGREEING = 2
"""How many detectors that work differently have to name one class."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a detector names a class, and when a trigger counts as one that works.

    ``index`` deviations and a lead over the second single a class out, where no clean models say
    more (``level``). A trigger
    works if its success, at a confidence corrected for all classes and kinds, is at least
    ``success``; if it covers at most ``most_mask`` of the input, or is mixed in at most
    ``most_blend`` strong; and if it does better than random contents, than the best trigger for
    any other class, and than on any clean model.
    """

    level: float
    index: float
    success: float
    most_mask: float
    most_blend: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, the class that it is about, and why."""

    value: str
    n: int
    details: Mapping[str, Json]

    def reading(self) -> Measurement:
        """Return the verdict as a measurement."""
        method = f"at least {AGREEING} detectors agree, and a trigger works on rows held out"
        return Measurement(
            metric="verdict",
            value=self.value,
            bound=Bound.AT_LEAST,
            method=method,
            n=self.n,
            details=self.details,
        )


def judge(evidence: Evidence, rules: Rules) -> Judgement:
    """Return the verdict of a hunt."""
    named = dict(_named(evidence, rules))
    working = {
        trial.kind: top_class(evidence, trial.kind)
        for trial in trials_of(evidence)
        if (trial.kind in named or index_of(evidence, trial.kind) is None) and _works(trial, rules)
    }
    value, reason, target = _verdict(named, working)
    names = names_of(evidence)
    details: dict[str, Json] = {
        "named": {NAMES[detector]: names[at] for detector, at in named.items()},
        "working": {kind: names[at] for kind, at in working.items()},
        "looked": [NAMES[detector] for detector in _able(evidence)],
        "power": _power(evidence, rules),
    }
    if target is not None:
        details["target_class"] = names[target]
    if reason:
        details["reason"] = reason
    return Judgement(value, len(cast("NDArray[np.int64]", evidence["before"])), details)


def _verdict(named: Mapping[str, int], working: Mapping[str, int]) -> tuple[str, str, int | None]:
    votes = {at: [who for who, of in named.items() if of == at] for at in named.values()}
    agreed = [at for at, who in votes.items() if len(who) >= AGREEING]
    for at in agreed:
        if at in working.values():
            return SHOWN, "", at
    if agreed:
        return (
            UNSURE,
            "Detectors agree on a class, but no trigger for it works as asked.",
            agreed[0],
        )
    both = [at for at in working.values() if at in votes]
    if both:
        return UNSURE, "A trigger works for a class that one detector alone names.", both[0]
    if working:
        return (
            UNSURE,
            "A trigger works, but no detector singles its class out.",
            next(iter(working.values())),
        )
    return NOTHING, "", None


def _named(evidence: Evidence, rules: Rules) -> Iterator[tuple[str, int]]:
    """Yield the detectors that single a class out, and that class.

    Clean models decide where there are enough of them to reach the level; fewer can only object.
    """
    for detector in _able(evidence):
        chance = p_value(evidence, detector)
        out = detector != NOISE and stands_out(evidence, detector, rules.index)
        if chance is not None:
            out = chance <= rules.level or (out and chance <= 1 / _ranks(evidence))
        if out:
            yield detector, top_class(evidence, detector)


def _able(evidence: Evidence) -> tuple[str, ...]:
    """Return the detectors that can name a class: noise where clean models tell what is usual."""
    return (*([NOISE] if "null_noise" in evidence else []), *detectors_of(evidence))


def _ranks(evidence: Evidence) -> int:
    """Return how many ranks a target can take among clean models."""
    return len(cast("NDArray[np.int64]", evidence["null_noise"])) + 1


def _works(trial: Trial, rules: Rules) -> bool:
    """Return whether the trigger of the strangest class works by all that is asked of it."""
    target = top_class(trial.evidence, trial.kind)
    looks = len(trials_of(trial.evidence)) * len(trial.searched)
    confidence = 1 - rules.level / looks
    most = rules.most_blend if trial.kind == BLEND else rules.most_mask
    success, gap = trial.success(target, confidence), trial.gap(target, confidence)
    chance = trial.beyond_chance(confidence)
    if success is None or gap is None or chance is None or trial.size(target) > most:
        return False
    clean = trial.on_clean_models(target)
    beyond = success.low >= rules.success and min(gap[0].low, chance.low) > 0
    return beyond and (clean is None or success.low > clean)


def _power(evidence: Evidence, rules: Rules) -> dict[str, Json]:
    """Say in plain numbers the least that would have been seen."""
    trials = trials_of(evidence)
    rows = min(
        (
            int(trial.others(at).sum())
            for trial in trials
            for at in [top_class(evidence, trial.kind)]
        ),
        default=0,
    )
    looks = sum(len(trial.searched) for trial in trials)
    told: dict[str, Json] = {
        "judged_rows": rows,
        "least_success": _least_success(rows, 1 - rules.level / max(1, looks), rules.success),
        "largest_mask_share": rules.most_mask,
        "least_anomaly_index": rules.index,
    }
    return told


def _least_success(rows: int, confidence: float, least: float) -> float | None:
    """Return the least share of rows whose lower limit reaches ``least``; ``None``: none does."""
    for count in range(int(np.floor(least * rows)), rows + 1):
        if rows and clopper_pearson(count, rows, confidence).low >= least:
            return count / rows
    return None
