"""Where submissions are handed in, and where those wait that nobody can carry out yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Protocol

from auditor.clock import instant, written
from auditor.domain.canonical import Json
from auditor.domain.policies import Policy
from auditor.domain.submissions import State, Submission
from auditor.domain.targets import TargetSpec
from auditor.domain.waivers import moment
from auditor.preparing import Readers
from auditor.store.blob_seam import Blobs
from auditor.store.service.standings import Standings
from auditor.store.service.store import ServiceStore


class Engine(Protocol):
    """What carries submissions out, as far as those who hand them in know it."""

    def submit(self, submission: str) -> None:
        """Queue a submission; one that is queued already stays as it is."""

    def cancel(self, submission: str) -> None:
        """Stop a submission before its next check."""

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Return those of ``targets`` that a live worker works for."""
        ...


def no_agents(_project: str | None) -> frozenset[str]:
    """Know of no agent that works for any target."""
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where submissions are handed in: what is kept, who carries them out, what names mean.

    ``pack`` loads a policy that comes with auditor by its name alone, ``policy`` reads one from
    the bytes of its resolved document. ``recipes`` gives leave to run the code of owners.
    ``most_waiting`` is how many audits of a project may be under way; 0 is any number.
    ``agents`` knows the targets for which agents of a project live, or, for ``None``, of any.
    """

    kept: ServiceStore
    blobs: Blobs
    engine: Engine
    readers: Readers
    targets: Mapping[str, TargetSpec]
    pack: Callable[[str], Policy]
    policy: Callable[[bytes, str], Policy]
    clock: Callable[[], str]
    recipes: bool = False
    most_waiting: int = 0
    agents: Callable[[str | None], frozenset[str]] = no_agents

    def live(self, project: str | None = None) -> frozenset[str]:
        """Return the targets of the service that a live worker, or an agent, works for.

        Workers work for all projects, agents for their own; ``None`` counts all agents.
        """
        return self.engine.live(tuple(self.targets)) | self.agents(project)


def held(at: str, absent: Sequence[str], seconds: int) -> Mapping[str, Json] | None:
    """Say for workers of which targets a submission waits, and until when; nothing for none."""
    if not absent:
        return None
    until = instant(at) + timedelta(seconds=seconds)
    return {"targets": list(absent), "until": written(until)}


def tend(desk: Desk) -> None:
    """Queue what waited for workers that live by now, and end what waited too long."""
    live = cache(desk.live)
    for item in Standings(desk.kept.store).unended(State.WAITING):
        absent = [name for name in item.targets if name not in live(item.project)]
        if not absent:
            desk.kept.append(item.id, State.QUEUED.value, {}, desk.clock())
            desk.engine.submit(item.id)
        elif _over(desk, item):
            problem = f"no worker came for {', '.join(absent)} in time"
            cure = f"Start one (`auditor worker --target {absent[0]}`), and hand it in again."
            desk.kept.fail(item.id, problem, cure, desk.clock())


def take_up(desk: Desk) -> None:
    """Queue again what was handed in and had not ended when a service stopped.

    What the engine has already stays as it is there.
    """
    for state in (State.RUNNING, State.QUEUED):
        for item in Standings(desk.kept.store).unended(state):
            desk.engine.submit(item.id)


def _over(desk: Desk, item: Submission) -> bool:
    said = [it for it in desk.kept.events(item.id) if it.kind == State.WAITING]
    until = moment(str(said[-1].detail.get("until"))) if said else None
    now = moment(desk.clock())
    # A time that cannot be read is over.
    return until is None or now is None or until <= now
