"""What schedules need of a service, and how one of them that fails keeps no other from its turn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from auditor.desks import Desk
from auditor.domain.auditfiles import AuditFile
from auditor.gatekeeping import Answer, Asking
from auditor.people.panels import Panel
from auditor.preparing import Overrides, read_asked
from auditor.schedules.places import Roots
from auditor.store.service.arrivals import KeptArrivals
from auditor.store.service.schedule_runs import KeptRuns
from auditor.store.service.schedules import KeptSchedules
from auditor.store.service.sightings import Sightings
from auditor.store.service.trends import KeptTrends
from auditor.submitting import Asked
from auditor.uploading import Intake

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Where schedules are kept, where their audits are handed in, and who asks gates for them.

    ``people`` judge what is stored again, ``sightings`` tell what targets turned out to be, and
    ``intake`` brings in what comes in the places that ``roots`` let be watched.
    """

    kept: KeptSchedules
    runs: KeptRuns
    trends: KeptTrends
    desk: Desk
    gate: Callable[[Asking], Answer]
    people: Panel
    sightings: Sightings
    arrivals: KeptArrivals
    intake: Intake
    roots: Roots

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


def file_of(scheduler: Scheduler, asked: Asked) -> AuditFile:
    """Return the audit file of what is asked, with what it is asked otherwise.

    Raises ``AuditFileError``, and ``TargetError`` for a target that is not there any more.
    """
    desk = scheduler.desk
    overrides = Overrides(targets=asked.targets, budget=asked.budget, only=asked.only)
    return read_asked(desk.blobs.get(asked.audit_file), asked.source, overrides, desk.readers)
