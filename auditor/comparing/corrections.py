"""Readings of all classes' probabilities, and of what a simple correction would gain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from auditor.comparing.certainty import L2_LIMITS, diagram, too_few
from auditor.comparing.clipped import HANGS
from auditor.comparing.stated import Stated
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.intervals import Interval
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.tasks import Floats
from auditor.stats import binning
from auditor.stats.class_calibration import classwise_l2, top_label_l2
from auditor.stats.paired import LEAST
from auditor.stats.recalibration import LEAST_CLUSTERS
from auditor.stats.tempering import Advice, Halves, platt, temper

CORRECTIONS: Mapping[str, Metric] = {
    "classwise_l2": Metric(
        "Debiased L2 calibration error over all classes", Unit.SHARE, higher_is_better=False
    ),
    "class_l2": Metric(
        "Debiased L2 calibration error of a class", Unit.SHARE, higher_is_better=False
    ),
    "top_label_l2": Metric(
        "Debiased L2 calibration error within each answer", Unit.SHARE, higher_is_better=False
    ),
    "temperature_gain": Metric("Log loss that a temperature would save", Unit.NAT),
    "platt_gain": Metric("Log loss that Platt scaling would save", Unit.NAT),
}
"""What all classes together emit."""
MOST_DRAWN = 20
ADVICE = {
    "temperature_gain": "divide the model's log odds by this temperature",
    "platt_gain": "put the model's log odds on this line",
}

NO_ADVICE = "none: the probabilities are cut off, and the constants are those of where they are"


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Probabilities ``[n, classes]``, labels ``[n]``, and which rows a correction is learnt on.

    Log ``chances`` ``[n, classes]`` are there where probabilities say less.
    """

    seen: Stated
    names: tuple[str, ...]
    stated: Floats
    labels: NDArray[np.int64]
    learnt: NDArray[np.bool_]
    chances: Floats | None = None

    @property
    def binary(self) -> bool:
        """Whether one probability says both."""
        return len(self.names) == 2  # noqa: PLR2004 -- a pair

    def errors(self, confidence: float) -> Iterator[Reading]:
        """Return the error over all classes, of each of many, and within each answer."""
        rows = len(self.labels)
        if rows < binning.LEAST_ROWS:
            yield from (too_few(metric, rows) for metric in ("classwise_l2", "top_label_l2"))
            return
        if self.binary:  # the errors of both classes are one and the same
            whole = binning.debiased_l2(self.seen.stated, self.seen.happened, confidence)
            yield self._share(whole, "classwise_l2", {"of": "both classes, which err alike"})
        else:
            whole, each = classwise_l2(self.stated, self.labels, confidence)
            yield self._share(whole, "classwise_l2", {"of": "each class"})
            yield from (self._class(at, item, confidence) for at, item in enumerate(each))
        answered = self.stated.argmax(axis=1)
        top = self.stated.max(axis=1), answered == self.labels, answered
        found = top_label_l2(*top, confidence)
        yield self._share(found, "top_label_l2", {"of": "the likeliest class, answer by answer"})

    def _class(self, at: int, found: Interval, confidence: float) -> Measurement:
        """Return one class's error, with its diagram where there are few enough to draw."""
        details: dict[str, Json] = {
            "of": f"probability of {self.names[at]}",
            "holds": "jointly with the other classes",
        }
        if len(self.names) <= MOST_DRAWN:
            mine = replace(
                self.seen, stated=self.stated[:, at], happened=self.labels == at, clusters=None
            )
            details["bins"] = diagram(mine, binning.equal_mass(mine.stated), confidence)
        return self._share(found, "class_l2", details, {"class": self.names[at]})

    def gains(self, confidence: float) -> Iterator[Reading]:
        """Return what a temperature and Platt scaling save on rows that they were not learnt on."""
        halves = Halves(self.learnt, self.seen.clusters)
        if not halves.enough:
            yield from (self._too_few(metric) for metric in ("temperature_gain", "platt_gain"))
            return
        advice = temper(self.stated, self.labels, halves, confidence, self.chances)
        yield self._gain("temperature_gain", advice)
        if not self.binary:
            yield _NO_PLATT
            return
        seen = self.seen
        found = platt(seen.stated, seen.happened, halves, confidence, seen.odds)
        yield _NO_LINE if found is None else self._gain("platt_gain", found)

    def _gain(self, metric: str, found: Advice) -> Measurement:
        hangs = found.hangs and self.seen.cut
        advice = (
            ADVICE[metric] if found.advised else "none: chance explains the gain, or it is a loss"
        )
        details: dict[str, Json] = {
            "advice": NO_ADVICE if hangs else advice,
            **({"doubt": HANGS} if hangs else {}),
            **found.corrects,
            "learnt_on": int(self.learnt.sum()),
            "measured_on": int((~self.learnt).sum()),
        }
        return Measurement.of(found.gain, metric, Unit.NAT, doubted=hangs, details=details)

    def _share(
        self,
        found: Interval,
        metric: str,
        details: Mapping[str, Json],
        params: Mapping[str, str] | None = None,
    ) -> Measurement:
        return Measurement.of(
            found,
            metric,
            Unit.SHARE,
            params=params,
            doubted=self.seen.clustered,
            details={**self.seen.doubts, "limits": L2_LIMITS, **details},
        )

    def _too_few(self, metric: str) -> Gap:
        halves = f"{int(self.learnt.sum())} and {int((~self.learnt).sum())}"
        return Gap(
            reason=Reason.TOO_FEW_ROWS,
            detail=f"{metric} is learnt on one half and measured on the other: each needs {LEAST} "
            f"rows, of {LEAST_CLUSTERS} clusters if they come in such, and they have {halves}.",
            cure=f"Evaluate on at least {3 * LEAST} rows, in many clusters.",
            metric=metric,
        )


def both_classes(stated: Floats) -> Floats:
    """Return ``[n, 2]`` probabilities of a binary model, the positive class last."""
    return np.stack([1 - stated, stated], axis=1)


def both_chances(odds: Floats | None) -> Floats | None:
    """Return ``[n, 2]`` log probabilities of log odds ``[n]``, the positive class last."""
    return None if odds is None else np.stack([log_expit(-odds), log_expit(odds)], axis=1)


_NO_PLATT = Gap(
    reason=Reason.NOT_DEFINED,
    detail="platt_gain is that of a binary model: a line through the log odds of one probability.",
    cure="Read temperature_gain, which many classes have too.",
    metric="platt_gain",
)
_NO_LINE = Gap(
    reason=Reason.NOT_DEFINED,
    detail="platt_gain is not defined: a threshold tells apart what happened on the rows to learn "
    "from, so that the best slope is infinite, or one probability only is stated.",
    cure="Evaluate on more rows, or on harder ones, so that both outcomes overlap.",
    metric="platt_gain",
)
