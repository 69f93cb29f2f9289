"""The tables of lineage (W3C PROV-DM). Rows are only ever added: triggers refuse the rest."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class ProvEntityRow(Base):
    """A thing by its digest; ``id`` is the kind and the digest, ``attrs`` canonical JSON.

    Several documents may state the same thing; it stands as the first of them did.
    """

    __tablename__ = "prov_entities"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    uri: Mapped[str]
    attrs: Mapped[str]


class ProvActivityRow(Base):
    """Something that was done: an audit, a judgement, the trial of a counterexample."""

    __tablename__ = "prov_activities"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    started: Mapped[str]
    ended: Mapped[str]
    attrs: Mapped[str]


class ProvEdgeRow(Base):
    """An edge, as one signed document states it, by whose digest the ledger knows the set."""

    __tablename__ = "prov_edges"
    __table_args__ = (UniqueConstraint("stated_by", "source", "relation", "destination", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(index=True)
    relation: Mapped[str]
    destination: Mapped[str] = mapped_column(index=True)
    role: Mapped[str]
    stated_by: Mapped[str]
