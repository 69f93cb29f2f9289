"""How much of an audit is done, and about how long the rest takes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from auditor.domain.budgets import LEAST_SECONDS, SECONDS_A_TRAINED_ROW, AuditSize
from auditor.domain.checks import Check
from auditor.domain.number_text import format_duration
from auditor.domain.targets import TargetSpec
from auditor.workflows.engine.time_allowance import ROWS_A_PASS, TimeAllowance
from auditor.workflows.prepare import PreparedAudit

CheckPlace = tuple[str, str]
"""A target and the id of a check."""
TYPICAL_PACE = 1e-4
"""Seconds a row, before anything was timed; the audit's own pace soon outweighs it."""
UNKNOWN_SECONDS = 5.0
"""What a check is taken to need where only its name is known, as at a service."""
PRIOR_SECONDS = 10.0
"""For how much the typical pace counts against the measured one."""


def estimate_check_seconds(prepared: PreparedAudit) -> dict[CheckPlace, float]:
    """Return by target and check about how many seconds each takes at a typical pace."""
    return {
        (spec.name, check.id): _estimate(check, spec, prepared.size)
        for spec in prepared.request.targets
        for check in prepared.checks
    }


def compute_time_limit(prepared: PreparedAudit) -> float | None:
    """Return the seconds that all targets together may take, where each of them has a limit."""
    request = prepared.request
    if any(spec.served for spec in request.targets):
        return None
    return len(request.targets) * request.seconds


def _estimate(check: Check, spec: TargetSpec, size: AuditSize) -> float:
    cost = TimeAllowance(spec, size).cost(check)
    rows = cost.queries + ROWS_A_PASS * cost.passes
    trained = cost.trained * SECONDS_A_TRAINED_ROW if size.recipe else 0.0
    return LEAST_SECONDS + cost.seconds + rows * TYPICAL_PACE + trained


@dataclass(slots=True)
class RemainingTime:
    """Counts the checks that are done, and corrects their estimates by the time that they took.

    ``expected`` are seconds by target and check; a check that is not among them counts as one of
    ``LEAST_SECONDS``. All of them take ``most`` seconds, or a little more. ``clock`` gives seconds.
    """

    expected: Mapping[CheckPlace, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    most: float | None = None
    _began: dict[CheckPlace, float] = field(default_factory=dict)
    _ended: set[CheckPlace] = field(default_factory=set)
    _taken: float = 0.0
    _foreseen: float = 0.0

    @property
    def done(self) -> int:
        """Checks that have ended."""
        return len(self._ended)

    @property
    def total(self) -> int:
        """All checks on all targets."""
        return len(self.expected)

    def start(self, place: CheckPlace) -> None:
        """Note that a check begins."""
        self._began[place] = self.clock()

    def has_ended(self, place: CheckPlace) -> bool:
        """Whether a check has ended, so that it goes on where it begins."""
        return place in self._ended

    def end(self, place: CheckPlace, *, seen: bool) -> float:
        """Note that a check has ended, and return its seconds; a gap shows nothing of the pace."""
        now = self.clock()
        took = now - self._began.pop(place, now)
        if seen:
            self._taken += took
            if place not in self._ended:  # or else it went on
                self._foreseen += self.expected.get(place, LEAST_SECONDS)
        self._ended.add(place)
        return took

    @property
    def seconds(self) -> float:
        """About how long the checks that have not ended still take together."""
        pace = (self._taken + PRIOR_SECONDS) / (self._foreseen + PRIOR_SECONDS)
        now = self.clock()
        left = 0.0
        for place, expected in self.expected.items():
            if place not in self._ended:
                spent = now - self._began[place] if place in self._began else 0.0
                left += max(0.0, expected * pace - spent)
        return left if self.most is None else min(left, max(0.0, self.most - self._taken))

    def __str__(self) -> str:
        """Write both, such as ``12 of 62 checks, about 3 min left``."""
        return f"{self.done} of {self.total} checks, about {format_duration(self.seconds)} left"
