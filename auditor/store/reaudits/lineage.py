"""Holds the tables of lineage against what signed documents state, and the ledger binds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.canonical import digest
from auditor.domain.lineage import Edge, Provenance, digest_edges
from auditor.domain.provenance import provenance_of
from auditor.domain.record_json import read_record
from auditor.errors import AuditorError
from auditor.ledgers.events import EventType
from auditor.ledgers.occasions import LINEAGE
from auditor.signatures.challenges import open_challenge
from auditor.store.ledger_tables import LedgerOpeningRow
from auditor.store.lineage import Row, activity_columns, entity_columns
from auditor.store.lineage_tables import ProvActivityRow, ProvEdgeRow, ProvEntityRow
from auditor.store.reaudits.walking import Met, as_bytes
from auditor.store.tables import RecordRow

UNREADABLE = Provenance((), (), ())


@dataclass(frozen=True, slots=True)
class Statement:
    """What a document is known to state, and the digest of its edges that a leaf binds.

    ``bound`` is ``None`` where the leaf is older than lineage, or missing.
    """

    label: str
    provenance: Provenance
    bound: str | None

    def mistakes(self, kept: Sequence[Edge]) -> Iterator[str]:
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


def lineage_mistakes(session: Session, met: Sequence[Met]) -> Iterator[str]:
    """Name every edge, entity and activity that was changed, lost, or put in by hand."""
    stated = {**dict(_of_records(session, met)), **dict(_of_challenges(session, met))}
    kept: dict[str, list[Edge]] = defaultdict(list)
    row = ProvEdgeRow
    asked = select(row.stated_by, row.source, row.relation, row.destination, row.role)
    for name, *parts in session.execute(asked):
        kept[name].append(Edge(*parts))
    for name, statement in stated.items():
        yield from statement.mistakes(kept.get(name, []))
    for name in sorted(set(kept) - set(stated)):
        yield f"prov_edges has {len(kept[name])} edges of a document {name} that is not there"
    found = [item.provenance for item in stated.values()]
    whole = UNREADABLE not in found
    entities = _rows(entity_columns(item) for one in found for item in one.entities)
    yield from _differences(session, ProvEntityRow, entities, whole=whole)
    activities = _rows(activity_columns(item) for one in found for item in one.activities)
    yield from _differences(session, ProvActivityRow, activities, whole=whole)


def _of_records(session: Session, met: Sequence[Met]) -> Iterator[tuple[str, Statement]]:
    told = {
        item.event.subjects.get("record", ""): item.event.subjects.get(LINEAGE)
        for item in met
        if item.event.type is EventType.RECORD
    }
    for row in session.scalars(select(RecordRow).order_by(RecordRow.finished, RecordRow.digest)):
        try:
            stated = provenance_of(read_record(as_bytes(row.body)), digest(as_bytes(row.bundle)))
        except AuditorError:
            stated = UNREADABLE  # the record itself is named by record_mistakes
        yield row.digest, Statement(f"record {row.id}", stated, told.get(row.digest))


def _of_challenges(session: Session, met: Sequence[Met]) -> Iterator[tuple[str, Statement]]:
    for item in met:
        if item.event.type is not EventType.CHALLENGE:
            continue
        signed, bound = item.event.digest, item.event.subjects.get(LINEAGE)
        row = LedgerOpeningRow
        document = session.scalar(select(row.document).where(row.idx == item.index))
        try:
            stated = open_challenge(as_bytes(document)).provenance(signed)
        except AuditorError:
            stated = UNREADABLE
        yield signed, Statement(f"the challenge of leaf {item.index}", stated, bound)


def _rows(columns: Iterable[Row]) -> Mapping[str, list[Row]]:
    """Return, by id, every form in which a thing was stated: the first of them stays."""
    forms: dict[str, list[Row]] = defaultdict(list)
    for item in columns:
        forms[item["id"]].append(item)
    return forms


def _differences(
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


def _said(edge: Edge) -> str:
    return f"{edge.source} {edge.relation} {edge.destination} as {edge.role}"
