"""What the doors of a service open on: its store, its use cases, and the edges that they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.api.metering import Meter
from auditor.api.recalling import Recall
from auditor.desks import Desk
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import Json
from auditor.domain.policies import Policy
from auditor.domain.rations import Rations
from auditor.gatekeeping import Gatekeeper
from auditor.hooks.delivering import Messenger
from auditor.leasing.terms import Leasehold
from auditor.packs.folders import PackSummary
from auditor.people.panels import Panel
from auditor.rationing import Rationing
from auditor.schedules.parts import Scheduler
from auditor.spans.marking import SILENT, Spans
from auditor.store.changes import Mark
from auditor.store.service.store import ServiceStore
from auditor.store.store import Store
from auditor.tokens.bearing import Tokens
from auditor.uploading import Intake

MOMENT, WHILE = 1.0, 60.0
"""Seconds for which an answer is remembered, and who called: what rests on the time is so late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service, as far as its doors know it.

    ``report_key`` is the public key (PEM) that signs records; ``log`` takes one line at a time;
    ``stopping`` says that the server is about to end, so that streams break off by themselves;
    ``ready`` names what keeps it from working, or nothing. ``tokens`` are of the identity
    providers that it believes, if any. ``answers`` and ``callers`` are those of a moment ago, and
    ``ended`` is how many keys had ended.
    """

    store: Store
    kept: ServiceStore
    desk: Desk
    intake: Intake
    agents: Leasehold
    gatekeeper: Gatekeeper
    people: Panel
    schedules: Scheduler
    hooks: Messenger
    report_key: bytes
    packs: Callable[[], Sequence[PackSummary]]
    pack: Callable[[str], Policy]
    clock: Callable[[], str]
    log: Callable[[Mapping[str, Json]], None]
    stopping: Callable[[], bool]
    ready: Callable[[], Sequence[str]]
    meter: Meter = field(default_factory=Meter)
    rationing: Rationing = field(default_factory=lambda: Rationing(Rations()))
    tokens: Tokens | None = None
    spans: Spans = SILENT
    answers: Recall[Response] = field(default_factory=partial(Recall, MOMENT))
    callers: Recall[ApiKey] = field(default_factory=partial(Recall, WHILE))
    ended: Recall[int] = field(default_factory=partial(Recall, WHILE))

    async def mark(self) -> Mark:
        """Return what stays equal until anybody writes into the store. Raises ``StoreError``."""
        return self.store.mark() if self.store.near else await run_in_threadpool(self.store.mark)


def service_of(request: Request) -> Service:
    """Return the service that an application was built for."""
    found = request.app.state.service
    if not isinstance(found, Service):
        raise TypeError("an application is built by build_app, with a service")
    return found


Served = Annotated[Service, Depends(service_of)]
