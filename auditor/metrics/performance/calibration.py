"""Calibration readings of predicted probabilities, and the gain of a simple recalibration."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from auditor.domain.check_subject import Subject
from auditor.domain.checks import Metric
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, describe_cluster_doubt, read_clusters, write_clusters
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.performance.log_probabilities import (
    CUT,
    HANGS,
    observe_cutoff,
    observe_log_probabilities,
    read_log_probabilities,
)
from auditor.metrics.stats import binned_calibration
from auditor.metrics.stats.binned_calibration import (
    brier_parts,
    classwise_calibration_error,
    top_label_calibration_error,
)
from auditor.metrics.stats.cluster_robust import ClusterCodes
from auditor.metrics.stats.means import FLOOR, LEAST_PAIRS, count_clipped, log_odds
from auditor.metrics.stats.recalibration import (
    LEAST_CLUSTERS,
    CorrectionAdvice,
    CorrectionSplit,
    RecalibrationLine,
    advise_platt,
    advise_temperature,
    depends_on_clipping,
    recalibrate,
    recalibrate_clustered,
    spiegelhalter,
)
from auditor.metrics.stats.smooth_calibration import smooth_calibration_error

ODDS = "odds"


@dataclass(frozen=True, slots=True, eq=False)
class StatedProbabilities:
    """Probabilities ``[n]`` as stated, what came true ``[n]``, and of what they speak.

    ``clusters`` ``[n]`` are codes of rows that hang together, where some do; ``odds`` ``[n]`` log
    odds, where probabilities say less. Probabilities that are ``cut`` off end where the target's
    resolution does.
    """

    stated: Floats
    happened: NDArray[np.bool_]
    of: str
    clusters: ClusterCodes | None = None
    odds: Floats | None = None
    cut: bool = False

    @property
    def clustered(self) -> bool:
        """Whether rows hang together: what takes them for independent is doubted."""
        return self.clusters is not None

    @property
    def robust(self) -> bool:
        """Whether there are enough clusters to say how much they differ."""
        return self.clusters is not None and len(np.unique(self.clusters)) >= LEAST_CLUSTERS

    @property
    def about(self) -> dict[str, Json]:
        """What every reading says."""
        return {"of": self.of}

    @property
    def doubts(self) -> dict[str, Json]:
        """What a reading says that takes rows for independent."""
        return {**self.about, **describe_cluster_doubt(self.clustered)}

    def part(self, rows: NDArray[np.bool_]) -> "StatedProbabilities":
        """Return what was stated of some rows."""
        clusters = None if self.clusters is None else self.clusters[rows]
        odds = None if self.odds is None else self.odds[rows]
        return StatedProbabilities(
            self.stated[rows], self.happened[rows], self.of, clusters, odds, self.cut
        )

    def doubt(self, line: RecalibrationLine) -> dict[str, Json]:
        """Say why a line is doubted: where probabilities are cut off, or rows hang together."""
        if self.cut and depends_on_clipping(self.stated, self.happened, line):
            return {"doubt": HANGS}
        return describe_cluster_doubt(self.clustered and not self.robust)


def observe_stated_probabilities(subject: Subject) -> Evidence:
    """Score the evaluation data; keep the stated probability and whether it came true.

    A binary model speaks of its positive class, one of more classes of its answer: its whole rows
    of probabilities are kept. Raises ``TypeError`` where a need is not met: the frame asks first.
    """
    task, dataset = subject.task, subject.datasets[DatasetRole.EVALUATION]
    if not isinstance(task, ClassificationTask) or dataset.labels is None:
        message = "calibration needs a classification and labels, and the frame asks for both"
        raise TypeError(message)
    found, logits = subject.scores(DatasetRole.EVALUATION)
    probabilities = np.asarray(found, dtype=np.float64)
    exact = observe_log_probabilities(probabilities, logits)
    chances = read_log_probabilities(exact)
    seen: Evidence = {
        "ids": np.asarray(dataset.ids),
        "task": {
            "of": f"probability of {task.positive}" if task.binary else "top label",
            "classes": list(task.classes),
            **observe_cutoff(probabilities, logits),
        },
        **write_clusters(dataset),
    }
    if task.binary:
        stated = np.ascontiguousarray(probabilities[:, task.positive_index])
        happened = dataset.labels == task.positive_index
        told: Evidence = {**seen, "stated": stated, "happened": happened}
        if chances is None:
            return told
        return {**told, ODDS: np.ascontiguousarray(log_odds(chances)[:, task.positive_index])}
    return {
        **seen,
        **exact,
        "probabilities": probabilities,
        "labels": dataset.labels,
        "happened": subject.decisions(DatasetRole.EVALUATION) == dataset.labels,
    }


def write_stated_probabilities(seen: StatedProbabilities) -> Evidence:
    """Return the evidence form of one stated probability."""
    task: dict[str, Json] = {"of": seen.of, **({CUT: True} if seen.cut else {})}
    about: Evidence = {"stated": seen.stated, "happened": seen.happened, "task": task}
    if seen.odds is not None:
        about = {**about, ODDS: seen.odds}
    return about if seen.clusters is None else {**about, "clusters": seen.clusters}


def read_stated_probabilities(evidence: Evidence) -> StatedProbabilities:
    """Read back what was stated, and what happened."""
    task = cast("Mapping[str, Json]", evidence["task"])
    stated = (
        cast("Floats", evidence["probabilities"]).max(axis=1)
        if "probabilities" in evidence
        else cast("Floats", evidence["stated"])
    )
    return StatedProbabilities(
        stated,
        cast("NDArray[np.bool_]", evidence["happened"]),
        str(task["of"]),
        read_clusters(evidence),
        _read_odds(evidence),
        task.get(CUT) is True,
    )


def _read_odds(evidence: Evidence) -> Floats | None:
    """Read log odds ``[n]`` back, of the likeliest class where all classes' chances are kept."""
    chances = read_log_probabilities(evidence)
    if chances is not None:
        return np.asarray(log_odds(chances).max(axis=1), dtype=np.float64)
    return cast("Floats", evidence[ODDS]) if ODDS in evidence else None


