"""One transaction on the store: what may be written, and what may be asked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.canonical import canonical, digest
from auditor.domain.challenges import Challenge
from auditor.domain.lineage import Activity, Edge, Entity
from auditor.domain.provenance import provenance_of
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.trust import Binding
from auditor.errors import StoreError
from auditor.ledgers.events import Event
from auditor.ledgers.occasions import (
    challenge_kept,
    cosignature_kept,
    record_kept,
    registration_of,
)
from auditor.store.about_records import AboutRecords
from auditor.store.adopting import adopted
from auditor.store.bindings import NO_PROJECT, contradictions, policies_used, subjects_of
from auditor.store.ledger_reading import LedgerEntry, head_of, key_entries
from auditor.store.ledger_tables import LedgerCosignatureRow, LedgerOpeningRow
from auditor.store.ledger_writing import Pending
from auditor.store.lineage import (
    ancestors_of,
    descendants_of,
    described,
    entities_like,
    invalidations_of,
    keep_lineage,
)
from auditor.store.record_rows import record_row, target_rows
from auditor.store.tables import Base, RecordRow, RecordTargetRow, RegistrationRow, RequestRow


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

    What one project registers tells another nothing.
    """

    def __init__(self, session: Session, about: AboutRecords, project: str = NO_PROJECT) -> None:
        self._session = session
        self._about = about
        self._project = project
        self.happened: list[Pending] = []

    @property
    def session(self) -> Session:
        """The transaction itself, for what else is to be kept with the rest, or not at all."""
        return self._session

    def append(self, event: Event, document: bytes | None = None) -> None:
        """Put an event into the ledger when the transaction ends.

        ``document`` is the thing whose digest the event names, where no table keeps it: without
        it nobody could say later what was signed. Raises ``StoreError`` where it is another.
        """
        if document is not None and digest(document) != event.digest:
            raise StoreError(
                f"a {event.type} names the digest {event.digest}, and its document has another",
                cure="Take the digest of the very bytes that are kept.",
            )
        self.happened.append(Pending(event, document))

    def adopt(self) -> None:
        """Put what the store held before into a ledger that is still empty."""
        self.happened.extend(adopted(self._session))

    def key_entries(self) -> tuple[LedgerEntry, ...]:
        """Return the ledger's entries of key events; nobody else appends before the end."""
        connection = self._session.connection()
        head_of(connection, lock=True)
        return key_entries(connection)

    def happened_before(self, event_id: str) -> bool:
        """Whether the ledger has an entry with that id."""
        row = LedgerOpeningRow
        asked = select(row.idx).where(row.event_id == event_id).limit(1)
        return self._session.scalar(asked) is not None

    def cosigned(self, size: int, line: str, at: str) -> None:
        """Keep a witness's signature line under the checkpoint of ``size`` leaves, once."""
        if self._session.get(LedgerCosignatureRow, line) is None:
            self._add(LedgerCosignatureRow(line=line, size=size))
            self.append(cosignature_kept(size, line, at))

    def register(self, request: AuditRequest, at: str) -> int:
        """Write down that ``request`` was made at the time ``at`` (UTC, RFC 3339).

        The same request may be registered any number of times; returned is how often it was before
        in that very second.
        """
        table = RegistrationRow
        same = (table.request_digest == request.digest, table.registered == at)
        before = self._session.scalar(select(func.count()).select_from(table).where(*same)) or 0
        if self._session.get(RequestRow, request.digest) is None:
            body = canonical(request.to_json()).decode()
            self._add(RequestRow(digest=request.digest, body=body))
        row = RegistrationRow(request_digest=request.digest, registered=at)
        self._add(row)
        self._add(subjects_of(request, row.id, self._project))
        self.append(registration_of(request, at))
        return before

    def save(self, record: AuditRecord, bundle: bytes) -> None:
        """Keep a signed record and its lineage; one that is there already stays as it is.

        Raises ``StoreError`` when its request was never registered, or its id is taken.
        """
        if self._session.get(RequestRow, record.request.digest) is None:
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
        row = record_row(record, bundle)
        self._add(row)
        self._add(*target_rows(record, row.digest))
        keep_lineage(self._session.connection(), row.digest, provenance_of(record, digest(bundle)))
        self.append(record_kept(record, bundle))

    def challenge(self, challenge: Challenge, bundle: bytes) -> None:
        """Keep a signed challenge and its lineage for good."""
        signed = digest(bundle)
        keep_lineage(self._session.connection(), signed, challenge.provenance(signed))
        self.append(challenge_kept(challenge, bundle), bundle)

    def challenges(self) -> tuple[tuple[str, bytes], ...]:
        """Return every signed challenge after the digest of its record, the oldest first."""
        return self._about.challenges(self._session)

    def approvals(self, record: str) -> tuple[bytes, ...]:
        """Return the document of every approval of a record (its digest), the oldest first."""
        return self._about.approvals(self._session, record)

    def approvals_of(self, records: Collection[str]) -> dict[str, tuple[bytes, ...]]:
        """Return the documents of the approvals of records that have any, by their digests."""
        return self._about.approvals_of(self._session, records)

    def find_record(self, record_id: str) -> StoredRecord | None:
        """Return the record with that id. Raises ``StoreError`` when its bytes are damaged."""
        row = self._row(record_id)
        return None if row is None else _stored(row)

    def find_record_by_digest(self, digest: str) -> StoredRecord | None:
        """Return the record with that digest. Raises ``StoreError`` when its bytes are damaged."""
        row = self._session.get(RecordRow, digest)
        return None if row is None else _stored(row)

    def records_of(
        self, artifact_digest: str | None, policy_digest: str, target: str
    ) -> tuple[StoredRecord, ...]:
        """Return the records of one artifact under one policy on one target, the newest first.

        ``artifact_digest`` is ``None`` for predictions-only audits. Raises ``StoreError`` when
        the bytes of one are damaged.
        """
        asked = (
            select(RecordRow)
            .join(RecordTargetRow, RecordTargetRow.record_digest == RecordRow.digest)
            .where(
                RecordRow.artifact_digest == artifact_digest,
                RecordRow.policy_digest == policy_digest,
                RecordTargetRow.target == target,
            )
            .order_by(RecordRow.finished.desc(), RecordRow.digest)
        )
        return tuple(_stored(row) for row in self._session.scalars(asked))

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
        return tuple(self._session.scalars(asked))

    def contradictions(self, request: AuditRequest) -> tuple[Binding, ...]:
        """Return what the project registered before and binds the model's name, version or bytes
        otherwise.
        """
        return contradictions(self._session, request, self._project)

    def policies_used(self, name: str) -> tuple[tuple[PolicyRef, str], ...]:
        """Return the editions of a policy that the project registered, and when first."""
        return policies_used(self._session, name, self._project)

    def names_blob(self, digest: str) -> bool:
        """Whether a record names a blob among its evidence, or a request among its inputs."""
        if entities_like(self._session, digest):
            return True
        bare = digest.removeprefix("sha256:")
        asked = select(RequestRow.digest).where(RequestRow.body.contains(bare, autoescape=True))
        return self._session.scalar(asked.limit(1)) is not None

    def ancestors(self, *of: str) -> tuple[Edge, ...]:
        """Return, in order, every edge on a way from the nodes ``of`` to what they came from."""
        return ancestors_of(self._session, *of)

    def descendants(self, *of: str) -> tuple[Edge, ...]:
        """Return, in order, every edge on a way to the nodes ``of`` from what came of them."""
        return descendants_of(self._session, *of)

    def invalidations(self, of: Sequence[str]) -> tuple[Edge, ...]:
        """Return, in order, the edges by which any of the nodes ``of`` was invalidated."""
        return invalidations_of(self._session, of)

    def entities_like(self, start: str) -> tuple[Entity, ...]:
        """Return, in order, the entities whose digest begins with the text ``start``."""
        return entities_like(self._session, start)

    def described(self, names: Sequence[str]) -> tuple[tuple[Entity, ...], tuple[Activity, ...]]:
        """Return the entities and activities of some nodes, as far as any are known."""
        return described(self._session, names)

    def _row(self, record_id: str) -> RecordRow | None:
        return self._session.scalar(select(RecordRow).where(RecordRow.id == record_id))

    def _add(self, *rows: Base) -> None:
        self._session.add_all(rows)
        self._session.flush()


def _stored(row: RecordRow) -> StoredRecord:
    if digest(row.body) != row.digest:
        raise StoreError(
            f"record {row.id} is damaged: its bytes do not have the digest {row.digest}",
            cure="Restore the database from a copy.",
        )
    return StoredRecord(row.digest, row.body, row.bundle)
