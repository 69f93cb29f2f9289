"""What the pages stand on beside the service: sessions, and remembered facts."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from auditor.api.parts import Service
from auditor.api.sessions import Session, Sessions
from auditor.store.service.latest import Latest
from auditor.store.service.overviews import Overviews
from auditor.web.beside import Comparisons
from auditor.web.facts import Facts
from auditor.web.forms import SESSION


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of one process."""

    service: Service
    sessions: Sessions
    facts: Facts = field(default_factory=Facts)
    comparisons: Comparisons = field(default_factory=Comparisons)

    @property
    def overviews(self) -> Overviews:
        """Looks over audits."""
        return Overviews(self.service.kept)

    @property
    def latest(self) -> Latest:
        """Looks for the newest records."""
        return Latest(self.service.kept)


def site_of(request: Request) -> Site:
    """Return the pages that an application was built with."""
    found = request.app.state.site
    if not isinstance(found, Site):
        raise TypeError("an application with pages is built by build_site")
    return found


def session_of(request: Request) -> Session:
    """Return the session of a call that was let in to a page."""
    found = request.scope.get(SESSION)
    if not isinstance(found, Session):
        raise TypeError("a page is behind the door, which puts its session there")
    return found


Shown = Annotated[Site, Depends(site_of)]
Visit = Annotated[Session, Depends(session_of)]
