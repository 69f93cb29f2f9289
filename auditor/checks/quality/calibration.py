"""Check of calibration: whether the model's probabilities mean what they say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject, seeded_permutation
from auditor.domain.checks import Check, Metric, Need, title_metric
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.number_text import format_measurement, format_scalar, join_interval
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Measurement, Reading
from auditor.domain.report_blocks import (
    BlockPlace,
    Headline,
    HeadlineKind,
    Reads,
    ReportBlock,
    ReportSection,
)
from auditor.domain.report_panels import (
    BlockPanel,
    ClassReliabilityChart,
    DiagramBin,
    DiagramPoint,
    ReliabilityChart,
    SmoothError,
    format_figure_cells,
    interval_ends,
)
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import Floats
from auditor.metrics.performance.calibration import (
    CERTAINTY,
    CORRECTIONS,
    ODDS,
    CalibrationFigures,
    ClassProbabilities,
    binary_log_probabilities,
    binary_probabilities,
    observe_stated_probabilities,
    read_stated_probabilities,
)
from auditor.metrics.performance.log_probabilities import CHANCES, read_log_probabilities
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.recalibration import expected_half_widths

SECONDS_A_ROW = 3e-6
GAINS = {"temperature_gain": ("temperature",), "platt_gain": ("slope", "intercept")}
MOST_CLASSES = 12
CUT_OFF = (
    "No correction is advised: the model's probabilities are cut off near 0 and 1, and what a "
    "correction would save is unknown. Export the model with its logits."
)
NO_ADVICE = "No correction is advised: on rows held out none saved more log loss than chance does."
Drawn = TypeVar("Drawn", DiagramBin, DiagramPoint)


@dataclass(frozen=True, slots=True)
class CalibrationCheck(Check):
    """Measures whether predicted probabilities match observed frequencies, and how much
    recalibration would help.

    Slope and intercept decide. The debiased L2 error and the smooth error show the size of the
    error, and ECE is for comparison with other reports. A binary model is judged by the probability
    of its positive class; a multi-class model by the probability of its answer, then class by
    class.

    The gain of a temperature or of Platt scaling is fitted on one half of the rows (whole clusters,
    if you declare them) and measured on the other. It is recommended only if the interval of the
    gain excludes zero.

    With ten clusters or more, slope, intercept and gains account for clusters. They use the logits
    if the target gives them. Figures that depend on where probabilities are cut off are doubted,
    and no recalibration is recommended.
    """

    id: ClassVar[str] = "quality.calibration"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Calibration of probabilities"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLASSIFICATION}
    )
    coordinates: ClassVar[frozenset[str]] = frozenset({"class"})
    emits: ClassVar[Mapping[str, Metric]] = {**CERTAINTY, **CORRECTIONS}
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(vii)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.9"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset(
            {"clusters", "happened", "ids", "labels", "learnt", "probabilities", "stated"}
        )
        | {CHANCES, ODDS},
        apart=frozenset({"seed", "task"}),
    )
    headlines: ClassVar[Mapping[str, Headline]] = {
        "debiased_l2": Headline(HeadlineKind.CERTAINTY, "Calibration error"),
    }
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DAILY, 1)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(
            queries=size.rows,
            clean=size.rows,
            seconds=SECONDS_A_ROW * size.rows * size.classes,
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths for calibrated scores spread evenly between 0 and 1."""
        if not size.rows:
            return {}
        slope, intercept = expected_half_widths(size.rows, confidence)
        return {"slope": slope, "intercept": intercept}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep what was stated, what happened, and two halves."""
        seen = observe_stated_probabilities(subject)
        dataset = subject.datasets[DatasetRole.EVALUATION]
        clusters = dataset.cluster if dataset.clustered else None
        learnt = first_half(seeded_permutation(subject.audit_seed, dataset.units), clusters)
        return {**seen, "learnt": learnt, "seed": subject.seed}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from stated probabilities and outcomes."""
        seen = CalibrationFigures(
            read_stated_probabilities(evidence), confidence, cast("int", evidence["seed"])
        )
        classes = _classes(seen, evidence)
        return (
            *seen.line(),
            seen.debiased(),
            seen.smooth(),
            *classes.errors(confidence),
            *seen.brier(),
            *classes.gains(confidence),
            seen.ece(),
        )

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show how often stated confidence came true, whole and for each of a few classes."""
        mine = [m for m in measurements if not m.slice]
        whole = _diagram(title_metric(cls, "debiased_l2"), {m.metric: m for m in mine})
        return ReportBlock(
            parts=(*whole, *_class_diagrams([m for m in mine if m.metric == "class_l2"]))
        )


def _classes(found: CalibrationFigures, evidence: Evidence) -> ClassProbabilities:
    seen, task = found.seen, cast("Mapping[str, Json]", evidence["task"])
    names = tuple(cast("list[str]", task["classes"]))
    learnt = cast("NDArray[np.bool_]", evidence["learnt"])
    if "probabilities" not in evidence:
        happened, chances = seen.happened.astype(int), binary_log_probabilities(seen.odds)
        return ClassProbabilities(
            seen, names, binary_probabilities(seen.stated), happened, learnt, chances
        )
    stated, labels = (cast("Floats", evidence["probabilities"]), evidence["labels"])
    chances = read_log_probabilities(evidence)
    return ClassProbabilities(
        seen, names, stated, cast("NDArray[np.int64]", labels), learnt, chances
    )


def _diagram(title: str, by_name: Mapping[str, Measurement]) -> Iterator[BlockPanel]:
    error = by_name.get("debiased_l2")
    bins = () if error is None else _all_of(DiagramBin, error.details.get("bins"))
    if error is None or not bins:
        return
    smooth = by_name.get("smece")
    curve = () if smooth is None else _all_of(DiagramPoint, smooth.details.get("curve"))
    beside = None if smooth is None else _beside(smooth)
    yield BlockPanel(
        title="Reliability diagram",
        caption="Stated: "
        f"{format_scalar(error.details.get('of', 'confidence of the answer'))}. On the "
        "diagonal the stated shares are true; below it, the model is right less often. "
        f"{title}: {format_measurement(error).whole}."
        + ("" if beside is None else _compared(beside))
        + (" The band around the curve holds point by point." if curve else ""),
        chart=ReliabilityChart(bins, _histogram(by_name) or bins, curve, beside),
        header=("Stated from", "to", "Mean stated probability", "Came true", "Interval", "Rows"),
        rows=tuple(map(_bin_row, bins)),
        notes=tuple(_advice(by_name)),
    )


def _class_diagrams(measured: Sequence[Measurement]) -> Iterator[BlockPanel]:
    named = [
        (str(m.params.get("class", "")), m, bins)
        for m in measured
        if (bins := _all_of(DiagramBin, m.details.get("bins")))
    ]
    if not named:
        return
    drawn = [(name, bins) for name, _, bins in named[:MOST_CLASSES]]
    hidden = len(named) - len(drawn)
    yield BlockPanel(
        title="Reliability diagram of each class",
        caption="Horizontal: stated probability of the class, from 0 to 100 %; "
        "vertical: observed rate. Intervals of the table hold jointly."
        + (f" {hidden} more classes are in the table only." if hidden else ""),
        chart=ClassReliabilityChart(tuple(drawn)),
        header=("Class", "Debiased L2 error", "Interval", "How sure"),
        rows=tuple((name, *format_figure_cells(m)) for name, m, _ in named),
    )


def _beside(smooth: Measurement) -> SmoothError | None:
    """Return the smooth error beside the range of calibrated models, where the record has both."""
    null, own = smooth.details.get("if_calibrated"), interval_ends(smooth)
    if not isinstance(null, Mapping) or own is None:
        return None
    low, high = null.get("low"), null.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return SmoothError(*own, low, high)


def _compared(beside: SmoothError) -> str:
    null = join_interval(_percent(beside.null_low), _percent(beside.null_high))
    whole = join_interval(_percent(beside.low), _percent(beside.high))
    return (
        f" Smooth calibration error: {_percent(beside.value)} ({whole}); calibrated models that "
        f"state the same show {null}."
    )


def _advice(by_name: Mapping[str, Measurement]) -> Iterator[str]:
    gains = [by_name[metric] for metric in GAINS if metric in by_name]
    advised = [m for m in gains if m.low is not None and m.low > 0 and not m.doubted]
    for m in advised:
        constants = ", ".join(
            f"{name} {format_scalar(m.details.get(name))}" for name in GAINS[m.metric]
        )
        yield (
            f"Advice: {format_scalar(m.details.get('advice'))} ({constants}). On rows held out "
            f"that saves {format_measurement(m).whole} a row."
        )
    if gains and not advised:
        yield CUT_OFF if any(m.doubted for m in gains) else NO_ADVICE


def _histogram(by_name: Mapping[str, Measurement]) -> tuple[DiagramBin, ...]:
    """Return bins of equal width, which show where stated values lie; equal masses do not."""
    found = by_name.get("ece_15")
    return () if found is None else _all_of(DiagramBin, found.details.get("bins"))


def _all_of(kind: type[Drawn], listed: Json) -> tuple[Drawn, ...]:
    """Read what is to be drawn from details, or nothing where one of it is malformed."""
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    found = []
    for item in listed:
        if not isinstance(item, Mapping):
            return ()
        values = {at.name: item.get(at.name) for at in fields(kind)}
        if all(isinstance(value, int | float) for value in values.values()) and values.get("n", 1):
            found.append(kind(**cast("dict[str, int]", values)))
    return tuple(found)


def _bin_row(item: DiagramBin) -> tuple[str, ...]:
    return (
        *(_percent(x) for x in (item.low, item.high, item.confidence, item.accuracy)),
        join_interval(_percent(item.accuracy_low), _percent(item.accuracy_high)),
        f"{item.n:,}",
    )


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


CHECK: type[Check] = CalibrationCheck
