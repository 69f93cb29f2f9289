"""Composition root of the service: builds its components from a workspace and a job engine."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path

from auditor._resources import find_shipped_folder
from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.errors import AuditorError, NotFoundError, RecordError
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.load import (
    PackSummary,
    find_policy_source,
    list_policies,
    load_policy,
    load_policy_source,
)
from auditor.service.api.context import ServiceContext
from auditor.service.approvals.people import ApprovalContext
from auditor.service.auth.oidc import load_token_verifier
from auditor.service.gate import GateService
from auditor.service.jobs.queue import JobEngine, JobQueue
from auditor.service.projects import create_admin_key, ensure_project, is_key_file_valid
from auditor.service.rate_limits import RateLimiter
from auditor.service.schedules.context import ScheduleContext
from auditor.service.schedules.watched_places import WatchRoots
from auditor.service.server.options import ServiceOptions, build_lease_service
from auditor.service.store.agents import SightingStore
from auditor.service.store.schedules import ArrivalStore, RunStore, ScheduleStore
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.trends import TrendStore
from auditor.service.store.webhooks import DeliveryStore, WebhookStore
from auditor.service.uploads import UploadStore
from auditor.service.webhooks.deliver import (
    WebhookRules,
    WebhookSender,
    WebhookService,
    look_up_host,
)
from auditor.service.webhooks.payload import PayloadWriter
from auditor.service.webhooks.signature import load_secret_key
from auditor.store.record_store import RecordStore
from auditor.targets.target_specs import find_known_target
from auditor.workflows.prepare import Resolvers
from auditor.workflows.settings import ADMIN_KEY
from auditor.workflows.verify.verifiers import build_service_verifier
from auditor.workflows.workspace import Workspace

HOOK_KEY = Path("service") / "hooks.key"
"""Where the key lies that secrets of web hooks follow from, below ``AUDITOR_HOME``."""
AT_ONCE = 50


def build_schedule_context(
    desk: JobQueue, gatekeeper: GateService, intake: UploadStore, roots: WatchRoots
) -> ScheduleContext:
    """Return what schedules need of a service; ``roots`` are the places that may be watched."""
    store = desk.kept.store
    return ScheduleContext(
        kept=ScheduleStore(store),
        runs=RunStore(store),
        trends=TrendStore(store),
        desk=desk,
        gate=gatekeeper.ask,
        people=gatekeeper.people,
        sightings=SightingStore(store),
        arrivals=ArrivalStore(store),
        intake=intake,
        roots=roots,
    )


def build_messenger(
    kept: ServiceStore, desk: JobQueue, home: Path, rules: WebhookRules
) -> WebhookService:
    """Return what delivers messages to web hooks; its key is made when the first one is."""
    return WebhookService(
        kept=WebhookStore(kept.store),
        deliveries=DeliveryStore(kept.store),
        teller=PayloadWriter(kept, rules.public),
        key=cache(partial(load_secret_key, home / HOOK_KEY)),
        sender=WebhookSender(rules=rules, look=look_up_host),
        clock=desk.clock,
    )


class TrendBackfill:
    """Keeps the trends of records that were made before there were any, a few at a time."""

    def __init__(self, store: RecordStore) -> None:
        self._trends = TrendStore(store)
        self._last: str | None = ""

    def note(self) -> None:
        """Go on from where it stood; once all was seen, nothing is looked for any more."""
        if self._last is None:
            return
        found = self._trends.missing(self._last, AT_ONCE)
        for submission, project, body in found:
            try:
                self._trends.note(submission, project, read_record(body))
            except RecordError:
                continue  # of a version that this one does not read: it has no trends here
        self._last = found[-1][0] if found else None


POLICIES = 64
"""Policies that stay read; each is what its bytes say for good."""


def build_approval_context(
    place: Workspace, kept: ServiceStore, policy: Callable[[bytes, str], Policy]
) -> ApprovalContext:
    """Return the panel of a workplace; ``policy`` reads one from its resolved document."""
    return ApprovalContext(
        kept=kept,
        around=place.surroundings(),
        signer=place.signer,
        checks=discover_checks(),
        verifier=build_service_verifier,
        policy=lru_cache(maxsize=POLICIES)(policy),
        clock=utc_now,
    )


PROJECT = "default"
PACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NO_PACK = (
    "List the packs with GET /v1/policies. Name your own policies by digest; GET "
    "/v1/models shows the digest for each model that was audited under it."
)


def assemble_service(
    place: Workspace,
    engine: JobEngine,
    choices: ServiceOptions,
    log: Callable[[Mapping[str, Json]], None],
    stopping: Callable[[], bool],
) -> ServiceContext:
    """Return the service of a workplace whose submissions ``engine`` carries out.

    Raises ``UsageError`` for a mistake in the file of identity providers.
    """
    kept, packs = ServiceStore(place.store), PolicyPackCatalogue(find_shipped_folder("policies"))
    people, hold = (
        build_approval_context(place, kept, packs.read),
        build_lease_service(kept, choices),
    )
    desk = replace(_desk(kept, engine, choices, packs), agents=hold.live)
    gatekeeper, intake = (
        GateService(
            kept=people.kept,
            people=people,
            pack=packs.named,
            policy=people.policy,
            verifier=people.verifier,
            clock=utc_now,
        ),
        UploadStore(kept.store.blobs, kept, utc_now, choices.most, choices.rations.stored),
    )
    service = ServiceContext(
        store=place.store,
        kept=kept,
        desk=desk,
        agents=hold,
        intake=intake,
        gatekeeper=gatekeeper,
        people=people,
        schedules=build_schedule_context(desk, gatekeeper, intake, choices.roots),
        hooks=build_messenger(kept, desk, place.settings.home, choices.hooks),
        report_key=place.signer.public_pem(),
        packs=packs.listed,
        pack=packs.named,
        clock=utc_now,
        log=log,
        stopping=stopping,
        ready=lambda: list_missing_parts(place, engine),
    )
    return _entered(service, choices)


def _entered(service: ServiceContext, choices: ServiceOptions) -> ServiceContext:
    """Return a service with its limits, its traces, and those whose tokens it takes."""
    return replace(
        service,
        rationing=RateLimiter(choices.rations),
        spans=choices.spans,
        tokens=None if choices.oidc is None else load_token_verifier(choices.oidc),
    )


def _desk(
    kept: ServiceStore, engine: JobEngine, choices: ServiceOptions, packs: "PolicyPackCatalogue"
) -> JobQueue:
    return JobQueue(
        kept=kept,
        blobs=kept.store.blobs,
        engine=engine,
        readers=Resolvers(
            resolve_target=partial(find_known_target, known=choices.targets),
            load_policy=packs.named,
            checks=discover_checks(),
        ),
        targets=choices.targets,
        pack=packs.named,
        policy=packs.read,
        clock=utc_now,
        recipes=choices.recipes,
        most_waiting=choices.rations.waiting,
    )


@dataclass(frozen=True)
class PolicyPackCatalogue:
    """The policies that come with auditor, by name, and how others are read from their bytes."""

    folder: Path

    def named(self, name: str) -> Policy:
        """Return a pack. Raises ``NotFoundError``; no other file is ever looked for."""
        if not PACK.fullmatch(name) or not (self.folder / f"{name}.yaml").is_file():
            raise NotFoundError(f"there is no pack {name[:80]!r}", cure=NO_PACK)
        return _pack(self.folder, name)

    def read(self, raw: bytes, source: str) -> Policy:
        """Read the resolved document of a policy. Raises ``PolicyError``."""
        return load_policy(raw, source, discover_checks(), load_catalogues(self.folder))

    def listed(self) -> Sequence[PackSummary]:
        """Return what lists say of every pack."""
        return _packs(self.folder)


@cache
def _pack(folder: Path, name: str) -> Policy:
    written = find_policy_source(name, folder, folder)
    return load_policy_source(written, discover_checks(), load_catalogues(folder))


@cache
def _packs(folder: Path) -> Sequence[PackSummary]:
    return list_policies(folder)


def list_missing_parts(place: Workspace, engine: JobEngine) -> Sequence[str]:
    """Name what keeps a service from working: the store, or the engine."""
    found = []
    try:
        with place.store.ledger() as ledger:
            ledger.head()
    except AuditorError:
        found.append("store")
    try:
        engine.live(())
    except Exception:  # noqa: BLE001 -- whatever it raises, it does not work
        found.append("engine")
    return found


def create_first_admin(kept: ServiceStore, home: Path) -> Path | None:
    """Make the project ``default`` and its first admin's key, and return where the key lies.

    Nothing is made, and ``None`` returned, where the key in the file holds; whoever owns the
    folder can have a new one by removing it. Raises ``StoreError`` where it cannot be written.
    """
    at, path = utc_now(), home / ADMIN_KEY
    ensure_project(kept, PROJECT, at)
    if is_key_file_valid(kept, path, at):
        return None
    create_admin_key(kept, PROJECT, path, at)
    return path
