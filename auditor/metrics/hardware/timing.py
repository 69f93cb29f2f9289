"""Times that were measured on a target, as readings of a check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from auditor.benching.gaps import too_few
from auditor.benching.noise import interruptions
from auditor.benching.queues import bunches, load_of, waits
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.intervals import Interval
from auditor.domain.readings import (
    Astray,
    Gap,
    Measurement,
    Reading,
    Reason,
    Repeat,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.stats.quantiles import clustered_quantile, least_samples, quantile

LATE = 0.99
SLOWED = {Unit.SECOND: Astray.TOO_HIGH, Unit.PER_SECOND: Astray.TOO_LOW}
"""What other work on the machine makes of times, and of what is done in them."""
NO_PARAMS: Mapping[str, Scalar] = {}


@dataclass(frozen=True, slots=True)
class Speeds:
    """Turns times into readings; with ``doubts`` none of them may pass a rule.

    ``conditions`` is what the machine was doing meanwhile, as ``domain.models.Timing`` has it.
    """

    confidence: float
    details: Mapping[str, Json] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    conditions: Mapping[str, float] = field(default_factory=dict)

    def at(
        self, metric: str, times: Floats, share: float, params: Mapping[str, Scalar] = NO_PARAMS
    ) -> Reading:
        """Return the ``share`` quantile of times, between two order statistics."""
        found = quantile(times, share, self.confidence)
        if found is None:
            return self._too_few(metric, times, share, params)
        more = interruptions(self.conditions, share)
        return self.measured(found, metric, Unit.SECOND, params, more)

    def rate(
        self, metric: str, times: Floats, rows: int, params: Mapping[str, Scalar] = NO_PARAMS
    ) -> Reading:
        """Return the rows a second of the median call of ``rows`` rows."""
        found = per_second(quantile(times, 0.5, self.confidence), rows)
        if found is None:
            return self._too_few(metric, times, 0.5, params)
        return self.measured(found, metric, Unit.PER_SECOND, params)

    def once(self, metric: str, seconds: float) -> Measurement:
        """Return what was seen once, and has no interval."""
        return Measurement(
            metric=metric,
            value=seconds,
            method="measured once",
            n=1,
            unit=Unit.SECOND,
            repeat=Repeat.INTERVAL,
            doubted=bool(self.doubts),
            astray=Astray.TOO_HIGH if self.doubts else None,
            details=self._details(self.doubts),
        )

    def queued(
        self, metric: str, rows: Floats, params: Mapping[str, Scalar], seen: Mapping[str, float]
    ) -> Reading:
        """Return the 99th percentile of requests ``[3, n]`` that came at times of their own.

        ``seen`` are the conditions in which they did. Requests that wait for each other are no
        independent ones, and those that were still waiting at the end waited at least till then.
        """
        busy = load_of(rows)
        if busy >= 1:
            return Gap(
                reason=Reason.NOT_DEFINED,
                detail="Requests came faster than the target serves them "
                f"({busy:.0%} of what it can do), so that they wait the longer the longer one "
                "looks.",
                cure="Declare a lower arrival rate, or audit on a faster target.",
                metric=metric,
                params=params,
            )
        found = clustered_quantile(waits(rows), bunches(rows), LATE, self.confidence)
        if found is None:
            return self._waiting(metric, rows, params)
        details = {**self.details, "offered_load": busy, "conditions": dict(seen)}
        more = [*interruptions(seen, LATE), *_left_out(seen)]
        return replace(self, details=details).measured(found, metric, Unit.SECOND, params, more)

    def _waiting(self, metric: str, rows: Floats, params: Mapping[str, Scalar]) -> Gap:
        return Gap(
            reason=Reason.TOO_FEW_ROWS,
            detail=f"{rows.shape[1]:,} requests in {int(bunches(rows)[-1]) + 1:,} bunches, which "
            f"wait for each other, are too few for {metric} at this confidence.",
            cure="Declare a lower arrival rate or utilisation, raise `calls` and `seconds` of the "
            "check in the policy, or audit with a larger budget.",
            metric=metric,
            params=params,
        )

    def measured(
        self, found: Interval, metric: str, unit: Unit, params: Mapping[str, Scalar],
        more: Sequence[str] = (),
    ) -> Measurement:  # fmt: skip
        """Return a reading of an interval that was found, with ``more`` doubts where there are."""
        doubts = (*self.doubts, *more)
        return Measurement.of(
            found,
            metric,
            unit,
            params=params,
            repeat=Repeat.INTERVAL,
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
        return too_few(metric, times.size, need, "timed calls", params)


def _left_out(seen: Mapping[str, float]) -> list[str]:
    count = int(seen.get("left_out", 0))
    return [f"{count:,} requests were still to be served when time was up"] if count else []


def per_second(seconds: Interval | None, rows: int) -> Interval | None:
    """Turn the time of a batch into rows a second: the slow end becomes the low one."""
    if seconds is None or seconds.low <= 0:
        return None
    ends = rows / seconds.high, rows / seconds.low
    return Interval(rows / seconds.value, *ends, seconds.confidence, seconds.method, seconds.n)


def queue_readings(evidence: Evidence, speeds: Speeds, metric: str) -> list[Reading]:
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
