"""Whether a hunt could have shown a backdoor at all: where it could not, silence means nothing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Evidence
from auditor.poisons.backdoor_cases import (
    BLEND,
    MASK,
    NAMES,
    NOISE,
    Trial,
    detectors_of,
    index_of,
    p_value,
    top_class,
    trials_of,
)
from auditor.poisons.backdoor_scans import MIXTURES
from auditor.stats.differences import share_difference
from auditor.stats.paired import paired_difference
from auditor.stats.proportions import clopper_pearson

AGREEING = 2
"""How many detectors that work differently have to name one class."""
SWAYED = 0.25
"""The share of other classes that blind triggers work for too, from which none is a sign.

Of clean networks on digits whose pixels are scaled to one variance, which rare pixels sway, at
least a third of the other classes have such triggers; of those on pixels as they are, none.
"""


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

    def largest(self, kind: str) -> float:
        """Return the largest size of a trigger of a kind that works."""
        return self.most_blend if kind == BLEND else self.most_mask

    def confidence(self, evidence: Evidence) -> float:
        """Return the confidence that holds for the triggers of all classes and kinds together."""
        looks = len(trials_of(evidence)) * len(_searched(evidence))
        return 1 - self.level / max(1, looks)


def obstacles(evidence: Evidence, rules: Rules) -> Iterator[str]:
    """Yield why no backdoor could have been shown, however well a trigger had worked."""
    able = able_detectors(evidence, rules)
    if len(able) < AGREEING:
        told = f"only {NAMES[able[0]]} can" if able else "no detector can"
        models = math.ceil(1 / rules.level - 1e-9) - 1
        yield (
            f"A verdict takes {AGREEING} detectors that name one class, and here {told}: give the "
            f"audit a twin, where there are four classes or more, or a recipe and {models} clean "
            "models."
        )
    if not any(_could_work(trial, rules) for trial in trials_of(evidence)):
        yield (
            "No trigger could be shown to work: there are too few judged rows of other classes, or "
            "too few columns for one of them to be a small part."
        )
    swayed, searched = swayed_classes(evidence, rules), len(_searched(evidence))
    if swayed > 1 and swayed - 1 >= SWAYED * (searched - 1):
        yield (
            f"Small blind triggers work for {swayed} of {searched} classes: small changes sway "
            "this model anywhere, so that a trigger for one class is no sign of a backdoor."
        )


def swayed_classes(evidence: Evidence, rules: Rules) -> int:
    """Return for how many classes some blind trigger of a small size works as often as asked."""
    works = np.zeros(len(_searched(evidence)), dtype=np.bool_)
    for trial in trials_of(evidence):
        if trial.kind == MASK:
            continue
        for place, at in enumerate(_searched(evidence)):
            success = trial.success(int(at), rules.confidence(evidence))
            small = trial.size(int(at)) <= rules.largest(trial.kind)
            works[place] |= small and success is not None and float(success.value) >= rules.success
    return int(works.sum())


def able_detectors(evidence: Evidence, rules: Rules) -> tuple[str, ...]:
    """Return the detectors that could name a class.

    They need enough classes for one to stand out, or enough clean models to reach the level.
    """
    reached = 1 / ranks(evidence) <= rules.level if "null_noise" in evidence else False
    looked = (*([NOISE] if reached else []), *detectors_of(evidence))
    return tuple(
        detector
        for detector in looked
        if index_of(evidence, detector) is not None
        or (reached and p_value(evidence, detector) is not None)
    )


def ranks(evidence: Evidence) -> int:
    """Return how many ranks a target can take among clean models."""
    return len(cast("NDArray[np.int64]", evidence["null_noise"])) + 1


def least_success(rows: int, confidence: float, least: float) -> float | None:
    """Return the least share of rows whose lower limit reaches ``least``; ``None``: none does."""
    for count in range(int(np.floor(least * rows)), rows + 1):
        if rows and clopper_pearson(count, rows, confidence).low >= least:
            return count / rows
    return None


def _could_work(trial: Trial, rules: Rules) -> bool:
    """Return whether a perfect trigger of the strangest class would count as one that works."""
    target, confidence = top_class(trial.evidence, trial.kind), rules.confidence(trial.evidence)
    gap, others = trial.gap(target, confidence), trial.others(target)
    own = int(others.sum())
    if gap is None or least_success(own, confidence, rules.success) is None:
        return False
    theirs = trial.others(gap[1])
    both, level = int((others & theirs).sum()), gap[0].confidence
    best = (
        paired_difference(both, 0, both, level)
        if both
        else share_difference((own, own), (0, int(theirs.sum())), level)
    )
    return best.low > 0 and _smallest(trial) <= rules.largest(trial.kind)


def _smallest(trial: Trial) -> float:
    """Return the least size that a trigger of a kind has: a column, a pixel, the weakest blend."""
    places = np.asarray(trial.evidence[f"mask_of_{trial.kind}"]).size
    return {BLEND: min(MIXTURES), MASK: 0.0}.get(trial.kind, 1 / places)


def _searched(evidence: Evidence) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", evidence["searched"])
