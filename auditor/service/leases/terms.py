"""The service that every part of leasing needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from auditor._time import format_time
from auditor.domain.targets import TargetSpec
from auditor.service.domain.leases import LeaseTerms
from auditor.service.store.agents import AgentStore, LeaseStore, SightingStore
from auditor.service.store.submission_history import ServiceStore

MOST_EVIDENCE = 2 * 2**30
"""No blob of evidence that an agent sends has more bytes: a conclusion reads it whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseService:
    """What leasing works on: what is kept, the targets that agents work for, the code that runs.

    ``most`` is how many bytes a blob of evidence may have.
    """

    kept: ServiceStore
    clock: Callable[[], str]
    code: str
    targets: Mapping[str, TargetSpec] = field(default_factory=dict)
    terms: LeaseTerms = field(default_factory=LeaseTerms)
    most: int = MOST_EVIDENCE

    @property
    def agents(self) -> AgentStore:
        """The agents that were enrolled."""
        return AgentStore(self.kept.store)

    @property
    def leases(self) -> LeaseStore:
        """What is offered and leased."""
        return LeaseStore(self.kept.store)

    @property
    def sightings(self) -> SightingStore:
        """What targets turned out to be."""
        return SightingStore(self.kept.store)

    def live(self, project: str | None) -> frozenset[str]:
        """Return the targets for which an agent of a project, or, for ``None``, of any lives."""
        if not self.targets:
            return frozenset()
        now = self.clock()
        said = self.agents.live(project, add_seconds(now, -self.terms.live), now)
        found = {name for hello in said if hello.code == self.code for name in hello.targets}
        return frozenset(found & set(self.targets))


def add_seconds(at: str, seconds: int) -> str:
    """Return the time so many seconds after another one; fewer than none is before."""
    moment = datetime.fromisoformat(at).astimezone(UTC)
    return format_time(moment + timedelta(seconds=seconds))
