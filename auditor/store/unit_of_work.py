"""Unit of work: one transaction on the store, with its writes and queries.

A request is identified by its digest and never changes, so its extent is cached. The rows of a
record are derived from the record and its signature alone.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.budgets import Budget
from auditor.domain.challenges import Challenge
from auditor.domain.digests import Digest
from auditor.domain.json import JsonPart, compute_digest, digest_json, encode_canonical, parse_json
from auditor.domain.lineage import LineageActivity, LineageEdge, LineageEntity
from auditor.domain.provenance import build_provenance
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.trust_context import ModelBinding
from auditor.errors import StoreError
from auditor.store.ledger import (
    LedgerEntry,
    LedgerRecordIndex,
    PendingEvent,
    build_adoption_events,
    read_head,
    read_key_entries,
)
from auditor.store.lineage_graph import (
    find_ancestors,
    find_descendants,
    find_entities,
    find_invalidations,
    keep_lineage,
    read_nodes,
)
from auditor.store.tables import (
    LedgerCosignatureRow,
    LedgerOpeningRow,
    RecordRow,
    RecordTargetRow,
    RegistrationRow,
    RegistrationSubjectRow,
    RequestRow,
    TableBase,
)
from auditor.trust.ledger.events import (
    LedgerEvent,
    build_challenge_event,
    build_cosignature_event,
    build_record_event,
    build_registration_event,
)

NO_PROJECT = ""
"""The project of what no service registered."""


def list_registration_subjects(
    request: AuditRequest, registration: int, project: str
) -> RegistrationSubjectRow:
    """Return the row by which a registration is looked up."""
    return RegistrationSubjectRow(
        registration=registration,
        project=project,
        model=digest_json([request.name, request.version]),
        artifact=None if request.artifact is None else request.artifact.digest,
        policy=digest_json(request.policy.name),
        policy_digest=request.policy.digest,
    )


def find_contradictions(
    session: Session, request: AuditRequest, project: str
) -> tuple[ModelBinding, ...]:
    """Return what a project registered before and binds a name, version or bytes otherwise.

    The first artifact under a name and a version is bound to them, and the other way round; what
    was tried with them later binds nothing. A request without an artifact contradicts nothing.
    """
    if request.artifact is None:
        return ()
    mine = digest_json([request.name, request.version])
    bound = _first(session, project, mine)
    if bound is not None and bound.digest != request.artifact.digest:
        return (bound,)
    row = RegistrationSubjectRow
    asked = (
        select(row.model)
        .where(row.project == project, row.artifact == request.artifact.digest)
        .group_by(row.model)
        .order_by(func.min(row.registration))
    )
    for model in session.scalars(asked).all():
        first = _first(session, project, model)
        if first is not None and first.digest == request.artifact.digest:
            return () if model == mine else (first,)
    return ()


def list_policy_editions(
    session: Session, name: str, project: str
) -> tuple[tuple[PolicyRef, str], ...]:
    """Return the editions of a policy that a project registered, and when first: oldest first."""
    row = RegistrationSubjectRow
    first = (
        select(func.min(row.registration).label("id"))
        .where(row.project == project, row.policy == digest_json(name))
        .group_by(row.policy_digest)
        .subquery()
    )
    asked = (
        select(RequestRow.body, RegistrationRow.registered)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .join(first, first.c.id == RegistrationRow.id)
        .order_by(RegistrationRow.id)
    )
    return tuple(
        (_request(body).get("policy", PolicyRef), at) for body, at in session.execute(asked)
    )


def _first(session: Session, project: str, model: str) -> ModelBinding | None:
    row = RegistrationSubjectRow
    asked = (
        select(RequestRow.body, row.artifact, RegistrationRow.registered)
        .join(RegistrationRow, RegistrationRow.id == row.registration)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .where(row.project == project, row.model == model, row.artifact.is_not(None))
        .order_by(row.registration)
        .limit(1)
    )
    found = session.execute(asked).first()
    if found is None:
        return None
    body, artifact, registered = found
    named = _request(body).part("artifact")
    return ModelBinding(
        named.get("name", str), named.get("version", str), str(artifact), registered
    )


def _request(body: str) -> JsonPart:
    return JsonPart(parse_json(body.encode()), "request")


MOST = 20_000
"""Of so many requests it is remembered, which takes a few megabytes."""


@dataclass(frozen=True, slots=True)
class RequestExtent:
    """How much a request asked for: within which budget, and whether by all checks."""

    budget: Budget
    every: bool

    def covers(self, least: Budget) -> bool:
        """Whether it is as much as a policy asks."""
        return self.every and self.budget.covers(least)


@dataclass(slots=True)
class RequestExtentCache:
    """Tells how much requests of a store asked for, and reads each once."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: OrderedDict[str, RequestExtent] = field(default_factory=OrderedDict)

    def of(self, session: Session, requests: Collection[str]) -> dict[str, RequestExtent]:
        """Return the extents of requests by their digests; unknown ones are one question.

        Raises ``StoreError`` for a request that is missing or damaged.
        """
        with self._lock:
            known = {it: self._known[it] for it in requests if it in self._known}
        missing = [it for it in requests if it not in known]
        if missing:
            row = RequestRow
            asked = select(row.digest, row.body).where(row.digest.in_(missing))
            found = {name: _read(name, body) for name, body in session.execute(asked)}
            for name in missing:
                if name not in found:
                    raise _damaged(name)
            with self._lock:
                self._known |= found
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
            known |= found
        return known


