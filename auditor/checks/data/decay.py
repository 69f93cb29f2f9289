"""Whether the model still is as good as it was, with and without labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import Floats
from auditor.metrics.data.error_monitor import WATCHED, ErrorMonitor, LabelledBatches, split_batches
from auditor.metrics.data.model_answers import Flags
from auditor.metrics.data.prediction_history import (
    TOO_DIFFERENT,
    PredictionHistory,
    collect_history,
    no_stated_gap,
)
from auditor.metrics.stats.drift import (
    LabelledReference,
    UnlabelledSample,
    effective_sample_size,
    estimated_accuracy,
)

CONDITIONAL = (
    "an estimate if what is true of a row is unchanged: without labels, a change of that is unseen"
)
FEWEST = 200.0
"""Weighted rows that are worth fewer rows say too little (effective sample size)."""
ESTIMATE = "estimated_accuracy"
SECONDS_A_ROW = 2e-5


@dataclass(frozen=True, slots=True)
class DecayCheck:
    """Accuracy on current data (production, else evaluation): estimated without labels, and
    watched with them.

    ``estimated_accuracy`` says what the calibration on the reference (else evaluation) data makes
    one expect: by ``method`` ``cbpe`` as it stands, by ``weighted`` with each reference row counted
    by how much more frequent rows like it have become, on ``rows`` of each side. Both hold only if
    what is true of a row is unchanged. They are doubted, so that no rule ever passes on them.

    Where current rows are labelled, their errors are watched batch by batch (by time, else in their
    order, ``batch`` rows each) against the error that is claimed (``claims.accuracy``), else
    against the upper limit of the reference's; ``harm`` more is harmless. ``alarm`` is raised when
    evidence reaches what chance reaches with the probability that the confidence leaves, however
    often one looks; ``error`` is a confidence sequence, which holds at every look. Silence proves
    nothing: ``log_evidence`` is a bound, and that there was no alarm is doubted.
    """

    rows: int = 10_000
    batch: int = 500
    harm: float = 0.0

    id: ClassVar[str] = "data.decay"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Decay of the model"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.SCORES})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE, Need.PRODUCTION})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        ESTIMATE: Metric("Accuracy as estimated without labels", Unit.SHARE, higher_is_better=True),
        "error": Metric("Error rate at every look", Unit.SHARE, higher_is_better=False),
        "log_evidence": Metric(
            "Evidence of decay, logarithm",
            Unit.NAT,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
        ),
        "alarm": Metric("Worse than claimed, or than the reference: proven", Unit.NONE, exact=True),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}
    coordinates: ClassVar[frozenset[str]] = frozenset({"method"})

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.batch) < 1 or not 0 <= self.harm < 1:
            message = "rows and batch are at least 1, and harm is a share below 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        rows = size.rows + sum(size.beside.values())
        return CheckCost(queries=rows, seconds=SECONDS_A_ROW * rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Say nothing: it depends on how the data have moved."""
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score both; keep what was stated and came true, and errors batch by batch."""
        found = collect_history(subject, self.rows)
        if isinstance(found, Gap):
            return {"gap": write_gap(found)}
        return {**self.watch(found, subject), **found.to_evidence()}

    def watch(self, found: PredictionHistory, subject: Subject) -> Evidence:
        """Count the errors of labelled current rows in batches, and those of the reference."""
        now, before = found.now, found.before
        claimed = subject.claims.get("accuracy")
        known = isinstance(claimed, int | float) and not isinstance(claimed, bool)
        rows = now.labelled
        times = None if now.data.times is None else now.data.times[rows]
        looks = (
            split_batches(~now.right[rows], times, self.batch)
            if rows.any()
            else LabelledBatches((), ())
        )
        labelled = np.zeros(0, np.bool_) if before is None else before.right[before.labelled]
        return {
            # Not in the evidence of earlier versions, whose gaps say it in their own words.
            **({} if looks.batches else {"unwatched": write_gap(found.no_errors())}),
            "looks": looks.to_json(),
            "watched": {
                "claimed": 1 - float(cast("float", claimed)) if known else None,
                "rows": labelled.size,
                "wrong": int((~labelled).sum()),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Estimate without labels, and judge the evidence of those there are."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        return (*_estimates(evidence, confidence), *self.alarm(evidence, confidence))

    def alarm(self, evidence: Evidence, confidence: float) -> Iterator[Reading]:
        """Yield what the labelled rows prove."""
        listed = cast("list[Mapping[str, Json]]", evidence["looks"])
        if not listed:
            said = evidence.get("unwatched", write_gap(no_stated_gap("labels")))
            yield from (read_gap(said, metric) for metric in WATCHED)
            return
        looks = LabelledBatches.of(listed)
        task = cast("Mapping[str, Json]", evidence["task"])
        watched = ErrorMonitor.of(cast("Mapping[str, Json]", evidence["watched"]), self.harm)
        yield from watched.readings(looks, confidence, clustered=bool(task["clustered"]))


def _estimates(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Yield the accuracy that the reference's calibration makes one expect, both ways."""
    if "no_estimate" in evidence:
        yield read_gap(evidence["no_estimate"], ESTIMATE)
        return
    unknown = UnlabelledSample(
        cast("Floats", evidence["now_stated"]), cast("Flags", evidence["now_decided"])
    )
    stated, happened = cast("Floats", evidence["stated"]), cast("Flags", evidence["happened"])
    groups = cast("NDArray[np.int64]", evidence["groups"])
    plain = LabelledReference(stated, happened, np.ones(len(stated)), groups)
    yield _estimate(plain, unknown, confidence, "cbpe")
    rows, weights = cast("NDArray[np.int64]", evidence["rows"]), cast("Floats", evidence["weights"])
    if not rows.size or effective_sample_size(weights) < FEWEST:
        yield replace(TOO_DIFFERENT, metric=ESTIMATE, params={"method": "weighted"})
        return
    weighted = LabelledReference(stated[rows], happened[rows], weights, groups[rows])
    yield _estimate(weighted, unknown, confidence, "weighted")


def _estimate(
    known: LabelledReference, unknown: UnlabelledSample, confidence: float, method: str
) -> Measurement:
    return Measurement.of(
        estimated_accuracy(known, unknown, confidence),
        ESTIMATE,
        Unit.SHARE,
        params={"method": method},
        doubted=True,
        details={"doubt": CONDITIONAL, "effective_rows": effective_sample_size(known.weights)},
    )


CHECK: type[Check] = DecayCheck
