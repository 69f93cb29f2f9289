"""What a hunt saw, read again from evidence: scores of classes, and successes of triggers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.poisons.backdoor_statistics import (
    FEWEST_CLASSES,
    LEAST_SPREAD,
    margin_scores,
    mask_scores,
    noise_scores,
    outlying,
    scan_scores,
)
from auditor.stats.conformal import conformal_p_values
from auditor.stats.differences import share_difference
from auditor.stats.paired import paired_difference
from auditor.stats.proportions import clopper_pearson

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


def rates(evidence: Evidence, detector: str) -> Floats:
    """Return the share of rows that each blind trigger sends to each class."""
    counts = cast("Labels", evidence[f"flips_{detector}"])
    return np.asarray(counts / np.maximum(cast("Labels", evidence[f"left_{detector}"]), 1))


def classes_of(evidence: Evidence, detector: str) -> Labels:
    """Return the classes that a detector's scores are of."""
    if detector == NOISE:
        return np.arange(len(class_scores(evidence, NOISE)))
    return cast("Labels", evidence["searched"])


def top_class(evidence: Evidence, detector: str) -> int:
    """Return the class that a detector finds strangest, among those that all looked at."""
    scores, of = class_scores(evidence, detector), classes_of(evidence, detector)
    looked = np.isin(of, cast("Labels", evidence["searched"]))
    return int(of[looked][scores[looked].argmax()])


def index_of(evidence: Evidence, detector: str) -> float | None:
    """Return how far the strangest class stands out; ``None`` among too few, or of noise."""
    scores = class_scores(evidence, detector)
    if detector == NOISE or len(scores) < FEWEST_CLASSES:
        return None
    least = LEAST_SPREAD[detector]
    found = outlying(scores, least)
    return float(found[classes_of(evidence, detector) == top_class(evidence, detector)][0])


def p_value(evidence: Evidence, detector: str) -> float | None:
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
        scores = scan_scores(rates(evidence, detector)[: counts.shape[1]])
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
class Trial:
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

    def success(self, target: int, confidence: float) -> Interval | None:
        """Return the share of other rows that a class's trigger sends to it."""
        others = self.others(target)
        if not others.any():
            return None
        sent = self._sent("under", target)[others]
        return clopper_pearson(int(sent.sum()), len(sent), confidence)

    def gap(
        self, target: int, confidence: float, besides: Collection[int] = ()
    ) -> tuple[Interval, int] | None:
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

    def beyond_chance(self, confidence: float) -> Interval | None:
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


def detectors_of(evidence: Evidence) -> tuple[str, ...]:
    """Return the detectors that looked, in a fixed order."""
    made = {**{kind: f"flips_{kind}" for kind in SCANS}, MASK: "sizes_mask", MARGIN: "margins"}
    return tuple(kind for kind in DETECTORS if made[kind] in evidence)


def trials_of(evidence: Evidence) -> tuple[Trial, ...]:
    """Return the kinds of triggers that were tried on the target."""
    return tuple(Trial(kind, evidence) for kind in TRIGGERS if f"under_{kind}" in evidence)


def names_of(evidence: Evidence) -> Sequence[str]:
    """Return the names of the classes."""
    about = cast("Mapping[str, Json]", evidence["about"])
    return cast("Sequence[str]", about["classes"])
