"""Check of latency for one row, and of throughput in batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import write_gap
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import RequestArrivals
from auditor.domain.models import Model
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Scalar, Unit
from auditor.domain.report_blocks import (
    BlockPlace,
    Headline,
    HeadlineKind,
    Reads,
    ReportBlock,
    ReportSection,
    ReportTopic,
)
from auditor.domain.report_panels import build_interval_panels
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError, RuntimeMissingError, SubjectLostError
from auditor.metrics.hardware.cpu_time import PROCESSOR, build_cpu_time_readings
from auditor.metrics.hardware.open_loop_load import poisson_arrivals, stack_request_times
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
QUANTILES = {"p50": "p50 (median)", "p90": "p90", "p99": "p99"}
TIMED = (
    "50 % of the calls are faster than p50, 90 % than p90, 99 % than p99. Measured "
    "inside the process that runs the model, on the machine described below."
)


@dataclass(frozen=True, slots=True)
class LatencyCheck(Check):
    """Measures latency inside the process that runs your model, one row at a time, once it is warm:
    when three windows of ``warmup`` calls agree within 5 %.

    - ``p50``, ``p90``, ``p99``: closed loop; a call begins when the last one ended.
    - ``open_p99``: measured from the due time of each request, so waiting is included. Requests
      arrive at ``rates`` a second, or without declared rates at ``utilisation`` of the closed
      loop's rate.
    - ``cpu_p50``: processor time of the calling thread. A row takes at least this long, regardless
      of other load. It excludes other threads and accelerators, so it passes no rule by itself.

    A slow model gets fewer ``calls``, so that timing ends within about ``seconds``; batches of
    ``batch_sizes`` rows that are too slow are left out. If windows of calls differ by more than
    ``agree``, or other guests of the host took more than ``stolen`` of the processor, all readings
    but ``cpu_p50`` are doubted.

    Other work on the machine can only lengthen a closed loop. A doubted ``p50``, ``p90``, ``p99``
    or throughput has a ``worst_case``: the interval's slow end if the processor's clock later
    falls to a fifth. A limit beyond it is kept in spite of the doubt. A served model, a processor
    of which other guests took more than ``stolen``, and ``open_p99``, which other work can
    shorten by keeping the processor awake, have none.

    A served model is timed from the client and has no ``cpu_p50``. Its times include the network;
    ``transport`` is the median of that part.
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
    version: ClassVar[int] = 4
    title: ClassVar[str] = "Latency and throughput on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "p50": Metric("Median latency per row (p50)", Unit.SECOND, higher_is_better=False),
        "cpu_p50": Metric(
            "Median processor time per row of the calling thread",
            Unit.SECOND,
            higher_is_better=False,
            bound=BoundKind.AT_LEAST,
        ),
        "p90": Metric("90th-percentile latency per row (p90)", Unit.SECOND, higher_is_better=False),
        "p99": Metric("99th-percentile latency per row (p99)", Unit.SECOND, higher_is_better=False),
        "throughput": Metric("Rows per second in batches", Unit.PER_SECOND, higher_is_better=True),
        "batch_throughput": Metric(
            "Rows per second in batches of one size", Unit.PER_SECOND, higher_is_better=True
        ),
        "open_p99": Metric(
            "99th-percentile latency of requests that arrive at a given rate",
            Unit.SECOND,
            higher_is_better=False,
        ),
        "load": Metric("Time to open the model", Unit.SECOND, higher_is_better=False, exact=True),
        "first": Metric(
            "Time of the first call after opening", Unit.SECOND, higher_is_better=False, exact=True
        ),
        "transport": Metric(
            "Median network round trip to a served model, without the model",
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
    headlines: ClassVar[Mapping[str, Headline]] = {
        "p50": Headline(HeadlineKind.TIME, "Median latency per row (p50)"),
        "p99": Headline(HeadlineKind.TAIL, "99th-percentile latency per row (p99)"),
    }
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.RESOURCES})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DAILY, 5)
    about: ClassVar[str] = (
        "The warm model received single rows one after the other, and each answer was timed "
        "where the model runs. The slowest of 100 answers matter more than the median, because "
        "users wait for them."
    )
    cures: ClassVar[tuple[str, ...]] = (
        (
            "Give the target more threads or a faster chip, or send rows in batches if no user "
            "waits."
        ),
        ("If the interval is too wide to decide, audit on a machine without other load."),
    )

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
            + queued,
            least=PILOT_CALLS + 2 * LEAST_CALLS,
            most_seconds=self.seconds,
        )

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Time calls on rows of the evaluation data. Raises what ``Model.time`` raises."""
        inputs = subject.datasets[DatasetRole.EVALUATION].inputs
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to time: the frame asks `needs` first"
            raise TypeError(message)
        rows = inputs[subject.sample(DatasetRole.EVALUATION, ROWS)]
        pilot = subject.model.time(rows, calls=PILOT_CALLS, warmup=1, batch_rows=1)
        each = max(float(np.median(pilot.single)), 1e-9)
        calls = max(LEAST_CALLS, min(self.calls, int(SINGLE * self.seconds / each)))
        batch = int(BATCH / 2 * self.seconds / (BATCH_CALLS * each))
        timing = subject.model.time(
            rows,
            calls=calls,
            warmup=min(self.warmup, calls),
            batch_rows=max(1, min(self.batch_rows, batch)),
        )
        sized = dict(self._sized(subject.model, rows, each))
        each = max(float(timing.single.mean()), 1e-9)
        queues: list[Json] = []
        arrivals: dict[str, Item] = {}
        for index, (params, rate) in enumerate(self._rates(each)):
            found = self._queue(subject, rows, rate)
            entry: dict[str, Json] = {"params": dict(params), "rate": rate}
            if isinstance(found, Gap):
                queues.append({**entry, "gap": write_gap(found), "conditions": {}})
            else:
                arrivals[f"arrivals_{index}"] = stack_request_times(found)
                queues.append({**entry, "gap": None, "conditions": dict(found.conditions)})
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
        ran = cast("Floats | None", evidence.get(PROCESSOR))
        speeds = TimingReadings(
            confidence,
            {name: about[name] for name in DETAILS},
            noise,
            seen,
            processor=ran,
            # Who takes a processor away may be its host, for good, once its credit is spent
            one_sided=ran is not None and seen.get("stolen_share", 0.0) <= stolen,
        )
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

    def _sized(self, model: Model, rows: Array, each: float) -> Iterator[tuple[str, Floats]]:
        share = BATCH / 2 * self.seconds / max(1, len(self.batch_sizes))
        for size in self.batch_sizes:
            if size == 1 or BATCH_CALLS * size * each <= share:
                timing = model.time(rows, calls=1, warmup=1, batch_rows=size)
                yield f"batch_{size}", timing.batch

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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show how long an answer takes."""
        return ReportBlock(
            parts=build_interval_panels(
                [m for m in measurements if m.metric in QUANTILES],
                lambda m: QUANTILES[m.metric],
                title="Time to answer one row on the target",
                caption=TIMED,
                header=("", "Figure", "Interval", "How sure"),
            )
        )


CHECK: type[Check] = LatencyCheck
