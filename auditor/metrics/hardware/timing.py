"""Latency and throughput readings, and doubts about timings from a busy machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.errors import AuditorError, RuntimeMissingError, SubjectLostError
from auditor.metrics.hardware.open_loop_load import find_busy_periods, offered_load, response_times
from auditor.metrics.stats.quantiles import clustered_quantile, least_samples, quantile

WINDOWS = 3
LEAST_WINDOW = 10
"""Calls below which a window's median says nothing."""


def find_timing_doubts(
    times: Floats, conditions: Mapping[str, float], *, agree: float, stolen: float
) -> list[str]:
    """Say why ``times`` (s, in the order taken) may be those of the machine, not of the model.

    ``agree`` is by how much of the fastest the medians of three windows may differ, ``stolen`` the
    share of processor time that other guests of the host may have taken meanwhile.
    """
    found = []
    share = conditions.get("stolen_share", 0.0)
    if share > stolen:
        found.append(f"{share:.1%} of the processor's time was taken by other guests of its host")
    if conditions.get("steady", 1.0) == 0.0:
        found.append("times of the last windows of calls did not agree when warming up ended")
    apart = median_spread(times)
    if apart is not None and apart > agree:
        found.append(
            f"the medians of {WINDOWS} windows of calls differ by {apart:.1%} of the fastest, "
            f"where {agree:.1%} is allowed"
        )
    return found


def find_interruption_doubts(conditions: Mapping[str, float], share: float) -> list[str]:
    """Say why a quantile may be that of other processes: they came between too many calls.

    Interrupted calls are the slow ones, so more than half of what lies beyond the quantile would
    be theirs.
    """
    beyond = (1 - share) / 2
    shares = {
        "of the calls were interrupted by other processes": "interrupted_share",
        "of the time was spent on waiting for a processor": "waited_share",
    }
    return [
        f"{conditions[name]:.2%} {words}, more than half of the {1 - share:.2%} that lie beyond"
        for words, name in shares.items()
        if conditions.get(name, 0.0) > beyond
    ]


def median_spread(times: Floats) -> float | None:
    """Return by how much of the fastest the medians of three windows differ.

    ``None`` where there are too few times to have windows, or the fastest took none.
    """
    if times.size < WINDOWS * LEAST_WINDOW:
        return None
    medians = [float(np.median(part)) for part in np.array_split(times, WINDOWS)]
    return None if min(medians) <= 0 else max(medians) / min(medians) - 1


def build_bench_gap(error: AuditorError) -> Gap:
    """Say what a bench raised as a gap, where the rest of a check goes on without it."""
    reason = GapReason.MODEL_FAILED
    if isinstance(error, SubjectLostError):
        reason = GapReason(error.slug)
    elif isinstance(error, RuntimeMissingError):
        reason = GapReason.NEEDS_RUNTIME
    return Gap(reason=reason, detail=error.problem, cure=error.cure)


def build_too_few_gap(
    metric: str, have: int, need: int, what: str, params: Mapping[str, Scalar]
) -> Gap:
    """Return the gap of a figure for which too little was seen."""
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{metric} needs {need:,} {what} at this confidence; {have:,} were made in what "
        "the budget gives.",
        cure="Audit with a larger budget, or raise this check's own numbers in the policy.",
        metric=metric,
        params=params,
    )


LATE = 0.99
SLOWED = {Unit.SECOND: BiasDirection.TOO_HIGH, Unit.PER_SECOND: BiasDirection.TOO_LOW}
"""What other work on the machine makes of times, and of what is done in them."""
NO_PARAMS: Mapping[str, Scalar] = {}
CLOCK_RANGE = 5.0
"""No processor on the market keeps less than a fifth of its highest clock when it runs for long."""
ACCOUNTED = 0.95
"""Share of the times in which the calling thread ran or waited for a processor, and did no other
wait: for a device, a network, or other threads of its own, whose speed is not that of its clock."""


