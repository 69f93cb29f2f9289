"""Readings of one stated probability: its line, its errors, and the Brier score taken apart."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.stated import Stated
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.intervals import Interval
from auditor.domain.readings import Astray, Gap, Measurement, Reading, Reason, Unit
from auditor.stats import binning
from auditor.stats.brier import brier_parts
from auditor.stats.losses import FLOOR, count_clipped
from auditor.stats.recalibration import (
    Recalibration,
    recalibrate,
    recalibrate_clustered,
    spiegelhalter,
)
from auditor.stats.smooth_calibration import smooth_error

CERTAINTY: Mapping[str, Metric] = {
    "slope": Metric("Recalibration slope (1 is right, less is too bold)", Unit.NONE),
    "intercept": Metric("Recalibration intercept (0 is right)", Unit.NONE),
    "debiased_l2": Metric("Debiased L2 calibration error", Unit.SHARE, higher_is_better=False),
    "smece": Metric("Smooth calibration error", Unit.SHARE, higher_is_better=False),
    "brier_reliability": Metric(
        "Brier score: lost to miscalibration", Unit.NONE, higher_is_better=False
    ),
    "brier_resolution": Metric(
        "Brier score: gained by telling cases apart", Unit.NONE, higher_is_better=True
    ),
    "brier_uncertainty": Metric("Brier score: of the base rate", Unit.NONE),
    "ece_15": Metric(
        "Expected calibration error, 15 bins", Unit.SHARE, higher_is_better=False, exact=True
    ),
}
"""What one stated probability emits."""
BINNED = ("debiased_l2", "brier_reliability", "brier_resolution", "brier_uncertainty")
ECE_DOUBT = "biased upward, and no interval of it is known to cover: for comparability only"
ECE_METHOD = "15 equal-width bins, the last one closed; for comparability only"
L2_LIMITS = "errors of opposite sign within a bin cancel: the error of the binned scores"
_WORDS = {
    "stated": "confidence",
    "happened": "accuracy",
    "happened_low": "accuracy_low",
    "happened_high": "accuracy_high",
}


def line_of(seen: Stated, confidence: float) -> Recalibration | None:
    """Return the recalibration line, with the clusters' own error where there are enough."""
    if seen.robust and seen.clusters is not None:
        return recalibrate_clustered(
            seen.stated, seen.happened, seen.clusters, confidence, seen.odds
        )
    return recalibrate(seen.stated, seen.happened, confidence, seen.odds)


def too_few(metric: str, rows: int) -> Gap:
    """Say that there are too few rows for bins."""
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} needs {binning.LEAST_ROWS} rows, and there are {rows}.",
        cure=f"Evaluate on at least {binning.LEAST_ROWS} rows.",
        metric=metric,
    )


def diagram(seen: Stated, placed: NDArray[np.int64], confidence: float) -> list[Json]:
    """Return the reliability diagram in the words that reports read."""
    found = binning.reliability(seen.stated, seen.happened, placed, confidence)
    return [{_WORDS.get(key, key): value for key, value in asdict(b).items()} for b in found]


