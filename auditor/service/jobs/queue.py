"""The job queue: submissions to run, and those that wait because no agent can run them yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Protocol

from auditor._time import format_time, parse_time
from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.domain.targets import TargetSpec
from auditor.domain.waivers import parse_waiver_time
from auditor.service.domain.submissions import Submission, SubmissionState
from auditor.service.store.submission_backlog import SubmissionBacklog
from auditor.service.store.submission_history import ServiceStore
from auditor.store.blobs import BlobStorage
from auditor.workflows.prepare import Resolvers


class JobEngine(Protocol):
    """What carries submissions out, as far as those who hand them in know it."""

    def submit(self, submission: str) -> None:
        """Queue a submission; one that is queued already stays as it is."""

    def cancel(self, submission: str) -> None:
        """Stop a submission before its next check."""

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Return those of ``targets`` that a live worker works for."""
        ...


def find_no_agents(_project: str | None) -> frozenset[str]:
    """Know of no agent that works for any target."""
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """Where submissions are handed in: what is kept, who carries them out, what names mean.

    ``pack`` loads a policy that comes with auditor by its name alone, ``policy`` reads one from
    the bytes of its resolved document. ``recipes`` gives leave to run the code of owners.
    ``most_waiting`` is how many audits of a project may be under way; 0 is any number.
    ``agents`` knows the targets for which agents of a project live, or, for ``None``, of any.
    """

    kept: ServiceStore
    blobs: BlobStorage
    engine: JobEngine
    readers: Resolvers
    targets: Mapping[str, TargetSpec]
    pack: Callable[[str], Policy]
    policy: Callable[[bytes, str], Policy]
    clock: Callable[[], str]
    recipes: bool = False
    most_waiting: int = 0
    agents: Callable[[str | None], frozenset[str]] = find_no_agents

    def live(self, project: str | None = None) -> frozenset[str]:
        """Return the targets of the service that a live worker, or an agent, works for.

        Workers work for all projects, agents for their own; ``None`` counts all agents.
        """
        return self.engine.live(tuple(self.targets)) | self.agents(project)


def describe_wait(at: str, absent: Sequence[str], seconds: int) -> Mapping[str, Json]:
    """Say for workers of which targets a submission waits, and until when."""
    until = parse_time(at) + timedelta(seconds=seconds)
    return {"targets": list(absent), "until": format_time(until)}


def dispatch_waiting(desk: JobQueue) -> None:
    """Queue what waited for workers that live by now, and end what waited too long."""
    live = cache(desk.live)
    for item in SubmissionBacklog(desk.kept.store).unended(SubmissionState.WAITING):
        absent = [name for name in item.order.targets if name not in live(item.project)]
        if not absent:
            desk.kept.append(item.id, SubmissionState.QUEUED.value, {}, desk.clock())
            desk.engine.submit(item.id)
        elif _over(desk, item):
            problem = f"no worker for {', '.join(absent)} came online in time"
            cure = f"Start one (`auditor worker --target {absent[0]}`), and submit the audit again."
            desk.kept.fail(item.id, problem, cure, desk.clock())


def requeue_unfinished(desk: JobQueue) -> None:
    """Queue again what was handed in and had not ended when a service stopped.

    What the engine has already stays as it is there.
    """
    for state in (SubmissionState.RUNNING, SubmissionState.QUEUED):
        for item in SubmissionBacklog(desk.kept.store).unended(state):
            desk.engine.submit(item.id)


def _over(desk: JobQueue, item: Submission) -> bool:
    said = [it for it in desk.kept.events(item.id) if it.kind == SubmissionState.WAITING]
    until = parse_waiver_time(str(said[-1].detail.get("until"))) if said else None
    now = parse_waiver_time(desk.clock())
    # A time that cannot be read is over.
    return until is None or now is None or until <= now
