"""Ledger audit: compares the store's rows with the leaves of the ledger in both directions.

It also compares the lineage tables with the signed documents that the ledger binds.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import Engine, Integer, inspect, select
from sqlalchemy.orm import Session

from auditor.domain.json import compute_digest, parse_json, read_json
from auditor.domain.lineage import LineageEdge, ProvenanceGraph, digest_edges
from auditor.domain.provenance import build_provenance
from auditor.domain.record_json import read_record
from auditor.domain.requests import AuditRequest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError, LedgerError, StoreError
from auditor.store.ledger import read_head
from auditor.store.lineage_graph import Row, build_activity_row, build_entity_row
from auditor.store.merkle_tree_audit import (
    AT_ONCE,
    LeafEvent,
    check_external_checkpoint,
    find_checkpoint_mistakes,
    find_state_mistakes,
    find_tile_mistakes,
    read_bytes_column,
    rebuild_tree,
    walk_leaves,
)
from auditor.store.tables import (
    LedgerCheckpointRow,
    LedgerCosignatureRow,
    LedgerLeafRow,
    LedgerOpeningRow,
    ProvActivityRow,
    ProvEdgeRow,
    ProvEntityRow,
    RecordRow,
    RecordTargetRow,
    RegistrationRow,
    RegistrationSubjectRow,
    RequestRow,
    TableBase,
)
from auditor.store.unit_of_work import (
    build_record_row,
    build_target_rows,
    list_registration_subjects,
)
from auditor.trust.ledger.events import (
    LINEAGE,
    LedgerEventType,
    LedgerLeaf,
    build_cosignature_event,
)
from auditor.trust.ledger.notes import (
    NoteKey,
    NoteSignature,
    SignedNote,
    find_cosignature_time,
    to_witness_key,
)
from auditor.trust.signatures.decisions import open_challenge


def find_request_mistakes(session: Session, met: Sequence[LeafEvent]) -> Iterator[str]:
    """Name every request and registration that was changed, lost, or put in by hand."""
    bodies = {row.digest: row.body for row in session.scalars(select(RequestRow))}
    for name, body in sorted(bodies.items()):
        if compute_digest(str(body).encode()) != name:
            yield f"the request {name} was changed: its body has another digest"
    rows = list(session.scalars(select(RegistrationRow).order_by(RegistrationRow.id)))
    there = Counter((row.request_digest, row.registered) for row in rows)
    told = Counter(
        (item.event.digest, item.event.time)
        for item in met
        if item.event.type is LedgerEventType.REQUEST
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
                body = parse_json(bodies[row.request_digest].encode())
                request = read_json(AuditRequest, body, "request")
            except (AuditorError, ValueError):
                continue  # of another version, or changed, which its digest tells
            if _values(found) != _values(
                list_registration_subjects(request, row.id, found.project)
            ):
                yield f"the row of registration {row.id} in registration_subjects was changed"
    for number in sorted(kept):
        yield f"registration_subjects has a row of a registration {number} that is not there"


def find_record_mistakes(session: Session, met: Sequence[LeafEvent]) -> Iterator[str]:
    """Name every record, and every row beside it, that was changed, lost, or put in by hand."""
    told = {
        item.event.subjects.get("record", ""): item
        for item in met
        if item.event.type is LedgerEventType.RECORD
    }
    there = set()
    for row in session.scalars(select(RecordRow).order_by(RecordRow.finished, RecordRow.digest)):
        there.add(row.digest)
        entry = told.get(row.digest)
        if entry is None:
            yield f"the record {row.id} ({row.digest}) is in no leaf of the ledger"
        elif compute_digest(read_bytes_column(row.bundle)) != entry.event.digest:
            yield f"the signature of record {row.id} (leaf {entry.index}) was changed"
        yield from _changed(session, row)
    for name in sorted(set(told) - there):
        yield f"the record {told[name].event.id} (leaf {told[name].index}) is missing from records"
    for name in session.scalars(select(RecordTargetRow.record_digest).distinct()):
        if name not in there:
            yield f"record_targets has rows of a record {name} that is not there"


def _changed(session: Session, row: RecordRow) -> Iterator[str]:
    if compute_digest(read_bytes_column(row.body)) != row.digest:
        yield f"the record {row.id} was changed: its body has not the digest {row.digest}"
        return
    try:
        record = read_record(read_bytes_column(row.body))
    except AuditorError as error:
        yield f"the record {row.id} cannot be read: {error.problem}"
        return
    expected, found = _values(build_record_row(record, row.bundle)), _values(row)
    for column in sorted(expected):
        if expected[column] != found[column]:
            yield f"the column {column} of record {row.id} was changed to {found[column]!r}"
    wanted = Counter(map(_shown, build_target_rows(record, row.digest)))
    beside = select(RecordTargetRow).where(RecordTargetRow.record_digest == row.digest)
    kept = Counter(map(_shown, session.scalars(beside)))
    what = f"record_targets of record {row.id}"
    for item in sorted((wanted - kept).elements()):
        yield f"{what}: missing or changed: {item}"
    for item in sorted((kept - wanted).elements()):
        yield f"{what}: put in or changed by hand: {item}"


def find_cosignature_mistakes(
    session: Session, met: Sequence[LeafEvent], witnesses: Sequence[NoteKey]
) -> Iterator[str]:
    """Name every cosignature that was changed, lost, or put in by hand, or does not hold."""
    told = Counter(
        item.event.digest for item in met if item.event.type is LedgerEventType.COSIGNATURE
    )
    keys = {(key.name, to_witness_key(key).key_id): key for key in witnesses}
    row = LedgerCosignatureRow
    kept = select(LedgerCheckpointRow.size, LedgerCheckpointRow.note)
    notes = {size: note for size, note in session.execute(kept)}  # noqa: C416 -- rows, not pairs
    for line, size in session.execute(select(row.line, row.size).order_by(row.size)):
        name = build_cosignature_event(size, line, "").digest
        who = line.split(" ")[1] if line.count(" ") else line[:80]
        if not told[name]:
            yield f"a cosignature of {who} under {size} leaves is in no leaf of the ledger"
        told[name] -= 1
        try:
            signature = NoteSignature.parse(line)
            key = keys.get((signature.name, signature.key_id))
            if key is not None and size in notes:
                find_cosignature_time(
                    SignedNote.parse(read_bytes_column(notes[size])).text, signature, key
                )
        except LedgerError as error:
            yield error.problem
    indices = {item.event.digest: item.index for item in met}
    for name in told:
        if told[name] > 0:
            yield (
                f"the cosignature of leaf {indices[name]} is missing from ledger_cosignatures, "
                "or was changed"
            )


def _values(row: TableBase) -> dict[str, object]:
    """Return a row's columns by name, but for a number of its own, which follows from nothing."""
    columns = inspect(type(row)).columns
    return {
        name: getattr(row, name)
        for name, column in columns.items()
        if not (name == "id" and isinstance(column.type, Integer))
    }


