"""A service in this process with one real audit that is done, for whoever measures a service."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor.api.parts import Service
from auditor.callers import new_key
from auditor.client.orders import Order, files_of, order_of
from auditor.clock import now
from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.canonical import Json
from auditor.domain.served import Upload
from auditor.preparing import Overrides, prepare, read_asked
from auditor.serving.assembling import assemble
from auditor.serving.choosing import Choices
from auditor.serving.executor import build_executor
from auditor.settings import Settings
from auditor.store.database import migrate
from auditor.submitting import Asked, submit
from auditor.targets.resolving import NAMED
from auditor.wiring import beside, read_audit_bytes, readers
from auditor.workplaces import Workplace, workplace

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

    place: Workplace
    service: Service
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

    def hand_in(self, order: Order) -> str:
        """Hand an order in, whose files are there."""
        asked = Asked(
            audit_file=order.audit_file, source=order.source, inputs=order.inputs,
            policy=order.policy, targets=order.targets, budget=order.budget, only=order.only,
        )  # fmt: skip
        return submit(self.service.desk, self.caller, asked)[0].id


@contextmanager
def opened(home: Path, database: str | None = None) -> Iterator[Opened]:
    """Open a service in a new home, on SQLite or at the URL of an empty PostgreSQL database."""
    if database is not None:
        migrate(database)
    log: list[Mapping[str, Json]] = []
    with workplace(Settings(home, database or f"sqlite:///{home / 'auditor.db'}")) as place:
        service = assemble(place, Idle(), Choices(targets=NAMED), log.append, lambda: False)
        service.kept.add_project(PROJECT, now())
        made = new_key(PROJECT, Role.ADMIN, "bench", now(), None)
        service.kept.add_key(made.key)
        yield Opened(place, service, made.key, made.text, log)


def order_for(there: Opened, checks: tuple[str, ...]) -> Order:
    """Keep what the example needs, and return the order for it."""
    overrides = Overrides(only=checks)
    parts = readers(EXAMPLE.parent, targets={})
    asked = read_asked(read_audit_bytes(EXAMPLE), EXAMPLE.name, overrides, parts)
    with prepare(asked, beside(EXAMPLE), overrides, parts) as prepared:
        for item in files_of(prepared, beside(EXAMPLE)):
            with item.opened() as file:
                there.place.store.blobs.put(file.read())
            upload = Upload(
                project=PROJECT, digest=item.digest, kind=item.kind, name=item.name,
                size=item.size, at=now(),
            )  # fmt: skip
            there.service.kept.note_upload(upload)
        return replace(order_of(prepared, None, "bench"), places=None)
