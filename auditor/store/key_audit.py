"""Key audit: whether the keys of a ledger kept to their roles and lifetimes."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from auditor.domain.json import Json
from auditor.domain.key_roles import KeyRole
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError
from auditor.store.key_lifecycle import build_key_book, find_record_signer
from auditor.store.ledger import read_key_entries
from auditor.store.ledger_audit import SignedRecord, list_signed_records
from auditor.store.record_store import RecordStore
from auditor.trust.keys.rotation import read_key_identity, verify_rotation
from auditor.trust.ledger.key_events import KeyHistory, KeyRegistry, KeyStatus

NAME, SIGNER_KEY, AGENTS = "keys", "signer's key", "agents' keys"
MOST = 2**63
"""Comes after every leaf."""


def audit_keys(engine: Engine) -> VerificationStep:
    """Look at every change to a key, and at which key signed each record when.

    A record that a key signed after its end is named, and one that no report key of the ledger
    signed, unless it is older than all that the ledger knows of keys: what a ledger that began
    took over may have been signed by a key that was gone by then.
    """
    try:
        with Session(engine) as session:
            book = build_key_book(read_key_entries(session.connection()))
            found = [_judged(record, book) for record in list_signed_records(session)]
    except (AuditorError, ValueError, TypeError) as error:
        return VerificationStep(
            NAME, StepResult.FAILED, f"a row is of no form that auditor writes ({error})"
        )
    mistakes = [*book.mistakes, *_rotations(book), *filter(None, found)]
    old = found.count(None)
    beside = f", and {old} signed by none of them before it knew any" if old else ""
    detail = f"{len(book.lives)} keys kept to their roles and times, under {len(found)} records"
    return VerificationStep.of(NAME, mistakes, detail + beside)


def check_report_key(store: RecordStore, key: bytes) -> VerificationStep:
    """Ask whether the ledger here knows a key (PEM) as one that signs this service's records."""
    life = build_key_book(store.key_entries()).lives.get(key.decode(errors="replace"))
    known = life is not None and life.role == KeyRole.REPORT
    mistakes = [] if known else ["the record's key is not a report key of this service"]
    return VerificationStep.of("signer", mistakes, "signed by a report key of this service")


def check_record_signer(
    store: RecordStore, record: AuditRecord, key: bytes, places: Mapping[str, int] | None = None
) -> VerificationStep:
    """Hold the key of a record against what the ledger here says of it by now.

    A record that the ledger does not have, or put down after the key's end, was not shown to be
    older than that end. ``places`` are the leaves of records by their ids, where that was asked
    before.
    """
    life = build_key_book(store.key_entries()).lives.get(key.decode())
    if life is None:
        return VerificationStep(
            SIGNER_KEY, StepResult.NOT_CHECKED, "the ledger here knows nothing of this key"
        )
    if places is None and (life.retired or life.revoked):
        with store.ledger() as ledger:
            places = ledger.places((record.id,))
    # Where a key has no end, it does not matter where the record lies.
    index = (places or {}).get(record.id, MOST)
    late = explain_overdue_key(life, index, record.finished)
    if not late and life.revoked is not None and index > life.revoked.index:
        late = f"revoked by leaf {life.revoked.index}, and nothing shows the record before"
    mistakes = [f"the key {read_key_identity(life)} was {late}"] if late else []
    return VerificationStep.of(
        SIGNER_KEY, mistakes, f"the ledger here says that it was {KeyStatus.IN_USE}"
    )


def check_agent_keys(store: RecordStore, record: AuditRecord) -> Iterator[VerificationStep]:
    """Hold the keys by which agents signed what a record saw against what the ledger here says.

    Yields nothing where no agent did.
    """
    told = record.tool.get("agents")
    if told is None:
        return
    book = build_key_book(store.key_entries())
    lives = {read_key_identity(it): it for it in book.lives.values() if it.role == KeyRole.AGENT}
    named = [str(it) for them in _lists(told) for it in them]
    mistakes = [f"the ledger here knows no agent's key {it}" for it in named if it not in lives]
    mistakes += [
        f"the agent's key {name} is {life.words(record.finished)}"
        for name, life in lives.items()
        if name in named and life.since is not None and record.finished >= life.since
    ]
    yield VerificationStep.of(AGENTS, mistakes, f"{len(set(named))} agents signed what was seen")


def _lists(told: Json) -> Iterator[list[Json]]:
    for them in told.values() if isinstance(told, Mapping) else ():
        if isinstance(them, list):
            yield them


def _rotations(book: KeyRegistry) -> Iterator[str]:
    for life in book.lives.values():
        told = life.begun.told
        if told.replaces is None or told.rotation is None:
            continue
        found = verify_rotation(
            told.rotation.encode(), told.replaces.encode(), life.public.encode(), life.role
        )
        if not found.verified:
            who = f"leaf {life.begun.index}: the key {read_key_identity(life)}"
            yield f"{who} follows another without that one's word: {'; '.join(found.mistakes)}"


def _judged(record: SignedRecord, book: KeyRegistry) -> str | None:
    """Say what is wrong with the key of a record; nothing where all is well, ``None`` unknown."""
    who = f"the record {record.id} (leaf {record.index})"
    life = find_record_signer(record.bundle, record.digest, book)
    if life is None:
        first = min((item.begun.index for item in book.lives.values()), default=0)
        unknown = f"{who} is signed by no {KeyRole.REPORT} key that the ledger took into use"
        return None if record.index < first else unknown
    late = explain_overdue_key(life, record.index, record.at)
    return f"{who} is signed by the key {read_key_identity(life)}, which was {late}" if late else ""


def explain_overdue_key(life: KeyHistory, index: int, at: str) -> str:
    """Say which end of a key came before a leaf of some time; nothing if none did."""
    if life.since is not None and at >= life.since:
        return f"revoked since {life.since}"
    if life.retired is not None and index > life.retired.index:
        return f"retired by leaf {life.retired.index} on {life.retired.time}"
    if life.not_after is not None and at > life.not_after:
        return f"to sign until {life.not_after}"
    return ""