CERTAINTY: Mapping[str, Metric] = {
    "slope": Metric("Recalibration slope (1 is right, below 1 is overconfident)", Unit.NONE),
    "intercept": Metric("Recalibration intercept (0 is right)", Unit.NONE),
    "debiased_l2": Metric("Debiased L2 calibration error", Unit.SHARE, higher_is_better=False),
    "smece": Metric("Smooth calibration error", Unit.SHARE, higher_is_better=False),
    "brier_reliability": Metric("Brier score: miscalibration", Unit.NONE, higher_is_better=False),
    "brier_resolution": Metric("Brier score: discrimination", Unit.NONE, higher_is_better=True),
    "brier_uncertainty": Metric("Brier score: uncertainty of the base rate", Unit.NONE),
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


def fit_recalibration_line(
    seen: StatedProbabilities, confidence: float
) -> RecalibrationLine | None:
    """Return the recalibration line, with the clusters' own error where there are enough."""
    if seen.robust and seen.clusters is not None:
        return recalibrate_clustered(
            seen.stated, seen.happened, seen.clusters, confidence, seen.odds
        )
    return recalibrate(seen.stated, seen.happened, confidence, seen.odds)


def explain_too_few_rows(metric: str, rows: int) -> Gap:
    """Say that there are too few rows for bins."""
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{metric} needs {binned_calibration.LEAST_ROWS} rows, and there are {rows}.",
        cure=f"Evaluate on at least {binned_calibration.LEAST_ROWS} rows.",
        metric=metric,
    )