def _shown(row: TableBase) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in sorted(_values(row).items()))


UNREADABLE = ProvenanceGraph((), (), ())


@dataclass(frozen=True, slots=True)
class LineageStatement:
    """What a document is known to state, and the digest of its edges that a leaf binds.

    ``bound`` is ``None`` where the leaf is older than lineage, or missing.
    """

    label: str
    provenance: ProvenanceGraph
    bound: str | None

    def mistakes(self, kept: Sequence[LineageEdge]) -> Iterator[str]:
        """Name the edges by which ``kept`` differ; where none can be named, say so."""
        if self.bound is not None and digest_edges(kept) == self.bound:
            return
        wanted, found = Counter(self.provenance.edges), Counter(kept)
        for edge in sorted((wanted - found).elements()):
            yield f"prov_edges of {self.label}: missing or changed: {_said(edge)}"
        for edge in sorted((found - wanted).elements()):
            yield f"prov_edges of {self.label}: put in or changed by hand: {_said(edge)}"
        if self.bound is not None and wanted == found:
            yield f"prov_edges of {self.label} have not the digest that its leaf binds"


def find_lineage_mistakes(session: Session, met: Sequence[LeafEvent]) -> Iterator[str]:
    """Name every edge, entity and activity that was changed, lost, or put in by hand."""
    stated = {**dict(_of_records(session, met)), **dict(_of_challenges(session, met))}
    kept: dict[str, list[LineageEdge]] = defaultdict(list)
    row = ProvEdgeRow
    asked = select(row.stated_by, row.source, row.relation, row.destination, row.role)
    for name, *parts in session.execute(asked):
        kept[name].append(LineageEdge(*parts))
    for name, statement in stated.items():
        yield from statement.mistakes(kept.get(name, []))
    for name in sorted(set(kept) - set(stated)):
        yield f"prov_edges has {len(kept[name])} edges of a document {name} that is not there"
    found = [item.provenance for item in stated.values()]
    whole = UNREADABLE not in found
    entities = _rows(build_entity_row(item) for one in found for item in one.entities)
    yield from _differences_lineage(session, ProvEntityRow, entities, whole=whole)
    activities = _rows(build_activity_row(item) for one in found for item in one.activities)
    yield from _differences_lineage(session, ProvActivityRow, activities, whole=whole)


