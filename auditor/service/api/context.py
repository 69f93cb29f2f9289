"""The context of a service's routes: its store, its use cases, and its external effects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.policy.load import PackSummary
from auditor.service.api.metrics import RequestMetrics
from auditor.service.api.validated_cache import MarkedCache
from auditor.service.approvals.people import ApprovalContext
from auditor.service.auth.oidc import TokenVerifier
from auditor.service.domain.access import ApiKey, ServiceLimits
from auditor.service.gate import GateService
from auditor.service.jobs.queue import JobQueue
from auditor.service.leases.terms import LeaseService
from auditor.service.rate_limits import RateLimiter
from auditor.service.schedules.context import ScheduleContext
from auditor.service.store.submission_history import ServiceStore
from auditor.service.telemetry import SILENT, SpanTracer
from auditor.service.uploads import UploadStore
from auditor.service.webhooks.deliver import WebhookService
from auditor.store.cache_validation import Mark
from auditor.store.record_store import RecordStore

MOMENT, WHILE = 1.0, 60.0
"""Seconds for which an answer is remembered, and who called: what rests on the time is so late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """A running service, as far as its doors know it.

    ``report_key`` is the public key (PEM) that signs records; ``log`` takes one line at a time;
    ``stopping`` says that the server is about to end, so that streams break off by themselves;
    ``ready`` names what keeps it from working, or nothing. ``tokens`` are of the identity
    providers that it believes, if any. ``answers`` and ``callers`` are those of a moment ago, and
    ``ended`` is how many keys had ended.
    """

    store: RecordStore
    kept: ServiceStore
    desk: JobQueue
    intake: UploadStore
    agents: LeaseService
    gatekeeper: GateService
    people: ApprovalContext
    schedules: ScheduleContext
    hooks: WebhookService
    report_key: bytes
    packs: Callable[[], Sequence[PackSummary]]
    pack: Callable[[str], Policy]
    clock: Callable[[], str]
    log: Callable[[Mapping[str, Json]], None]
    stopping: Callable[[], bool]
    ready: Callable[[], Sequence[str]]
    meter: RequestMetrics = field(default_factory=RequestMetrics)
    rationing: RateLimiter = field(default_factory=lambda: RateLimiter(ServiceLimits()))
    tokens: TokenVerifier | None = None
    spans: SpanTracer = SILENT
    answers: MarkedCache[Response] = field(default_factory=partial(MarkedCache, MOMENT))
    callers: MarkedCache[ApiKey] = field(default_factory=partial(MarkedCache, WHILE))
    ended: MarkedCache[int] = field(default_factory=partial(MarkedCache, WHILE))

    async def mark(self) -> Mark:
        """Return what stays equal until anybody writes into the store. Raises ``StoreError``."""
        return self.store.mark() if self.store.near else await run_in_threadpool(self.store.mark)


def get_service(request: Request) -> ServiceContext:
    """Return the service that an application was built for."""
    found = request.app.state.service
    if not isinstance(found, ServiceContext):
        raise TypeError("an application is built by build_app, with a service")
    return found


Served = Annotated[ServiceContext, Depends(get_service)]
