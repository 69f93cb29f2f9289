"""Holds the rows of the store against the leaves of the ledger, both ways."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Integer, inspect, select
from sqlalchemy.orm import Session

from auditor.domain.canonical import digest, parse
from auditor.domain.json_parts import Part
from auditor.domain.record_json import read_record
from auditor.domain.request_json import read_request
from auditor.errors import AuditorError, LedgerError
from auditor.ledgers.cosigning import cosigned_at, witness_key
from auditor.ledgers.events import EventType
from auditor.ledgers.notes import Note, NoteKey, Signature
from auditor.ledgers.occasions import cosignature_kept
from auditor.store.bindings import subjects_of
from auditor.store.ledger_tables import LedgerCheckpointRow, LedgerCosignatureRow
from auditor.store.reaudits.walking import Met, as_bytes
from auditor.store.record_rows import record_row, target_rows
from auditor.store.tables import (
    Base,
    RecordRow,
    RecordTargetRow,
    RegistrationRow,
    RegistrationSubjectRow,
    RequestRow,
)


def request_mistakes(session: Session, met: Sequence[Met]) -> Iterator[str]:
    """Name every request and registration that was changed, lost, or put in by hand."""
    bodies = {row.digest: row.body for row in session.scalars(select(RequestRow))}
    for name, body in sorted(bodies.items()):
        if digest(str(body).encode()) != name:
            yield f"the request {name} was changed: its body has another digest"
    rows = list(session.scalars(select(RegistrationRow).order_by(RegistrationRow.id)))
    there = Counter((row.request_digest, row.registered) for row in rows)
    told = Counter(
        (item.event.digest, item.event.time) for item in met if item.event.type is EventType.REQUEST
    )
    for (name, time), count in sorted((told - there).items()):
        yield f"a registration of {name} at {time} is missing from registrations ({count})"
    for (name, time), count in sorted((there - told).items()):
        yield f"a registration of {name} at {time} is in no leaf of the ledger ({count})"
    yield from _subject_mistakes(session, rows, bodies)
    named = {name for name, _ in told}
    for name in sorted(named - set(bodies)):
        yield f"the request {name} is missing from requests"
    for name in sorted(set(bodies) - named):
        yield f"the request {name} is in no leaf of the ledger"


def _subject_mistakes(
    session: Session, rows: Sequence[RegistrationRow], bodies: Mapping[str, str]
) -> Iterator[str]:
    """Name what is looked up of a registration, but for its project, and is not what was asked."""
    kept = {row.registration: row for row in session.scalars(select(RegistrationSubjectRow))}
    for row in rows:
        found = kept.pop(row.id, None)
        if found is None:
            yield f"registration {row.id} is missing from registration_subjects"
        elif row.request_digest in bodies:
            try:
                request = read_request(Part(parse(bodies[row.request_digest].encode()), "request"))
            except (AuditorError, ValueError):
                continue  # of another version, or changed, which its digest tells
            if _values(found) != _values(subjects_of(request, row.id, found.project)):
                yield f"the row of registration {row.id} in registration_subjects was changed"
    for number in sorted(kept):
        yield f"registration_subjects has a row of a registration {number} that is not there"


def record_mistakes(session: Session, met: Sequence[Met]) -> Iterator[str]:
    """Name every record, and every row beside it, that was changed, lost, or put in by hand."""
    told = {
        item.event.subjects.get("record", ""): item
        for item in met
        if item.event.type is EventType.RECORD
    }
    there = set()
    for row in session.scalars(select(RecordRow).order_by(RecordRow.finished, RecordRow.digest)):
        there.add(row.digest)
        entry = told.get(row.digest)
        if entry is None:
            yield f"the record {row.id} ({row.digest}) is in no leaf of the ledger"
        elif digest(as_bytes(row.bundle)) != entry.event.digest:
            yield f"the signature of record {row.id} (leaf {entry.index}) was changed"
        yield from _changed(session, row)
    for name in sorted(set(told) - there):
        yield f"the record {told[name].event.id} (leaf {told[name].index}) is missing from records"
    for name in session.scalars(select(RecordTargetRow.record_digest).distinct()):
        if name not in there:
            yield f"record_targets has rows of a record {name} that is not there"


def _changed(session: Session, row: RecordRow) -> Iterator[str]:
    if digest(as_bytes(row.body)) != row.digest:
        yield f"the record {row.id} was changed: its body has not the digest {row.digest}"
        return
    try:
        record = read_record(as_bytes(row.body))
    except AuditorError as error:
        yield f"the record {row.id} cannot be read: {error.problem}"
        return
    expected, found = _values(record_row(record, row.bundle)), _values(row)
    for column in sorted(expected):
        if expected[column] != found[column]:
            yield f"the column {column} of record {row.id} was changed to {found[column]!r}"
    wanted = Counter(map(_shown, target_rows(record, row.digest)))
    beside = select(RecordTargetRow).where(RecordTargetRow.record_digest == row.digest)
    kept = Counter(map(_shown, session.scalars(beside)))
    yield from _differences(f"record_targets of record {row.id}", wanted, kept)


def cosignature_mistakes(
    session: Session, met: Sequence[Met], witnesses: Sequence[NoteKey]
) -> Iterator[str]:
    """Name every cosignature that was changed, lost, or put in by hand, or does not hold."""
    told = Counter(item.event.digest for item in met if item.event.type is EventType.COSIGNATURE)
    keys = {(key.name, witness_key(key).key_id): key for key in witnesses}
    row = LedgerCosignatureRow
    kept = select(LedgerCheckpointRow.size, LedgerCheckpointRow.note)
    notes = {size: note for size, note in session.execute(kept)}  # noqa: C416 -- rows, not pairs
    for line, size in session.execute(select(row.line, row.size).order_by(row.size)):
        name = cosignature_kept(size, line, "").digest
        who = line.split(" ")[1] if line.count(" ") else line[:80]
        if not told[name]:
            yield f"a cosignature of {who} under {size} leaves is in no leaf of the ledger"
        told[name] -= 1
        try:
            signature = Signature.parse(line)
            key = keys.get((signature.name, signature.key_id))
            if key is not None and size in notes:
                cosigned_at(Note.parse(as_bytes(notes[size])).text, signature, key)
        except LedgerError as error:
            yield error.problem
    indices = {item.event.digest: item.index for item in met}
    for name in told:
        if told[name] > 0:
            yield (
                f"the cosignature of leaf {indices[name]} is missing from ledger_cosignatures, "
                "or was changed"
            )


def _values(row: Base) -> dict[str, object]:
    """Return a row's columns by name, but for a number of its own, which follows from nothing."""
    columns = inspect(type(row)).columns
    return {
        name: getattr(row, name)
        for name, column in columns.items()
        if not (name == "id" and isinstance(column.type, Integer))
    }


def _shown(row: Base) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in sorted(_values(row).items()))


def _differences(what: str, wanted: Counter[str], found: Counter[str]) -> Iterator[str]:
    for item in sorted((wanted - found).elements()):
        yield f"{what}: missing or changed: {item}"
    for item in sorted((found - wanted).elements()):
        yield f"{what}: put in or changed by hand: {item}"
