"""Check of scoring costs on the target: money by its declared price, energy by its counters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.domain.report_blocks import Headline, HeadlineKind
from auditor.domain.tasks import Floats
from auditor.metrics.hardware.timing import TimingReadings, find_timing_doubts

ROWS = 64
PILOT_CALLS = 5
LEAST_CALLS = 60
BATCHES_A_CALL = 1 / 20
LEAST_BATCHES = 12
WARM_WINDOWS = 10
MILLION = 1_000_000
HOUR = 3600.0
JOULES = "joules_a_batch"
NO_PRICE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The target has no price.",
    cure="Set `price_per_hour` of the target (or `price_per_query` of an endpoint).",
    metric="price_per_million_rows",
)
NO_COUNTER = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="This target has no counter of its processors' energy that may be read (RAPL), as is "
    "usual of virtual machines; a board's counter alone (NVML) would leave the processors out, and "
    "a guess from a chip's rated power would be no measurement.",
    cure="Audit on the bare machine, with permission to read /sys/class/powercap.",
    metric="joules_per_million_rows",
)


@dataclass(frozen=True, slots=True)
class ServingCostCheck(Check):
    """Measures throughput in batches of ``batch_rows`` rows, and the price and energy of a million
    rows.

    The price is your target's price an hour divided by the rows that it scores in an hour without
    other work. Energy is read from counters of whole packages and boards, which include other
    users. The model's own share is at most this figure.
    """

    batch_rows: int = 64
    calls: int = 1000
    warmup: int = 50
    seconds: float = 5.0
    agree: float = 0.05
    stolen: float = 0.05

    id: ClassVar[str] = "hardware.cost"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Cost and energy on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "rows_per_second": Metric(
            "Rows per second in batches", Unit.PER_SECOND, higher_is_better=True
        ),
        "price_per_million_rows": Metric(
            "Price per million rows, in the currency of the target's price",
            Unit.NONE,
            higher_is_better=False,
            of_machine=True,
        ),
        "joules_per_million_rows": Metric(
            "Energy per million rows (J)",
            Unit.NONE,
            BoundKind.AT_MOST,
            higher_is_better=False,
            exact=True,
            number=True,
            of_machine=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "13(3)(e)"),
        FrameworkControl("eu-ai-act", "Annex IV 1(e)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.12"),
        FrameworkControl("iso-42001", "A.4.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"calls": 240, "warmup": 20, "seconds": 1.0},
        Budget.CI: {"calls": 1000, "warmup": 50, "seconds": 5.0},
        Budget.FULL: {"calls": 4000, "warmup": 100, "seconds": 20.0},
    }
    headlines: ClassVar[Mapping[str, Headline]] = {
        "price_per_million_rows": Headline(
            HeadlineKind.PRICE, "Price per million rows", "in the currency of the declared price"
        ),
    }
    about: ClassVar[str] = (
        "Batches were timed. The price is the target's price an hour, divided by the rows that "
        "it scores in an hour without other work."
    )
    cures: ClassVar[tuple[str, ...]] = (
        ("Declare the target's price an hour, use larger batches, or choose another target."),
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.batch_rows, self.calls) < 1 or self.seconds <= 0:
            message = "batch_rows and calls must be at least 1, and seconds above 0"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend at most; a slow model is asked less often."""
        batches = max(LEAST_BATCHES, int(self.calls * BATCHES_A_CALL))
        return CheckCost(
            queries=self.calls + WARM_WINDOWS * self.warmup + batches * self.batch_rows
        )

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Time batches on rows of the evaluation data. Raises what ``Model.time`` raises."""
        inputs, target = subject.datasets[DatasetRole.EVALUATION].inputs, subject.target
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to time: the frame asks `needs` first"
            raise TypeError(message)
        rows = inputs[subject.sample(DatasetRole.EVALUATION, ROWS)]
        pilot = subject.model.time(rows, calls=PILOT_CALLS, warmup=1, batch_rows=1)
        each = max(float(np.median(pilot.single)), 1e-9)
        calls = max(LEAST_CALLS, min(self.calls, int(self.seconds / 3 / each)))
        batch = int(self.seconds / 2 / (LEAST_BATCHES * each))
        timing = subject.model.time(
            rows,
            calls=calls,
            warmup=min(self.warmup, calls),
            batch_rows=max(1, min(self.batch_rows, batch)),
        )
        endpoint = target.endpoint
        about: dict[str, Json] = {
            "batch_rows": timing.batch_rows,
            "conditions": dict(timing.conditions),
            "price_per_hour": target.price_per_hour,
            "price_per_query": None if endpoint is None else endpoint.price_per_query,
            "agree": self.agree,
            "stolen": self.stolen,
        }
        return {"single": timing.single, "batch": timing.batch, "about": about}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute rows a second of the median batch, and what they cost."""
        about = cast("Mapping[str, Json]", evidence["about"])
        single, batch = (cast("Floats", evidence[name]) for name in ("single", "batch"))
        seen = cast("Mapping[str, float]", about["conditions"])
        agree, stolen = (cast("float", about[name]) for name in ("agree", "stolen"))
        noise = tuple(find_timing_doubts(single, seen, agree=agree, stolen=stolen))
        details = {name: about[name] for name in ("batch_rows", "conditions")}
        speeds = TimingReadings(confidence, details, noise)
        rate = speeds.rate("rows_per_second", batch, cast("int", about["batch_rows"]))
        return rate, _price(rate, about), _energy(about)


def _price(rate: Reading, about: Mapping[str, Json]) -> Reading:
    hour = cast("float | None", about["price_per_hour"])
    query = cast("float | None", about["price_per_query"])
    if hour is None and query is None:
        return NO_PRICE
    if isinstance(rate, Gap):
        return Gap(reason=rate.reason, detail=rate.detail, cure=rate.cure, metric=NO_PRICE.metric)
    low, high = cast("float", rate.low), cast("float", rate.high)
    fixed = MILLION * (query or 0.0)
    paid = [fixed + MILLION * (hour or 0.0) / HOUR / pace for pace in (high, low)]
    return Measurement(
        metric=NO_PRICE.metric,
        value=fixed + MILLION * (hour or 0.0) / HOUR / cast("float", rate.value),
        low=paid[0],
        high=paid[1],
        confidence=rate.confidence,
        method=f"declared price over rows a second ({rate.method})",
        n=rate.n,
        unit=Unit.NONE,
        repeat=Repeatability.INTERVAL,
        doubted=rate.doubted,
        astray=BiasDirection.TOO_HIGH if rate.doubted else None,
        details={**rate.details, "price_per_hour": hour, "price_per_query": query},
    )


def _energy(about: Mapping[str, Json]) -> Reading:
    seen = cast("Mapping[str, float]", about["conditions"])
    rows = cast("int", about["batch_rows"])
    if JOULES not in seen:
        return NO_COUNTER
    return Measurement(
        metric=NO_COUNTER.metric,
        value=MILLION * seen[JOULES] / rows,
        bound=BoundKind.AT_MOST,
        method="counters of whole packages and boards while batches were scored",
        n=rows,
        unit=Unit.NONE,
        repeat=Repeatability.INTERVAL,
        details={"conditions": about["conditions"]},
    )


CHECK: type[Check] = ServingCostCheck
