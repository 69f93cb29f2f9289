"""Check of performance decay over time, with and without labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import DASH, format_scalar
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection, ReportTopic
from auditor.domain.report_panels import BlockPanel, PeriodChart, PeriodPoint
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
SEQUENCE = (
    "Error rate up to each look. The band holds at all looks jointly, for any number of looks."
)


@dataclass(frozen=True, slots=True)
class DecayCheck(Check):
    """Estimates the model's accuracy on current data without labels, and monitors it where you have
    labels.

    Current data are your production data, or else the evaluation data.

    ``estimated_accuracy`` applies the calibration on the reference data (or else evaluation data)
    to ``rows`` rows of each side. ``method`` selects the variant: ``cbpe`` uses the calibration
    directly; ``weighted`` weighs each reference row by how much more frequent similar rows have
    become. Both are valid only if the relation between rows and labels has not changed. They are
    therefore doubted, and no rule ever passes on them.

    Labelled current rows are monitored in batches of ``batch`` rows, by time or else in file order.
    Their error is compared with the error that you claim (``claims.accuracy``), or else with the
    upper limit of the reference's error; an increase of up to ``harm`` is tolerated. ``alarm`` is
    raised when the evidence is stronger than chance allows at the audit's confidence, however often
    you look. ``error`` is a confidence sequence, which is valid at every look.

    The absence of an alarm is no proof: ``log_evidence`` is a bound, and a missing alarm is
    doubted.
    """

    rows: int = 10_000
    batch: int = 500
    harm: float = 0.0

    id: ClassVar[str] = "data.decay"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Performance decay over time"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.SCORES})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE, Need.PRODUCTION})
    emits: ClassVar[Mapping[str, Metric]] = {
        ESTIMATE: Metric("Accuracy estimated without labels", Unit.SHARE, higher_is_better=True),
        "error": Metric("Error rate at each look", Unit.SHARE, higher_is_better=False),
        "log_evidence": Metric(
            "Logarithm of the evidence of decay",
            Unit.NAT,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
        ),
        "alarm": Metric(
            "Proven to be worse than claimed, or than the reference", Unit.NONE, exact=True
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
    )
    coordinates: ClassVar[frozenset[str]] = frozenset({"method"})
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.DRIFT})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.TIME, 2)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.batch) < 1 or not 0 <= self.harm < 1:
            message = "rows and batch are at least 1, and harm is a share below 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        rows = size.rows + sum(size.beside.values())
        return CheckCost(queries=rows, clean=size.rows, seconds=SECONDS_A_ROW * rows)

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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the confidence sequence of the error, and the limit that it is watched against."""
        alarm = next((m for m in measurements if m.metric == "alarm"), None)
        errors = (m for m in measurements if m.metric == "error" and _looks(m.details.get("looks")))
        watched = next(errors, None)
        return ReportBlock() if watched is None else ReportBlock(parts=(_course(watched, alarm),))


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


def _course(m: Measurement, alarm: Measurement | None) -> BlockPanel:
    looks, limit = _looks(m.details.get("looks")), m.details.get("limit")
    against = format_scalar(m.details.get("against", "the limit"))
    told = _told_alarm(alarm, m.details.get("alarm_at"))
    return BlockPanel(
        title="Errors on labelled rows at each look",
        caption=f"{SEQUENCE} {told} The line is the limit: {against}.",
        chart=PeriodChart(
            tuple(PeriodPoint(str(at["at"]), *_error(at)) for at in looks),
            Unit.SHARE,
            float(limit) if isinstance(limit, int | float) else None,
        ),
        header=("Until", "Rows", "Error so far", "At each look", "Log evidence"),
        rows=tuple(_look(at) for at in looks),
    )


def _told_alarm(alarm: Measurement | None, enough: Json) -> str:
    if alarm is None:
        return ""
    least = f" of {float(enough):.1f}" if isinstance(enough, int | float) else ""
    if alarm.value is True:
        return (
            f"Evidence{least} was reached at {format_scalar(alarm.details.get('first_at'))}: "
            "the error is above the limit."
        )
    return f"Evidence{least} was not reached, which proves nothing."


def _error(at: Mapping[str, Json]) -> tuple[float, float, float]:
    error, low, high = (float(cast("float", at[name])) for name in ("error", "low", "high"))
    return error, low, high


def _look(at: Mapping[str, Json]) -> tuple[str, ...]:
    error, low, high = _error(at)
    log = float(cast("float", at["log_evidence"]))
    interval = f"{low * 100:.1f}{DASH}{high * 100:.1f} %"
    return str(at["at"]), f"{at['n']:,}", f"{error * 100:.1f} %", interval, f"{log:.2f}"


def _looks(listed: Json) -> list[Mapping[str, Json]]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    wanted = {"at", "n", "error", "low", "high", "log_evidence"}
    return [item for item in listed if isinstance(item, Mapping) and wanted <= item.keys()]


CHECK: type[Check] = DecayCheck
