"""The tables of the ledger: leaves and full tiles never change, and everything else only grows."""

from sqlalchemy import BigInteger, ForeignKey, Integer
from sqlalchemy import Index as SqlIndex
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base

Index = BigInteger().with_variant(Integer, "sqlite")


class LedgerLeafRow(Base):
    """An entry of the log, as its bytes are hashed."""

    __tablename__ = "ledger_leaves"

    idx: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    body: Mapped[bytes]


class LedgerOpeningRow(Base):
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


class LedgerTileRow(Base):
    """A tile (C2SP tlog-tiles); a partial one only grows, a full one never changes.

    ``inner`` are a full tile's 16 nodes half-way up, so that proofs need few hashes.
    """

    __tablename__ = "ledger_tiles"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    idx: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    width: Mapped[int]
    hashes: Mapped[bytes]
    inner: Mapped[bytes]


class LedgerStateRow(Base):
    """The one row that says how far the log has grown."""

    __tablename__ = "ledger_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(Index)
    root: Mapped[bytes]


class LedgerCheckpointRow(Base):
    """A checkpoint that the log's key signed; no two are of one size."""

    __tablename__ = "ledger_checkpoints"

    size: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    note: Mapped[bytes]


class LedgerCosignatureRow(Base):
    """A witness's signature line under a checkpoint."""

    __tablename__ = "ledger_cosignatures"

    line: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(ForeignKey("ledger_checkpoints.size"), index=True)