def _of_records(
    session: Session, met: Sequence[LeafEvent]
) -> Iterator[tuple[str, LineageStatement]]:
    told = {
        item.event.subjects.get("record", ""): item.event.subjects.get(LINEAGE)
        for item in met
        if item.event.type is LedgerEventType.RECORD
    }
    for row in session.scalars(select(RecordRow).order_by(RecordRow.finished, RecordRow.digest)):
        try:
            stated = build_provenance(
                read_record(read_bytes_column(row.body)),
                compute_digest(read_bytes_column(row.bundle)),
            )
        except AuditorError:
            stated = UNREADABLE  # the record itself is named by record_mistakes
        yield row.digest, LineageStatement(f"record {row.id}", stated, told.get(row.digest))


def _of_challenges(
    session: Session, met: Sequence[LeafEvent]
) -> Iterator[tuple[str, LineageStatement]]:
    for item in met:
        if item.event.type is not LedgerEventType.CHALLENGE:
            continue
        signed, bound = item.event.digest, item.event.subjects.get(LINEAGE)
        row = LedgerOpeningRow
        document = session.scalar(select(row.document).where(row.idx == item.index))
        try:
            stated = open_challenge(read_bytes_column(document)).provenance(signed)
        except AuditorError:
            stated = UNREADABLE
        yield signed, LineageStatement(f"the challenge of leaf {item.index}", stated, bound)


def _rows(columns: Iterable[Row]) -> Mapping[str, list[Row]]:
    """Return, by id, every form in which a thing was stated: the first of them stays."""
    forms: dict[str, list[Row]] = defaultdict(list)
    for item in columns:
        forms[item["id"]].append(item)
    return forms


def _differences_lineage(
    session: Session,
    table: type[ProvEntityRow | ProvActivityRow],
    stated: Mapping[str, list[Row]],
    *,
    whole: bool,
) -> Iterator[str]:
    name = table.__tablename__
    rows = session.connection().execute(select(table.__table__)).mappings()
    there = {str(row["id"]): dict(row) for row in rows}
    for key in sorted(set(stated) - set(there)):
        yield f"{name}: {key} is missing"
    for key, columns in sorted(there.items()):
        if key not in stated and whole:
            yield f"{name}: {key} was put in by hand"
        elif key in stated and columns not in stated[key]:
            yield f"{name}: {key} was changed: no document states it so"


def _said(edge: LineageEdge) -> str:
    return f"{edge.source} {edge.relation} {edge.destination} as {edge.role}"


RowAudit: TypeAlias = Callable[[Session, Sequence[LeafEvent]], Iterator[str]]
"""Names the mistakes in some rows, of which the events that leaves stand for speak."""


@dataclass(frozen=True, slots=True)
class LedgerReference:
    """What is known from elsewhere: the ledger's key, witnesses' keys, kept checkpoints by name."""

    key: NoteKey | None = None
    witnesses: tuple[NoteKey, ...] = ()
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)


