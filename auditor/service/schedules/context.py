"""The context of schedules, and the isolation of one schedule's failure from the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from auditor.domain.auditfiles import AuditFile
from auditor.service.approvals.people import ApprovalContext
from auditor.service.domain.submissions import AuditOrder
from auditor.service.gate import GateDecision, GateRequest
from auditor.service.jobs.queue import JobQueue
from auditor.service.schedules.watched_places import WatchRoots
from auditor.service.store.agents import SightingStore
from auditor.service.store.schedules import ArrivalStore, RunStore, ScheduleStore
from auditor.service.store.trends import TrendStore
from auditor.service.uploads import UploadStore
from auditor.workflows.prepare import read_overridden_audit_file

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleContext:
    """Where schedules are kept, where their audits are handed in, and who asks gates for them.

    ``people`` judge what is stored again, ``sightings`` tell what targets turned out to be, and
    ``intake`` brings in what comes in the places that ``roots`` let be watched.
    """

    kept: ScheduleStore
    runs: RunStore
    trends: TrendStore
    desk: JobQueue
    gate: Callable[[GateRequest], GateDecision]
    people: ApprovalContext
    sightings: SightingStore
    arrivals: ArrivalStore
    intake: UploadStore
    roots: WatchRoots

    def now(self) -> str:
        """Return the time."""
        return self.desk.clock()


def run_each(items: Iterable[T], act: Callable[[T], object]) -> None:
    """Do the same with each of several things, and raise the first error once all had a turn."""
    failures: list[Exception] = []
    for item in items:
        try:
            act(item)
        except Exception as error:  # noqa: BLE001 -- raised below, after the others
            failures.append(error)
    if failures:
        raise failures[0]


def resolve_audit_file(scheduler: ScheduleContext, asked: AuditOrder) -> AuditFile:
    """Return the audit file of what is asked, with what it is asked otherwise.

    Raises ``AuditFileError``, and ``TargetError`` for a target that is not there any more.
    """
    desk = scheduler.desk
    raw = desk.blobs.get(asked.audit_file)
    chosen, effort = asked.targets, asked.budget
    return read_overridden_audit_file(
        raw, asked.source, desk.readers, targets=chosen, budget=effort, only=asked.only
    )
