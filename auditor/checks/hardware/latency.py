"""How long the target takes for one row, and how many rows a second it scores in batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Repeat, Unit
from auditor.domain.subjects import Model, Shard, Subject, Timing
from auditor.domain.tasks import Array, Floats
from auditor.stats.quantiles import least_samples, quantile

SHARES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
ROWS = 64
PILOT_CALLS = 5
LEAST_CALLS = 20
SINGLE_SHARE = 0.6
BATCH_CALLS = 12
BATCH_SHARE = 0.25
"""Of the seconds, what single calls and batches may take by the pilot's estimate."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Times calls inside the process that runs the model, after warming up, one row at a time.

    Latency is closed-loop: one call begins when the last one ended. The intervals assume
    independent calls; on a busy machine they are too narrow, so the load is kept as evidence. A
    slow model gets fewer ``calls``, so that timing ends within about ``seconds``.
    """

    calls: int = 2000
    warmup: int = 100
    batch_rows: int = 64
    seconds: float = 10.0

    id: ClassVar[str] = "hardware.latency"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Latency and throughput on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "p50": Metric("Median time a row", Unit.SECOND, higher_is_better=False),
        "p90": Metric("Time that 9 of 10 rows keep", Unit.SECOND, higher_is_better=False),
        "p99": Metric("Time that 99 of 100 rows keep", Unit.SECOND, higher_is_better=False),
        "throughput": Metric("Rows a second in batches", Unit.PER_SECOND, higher_is_better=True),
    }
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(1)"),
        Control("eu-ai-act", "13(3)(e)"),
        Control("nist-ai-rmf", "MEASURE 2.6"),
        Control("nist-ai-rmf", "MEASURE 2.12"),
        Control("iso-42001", "A.4.5"),
        Control("iso-42001", "A.6.2.6"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"calls": 600, "warmup": 20, "seconds": 1.5},
        Budget.CI: {"calls": 2000, "warmup": 100, "seconds": 10.0},
        Budget.FULL: {"calls": 5000, "warmup": 200, "seconds": 30.0},
    }
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: Size) -> Cost:
        """Say what observing will spend at most; a slow model is asked less often."""
        batches = max(BATCH_CALLS, self.calls // 20)
        return Cost(queries=self.calls + self.warmup + batches * self.batch_rows)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return nothing: how much the times scatter is not known before."""
        return {}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Time calls on rows of the evaluation data. Raises what ``Model.time`` raises."""
        inputs = subject.datasets[Role.EVALUATION].inputs
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to time: the frame asks `needs` first"
            raise TypeError(message)
        timing = self._time(subject.model, inputs[subject.sample(Role.EVALUATION, ROWS)])
        about: dict[str, Json] = {
            "load": timing.load,
            "first": timing.first,
            "warmup": timing.warmup,
            "batch_rows": timing.batch_rows,
            "conditions": dict(timing.conditions),
        }
        return {"single": timing.single, "batch": timing.batch, "about": about}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the quantiles of the single calls, and rows a second of the median batch."""
        about = cast("Mapping[str, Json]", evidence["about"])
        single = cast("Floats", evidence["single"])
        latencies = [
            _measured(metric, quantile(single, share, confidence), Unit.SECOND, about)
            or _too_few(metric, share, single.size, confidence)
            for metric, share in SHARES.items()
        ]
        batch = cast("Floats", evidence["batch"])
        rows = cast("int", about["batch_rows"])
        rate = _per_second(quantile(batch, 0.5, confidence), rows)
        throughput = _measured("throughput", rate, Unit.PER_SECOND, about)
        return (*latencies, throughput or _too_few("throughput", 0.5, batch.size, confidence))

    def _time(self, model: Model, rows: Array) -> Timing:
        pilot = model.time(rows, calls=PILOT_CALLS, warmup=1, batch_rows=1)
        each = max(float(np.median(pilot.single)), 1e-9)
        affordable = int(SINGLE_SHARE * self.seconds / each)
        calls = max(LEAST_CALLS, min(self.calls, affordable))
        batch = int(BATCH_SHARE * self.seconds / (BATCH_CALLS * each))
        return model.time(
            rows,
            calls=calls,
            warmup=min(self.warmup, calls),
            batch_rows=max(1, min(self.batch_rows, batch)),
        )


def _measured(
    metric: str, interval: Interval | None, unit: Unit, about: Mapping[str, Json]
) -> Measurement | None:
    if interval is None:
        return None
    return Measurement.of(interval, metric, unit, repeat=Repeat.INTERVAL, details=about)


def _per_second(seconds: Interval | None, rows: int) -> Interval | None:
    """Turn the time of a batch into rows a second: the slow end becomes the low one."""
    if seconds is None or seconds.low <= 0:
        return None
    return Interval(
        value=rows / seconds.value,
        low=rows / seconds.high,
        high=rows / seconds.low,
        confidence=seconds.confidence,
        method=seconds.method,
        n=seconds.n,
    )


def _too_few(metric: str, share: float, count: int, confidence: float) -> Gap:
    least = least_samples(share, confidence)
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} needs {least} timed calls at confidence {confidence:g}; "
        f"{count} were made in the time that the budget gives.",
        cure="Audit with a larger budget, or raise `calls` and `seconds` of hardware.latency.",
    )


CHECK: type[Check] = Latency
