"""Audits the whole ledger again: leaves, tree, tiles, checkpoints, and the rows of the store."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from auditor.domain.steps import Step, StepResult
from auditor.errors import StoreError
from auditor.ledgers.notes import NoteKey
from auditor.store.ledger_reading import head_of
from auditor.store.reaudits.rows import cosignature_mistakes, record_mistakes, request_mistakes
from auditor.store.reaudits.tree import (
    checkpoint_mistakes,
    outside,
    rebuild,
    state_mistakes,
    tile_mistakes,
)
from auditor.store.reaudits.walking import walk


@dataclass(frozen=True, slots=True)
class Known:
    """What is known from elsewhere: the ledger's key, witnesses' keys, kept checkpoints by name."""

    key: NoteKey | None = None
    witnesses: tuple[NoteKey, ...] = ()
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)


def reaudit(engine: Engine, known: Known) -> Iterator[Step]:
    """Look at everything in the ledger, and at every row that it speaks of, and say what holds.

    Without a checkpoint from elsewhere, who owns the database and the ledger's key could have
    written all of it anew.
    """
    with Session(engine) as session:
        connection = session.connection()
        walked = walk(connection, _size(session))
        rebuilt = rebuild(connection, walked, known.key)
        count = rebuilt.size
        yield Step.of("leaves", walked.mistakes, f"{count} leaves are there, and each opens")
        yield Step.of(
            "tiles",
            tile_mistakes(connection, walked, rebuilt),
            f"{len(rebuilt.tiles)} tiles are what the leaves give",
        )
        yield Step.of("state", state_mistakes(connection, rebuilt), f"{count} leaves, and the root")
        signed = "of the key" if known.key else "of an unknown key"
        yield Step.of(
            "checkpoints",
            checkpoint_mistakes(connection, walked, rebuilt, known.key),
            f"{len(rebuilt.signed)} checkpoints {signed} lie on one history",
        )
        rows = {
            "cosignatures": cosignature_mistakes(session, walked.met, known.witnesses),
            "requests": request_mistakes(session, walked.met),
            "records": record_mistakes(session, walked.met),
        }
        for name, mistakes in rows.items():
            yield Step.of(name, mistakes, f"the rows of {name} are those of the leaves")
        if not known.checkpoints or known.key is None:
            detail = "no checkpoint from elsewhere was given (--checkpoint)"
            yield Step("outside checkpoint", StepResult.NOT_CHECKED, detail)
            return
        for name, raw in known.checkpoints.items():
            yield outside(raw, rebuilt, known.key, f"outside checkpoint {name}")


def _size(session: Session) -> int:
    try:
        return head_of(session.connection()).size
    except StoreError:
        return 0  # named by state_mistakes
