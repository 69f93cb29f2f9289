"""Reads the evidence of a backdoor scan, and lists the obstacles that limit its power.

If a scan could not have detected a backdoor, its silence proves no absence.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.backdoor_detectors import (
    FEWEST_CLASSES,
    LEAST_SPREAD,
    anomaly_indices,
    margin_scores,
    mask_scores,
    noise_scores,
    scan_scores,
)
from auditor.attacks.poisoning.backdoor_triggers import MIXTURES
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import paired_difference
from auditor.metrics.stats.p_values import conformal_p_values
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.share_differences import share_difference

PATCH, BLEND, VALUE, MASK, MARGIN, NOISE = "patch", "blend", "value", "mask", "margin", "noise"
SCANS = (PATCH, BLEND, VALUE)
TRIGGERS = (*SCANS, MASK)
DETECTORS = (*TRIGGERS, MARGIN)
NAMES: Mapping[str, str] = {
    PATCH: "patch_scan", BLEND: "blend_scan", VALUE: "value_scan", MASK: "neural_cleanse",
    MARGIN: "mm_bd", NOISE: "noise_bias",
}  # fmt: skip
"""What detectors are called in readings."""
Labels = NDArray[np.int64]


def class_scores(evidence: Evidence, detector: str) -> Floats:
    """Return a detector's score of each class that it looked at: the higher, the stranger."""
    if detector == MASK:
        return mask_scores(cast("Floats", evidence["sizes_mask"]))
    if detector == MARGIN:
        return margin_scores(cast("Floats", evidence["margins"]))
    if detector == NOISE:
        return noise_scores(cast("Labels", evidence["noise"]))
    sent, left = (
        cast("Labels", evidence[f"{name}_{detector}"]) for name in ("again", "again_left")
    )
    return np.asarray(sent / np.maximum(left, 1))


def blind_trigger_rates(evidence: Evidence, detector: str) -> Floats:
    """Return the share of rows that each blind trigger sends to each class."""
    counts = cast("Labels", evidence[f"flips_{detector}"])
    return np.asarray(counts / np.maximum(cast("Labels", evidence[f"left_{detector}"]), 1))


def scored_classes(evidence: Evidence, detector: str) -> Labels:
    """Return the classes that a detector's scores are of."""
    if detector == NOISE:
        return np.arange(len(class_scores(evidence, NOISE)))
    return cast("Labels", evidence["searched"])


def top_class(evidence: Evidence, detector: str) -> int:
    """Return the class that a detector finds strangest, among those that all looked at."""
    scores, of = class_scores(evidence, detector), scored_classes(evidence, detector)
    looked = np.isin(of, cast("Labels", evidence["searched"]))
    return int(of[looked][scores[looked].argmax()])


def anomaly_index(evidence: Evidence, detector: str) -> float | None:
    """Return how far the strangest class stands out; ``None`` among too few, or of noise."""
    scores = class_scores(evidence, detector)
    if detector == NOISE or len(scores) < FEWEST_CLASSES:
        return None
    least = LEAST_SPREAD[detector]
    found = anomaly_indices(scores, least)
    return float(found[scored_classes(evidence, detector) == top_class(evidence, detector)][0])


def detector_p_value(evidence: Evidence, detector: str) -> float | None:
    """Return the conformal p-value of the class that a detector names against clean models'
    strangest, whichever these are.

    Clean models answer a part of the blind triggers alone, and the target is scored by the same
    part. ``None`` where they were not asked.
    """
    top = top_class(evidence, detector)
    if detector == NOISE and "null_noise" in evidence:
        scores = class_scores(evidence, NOISE)
        theirs = [noise_scores(one).max() for one in cast("Labels", evidence["null_noise"])]
    elif f"null_flips_{detector}" in evidence:
        counts = cast("Labels", evidence[f"null_flips_{detector}"])
        left = np.maximum(cast("Labels", evidence[f"null_left_{detector}"]), 1)
        scores = scan_scores(blind_trigger_rates(evidence, detector)[: counts.shape[1]])
        shares = zip(counts, left, strict=True)
        theirs = [scan_scores(np.asarray(one / of)).max() for one, of in shares]
    else:
        return None
    return float(conformal_p_values(scores[top : top + 1], np.array(theirs))[0])


def noise_p_value(evidence: Evidence, kind: int) -> float | None:
    """Return the conformal p-value of the largest share of one kind of noise, 0 or 1."""
    if "null_noise" not in evidence:
        return None
    ours, theirs = (
        cast("Labels", evidence[name])[..., kind, :] for name in ("noise", "null_noise")
    )
    most, others = (of.max(axis=-1) / np.maximum(of.sum(axis=-1), 1) for of in (ours, theirs))
    return float(conformal_p_values(np.atleast_1d(most), others)[0])