def build_reliability_diagram(
    seen: StatedProbabilities, placed: NDArray[np.int64], confidence: float
) -> list[Json]:
    """Return the reliability diagram in the words that reports read."""
    found = binned_calibration.reliability_bins(seen.stated, seen.happened, placed, confidence)
    return [{_WORDS.get(key, key): value for key, value in asdict(b).items()} for b in found]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFigures:
    """The figures of ``CERTAINTY`` at a confidence; ``seed`` is that of what is simulated."""

    seen: StatedProbabilities
    confidence: float
    seed: int

    def line(self) -> Iterator[Reading]:
        """Return slope and intercept, or why there are none."""
        seen, found = self.seen, fit_recalibration_line(self.seen, self.confidence)
        if found is None:
            yield from (self.undefined("slope"), self.undefined("intercept"))
            return
        doubt = seen.doubt(found)
        details = {**seen.about, **doubt, **self.test(found, robust=seen.robust)}
        for metric, interval in (("slope", found.slope), ("intercept", found.intercept)):
            yield Measurement.of(interval, metric, Unit.NONE, doubted=bool(doubt), details=details)

    def test(self, found: RecalibrationLine, *, robust: bool) -> dict[str, Json]:
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
        if len(seen.stated) < binned_calibration.LEAST_ROWS:
            return explain_too_few_rows("debiased_l2", len(seen.stated))
        bins = build_reliability_diagram(
            seen, binned_calibration.equal_mass_bins(seen.stated), self.confidence
        )
        found = binned_calibration.debiased_calibration_error(
            seen.stated, seen.happened, self.confidence
        )
        return self.taken(found, "debiased_l2", Unit.SHARE, {"limits": L2_LIMITS, "bins": bins})

    def smooth(self) -> Reading:
        """Return the smooth error beside what a calibrated model shows, and the curve."""
        seen = self.seen
        found = smooth_calibration_error(seen.stated, seen.happened, self.confidence, self.seed)
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
        if len(seen.stated) < binned_calibration.LEAST_ROWS:
            yield from (explain_too_few_rows(metric, len(seen.stated)) for metric in BINNED[1:])
            return
        parts = brier_parts(seen.stated, seen.happened, self.confidence)
        details: dict[str, Json] = {"as_sampled": asdict(parts.plain)}
        yield self.taken(parts.reliability, "brier_reliability", Unit.NONE, details)
        yield self.taken(parts.resolution, "brier_resolution", Unit.NONE, details)
        yield self.taken(parts.uncertainty, "brier_uncertainty", Unit.NONE, details)

    def ece(self) -> Reading:
        """Return the expected calibration error, doubted so that no rule passes on it."""
        seen = self.seen
        bins = build_reliability_diagram(
            seen, binned_calibration.equal_width_bins(seen.stated), self.confidence
        )
        return Measurement(
            metric="ece_15",
            value=binned_calibration.expected_calibration_error(seen.stated, seen.happened),
            method=ECE_METHOD,
            n=len(seen.stated),
            unit=Unit.SHARE,
            doubted=True,
            astray=BiasDirection.TOO_HIGH,
            details={
                **seen.about,
                "doubt": ECE_DOUBT,
                "expected_if_calibrated": binned_calibration.expected_error_if_calibrated(
                    seen.stated
                ),
                "bins": bins,
            },
        )

    def taken(
        self, interval: ConfidenceInterval, metric: str, unit: Unit, details: Mapping[str, Json]
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
            reason=GapReason.NOT_DEFINED,
            detail=f"{metric} is not defined: {right} of {len(self.seen.stated)} came true, and a "
            f"threshold on the stated probability ({self.seen.of}) tells them apart, so that the "
            "best slope is infinite, or the model states one probability only.",
            cure="Evaluate on more rows, or on harder ones, so that both outcomes overlap.",
            metric=metric,
        )


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
    "temperature_gain": Metric("Log loss saved by temperature scaling", Unit.NAT),
    "platt_gain": Metric("Log loss saved by Platt scaling", Unit.NAT),
}
"""What all classes together emit."""
MOST_DRAWN = 20
ADVICE = {
    "temperature_gain": "divide the model's log odds by this temperature",
    "platt_gain": "put the model's log odds on this line",
}

NO_ADVICE = "none: the probabilities are cut off, and the constants are those of where they are"