def audit_ledger(
    engine: Engine, known: LedgerReference, others: Mapping[str, RowAudit]
) -> Iterator[VerificationStep]:
    """Look at everything in the ledger, and at every row that it speaks of, and say what holds.

    ``others`` look at the rows of which only somebody above the store knows, by what these are.
    Without a checkpoint from elsewhere, who owns the database and the ledger's key could have
    written all of it anew.
    """
    # The engine so that all is read as it was at one moment, whoever appends meanwhile
    if engine.dialect.name == "sqlite":
        at_one_moment = engine  # its transactions see no other's work
    else:
        at_one_moment = engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(at_one_moment) as session:
        connection = session.connection()
        try:
            size = read_head(session.connection()).size
        except StoreError:
            size = 0  # named by state_mistakes
        walked = walk_leaves(connection, size)
        rebuilt = rebuild_tree(connection, walked, known.key)
        count = rebuilt.size
        yield _step("leaves", walked.mistakes, f"{count} leaves are there, and each opens")
        yield _step(
            "tiles",
            find_tile_mistakes(connection, walked, rebuilt),
            f"{len(rebuilt.tiles)} tiles are what the leaves give",
        )
        yield _step(
            "state", find_state_mistakes(connection, rebuilt), f"{count} leaves, and the root"
        )
        signed = f"of {known.key.name}" if known.key else "of an unknown key"
        yield _step(
            "checkpoints",
            find_checkpoint_mistakes(connection, walked, rebuilt, known.key),
            f"{len(rebuilt.signed)} checkpoints {signed} lie on one history",
        )
        yield from _of_the_rows(session, walked.met, known.witnesses, others)
        if not known.checkpoints or known.key is None:
            detail = "no checkpoint from elsewhere was given (--checkpoint)"
            yield VerificationStep("outside checkpoint", StepResult.NOT_CHECKED, detail)
            return
        for name, raw in known.checkpoints.items():
            yield check_external_checkpoint(raw, rebuilt, known.key, f"outside checkpoint {name}")


def _of_the_rows(
    session: Session,
    met: Sequence[LeafEvent],
    witnesses: Sequence[NoteKey],
    others: Mapping[str, RowAudit],
) -> Iterator[VerificationStep]:
    rows = {
        "cosignatures": find_cosignature_mistakes(session, met, witnesses),
        "requests": find_request_mistakes(session, met),
        "records": find_record_mistakes(session, met),
        "lineage": find_lineage_mistakes(session, met),
        **{name: mistakes(session, met) for name, mistakes in others.items()},
    }
    for name, mistakes in rows.items():
        yield _step(name, mistakes, f"the rows of {name} are those of the leaves")


def _step(name: str, mistakes: Iterable[str], detail: str) -> VerificationStep:
    found: list[str] = []
    try:
        found += mistakes
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 -- SQLite keeps any type in any column
        found.append(f"a row is of no form that auditor writes ({type(error).__name__}: {error})")
    return VerificationStep.of(name, found, detail)


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record's leaf and signature; ``at`` is the latest time of its leaf and all before it.

    Whoever puts a record down later than it says has to put it behind leaves of later times.
    """

    index: int
    id: str
    at: str
    digest: str
    bundle: bytes


def list_signed_records(session: Session) -> Iterator[SignedRecord]:
    """Give every record that a leaf names and the store has; what is amiss in rows is not named."""
    leaf, row = LedgerLeafRow, LedgerOpeningRow
    asked = (
        select(leaf.idx, leaf.body, row.subjects)
        .join(row, row.idx == leaf.idx, isouter=True)
        .order_by(leaf.idx)
    )
    latest = ""
    for index, body, subjects in session.execute(asked, execution_options={"yield_per": AT_ONCE}):
        try:
            read = LedgerLeaf.parse(read_bytes_column(body))
        except LedgerError:
            continue
        latest = max(latest, read.time)
        name = _record_of(subjects) if read.type is LedgerEventType.RECORD else None
        if name is None:
            continue
        bundle = session.scalar(select(RecordRow.bundle).where(RecordRow.digest == name))
        if bundle is not None:
            yield SignedRecord(index, read.id, latest, name, read_bytes_column(bundle))


def _record_of(subjects: str | None) -> str | None:
    try:
        found = json.loads(subjects or "{}")
    except ValueError:
        return None
    name = found.get("record") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None