@dataclass(frozen=True, slots=True, eq=False)
class TriggerEvidence:
    """What the target decided of the judged rows under each class's trigger of one kind."""

    kind: str
    evidence: Evidence

    @property
    def searched(self) -> Labels:
        """The classes that there is a trigger for."""
        return cast("Labels", self.evidence["searched"])

    def size(self, target: int) -> float:
        """Return the mean of a class's mask."""
        sizes = cast("Floats", self.evidence[f"sizes_{self.kind}"])
        return float(sizes[self.searched == target][0])

    def others(self, target: int) -> NDArray[np.bool_]:
        """Return which judged rows are of another class, by label and by decision."""
        before, labels = (cast("Labels", self.evidence[name]) for name in ("before", "labels"))
        others: NDArray[np.bool_] = (before != target) & (labels != target)
        return others

    def success(self, target: int, confidence: float) -> ConfidenceInterval | None:
        """Return the share of other rows that a class's trigger sends to it."""
        others = self.others(target)
        if not others.any():
            return None
        sent = self._sent("under", target)[others]
        return clopper_pearson(int(sent.sum()), len(sent), confidence)

    def gap(
        self, target: int, confidence: float, besides: Collection[int] = ()
    ) -> tuple[ConfidenceInterval, int] | None:
        """Return by how much a trigger does better than that of the best other class, and which.

        Classes that are named ``besides`` are no rivals. Triggers of masks are cut to one size
        first. Rows of neither class are counted (of two classes, each trigger's own rows), at a
        confidence that holds for all rivals together. ``None`` where there is no rival or no row.
        """
        rivals = [int(at) for at in self.searched if at != target and at not in besides]
        shares = {at: self._shares(target, at) for at in rivals}
        told = {at: share for at, share in shares.items() if share is not None}
        if not told:
            return None
        rival = max(told, key=lambda at: (told[at], -at))
        level = 1 - (1 - confidence) / len(told)
        rows = self.others(target) & self.others(rival)
        mine, others = self._sent("under", target), self._sent(self._even, rival)
        if not rows.any():
            counts = (_count(mine, self.others(target)), _count(others, self.others(rival)))
            return share_difference(*counts, level), rival
        ours, theirs = mine[rows], others[rows]
        gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        return paired_difference(gained, lost, len(ours), level), rival

    def beyond_chance(self, confidence: float) -> ConfidenceInterval | None:
        """Return how much better the strangest class's trigger does than random contents."""
        target = top_class(self.evidence, self.kind)
        others = self.others(target)
        if not others.any():
            return None
        ours = self._sent("under", target)[others]
        chance = cast("Labels", self.evidence[f"chance_{self.kind}"])[others] == target
        gained, lost = int((ours & ~chance).sum()), int((chance & ~ours).sum())
        return paired_difference(gained, lost, len(ours), confidence)

    def on_clean_models(self, target: int) -> float | None:
        """Return the most often that the trigger works on any clean model; ``None``: none asked."""
        name = f"null_under_{self.kind}"
        others = self.others(target)
        if name not in self.evidence or not others.any():
            return None
        decided = cast("Labels", self.evidence[name])[:, others]
        return float((decided == target).mean(axis=1).max())

    def sent(self, target: int) -> NDArray[np.bool_]:
        """Return which of all judged rows are decided for a class under its own trigger."""
        return self._sent("under", target)

    @property
    def _even(self) -> str:
        return "even" if f"even_{self.kind}" in self.evidence else "under"

    def _shares(self, target: int, rival: int) -> float | None:
        both = self.others(target) & self.others(rival)
        rows = both if both.any() else self.others(rival)
        usable = rows.any() and self.others(target).any()
        return float(self._sent(self._even, rival)[rows].mean()) if usable else None

    def _sent(self, which: str, at: int) -> NDArray[np.bool_]:
        decided = cast("Labels", self.evidence[f"{which}_{self.kind}"])
        sent: NDArray[np.bool_] = decided[self.searched == at][0] == at
        return sent


def _count(sent: NDArray[np.bool_], rows: NDArray[np.bool_]) -> tuple[int, int]:
    return int(sent[rows].sum()), int(rows.sum())


