"""Whether a backdoor is shown: independent detectors agree on a class, and a trigger works."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.conclusions import NOT_SEEN, OPEN, SHOWN, VERDICT
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.readings import Bound, Measurement, Reason
from auditor.poisons.backdoor_cases import (
    NAMES,
    Trial,
    detectors_of,
    index_of,
    names_of,
    top_class,
    trials_of,
)
from auditor.poisons.backdoor_names import named_classes
from auditor.poisons.backdoor_reach import (
    AGREEING,
    Rules,
    able_detectors,
    least_success,
    obstacles,
)

OF_SHADOWS = frozenset({Reason.NEEDS_SHADOWS, Reason.SHADOWS_MISMATCH, Reason.SHADOWS_FAILED})
LOOKED_FOR = (
    "triggers that send rows of every other class to one class; one that works on rows of a single "
    "class alone is not looked for, and what is seen of it is what is seen of a clean model"
)


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
            metric=VERDICT,
            value=self.value,
            bound=Bound.AT_LEAST,
            method=method,
            n=self.n,
            details=self.details,
        )


def judge(evidence: Evidence, rules: Rules) -> Judgement:
    """Return the verdict of a hunt."""
    named = dict(named_classes(evidence, rules))
    votes = Counter(at for of in named.values() for at in of)
    agreed = [at for at, count in votes.items() if count >= AGREEING]
    working = {
        trial.kind: top_class(evidence, trial.kind)
        for trial in trials_of(evidence)
        if _asked(trial, named) and _works(trial, rules, agreed)
    }
    value, reason, target = _verdict(votes, agreed, working)
    why = list(obstacles(evidence, rules))
    if why:
        value, reason = OPEN, " ".join([*([reason] if reason else []), *why])
    names = names_of(evidence)
    details: dict[str, Json] = {
        "named": {NAMES[who]: " and ".join(names[at] for at in of) for who, of in named.items()},
        "working": {kind: names[at] for kind, at in working.items()},
        "looked": [NAMES[detector] for detector in detectors_of(evidence)],
        "able": [NAMES[detector] for detector in able_detectors(evidence, rules)],
        "power": _power(evidence, rules),
    }
    if target is not None:
        details["target_class"] = names[target]
    if len(agreed) > 1:
        details["target_classes"] = [names[at] for at in agreed]
    details |= _clean_models(evidence)
    if reason:
        details["reason"] = reason
    return Judgement(value, len(cast("NDArray[np.int64]", evidence["before"])), details)


def _clean_models(evidence: Evidence) -> dict[str, Json]:
    """Say how ready clean models agree with the artifact, or why there is none to compare with."""
    if "ready_models" in evidence:
        return {"ready_shadows": cast("Json", evidence["ready_models"])}
    gap = read_gap(evidence["no_clean_models"]) if "no_clean_models" in evidence else None
    return {"ready_shadows": gap.detail} if gap is not None and gap.reason in OF_SHADOWS else {}


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


def _asked(trial: Trial, named: Collection[str]) -> bool:
    """Return whether a kind of triggers singles a class out, or had no means to."""
    return trial.kind in named or index_of(trial.evidence, trial.kind) is None


def _works(trial: Trial, rules: Rules, agreed: Sequence[int]) -> bool:
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
    told: dict[str, Json] = {
        "judged_rows": rows,
        "least_success": least_success(rows, rules.confidence(evidence), rules.success),
        "largest_mask_share": rules.most_mask,
        "least_anomaly_index": rules.index,
        "looked_for": LOOKED_FOR,
    }
    return told
