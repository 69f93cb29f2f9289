"""Audits the whole ledger again: leaves, tree, tiles, checkpoints, and the rows of the store."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from auditor.domain.steps import Step, StepResult
from auditor.errors import StoreError
from auditor.ledgers.notes import NoteKey
from auditor.store.ledger_reading import head_of
from auditor.store.reaudits.lineage import lineage_mistakes
from auditor.store.reaudits.rows import cosignature_mistakes, record_mistakes, request_mistakes
from auditor.store.reaudits.tree import (
    Rebuilt,
    checkpoint_mistakes,
    outside,
    rebuild,
    state_mistakes,
    tile_mistakes,
)
from auditor.store.reaudits.walking import Met, Walk, walk

RowAudit: TypeAlias = Callable[[Session, Sequence[Met]], Iterator[str]]
"""Names the mistakes in some rows, of which the events that leaves stand for speak."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known from elsewhere: the ledger's key, witnesses' keys, kept checkpoints by name."""

    key: NoteKey | None = None
    witnesses: tuple[NoteKey, ...] = ()
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)


def reaudit(engine: Engine, known: Known, others: Mapping[str, RowAudit]) -> Iterator[Step]:
    """Look at everything in the ledger, and at every row that it speaks of, and say what holds.

    ``others`` look at the rows of which only somebody above the store knows, by what these are.
    Without a checkpoint from elsewhere, who owns the database and the ledger's key could have
    written all of it anew.
    """
    with Session(_at_one_moment(engine)) as session:
        connection = session.connection()
        walked = walk(connection, _size(session))
        rebuilt = rebuild(connection, walked, known.key)
        yield from _of_the_tree(connection, walked, rebuilt, known.key)
        yield from _of_the_rows(session, walked.met, known.witnesses, others)
        if not known.checkpoints or known.key is None:
            detail = "no checkpoint from elsewhere was given (--checkpoint)"
            yield Step("outside checkpoint", StepResult.NOT_CHECKED, detail)
            return
        for name, raw in known.checkpoints.items():
            yield outside(raw, rebuilt, known.key, f"outside checkpoint {name}")


def _at_one_moment(engine: Engine) -> Engine:
    """Return the engine so that all is read as it was at one moment, whoever appends meanwhile."""
    if engine.dialect.name == "sqlite":
        return engine  # its transactions see no other's work
    return engine.execution_options(isolation_level="REPEATABLE READ")


def _of_the_tree(
    connection: Connection, walked: Walk, rebuilt: Rebuilt, key: NoteKey | None
) -> Iterator[Step]:
    count = rebuilt.size
    yield _step("leaves", walked.mistakes, f"{count} leaves are there, and each opens")
    yield _step(
        "tiles",
        tile_mistakes(connection, walked, rebuilt),
        f"{len(rebuilt.tiles)} tiles are what the leaves give",
    )
    yield _step("state", state_mistakes(connection, rebuilt), f"{count} leaves, and the root")
    signed = f"of {key.name}" if key else "of an unknown key"
    yield _step(
        "checkpoints",
        checkpoint_mistakes(connection, walked, rebuilt, key),
        f"{len(rebuilt.signed)} checkpoints {signed} lie on one history",
    )


def _of_the_rows(
    session: Session,
    met: Sequence[Met],
    witnesses: Sequence[NoteKey],
    others: Mapping[str, RowAudit],
) -> Iterator[Step]:
    rows = {
        "cosignatures": cosignature_mistakes(session, met, witnesses),
        "requests": request_mistakes(session, met),
        "records": record_mistakes(session, met),
        "lineage": lineage_mistakes(session, met),
        **{name: mistakes(session, met) for name, mistakes in others.items()},
    }
    for name, mistakes in rows.items():
        yield _step(name, mistakes, f"the rows of {name} are those of the leaves")


def _step(name: str, mistakes: Iterable[str], detail: str) -> Step:
    found: list[str] = []
    try:
        found += mistakes
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 -- SQLite keeps any type in any column
        found.append(f"a row is of no form that auditor writes ({type(error).__name__}: {error})")
    return Step.of(name, found, detail)


def _size(session: Session) -> int:
    try:
        return head_of(session.connection()).size
    except StoreError:
        return 0  # named by state_mistakes