@dataclass(frozen=True, slots=True, eq=False)
class Certainty:
    """The figures of ``CERTAINTY`` at a confidence; ``seed`` is that of what is simulated."""

    seen: Stated
    confidence: float
    seed: int

    def line(self) -> Iterator[Reading]:
        """Return slope and intercept, or why there are none."""
        seen, found = self.seen, line_of(self.seen, self.confidence)
        if found is None:
            yield from (self.undefined("slope"), self.undefined("intercept"))
            return
        doubt = seen.doubt(found)
        details = {**seen.about, **doubt, **self.test(found, robust=seen.robust)}
        for metric, interval in (("slope", found.slope), ("intercept", found.intercept)):
            yield Measurement.of(interval, metric, Unit.NONE, doubted=bool(doubt), details=details)

    def test(self, found: Recalibration, *, robust: bool) -> dict[str, Json]:
        """Say how the joint test of slope 1 and intercept 0 came out."""
        name = "hotelling_t2" if robust else "likelihood_ratio"
        return {
            name: found.statistic,
            "p_value": found.p_value,
            "intercept_at_slope_one": found.offset,
            **self.floor(),
        }

    def floor(self) -> dict[str, Json]:
        """Say where probabilities were clipped; of log odds nothing is."""
        if self.seen.odds is not None:
            return {"from": "logits"}
        return {"floor": FLOOR, "clipped": count_clipped(self.seen.stated)}

    def debiased(self) -> Reading:
        """Return the debiased error with the reliability diagram's bins."""
        seen = self.seen
        if len(seen.stated) < binning.LEAST_ROWS:
            return too_few("debiased_l2", len(seen.stated))
        bins = diagram(seen, binning.equal_mass(seen.stated), self.confidence)
        found = binning.debiased_l2(seen.stated, seen.happened, self.confidence)
        return self.taken(found, "debiased_l2", Unit.SHARE, {"limits": L2_LIMITS, "bins": bins})

    def smooth(self) -> Reading:
        """Return the smooth error beside what a calibrated model shows, and the curve."""
        seen = self.seen
        found = smooth_error(seen.stated, seen.happened, self.confidence, self.seed)
        tested = spiegelhalter(seen.stated, seen.happened)
        details: dict[str, Json] = {
            "if_calibrated": asdict(found.null),
            "spiegelhalter": None if tested is None else {"z": tested[0], "p_value": tested[1]},
            "curve": [asdict(point) for point in found.curve],
            "seed": self.seed,
        }
        return self.taken(found.interval, "smece", Unit.SHARE, details)

    def brier(self) -> Iterator[Reading]:
        """Return the parts of the Brier score."""
        seen = self.seen
        if len(seen.stated) < binning.LEAST_ROWS:
            yield from (too_few(metric, len(seen.stated)) for metric in BINNED[1:])
            return
        parts = brier_parts(seen.stated, seen.happened, self.confidence)
        details: dict[str, Json] = {"as_sampled": asdict(parts.plain)}
        yield self.taken(parts.reliability, "brier_reliability", Unit.NONE, details)
        yield self.taken(parts.resolution, "brier_resolution", Unit.NONE, details)
        yield self.taken(parts.uncertainty, "brier_uncertainty", Unit.NONE, details)

    def ece(self) -> Reading:
        """Return the expected calibration error, doubted so that no rule passes on it."""
        seen = self.seen
        bins = diagram(seen, binning.equal_width(seen.stated), self.confidence)
        return Measurement(
            metric="ece_15",
            value=binning.expected_error(seen.stated, seen.happened),
            method=ECE_METHOD,
            n=len(seen.stated),
            unit=Unit.SHARE,
            doubted=True,
            astray=Astray.TOO_HIGH,
            details={
                **seen.about,
                "doubt": ECE_DOUBT,
                "expected_if_calibrated": binning.expected_if_calibrated(seen.stated),
                "bins": bins,
            },
        )

    def taken(
        self, interval: Interval, metric: str, unit: Unit, details: Mapping[str, Json]
    ) -> Measurement:
        """Return a measurement whose interval takes rows for independent."""
        return Measurement.of(
            interval,
            metric,
            unit,
            doubted=self.seen.clustered,
            details={**self.seen.doubts, **details},
        )

    def undefined(self, metric: str) -> Gap:
        """Say why the recalibration line is not defined."""
        right = int(self.seen.happened.sum())
        return Gap(
            reason=Reason.NOT_DEFINED,
            detail=f"{metric} is not defined: {right} of {len(self.seen.stated)} came true, and a "
            f"threshold on the stated probability ({self.seen.of}) tells them apart, so that the "
            "best slope is infinite, or the model states one probability only.",
            cure="Evaluate on more rows, or on harder ones, so that both outcomes overlap.",
            metric=metric,
        )
