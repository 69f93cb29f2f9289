"""Whether the model's probabilities mean what they say."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Shard, Subject
from auditor.domain.tasks import Classification, Floats
from auditor.stats import binning
from auditor.stats.losses import FLOOR, count_clipped
from auditor.stats.recalibration import Recalibration, expected_half_widths, recalibrate

DOUBT = "rows of one cluster are not independent, and the interval takes them as if they were"
ECE_DOUBT = "biased upward, and no interval of it is known to cover: for comparability only"
ECE_METHOD = "15 equal-width bins, the last one closed; for comparability only"
L2_LIMITS = "errors of opposite sign within a bin cancel: the error of the binned scores"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Recalibration slope and intercept, debiased error, and ECE for comparison with others."""

    id: ClassVar[str] = "quality.calibration"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Calibration of probabilities"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLASSIFICATION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "slope": Metric("Recalibration slope (1 is right, less is too bold)", Unit.NONE),
        "intercept": Metric("Recalibration intercept (0 is right)", Unit.NONE),
        "debiased_l2": Metric("Debiased L2 calibration error", Unit.SHARE, higher_is_better=False),
        "ece_15": Metric(
            "Expected calibration error, 15 bins", Unit.SHARE, higher_is_better=False, exact=True
        ),
    }
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(1)"),
        Control("eu-ai-act", "15(3)"),
        Control("eu-ai-act", "13(3)(b)(vii)"),
        Control("nist-ai-rmf", "MEASURE 2.5"),
        Control("nist-ai-rmf", "MEASURE 2.9"),
        Control("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: Size) -> Cost:
        """Score every row once; other checks of the same audit share the scores."""
        return Cost(queries=size.rows)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Half widths for calibrated scores spread evenly between 0 and 1."""
        if not size.rows:
            return {}
        slope, intercept = expected_half_widths(size.rows, confidence)
        return {"slope": slope, "intercept": intercept}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Score the evaluation data; keep the stated probability and whether it came true."""
        task, dataset = subject.task, subject.datasets[Role.EVALUATION]
        if not isinstance(task, Classification) or dataset.labels is None:
            message = "calibration needs a classification and labels, and the frame asks for both"
            raise TypeError(message)
        probabilities = subject.probabilities(Role.EVALUATION)
        if task.binary:
            stated = probabilities[:, task.positive_index]
            happened = dataset.labels == task.positive_index
        else:
            stated, happened = (
                probabilities.max(axis=1),
                subject.decisions(Role.EVALUATION) == dataset.labels,
            )
        return {
            "ids": np.array(dataset.ids),
            "stated": np.ascontiguousarray(stated, dtype=np.float64),
            "happened": happened,
            "task": {
                "of": f"probability of {task.positive}" if task.binary else "top label",
                "clusters": None if dataset.cluster is None else len(dataset.cluster.names),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from stated probabilities and outcomes."""
        stated = cast("Floats", evidence["stated"])
        happened = cast("NDArray[np.bool_]", evidence["happened"])
        task = cast("Mapping[str, Json]", evidence["task"])
        clusters = cast("int | None", task["clusters"])
        seen = _Stated(
            stated, happened, str(task["of"]), clusters is not None and clusters < len(stated)
        )
        return (*seen.line(confidence), seen.debiased(confidence), seen.ece(confidence))


@dataclass(frozen=True, slots=True, eq=False)
class _Stated:
    """Probabilities ``[n]`` as stated, what came true ``[n]``, and of what they speak."""

    stated: Floats
    happened: NDArray[np.bool_]
    of: str
    clustered: bool

    @property
    def details(self) -> dict[str, Json]:
        """What every reading says."""
        doubt: dict[str, Json] = {"doubt": DOUBT} if self.clustered else {}
        return {"of": self.of, **doubt}

    def line(self, confidence: float) -> Iterator[Reading]:
        """Return slope and intercept, or why there are none."""
        found = recalibrate(self.stated, self.happened, confidence)
        if found is None:
            yield from (self.undefined("slope"), self.undefined("intercept"))
            return
        details = {**self.details, **self.test(found)}
        for metric, interval in (("slope", found.slope), ("intercept", found.intercept)):
            yield Measurement.of(
                interval, metric, Unit.NONE, doubted=self.clustered, details=details
            )

    def test(self, found: Recalibration) -> dict[str, Json]:
        """Say how the joint test of slope 1 and intercept 0 came out."""
        return {
            "likelihood_ratio": found.statistic,
            "p_value": found.p_value,
            "intercept_at_slope_one": found.offset,
            "floor": FLOOR,
            "clipped": count_clipped(self.stated),
        }

    def debiased(self, confidence: float) -> Reading:
        """Return the debiased error with the reliability diagram's bins."""
        if len(self.stated) < binning.LEAST_ROWS:
            return Gap(
                reason=Reason.TOO_FEW_ROWS,
                detail=f"debiased_l2 needs {binning.LEAST_ROWS} rows, and there are "
                f"{len(self.stated)}.",
                cure=f"Evaluate on at least {binning.LEAST_ROWS} rows.",
                metric="debiased_l2",
            )
        return Measurement.of(
            binning.debiased_l2(self.stated, self.happened, confidence),
            "debiased_l2",
            Unit.SHARE,
            doubted=self.clustered,
            details={
                **self.details,
                "limits": L2_LIMITS,
                "bins": self.bins(binning.equal_mass(self.stated), confidence),
            },
        )

    def ece(self, confidence: float) -> Reading:
        """Return the expected calibration error, doubted so that no rule passes on it."""
        return Measurement(
            metric="ece_15",
            value=binning.expected_error(self.stated, self.happened),
            method=ECE_METHOD,
            n=len(self.stated),
            unit=Unit.SHARE,
            doubted=True,
            details={
                **self.details,
                "doubt": ECE_DOUBT,
                "expected_if_calibrated": binning.expected_if_calibrated(self.stated),
                "bins": self.bins(binning.equal_width(self.stated), confidence),
            },
        )

    def bins(self, placed: NDArray[np.int64], confidence: float) -> list[Json]:
        """Return the reliability diagram in the words that reports read."""
        found = binning.reliability(self.stated, self.happened, placed, confidence)
        return [{_WORDS.get(key, key): value for key, value in asdict(b).items()} for b in found]

    def undefined(self, metric: str) -> Gap:
        """Say why the recalibration line is not defined."""
        right = int(self.happened.sum())
        return Gap(
            reason=Reason.NOT_DEFINED,
            detail=f"{metric} is not defined: {right} of {len(self.stated)} came true, and a "
            f"threshold on the stated probability ({self.of}) tells them apart, so that the "
            "best slope is infinite, or the model states one probability only.",
            cure="Evaluate on more rows, or on harder ones, so that both outcomes overlap.",
            metric=metric,
        )


_WORDS = {
    "stated": "confidence",
    "happened": "accuracy",
    "happened_low": "accuracy_low",
    "happened_high": "accuracy_high",
}


CHECK: type[Check] = Calibration
