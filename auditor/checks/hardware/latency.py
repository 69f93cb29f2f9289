"""How long the target takes for one row, and how many rows a second it scores in batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import write_gap
from auditor.domain.json import Json
from auditor.domain.model_bench import RequestArrivals
from auditor.domain.models import Model, ModelTiming
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Reading, Scalar, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError, RuntimeMissingError, SubjectLostError
from auditor.metrics.hardware.cpu_time import PROCESSOR, build_cpu_time_readings
from auditor.metrics.hardware.queues import poisson_arrivals, stack_request_times
from auditor.metrics.hardware.timing import (
    TimingReadings,
    build_bench_gap,
    build_queue_readings,
    find_timing_doubts,
)

SHARES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
ROWS = 64
PILOT_CALLS = 5
LEAST_CALLS = 20
BATCH_CALLS = 12
WARM_WINDOWS = 10
ARRIVALS = 3
"""Requests of a queue for one call of the closed loop: those that wait together are worth less."""
SINGLE, BATCH, QUEUES = 0.4, 0.2, 0.3
"""Of the seconds, what single calls, all batches, and all queues may take by a pilot's estimate."""
DETAILS = ("load", "first", "warmup", "batch_rows", "conditions")


@dataclass(frozen=True, slots=True)
class LatencyCheck:
    """Times calls inside the process that runs the model, one row at a time, once it is warm:
    when three windows of ``warmup`` calls agree within 5 %.

    ``p50``, ``p90``, ``p99`` are closed-loop: one call begins when the last one ended. ``open_p99``
    counts from when each request was due, at ``rates`` requests a second, or where none are
    declared at ``utilisation`` of what the closed loop shows, so that waiting is part of it. A
    slow model gets fewer ``calls``, so that timing ends within about ``seconds``; batches of
    ``batch_sizes`` rows that are too slow are left out. Where windows of calls differ by more than
    ``agree``, or other guests of the host took more than ``stolen`` of the processor, readings are
    doubted, but for ``cpu_p50``, in which the thread that calls waits for no processor. A row takes
    at least so long, beside what else the machine does: other threads and accelerators are not in
    it, so that by itself it passes no rule. A served model is timed from this side, and has none:
    its times hold the way there, of which ``transport`` tells the median.
    """

    calls: int = 2000
    warmup: int = 100
    batch_rows: int = 64
    batch_sizes: tuple[int, ...] = (1, 8, 64)
    rates: tuple[float, ...] = ()
    utilisation: float = 0.5
    seconds: float = 10.0
    agree: float = 0.05
    stolen: float = 0.05

    id: ClassVar[str] = "hardware.latency"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Latency and throughput on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "p50": Metric("Median time a row", Unit.SECOND, higher_is_better=False),
        "cpu_p50": Metric(
            "Median processor time a row of the calling thread",
            Unit.SECOND,
            higher_is_better=False,
            bound=BoundKind.AT_LEAST,
        ),
        "p90": Metric("Time that 9 of 10 rows keep", Unit.SECOND, higher_is_better=False),
        "p99": Metric("Time that 99 of 100 rows keep", Unit.SECOND, higher_is_better=False),
        "throughput": Metric("Rows a second in batches", Unit.PER_SECOND, higher_is_better=True),
        "batch_throughput": Metric(
            "Rows a second in batches of one size", Unit.PER_SECOND, higher_is_better=True
        ),
        "open_p99": Metric(
            "Time that 99 of 100 requests keep when they arrive at a given rate",
            Unit.SECOND,
            higher_is_better=False,
        ),
        "load": Metric("Time to open the model", Unit.SECOND, higher_is_better=False, exact=True),
        "first": Metric(
            "Time of the first call after that", Unit.SECOND, higher_is_better=False, exact=True
        ),
        "transport": Metric(
            "Median round trip to a served model that does not touch it",
            Unit.SECOND,
            higher_is_better=False,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "13(3)(e)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.6"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.12"),
        FrameworkControl("iso-42001", "A.4.5"),
        FrameworkControl("iso-42001", "A.6.2.6"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"calls": 600, "warmup": 20, "seconds": 1.5},
        Budget.CI: {"calls": 2000, "warmup": 100, "seconds": 10.0},
        Budget.FULL: {"calls": 5000, "warmup": 200, "seconds": 30.0},
    }
    grid: ClassVar[Mapping[str, str]] = {"rows": "batch_sizes", "rate": "rates"}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min((*self.batch_sizes, self.calls, self.batch_rows)) < 1 or self.warmup < 0:
            message = "calls, batch_rows and batch_sizes must be at least 1, warmup at least 0"
            raise ValueError(message)
        if min((*self.rates, self.seconds, self.agree)) <= 0 or not 0 < self.utilisation < 1:
            message = "rates, seconds and agree must be above 0, and utilisation between 0 and 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend at most; a slow model is asked less often."""
        batches = max(BATCH_CALLS, self.calls // 20)
        sized = sum(2 + BATCH_CALLS * rows for rows in self.batch_sizes)
        queued = ARRIVALS * self.calls * max(1, len(self.rates))
        return CheckCost(
            queries=self.calls
            + WARM_WINDOWS * self.warmup
            + batches * self.batch_rows
            + sized
            + queued
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return nothing: how much the times scatter is not known before."""
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Time calls on rows of the evaluation data. Raises what ``Model.time`` raises."""
        inputs = subject.datasets[DatasetRole.EVALUATION].inputs
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to time: the frame asks `needs` first"
            raise TypeError(message)
        rows = inputs[subject.sample(DatasetRole.EVALUATION, ROWS)]
        pilot = subject.model.time(rows, calls=PILOT_CALLS, warmup=1, batch_rows=1)
        each = max(float(np.median(pilot.single)), 1e-9)
        timing = self._time(subject.model, rows, each)
        sized = dict(self._sized(subject.model, rows, each))
        queues, arrivals = self._queues(subject, rows, max(float(timing.single.mean()), 1e-9))
        about: dict[str, Json] = {
            **{name: getattr(timing, name) for name in DETAILS if name != "conditions"},
            "conditions": dict(timing.conditions),
            "sizes": list(self.batch_sizes),
            "agree": self.agree,
            "stolen": self.stolen,
        }
        times = {"single": timing.single, "batch": timing.batch}
        some = {"transport": timing.transport, PROCESSOR: timing.processor}
        known: dict[str, Item] = {
            name: seen for name, seen in {**times, **some}.items() if seen is not None
        }
        return {**known, **sized, **arrivals, "about": about, "queues": queues}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute quantiles of single calls, rows a second of the median batch, and of queues."""
        about = cast("Mapping[str, Json]", evidence["about"])
        single, batch = (cast("Floats", evidence[name]) for name in ("single", "batch"))
        seen = cast("Mapping[str, float]", about["conditions"])
        agree, stolen = (cast("float", about[name]) for name in ("agree", "stolen"))
        noise = tuple(find_timing_doubts(single, seen, agree=agree, stolen=stolen))
        speeds = TimingReadings(confidence, {name: about[name] for name in DETAILS}, noise, seen)
        sizes = cast("list[int]", about["sizes"])
        return (
            *(speeds.at(metric, single, share) for metric, share in SHARES.items()),
            speeds.rate("throughput", batch, cast("int", about["batch_rows"])),
            *(
                speeds.rate(
                    "batch_throughput",
                    cast("Floats", evidence.get(f"batch_{rows}", np.empty(0))),
                    rows,
                    {"rows": rows},
                )
                for rows in sizes
            ),
            *build_queue_readings(evidence, speeds, "open_p99"),
            speeds.once("load", cast("float", about["load"])),
            speeds.once("first", cast("float", about["first"])),
            *(
                [speeds.at("transport", cast("Floats", evidence["transport"]), 0.5)]
                if "transport" in evidence
                else []
            ),
            *build_cpu_time_readings(evidence, "cpu_p50", confidence),
        )

    def _time(self, model: Model, rows: Array, each: float) -> ModelTiming:
        calls = max(LEAST_CALLS, min(self.calls, int(SINGLE * self.seconds / each)))
        batch = int(BATCH / 2 * self.seconds / (BATCH_CALLS * each))
        return model.time(
            rows,
            calls=calls,
            warmup=min(self.warmup, calls),
            batch_rows=max(1, min(self.batch_rows, batch)),
        )

    def _sized(self, model: Model, rows: Array, each: float) -> Iterator[tuple[str, Floats]]:
        share = BATCH / 2 * self.seconds / max(1, len(self.batch_sizes))
        for size in self.batch_sizes:
            if size == 1 or BATCH_CALLS * size * each <= share:
                timing = model.time(rows, calls=1, warmup=1, batch_rows=size)
                yield f"batch_{size}", timing.batch

    def _queues(
        self, subject: Subject, rows: Array, each: float
    ) -> tuple[list[Json], dict[str, Item]]:
        told: list[Json] = []
        seen: dict[str, Item] = {}
        for index, (params, rate) in enumerate(self._rates(each)):
            found = self._queue(subject, rows, rate)
            entry: dict[str, Json] = {"params": dict(params), "rate": rate}
            if isinstance(found, Gap):
                told.append({**entry, "gap": write_gap(found), "conditions": {}})
            else:
                seen[f"arrivals_{index}"] = stack_request_times(found)
                told.append({**entry, "gap": None, "conditions": dict(found.conditions)})
        return told, seen

    def _rates(self, each: float) -> list[tuple[Mapping[str, Scalar], float]]:
        if not self.rates:
            return [({"utilisation": self.utilisation}, self.utilisation / each)]
        return [({"rate": rate}, rate) for rate in self.rates]

    def _queue(self, subject: Subject, rows: Array, rate: float) -> RequestArrivals | Gap:
        if isinstance(subject.bench, Gap):
            return subject.bench
        seconds = QUEUES * self.seconds / max(1, len(self.rates))
        count = max(1, min(ARRIVALS * self.calls, int(seconds * rate)))
        try:
            due = poisson_arrivals(count, rate, subject.seed)
            return subject.bench.arrivals(rows, due)
        except (SubjectLostError, ModelFailedError, RuntimeMissingError) as error:
            return build_bench_gap(error)


CHECK: type[Check] = LatencyCheck
