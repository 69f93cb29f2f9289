"""The tables of the store. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import ForeignKey, Index, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
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


class RequestRow(Base):
    """What was asked, once for all times that it was asked."""

    __tablename__ = "requests"

    digest: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str]


class RegistrationRow(Base):
    """One occasion on which a request was registered, before anything ran."""

    __tablename__ = "registrations"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    request_digest: Mapped[str] = mapped_column(ForeignKey("requests.digest"), index=True)
    registered: Mapped[str]


class RegistrationSubjectRow(Base):
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


class RecordRow(Base):
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


class RecordTargetRow(Base):
    """A target that a record speaks of; ``identity`` is the digest of what it turned out to be.

    ``identity`` is ``None`` where the target could not be opened.
    """

    __tablename__ = "record_targets"

    record_digest: Mapped[str] = mapped_column(ForeignKey("records.digest"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str | None]
