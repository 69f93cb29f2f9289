"""Check of memory: how much the process that runs the model takes on the target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading, Repeatability, Unit
from auditor.domain.report_blocks import ReportTopic
from auditor.domain.tasks import Floats
from auditor.metrics.hardware.timing import build_too_few_gap
from auditor.metrics.stats.quantiles import least_samples, quantile

SECONDS_A_START = 0.5
FIELDS = ("before", "opened", "peak")


@dataclass(frozen=True, slots=True)
class MemoryCheck(Check):
    """Opens your model in ``starts`` fresh processes, scores ``batch_rows`` rows at once, and
    measures resident memory.

    Figures are medians over the starts, as the operating system counts resident memory. They
    include the runtime's libraries: the model's own part is the peak minus the memory before it is
    opened. Separate memory of an accelerator is not counted.
    """

    starts: int = 8
    batch_rows: int = 64

    id: ClassVar[str] = "hardware.memory"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Memory on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "resident_before": Metric("Memory before the model is opened", Unit.BYTE),
        "resident_opened": Metric(
            "Memory after the model is opened", Unit.BYTE, higher_is_better=False
        ),
        "resident_peak": Metric("Peak memory during scoring", Unit.BYTE, higher_is_better=False),
        "resident_added": Metric(
            "Peak memory, minus memory before the model is opened",
            Unit.BYTE,
            higher_is_better=False,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "13(3)(e)"),
        FrameworkControl("eu-ai-act", "Annex IV 1(e)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.6"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.12"),
        FrameworkControl("iso-42001", "A.4.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"starts": 6},
        Budget.CI: {"starts": 8},
        Budget.FULL: {"starts": 12},
    }
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.RESOURCES})
    about: ClassVar[str] = (
        "The model was opened in fresh processes, and the resident memory of each was read from "
        "the operating system. It includes the runtime's libraries."
    )
    cures: ClassVar[tuple[str, ...]] = (
        "Use a smaller or quantised model, smaller batches, or a target with more memory.",
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if self.starts < 1 or self.batch_rows < 1:
            message = f"{self.starts} starts with {self.batch_rows} rows measure nothing"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: starting a process takes longer than scoring in it."""
        return CheckCost(
            queries=self.starts * self.batch_rows, seconds=self.starts * SECONDS_A_START
        )

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Weigh fresh processes. Raises what ``ModelBench.footprint`` raises."""
        inputs, bench = subject.datasets[DatasetRole.EVALUATION].inputs, subject.bench
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to weigh: the frame asks `needs` first"
            raise TypeError(message)
        if isinstance(bench, Gap):
            return {"gap": write_gap(bench)}
        rows = inputs[subject.sample(DatasetRole.EVALUATION, self.batch_rows)]
        seen = []
        for start in range(self.starts):
            subject.progress(start, self.starts, "weighing fresh processes")
            found = bench.footprint(rows, self.batch_rows)
            seen.append([getattr(found, name) for name in FIELDS])
        return {"gap": None, "bytes": np.array(seen, dtype=np.int64), "rows": self.batch_rows}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the median of each figure over the starts."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        before, opened, peak = cast("Floats", evidence["bytes"]).astype(np.float64).T
        details: dict[str, Json] = {"batch_rows": cast("int", evidence["rows"])}
        return (
            _reading("resident_before", before, confidence, details),
            _reading("resident_opened", opened, confidence, details),
            _reading("resident_peak", peak, confidence, details),
            _reading("resident_added", peak - before, confidence, details),
        )


def _reading(metric: str, held: Floats, confidence: float, details: Mapping[str, Json]) -> Reading:
    found = quantile(held, 0.5, confidence)
    if found is None:
        return build_too_few_gap(metric, held.size, least_samples(0.5, confidence), "starts", {})
    return Measurement.of(found, metric, Unit.BYTE, repeat=Repeatability.INTERVAL, details=details)


CHECK: type[Check] = MemoryCheck
