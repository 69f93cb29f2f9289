"""A service in this process with one real audit that is done, for whoever measures a service."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor._time import utc_now
from auditor.domain.json import Json
from auditor.service.api.context import ServiceContext
from auditor.service.auth.api_keys import create_api_key
from auditor.service.client.submission import build_order, list_upload_sources
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.submissions import AuditOrder, UploadedFile
from auditor.service.jobs.executor import build_executor
from auditor.service.jobs.submit import submit_audit
from auditor.service.server.assemble import assemble_service
from auditor.service.server.options import ServiceOptions
from auditor.store.database import migrate
from auditor.targets.target_specs import NAMED
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import build_path_resolver, build_resolvers, read_audit_bytes
from auditor.workflows.workspace import Workspace, open_workspace

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "docstrings" / "audit.yaml"
PROJECT = "default"


@dataclass
class Idle:
    """An engine that runs nothing: the audits here are carried out by hand, or were long ago."""

    queued: list[str] = field(default_factory=list)

    def submit(self, submission: str) -> None:
        """Note what would be queued."""
        self.queued.append(submission)

    def cancel(self, submission: str) -> None:
        """Have nothing to stop."""

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Say that somebody works for everything."""
        return frozenset(targets)


@dataclass(frozen=True, slots=True)
class Opened:
    """A service, its workplace, a caller's key with its text, and lines of its log."""

    place: Workspace
    service: ServiceContext
    caller: ApiKey
    text: str
    log: list[Mapping[str, Json]]

    def audit(self, checks: tuple[str, ...]) -> str:
        """Hand the example in, carry it out, and return its id."""
        name = self.hand_in(order_for(self, checks))
        work = build_executor(self.place, NAMED)
        for target, ids in work.plan(name):
            for check in ids:
                work.observe(name, target, check)
        work.conclude(name)
        return name

    def hand_in(self, order: AuditOrder) -> str:
        """Hand an order in, whose files are there."""
        return submit_audit(self.service.desk, self.caller, order)[0].id


@contextmanager
def opened(home: Path, database: str | None = None) -> Iterator[Opened]:
    """Open a service in a new home, on SQLite or at the URL of an empty PostgreSQL database."""
    if database is not None:
        migrate(database)
    log: list[Mapping[str, Json]] = []
    with open_workspace(
        AuditorSettings(home, database or f"sqlite:///{home / 'auditor.db'}")
    ) as place:
        service = assemble_service(
            place, Idle(), ServiceOptions(targets=NAMED), log.append, lambda: False
        )
        service.kept.add_project(PROJECT, utc_now())
        made = create_api_key(PROJECT, AccessRole.ADMIN, "bench", utc_now(), None)
        service.kept.add_key(made.key)
        yield Opened(place, service, made.key, made.text, log)


def order_for(there: Opened, checks: tuple[str, ...]) -> AuditOrder:
    """Keep what the example needs, and return the order for it."""
    parts = build_resolvers(EXAMPLE.parent, targets={})
    raw = read_audit_bytes(EXAMPLE)
    asked = read_overridden_audit_file(raw, EXAMPLE.name, parts, only=checks)
    with prepare_audit(asked, build_path_resolver(EXAMPLE), parts) as prepared:
        for item in list_upload_sources(prepared, build_path_resolver(EXAMPLE)):
            with item.opened() as file:
                there.place.store.blobs.put(file.read())
            upload = UploadedFile(
                project=PROJECT, digest=item.digest, kind=item.kind, name=item.name,
                size=item.size, at=utc_now(),
            )  # fmt: skip
            there.service.kept.note_upload(upload)
        return replace(build_order(prepared, None), places=None)