@dataclass(frozen=True, slots=True, eq=False)
class ClassProbabilities:
    """Probabilities ``[n, classes]``, labels ``[n]``, and which rows a correction is learnt on.

    Log ``chances`` ``[n, classes]`` are there where probabilities say less.
    """

    seen: StatedProbabilities
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
        if rows < binned_calibration.LEAST_ROWS:
            yield from (
                explain_too_few_rows(metric, rows) for metric in ("classwise_l2", "top_label_l2")
            )
            return
        if self.binary:  # the errors of both classes are one and the same
            whole = binned_calibration.debiased_calibration_error(
                self.seen.stated, self.seen.happened, confidence
            )
            yield self._share(whole, "classwise_l2", {"of": "both classes, which err alike"})
        else:
            whole, each = classwise_calibration_error(self.stated, self.labels, confidence)
            yield self._share(whole, "classwise_l2", {"of": "each class"})
            yield from (self._class(at, item, confidence) for at, item in enumerate(each))
        answered = self.stated.argmax(axis=1)
        top = self.stated.max(axis=1), answered == self.labels, answered
        found = top_label_calibration_error(*top, confidence)
        yield self._share(found, "top_label_l2", {"of": "the likeliest class, answer by answer"})

    def _class(self, at: int, found: ConfidenceInterval, confidence: float) -> Measurement:
        """Return one class's error, with its diagram where there are few enough to draw."""
        details: dict[str, Json] = {
            "of": f"probability of {self.names[at]}",
            "holds": "jointly with the other classes",
        }
        if len(self.names) <= MOST_DRAWN:
            mine = replace(
                self.seen, stated=self.stated[:, at], happened=self.labels == at, clusters=None
            )
            details["bins"] = build_reliability_diagram(
                mine, binned_calibration.equal_mass_bins(mine.stated), confidence
            )
        return self._share(found, "class_l2", details, {"class": self.names[at]})

    def gains(self, confidence: float) -> Iterator[Reading]:
        """Return what a temperature and Platt scaling save on rows that they were not learnt on."""
        halves = CorrectionSplit(self.learnt, self.seen.clusters)
        if not halves.enough:
            yield from (self._too_few(metric) for metric in ("temperature_gain", "platt_gain"))
            return
        advice = advise_temperature(self.stated, self.labels, halves, confidence, self.chances)
        yield self._gain("temperature_gain", advice)
        if not self.binary:
            yield _NO_PLATT
            return
        seen = self.seen
        found = advise_platt(seen.stated, seen.happened, halves, confidence, seen.odds)
        yield _NO_LINE if found is None else self._gain("platt_gain", found)

    def _gain(self, metric: str, found: CorrectionAdvice) -> Measurement:
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
        found: ConfidenceInterval,
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
            reason=GapReason.TOO_FEW_ROWS,
            detail=f"{metric} is learnt on one half and measured on the other: each needs "
            f"{LEAST_PAIRS} rows, of {LEAST_CLUSTERS} clusters if they come in such, and they have "
            f"{halves}.",
            cure=f"Evaluate on at least {3 * LEAST_PAIRS} rows, in many clusters.",
            metric=metric,
        )


def binary_probabilities(stated: Floats) -> Floats:
    """Return ``[n, 2]`` probabilities of a binary model, the positive class last."""
    return np.stack([1 - stated, stated], axis=1)


def binary_log_probabilities(odds: Floats | None) -> Floats | None:
    """Return ``[n, 2]`` log probabilities of log odds ``[n]``, the positive class last."""
    return None if odds is None else np.stack([log_expit(-odds), log_expit(odds)], axis=1)


_NO_PLATT = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="platt_gain is that of a binary model: a line through the log odds of one probability.",
    cure="Read temperature_gain, which many classes have too.",
    metric="platt_gain",
)
_NO_LINE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="platt_gain is not defined: a threshold tells apart what happened on the rows to learn "
    "from, so that the best slope is infinite, or one probability only is stated.",
    cure="Evaluate on more rows, or on harder ones, so that both outcomes overlap.",
    metric="platt_gain",
)
