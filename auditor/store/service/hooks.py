"""Web hooks in the store: where a project is told of what."""

from dataclasses import dataclass

from sqlalchemy import Row, Select, func, select

from auditor.domain.acts import Act
from auditor.domain.canonical import canonical, parse
from auditor.domain.hooks import Hook, Told
from auditor.domain.json_parts import Part
from auditor.refusals import StandingError
from auditor.store.service.acts import noted
from auditor.store.service.adding import added
from auditor.store.service.callers import require_project
from auditor.store.service.hook_tables import HookEndRow, HookRow
from auditor.store.store import Store

MOST = 20
"""A project has no more web hooks that have not ended."""


@dataclass(frozen=True, slots=True)
class KeptHooks:
    """What is kept of web hooks. Every method is a transaction of its own.

    Whatever belongs to a project is asked for with the project. An act that is given along with a
    change is kept with it, and in the ledger, if it changed something. Raises ``StoreError`` when
    the database refuses.
    """

    store: Store

    def add(self, hook: Hook, act: Act | None = None) -> None:
        """Keep a web hook. Raises ``StandingError`` where the project has as many as it may."""
        with self.store.unit_of_work() as work:
            session = work.session
            require_project(session, hook.project)
            row, end = HookRow, HookEndRow
            asked = select(func.count()).select_from(row).outerjoin(end, end.hook == row.id)
            here = asked.where(row.project == hook.project, end.hook.is_(None))
            if (session.scalar(here) or 0) >= MOST:
                raise StandingError(
                    f"the project has {MOST} web hooks already", cure="End one that is not needed."
                )
            session.add(
                row(
                    id=hook.id,
                    project=hook.project,
                    maker=hook.maker,
                    url=hook.url,
                    events=canonical([item.value for item in hook.events]).decode(),
                    secret_hash=hook.secret_hash,
                    created=hook.created,
                )
            )
            noted(work, act, changed=True)

    def find(self, project: str, name: str) -> Hook | None:
        """Return a web hook of a project by its id, ended or not."""
        asked = asked_hooks().where(HookRow.id == name, HookRow.project == project)
        with self.store.reading() as session:
            row = session.execute(asked).one_or_none()
            return None if row is None else read_hook(row)

    def of_project(self, project: str) -> tuple[Hook, ...]:
        """Return the 200 newest web hooks of a project, the newest first."""
        row = HookRow
        asked = asked_hooks().where(row.project == project)
        ordered = asked.order_by(row.created.desc(), row.id.desc()).limit(200)
        with self.store.reading() as session:
            return tuple(read_hook(item) for item in session.execute(ordered))

    def end(self, hook: Hook, by: str, at: str, act: Act | None = None) -> bool:
        """End a web hook for good, and say whether it had not ended."""
        with self.store.unit_of_work() as work:
            ended = added(work.session, HookEndRow, hook=hook.id, by=by, at=at)
            return noted(work, act, changed=ended)


def asked_hooks() -> "Select[HookRow, str]":
    """Return the query of web hooks, with when each ended."""
    return select(HookRow, HookEndRow.at).outerjoin(HookEndRow, HookEndRow.hook == HookRow.id)


def read_hook(found: "Row[HookRow, str]") -> Hook:
    """Return a web hook as it was kept."""
    row, ended = found
    named = Part({"events": parse(row.events.encode())}, "hook").texts("events")
    return Hook(
        id=row.id,
        project=row.project,
        maker=row.maker,
        url=row.url,
        events=tuple(Told(item) for item in named),
        secret_hash=row.secret_hash,
        created=row.created,
        ended=ended,
    )