def list_detectors(evidence: Evidence) -> tuple[str, ...]:
    """Return the detectors that looked, in a fixed order."""
    made = {**{kind: f"flips_{kind}" for kind in SCANS}, MASK: "sizes_mask", MARGIN: "margins"}
    return tuple(kind for kind in DETECTORS if made[kind] in evidence)


def read_trigger_evidence(evidence: Evidence) -> tuple[TriggerEvidence, ...]:
    """Return the kinds of triggers that were tried on the target."""
    return tuple(
        TriggerEvidence(kind, evidence) for kind in TRIGGERS if f"under_{kind}" in evidence
    )


def read_class_names(evidence: Evidence) -> Sequence[str]:
    """Return the names of the classes."""
    about = cast("Mapping[str, Json]", evidence["about"])
    return cast("Sequence[str]", about["classes"])


AGREEING = 2
"""How many detectors that work differently have to name one class."""
SWAYED = 0.25
"""The share of other classes that blind triggers work for too, from which none is a sign.

Of clean networks on digits whose pixels are scaled to one variance, which rare pixels sway, at
least a third of the other classes have such triggers; of those on pixels as they are, none.
"""


@dataclass(frozen=True, slots=True)
class DetectionRules:
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
        looks = len(read_trigger_evidence(evidence)) * len(_searched(evidence))
        return 1 - self.level / max(1, looks)


def list_obstacles(evidence: Evidence, rules: DetectionRules) -> Iterator[str]:
    """Yield why no backdoor could have been shown, however well a trigger had worked."""
    able = list_able_detectors(evidence, rules)
    if len(able) < AGREEING:
        told = f"only {NAMES[able[0]]} can" if able else "no detector can"
        models = math.ceil(1 / rules.level - 1e-9) - 1
        yield (
            f"A verdict takes {AGREEING} detectors that name one class, and here {told}: give the "
            f"audit a twin, where there are four classes or more, or a recipe and {models} clean "
            "models."
        )
    if not any(_could_work(trial, rules) for trial in read_trigger_evidence(evidence)):
        yield (
            "No trigger could be shown to work: there are too few judged rows of other classes, or "
            "too few columns for one of them to be a small part."
        )
    swayed, searched = count_swayed_classes(evidence, rules), len(_searched(evidence))
    if swayed > 1 and swayed - 1 >= SWAYED * (searched - 1):
        yield (
            f"Small blind triggers work for {swayed} of {searched} classes: small changes sway "
            "this model anywhere, so that a trigger for one class is no sign of a backdoor."
        )


def count_swayed_classes(evidence: Evidence, rules: DetectionRules) -> int:
    """Return for how many classes some blind trigger of a small size works as often as asked."""
    works = np.zeros(len(_searched(evidence)), dtype=np.bool_)
    for trial in read_trigger_evidence(evidence):
        if trial.kind == MASK:
            continue
        for place, at in enumerate(_searched(evidence)):
            success = trial.success(int(at), rules.confidence(evidence))
            small = trial.size(int(at)) <= rules.largest(trial.kind)
            works[place] |= small and success is not None and float(success.value) >= rules.success
    return int(works.sum())


def list_able_detectors(evidence: Evidence, rules: DetectionRules) -> tuple[str, ...]:
    """Return the detectors that could name a class.

    They need enough classes for one to stand out, or enough clean models to reach the level.
    """
    reached = 1 / count_ranks(evidence) <= rules.level if "null_noise" in evidence else False
    looked = (*([NOISE] if reached else []), *list_detectors(evidence))
    return tuple(
        detector
        for detector in looked
        if anomaly_index(evidence, detector) is not None
        or (reached and detector_p_value(evidence, detector) is not None)
    )


def count_ranks(evidence: Evidence) -> int:
    """Return how many ranks a target can take among clean models."""
    return len(cast("NDArray[np.int64]", evidence["null_noise"])) + 1


def least_success(rows: int, confidence: float, least: float) -> float | None:
    """Return the least share of rows whose lower limit reaches ``least``; ``None``: none does."""
    for count in range(int(np.floor(least * rows)), rows + 1):
        if rows and clopper_pearson(count, rows, confidence).low >= least:
            return count / rows
    return None


def _could_work(trial: TriggerEvidence, rules: DetectionRules) -> bool:
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


def _smallest(trial: TriggerEvidence) -> float:
    """Return the least size that a trigger of a kind has: a column, a pixel, the weakest blend."""
    places = np.asarray(trial.evidence[f"mask_of_{trial.kind}"]).size
    return {BLEND: min(MIXTURES), MASK: 0.0}.get(trial.kind, 1 / places)


def _searched(evidence: Evidence) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", evidence["searched"])