def _read(name: str, body: str) -> RequestExtent:
    raw = body.encode()
    if compute_digest(raw) != name:
        raise _damaged(name)
    part = JsonPart(parse_json(raw), "request")
    return RequestExtent(part.choice("budget", Budget), not part.texts("only"))


def _damaged(name: str) -> StoreError:
    return StoreError(
        f"the request {name} is missing or damaged", cure="Restore the database from a copy."
    )


def build_record_row(record: AuditRecord, bundle: bytes) -> RecordRow:
    """Return the row of a record."""
    request = record.request
    body = record.canonical()
    return RecordRow(
        digest=compute_digest(body),
        id=record.id,
        request_digest=request.digest,
        derived_from=record.derived_from,
        verdict=record.verdict.value,
        assurance=record.assurance.name,
        model_name=request.name,
        model_version=request.version,
        artifact_digest=None if request.artifact is None else request.artifact.digest,
        policy_digest=request.policy.digest,
        registered=record.registered,
        finished=record.finished,
        body=body,
        bundle=bundle,
    )


def build_target_rows(record: AuditRecord, record_digest: str) -> Iterator[RecordTargetRow]:
    """Return the rows of the targets that a record speaks of."""
    for target in record.request.targets:
        fingerprint = record.fingerprints.get(target.name)
        identity = None if fingerprint is None else fingerprint.identity
        yield RecordTargetRow(record_digest=record_digest, target=target.name, identity=identity)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it was signed: its canonical bytes under their digest, and the signature."""

    digest: str
    body: bytes
    bundle: bytes

    def read(self) -> AuditRecord:
        """Return the record. Raises ``RecordError`` when another version wrote it."""
        return read_record(self.body)


class UnitOfWork:
    """What is done to the store at once: all of it is kept, or, after an error, none.

    What one project registers tells another nothing. ``session`` is the transaction itself, for
    what else is to be kept with the rest, or not at all.
    """

    def __init__(
        self, session: Session, about: LedgerRecordIndex, project: str = NO_PROJECT
    ) -> None:
        self.session = session
        self._about = about
        self._project = project
        self.happened: list[PendingEvent] = []

    def append(self, event: LedgerEvent, document: bytes | None = None) -> None:
        """Put an event into the ledger when the transaction ends.

        ``document`` is the thing whose digest the event names, where no table keeps it: without
        it nobody could say later what was signed. Raises ``StoreError`` where it is another.
        """
        if document is not None and compute_digest(document) != event.digest:
            raise StoreError(
                f"a {event.type} names the digest {event.digest}, and its document has another",
                cure="Take the digest of the very bytes that are kept.",
            )
        self.happened.append(PendingEvent(event, document))

    def adopt(self) -> None:
        """Put what the store held before into a ledger that is still empty."""
        self.happened.extend(build_adoption_events(self.session))

    def key_entries(self) -> tuple[LedgerEntry, ...]:
        """Return the ledger's entries of key events; nobody else appends before the end."""
        connection = self.session.connection()
        read_head(connection, lock=True)
        return read_key_entries(connection)

    def happened_before(self, event_id: str) -> bool:
        """Whether the ledger has an entry with that id."""
        row = LedgerOpeningRow
        asked = select(row.idx).where(row.event_id == event_id).limit(1)
        return self.session.scalar(asked) is not None

    def cosigned(self, size: int, line: str, at: str) -> None:
        """Keep a witness's signature line under the checkpoint of ``size`` leaves, once."""
        if self.session.get(LedgerCosignatureRow, line) is None:
            self._add(LedgerCosignatureRow(line=line, size=size))
            self.append(build_cosignature_event(size, line, at))

    def register(self, request: AuditRequest, at: str) -> int:
        """Write down that ``request`` was made at the time ``at`` (UTC, RFC 3339).

        The same request may be registered any number of times; returned is how often it was before
        in that very second.
        """
        table = RegistrationRow
        same = (table.request_digest == request.digest, table.registered == at)
        before = self.session.scalar(select(func.count()).select_from(table).where(*same)) or 0
        if self.session.get(RequestRow, request.digest) is None:
            body = encode_canonical(request.to_json()).decode()
            self._add(RequestRow(digest=request.digest, body=body))
        row = RegistrationRow(request_digest=request.digest, registered=at)
        self._add(row)
        self._add(list_registration_subjects(request, row.id, self._project))
        self.append(build_registration_event(request, at))
        return before

    def save(self, record: AuditRecord, bundle: bytes) -> None:
        """Keep a signed record and its lineage; one that is there already stays as it is.

        Raises ``StoreError`` when its request was never registered, or its id is taken.
        """
        if self.session.get(RequestRow, record.request.digest) is None:
            raise StoreError(
                f"the request {record.request.digest} of record {record.id} was never registered",
                cure="Register a request before it runs, so that no run can be kept silent.",
            )
        there = self._row(record.id)
        if there is not None and there.digest == record.digest:
            return
        if there is not None:
            raise StoreError(
                f"the store has a record {record.id} already, and records are never replaced",
                cure="Give the new record an id of its own.",
            )
        row = build_record_row(record, bundle)
        self._add(row)
        self._add(*build_target_rows(record, row.digest))
        keep_lineage(
            self.session.connection(), row.digest, build_provenance(record, compute_digest(bundle))
        )
        self.append(build_record_event(record, bundle))

    def challenge(self, challenge: Challenge, bundle: bytes) -> None:
        """Keep a signed challenge and its lineage for good."""
        signed = compute_digest(bundle)
        keep_lineage(self.session.connection(), signed, challenge.provenance(signed))
        self.append(build_challenge_event(challenge, bundle), bundle)

    def challenges(self) -> tuple[tuple[str, bytes], ...]:
        """Return every signed challenge after the digest of its record, the oldest first."""
        return self._about.challenges(self.session)

    def approvals(self, record: str) -> tuple[bytes, ...]:
        """Return the document of every approval of a record (its digest), the oldest first."""
        return self._about.approvals(self.session, record)

    def approvals_of(self, records: Collection[str]) -> dict[str, tuple[bytes, ...]]:
        """Return the documents of the approvals of records that have any, by their digests."""
        return self._about.approvals_of(self.session, records)

    def find_record(self, record_id: str) -> StoredRecord | None:
        """Return the record with that id. Raises ``StoreError`` when its bytes are damaged."""
        row = self._row(record_id)
        return None if row is None else _stored(row)

    def find_record_by_digest(self, digest: str) -> StoredRecord | None:
        """Return the record with that digest. Raises ``StoreError`` when its bytes are damaged."""
        row = self.session.get(RecordRow, digest)
        return None if row is None else _stored(row)

    def digests_of(self, model: str, targets: Collection[str]) -> tuple[str, ...]:
        """Return the digests of the records of a model that speak of one of some targets, the
        newest first: by when they ended, and in one second by when they were kept.
        """
        row, entry = RecordRow, LedgerOpeningRow
        there = select(RecordTargetRow.record_digest).where(RecordTargetRow.target.in_(targets))
        kept = select(func.min(entry.idx)).where(entry.event_id == row.id).scalar_subquery()
        asked = (
            select(row.digest)
            .where(row.model_name == model, row.digest.in_(there))
            .order_by(row.finished.desc(), func.coalesce(kept, -1).desc())
        )
        return tuple(self.session.scalars(asked))

    def contradictions(self, request: AuditRequest) -> tuple[ModelBinding, ...]:
        """Return what the project registered before and binds the model's name, version or bytes
        otherwise.
        """
        return find_contradictions(self.session, request, self._project)

    def policies_used(self, name: str) -> tuple[tuple[PolicyRef, str], ...]:
        """Return the editions of a policy that the project registered, and when first."""
        return list_policy_editions(self.session, name, self._project)

    def names_blob(self, digest: str) -> bool:
        """Whether a record names a blob among its evidence, or a request among its inputs."""
        if find_entities(self.session, digest):
            return True
        bare = Digest(digest).hex
        asked = select(RequestRow.digest).where(RequestRow.body.contains(bare, autoescape=True))
        return self.session.scalar(asked.limit(1)) is not None

    def ancestors(self, *of: str) -> tuple[LineageEdge, ...]:
        """Return, in order, every edge on a way from the nodes ``of`` to what they came from."""
        return find_ancestors(self.session, *of)

    def descendants(self, *of: str) -> tuple[LineageEdge, ...]:
        """Return, in order, every edge on a way to the nodes ``of`` from what came of them."""
        return find_descendants(self.session, *of)

    def invalidations(self, of: Sequence[str]) -> tuple[LineageEdge, ...]:
        """Return, in order, the edges by which any of the nodes ``of`` was invalidated."""
        return find_invalidations(self.session, of)

    def entities_like(self, start: str) -> tuple[LineageEntity, ...]:
        """Return, in order, the entities whose digest begins with the text ``start``."""
        return find_entities(self.session, start)

    def described(
        self, names: Sequence[str]
    ) -> tuple[tuple[LineageEntity, ...], tuple[LineageActivity, ...]]:
        """Return the entities and activities of some nodes, as far as any are known."""
        return read_nodes(self.session, names)

    def _row(self, record_id: str) -> RecordRow | None:
        return self.session.scalar(select(RecordRow).where(RecordRow.id == record_id))

    def _add(self, *rows: TableBase) -> None:
        self.session.add_all(rows)
        self.session.flush()


def _stored(row: RecordRow) -> StoredRecord:
    if compute_digest(row.body) != row.digest:
        raise StoreError(
            f"record {row.id} is damaged: its bytes do not have the digest {row.digest}",
            cure="Restore the database from a copy.",
        )
    return StoredRecord(row.digest, row.body, row.bundle)
