"""What schedules need of a service, and how one of them that fails keeps no other from its turn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from auditor.desks import Desk
from auditor.gatekeeping import Answer, Asking
from auditor.store.service.schedule_runs import KeptRuns
from auditor.store.service.schedules import KeptSchedules
from auditor.store.service.trends import KeptTrends

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Where schedules are kept, where their audits are handed in, and who asks gates for them."""

    kept: KeptSchedules
    runs: KeptRuns
    trends: KeptTrends
    desk: Desk
    gate: Callable[[Asking], Answer]

    def now(self) -> str:
        """Return the time."""
        return self.desk.clock()


def each(items: Iterable[T], act: Callable[[T], object]) -> None:
    """Do the same with each of several things, and raise the first error once all had a turn."""
    failures: list[Exception] = []
    for item in items:
        try:
            act(item)
        except Exception as error:  # noqa: BLE001 -- raised below, after the others
            failures.append(error)
    if failures:
        raise failures[0]
