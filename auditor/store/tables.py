"""SQLAlchemy tables of the store: records, the ledger, and lineage (W3C PROV-DM).

Rows are only added; database triggers reject every other change. In the ledger, leaves and full
tiles never change, and all other rows only grow.
"""

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy import Index as SqlIndex
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class TableBase(DeclarativeBase):
    """What all tables share: constraints that carry the same name on every database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {str: Text(), bytes: LargeBinary()}  # noqa: RUF012 -- SQLAlchemy's own form


class RequestRow(TableBase):
    """What was asked, once for all times that it was asked."""

    __tablename__ = "requests"

    digest: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str]


class RegistrationRow(TableBase):
    """One occasion on which a request was registered, before anything ran."""

    __tablename__ = "registrations"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    request_digest: Mapped[str] = mapped_column(ForeignKey("requests.digest"), index=True)
    registered: Mapped[str]


class RegistrationSubjectRow(TableBase):
    """What a registration is looked up by in its project: digests, of names of any length.

    ``project`` is empty where no service registered. ``model`` is of a name and a version,
    ``policy`` of a policy's name.
    """

    __tablename__ = "registration_subjects"
    __table_args__ = (
        Index("ix_registration_subjects_model", "project", "model", "registration"),
        Index("ix_registration_subjects_artifact", "project", "artifact", "registration"),
        Index("ix_registration_subjects_policy", "project", "policy", "policy_digest"),
    )

    registration: Mapped[int] = mapped_column(
        ForeignKey("registrations.id"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    model: Mapped[str]
    artifact: Mapped[str | None]
    policy: Mapped[str]
    policy_digest: Mapped[str]


class RecordRow(TableBase):
    """A signed record: its bytes, its signature, and what records are looked up by."""

    __tablename__ = "records"
    __table_args__ = (
        Index(
            "ix_records_artifact_policy", "artifact_digest", "policy_digest", "finished", "digest"
        ),
    )

    digest: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    request_digest: Mapped[str] = mapped_column(ForeignKey("requests.digest"), index=True)
    derived_from: Mapped[str | None] = mapped_column(index=True)
    verdict: Mapped[str]
    assurance: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    artifact_digest: Mapped[str | None]
    policy_digest: Mapped[str]
    registered: Mapped[str]
    finished: Mapped[str]
    body: Mapped[bytes]
    bundle: Mapped[bytes]


class RecordTargetRow(TableBase):
    """A target that a record speaks of; ``identity`` is the digest of what it turned out to be.

    ``identity`` is ``None`` where the target could not be opened.
    """

    __tablename__ = "record_targets"

    record_digest: Mapped[str] = mapped_column(ForeignKey("records.digest"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str | None]


LeafNumber = BigInteger().with_variant(Integer, "sqlite")


class LedgerLeafRow(TableBase):
    """An entry of the log, as its bytes are hashed."""

    __tablename__ = "ledger_leaves"

    idx: Mapped[int] = mapped_column(LeafNumber, primary_key=True, autoincrement=False)
    body: Mapped[bytes]


class LedgerOpeningRow(TableBase):
    """What a leaf's salted digests stand for, and its salt: apart, so that the tree needs neither.

    ``subjects`` is a JSON object of digests by role; ``document`` is the thing whose digest it is,
    where no other table has it.
    """

    __tablename__ = "ledger_openings"
    __table_args__ = (
        # PostgreSQL finds what begins so by an index only where that is in the order of signs.
        SqlIndex(
            "ix_ledger_openings_event_id", "event_id",
            postgresql_ops={"event_id": "text_pattern_ops"},
        ),
    )  # fmt: skip

    idx: Mapped[int] = mapped_column(
        ForeignKey("ledger_leaves.idx"), primary_key=True, autoincrement=False
    )
    event_id: Mapped[str]
    salt: Mapped[bytes]
    digest: Mapped[str]
    subjects: Mapped[str]
    document: Mapped[bytes | None]


class LedgerTileRow(TableBase):
    """A tile (C2SP tlog-tiles); a partial one only grows, a full one never changes.

    ``inner`` are a full tile's 16 nodes half-way up, so that proofs need few hashes.
    """

    __tablename__ = "ledger_tiles"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    idx: Mapped[int] = mapped_column(LeafNumber, primary_key=True, autoincrement=False)
    width: Mapped[int]
    hashes: Mapped[bytes]
    inner: Mapped[bytes]


class LedgerStateRow(TableBase):
    """The one row that says how far the log has grown."""

    __tablename__ = "ledger_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(LeafNumber)
    root: Mapped[bytes]


class LedgerCheckpointRow(TableBase):
    """A checkpoint that the log's key signed; no two are of one size."""

    __tablename__ = "ledger_checkpoints"

    size: Mapped[int] = mapped_column(LeafNumber, primary_key=True, autoincrement=False)
    note: Mapped[bytes]


class LedgerCosignatureRow(TableBase):
    """A witness's signature line under a checkpoint."""

    __tablename__ = "ledger_cosignatures"

    line: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(ForeignKey("ledger_checkpoints.size"), index=True)


class ProvEntityRow(TableBase):
    """A thing by its digest; ``id`` is the kind and the digest, ``attrs`` canonical JSON.

    Several documents may state the same thing; it stands as the first of them did.
    """

    __tablename__ = "prov_entities"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    uri: Mapped[str]
    attrs: Mapped[str]


class ProvActivityRow(TableBase):
    """Something that was done: an audit, a judgement, the trial of a counterexample."""

    __tablename__ = "prov_activities"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    started: Mapped[str]
    ended: Mapped[str]
    attrs: Mapped[str]


class ProvEdgeRow(TableBase):
    """An edge, as one signed document states it, by whose digest the ledger knows the set."""

    __tablename__ = "prov_edges"
    __table_args__ = (UniqueConstraint("stated_by", "source", "relation", "destination", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(index=True)
    relation: Mapped[str]
    destination: Mapped[str] = mapped_column(index=True)
    role: Mapped[str]
    stated_by: Mapped[str]