@dataclass(frozen=True, slots=True)
class TimingReadings:
    """Turns times into readings; with ``doubts`` none of them may pass a rule.

    ``conditions`` is what the machine was doing meanwhile, as ``domain.models.Timing`` has it.
    Where ``one_sided``, other work can only have made the times longer, and doubted ones have a
    worst case; ``processor`` is how long (s) the thread of each call had a processor meanwhile.
    """

    confidence: float
    details: Mapping[str, Json] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    conditions: Mapping[str, float] = field(default_factory=dict)
    processor: Floats | None = None
    one_sided: bool = False

    def at(
        self, metric: str, times: Floats, share: float, params: Mapping[str, Scalar] = NO_PARAMS
    ) -> Reading:
        """Return the ``share`` quantile of times, between two order statistics."""
        found = quantile(times, share, self.confidence)
        if found is None:
            return self._too_few(metric, times, share, params)
        more = find_interruption_doubts(self.conditions, share)
        made = self.measured(found, metric, Unit.SECOND, params, more)
        slowest = quantile(self._at_lowest_clock(times), share, self.confidence)
        if not (made.doubted and self.one_sided) or slowest is None:
            return made
        return replace(made, worst_case=slowest.high)

    def rate(
        self, metric: str, times: Floats, rows: int, params: Mapping[str, Scalar] = NO_PARAMS
    ) -> Reading:
        """Return the rows a second of the median call of ``rows`` rows."""
        found = convert_to_throughput(quantile(times, 0.5, self.confidence), rows)
        if found is None:
            return self._too_few(metric, times, 0.5, params)
        made = self.measured(found, metric, Unit.PER_SECOND, params)
        if not (made.doubted and self.one_sided):
            return made
        return replace(made, worst_case=found.low / CLOCK_RANGE)

    def _at_lowest_clock(self, times: Floats) -> Floats:
        """Return at most how long each call takes at the lowest clock that lasts.

        Waiting for a processor does not shrink with a high clock, so only the time on it counts,
        where the thread did nothing else. If calls were interrupted at one speed, no clock is in
        doubt.
        """
        if not self.doubts:
            return times
        ran, wall = self.processor, float(times.sum())
        waited = self.conditions.get("waited_share", 0.0) * wall
        known = ran is not None and ran.shape == times.shape and bool((ran > 0).all())
        if ran is None or not known or float(ran.sum()) + waited < ACCOUNTED * wall:
            return CLOCK_RANGE * times
        return times + (CLOCK_RANGE - 1) * np.minimum(ran, times)

    def once(self, metric: str, seconds: float) -> Measurement:
        """Return what was seen once, and has no interval."""
        return Measurement(
            metric=metric,
            value=seconds,
            method="measured once",
            n=1,
            unit=Unit.SECOND,
            repeat=Repeatability.INTERVAL,
            doubted=bool(self.doubts),
            astray=BiasDirection.TOO_HIGH if self.doubts else None,
            details=self._details(self.doubts),
        )

    def queued(
        self, metric: str, rows: Floats, params: Mapping[str, Scalar], seen: Mapping[str, float]
    ) -> Reading:
        """Return the 99th percentile of requests ``[3, n]`` that came at times of their own.

        ``seen`` are the conditions in which they did. Requests that wait for each other are no
        independent ones, and those that were still waiting at the end waited at least till then.
        """
        busy = offered_load(rows)
        if busy >= 1:
            return Gap(
                reason=GapReason.NOT_DEFINED,
                detail="Requests came faster than the target serves them "
                f"({busy:.0%} of what it can do), so that they wait the longer the longer one "
                "looks.",
                cure="Declare a lower arrival rate, or audit on a faster target.",
                metric=metric,
                params=params,
            )
        found = clustered_quantile(
            response_times(rows), find_busy_periods(rows), LATE, self.confidence
        )
        if found is None:
            return Gap(
                reason=GapReason.TOO_FEW_ROWS,
                detail=f"{rows.shape[1]:,} requests in {int(find_busy_periods(rows)[-1]) + 1:,} "
                f"bunches, which wait for each other, are too few for {metric} at this confidence.",
                cure="Declare a lower arrival rate or utilisation, raise `calls` and `seconds` "
                "of the check in the policy, or audit with a larger budget.",
                metric=metric,
                params=params,
            )
        details = {**self.details, "offered_load": busy, "conditions": dict(seen)}
        count = int(seen.get("left_out", 0))
        more = [
            *find_interruption_doubts(seen, LATE),
            *([f"{count:,} requests were still to be served when time was up"] if count else []),
        ]
        return replace(self, details=details).measured(found, metric, Unit.SECOND, params, more)

    def measured(
        self, found: ConfidenceInterval, metric: str, unit: Unit, params: Mapping[str, Scalar],
        more: Sequence[str] = (),
    ) -> Measurement:  # fmt: skip
        """Return a reading of an interval that was found, with ``more`` doubts where there are."""
        doubts = (*self.doubts, *more)
        return Measurement.of(
            found,
            metric,
            unit,
            params=params,
            repeat=Repeatability.INTERVAL,
            doubted=bool(doubts),
            astray=SLOWED.get(unit) if doubts else None,
            details=self._details(doubts),
        )

    def _details(self, doubts: Sequence[str]) -> dict[str, Json]:
        return {**self.details, **({"doubts": [*doubts]} if doubts else {})}

    def _too_few(
        self, metric: str, times: Floats, share: float, params: Mapping[str, Scalar]
    ) -> Gap:
        need = least_samples(share, self.confidence)
        return build_too_few_gap(metric, times.size, need, "timed calls", params)


def convert_to_throughput(
    seconds: ConfidenceInterval | None, rows: int
) -> ConfidenceInterval | None:
    """Turn the time of a batch into rows a second: the slow end becomes the low one."""
    if seconds is None or seconds.low <= 0:
        return None
    ends = rows / seconds.high, rows / seconds.low
    return ConfidenceInterval(
        rows / seconds.value, *ends, seconds.confidence, seconds.method, seconds.n
    )


def build_queue_readings(evidence: Evidence, speeds: TimingReadings, metric: str) -> list[Reading]:
    """Return a reading for each queue of the evidence, in the order in which they were run."""
    found: list[Reading] = []
    for index, queue in enumerate(cast("list[Mapping[str, Json]]", evidence["queues"])):
        params = cast("Mapping[str, Scalar]", queue["params"])
        if queue["gap"] is not None:
            found.append(read_gap(queue["gap"], metric, params))
        else:
            rows = cast("Floats", evidence[f"arrivals_{index}"])
            seen = cast("Mapping[str, float]", queue["conditions"])
            found.append(speeds.queued(metric, rows, params, seen))
    return found
