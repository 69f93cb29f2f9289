"""Acts of callers: each is a row, and a leaf of the ledger in the same transaction."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.acts import Act, ActKind
from auditor.domain.canonical import canonical, parse
from auditor.domain.json_parts import Part
from auditor.errors import UsageError
from auditor.ledgers.events import Event, EventType
from auditor.store.service.act_tables import ActRow
from auditor.store.store import Store
from auditor.store.units import UnitOfWork


def act_done(act: Act) -> Event:
    """Return the event that a caller of a service did something, by all that is said of it."""
    return Event(EventType.ACT, act.digest, act.at, {}, act.id)


def note_act(work: UnitOfWork, act: Act) -> None:
    """Write down an act with what it changes: both are kept, and in the ledger, or neither is."""
    work.session.add(
        ActRow(
            id=act.id,
            project=act.project,
            caller=act.caller,
            subject=act.subject,
            kind=act.kind.value,
            about=act.about,
            at=act.at,
            detail=canonical(dict(act.detail)).decode(),
        )
    )
    work.session.flush()
    work.append(act_done(act))


def noted(work: UnitOfWork, act: Act | None, *, changed: bool) -> bool:
    """Write an act down if it changed something, and say whether it did."""
    if changed and act is not None:
        note_act(work, act)
    return changed


def read_act(row: ActRow) -> Act:
    """Return the act of a row. Raises ``RecordError`` or ``ValueError`` for what is none."""
    return Act(
        id=row.id,
        project=row.project,
        caller=row.caller,
        subject=row.subject,
        kind=ActKind(row.kind),
        about=row.about,
        at=row.at,
        detail=Part(parse(row.detail.encode()), "detail").value,
    )


@dataclass(frozen=True, slots=True)
class Acts:
    """What was done to a service, as its store has it."""

    store: Store

    def listed(
        self, project: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[tuple[Act, ...], str]:
        """Return a project's acts, the newest first, and the cursor of what follows, if any.

        Raises ``UsageError`` for a cursor that is none of this list.
        """
        asked = select(ActRow).where(ActRow.project == project).order_by(ActRow.number.desc())
        with self.store.reading() as session:
            if cursor is not None:
                asked = asked.where(ActRow.number < _number(session, project, cursor))
            found = tuple(read_act(row) for row in session.scalars(asked.limit(limit + 1)))
        return found[:limit], found[limit - 1].id if len(found) > limit else ""


def _number(session: Session, project: str, cursor: str) -> int:
    asked = select(ActRow.number).where(ActRow.id == cursor, ActRow.project == project)
    found = session.scalar(asked)
    if found is None:
        raise UsageError(
            f"{cursor[:80]!r} is no cursor of this list",
            cure="Give the cursor that the last page ended with, or none to begin.",
        )
    return found
