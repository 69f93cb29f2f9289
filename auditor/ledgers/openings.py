"""What opens a leaf: its salt, and the digests that its salted ones stand for."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.canonical import canonical, parse
from auditor.domain.canonical import digest as digest_of
from auditor.errors import LedgerError
from auditor.ledgers.events import SALT, Event, Leaf
from auditor.ledgers.notes import NoteKey
from auditor.ledgers.proofs import Head
from auditor.ledgers.receipts import Receipt

_CURE = "Take the proof as `auditor` wrote it, unchanged, or make it again: `auditor ledger prove`."


@dataclass(frozen=True, slots=True)
class Opening:
    """A leaf with what opens it; it travels in a receipt, beside the proof.

    ``document`` is the thing whose digest the event names, where it travels along.
    """

    leaf: Leaf
    salt: bytes
    digest: str
    subjects: Mapping[str, str]
    document: bytes | None = None

    @property
    def event(self) -> Event:
        """The event that the leaf is said to stand for."""
        leaf = self.leaf
        return Event(leaf.type, self.digest, leaf.time, self.subjects, leaf.id)

    def emit(self) -> bytes:
        """Return canonical JSON."""
        brought = {} if self.document is None else {"document": self.document.decode()}
        return canonical(
            {
                "digest": self.digest,
                "leaf": self.leaf.entry().decode(),
                "salt": self.salt.hex(),
                "subjects": dict(self.subjects),
                **brought,
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> "Opening":
        """Read the JSON. Raises ``LedgerError`` where it is none, or does not open its leaf."""
        try:
            found = parse(raw)
            leaf, salt, digest, subjects, document = _members(found)
            opener = bytes.fromhex(salt)
            opening = cls(Leaf.parse(leaf.encode()), opener, digest, subjects, document)
            # A text that UTF-8 cannot write, such as half a surrogate pair, is a ValueError too.
            opens = opening.leaf.opens(opening.event, opening.salt)
            opens = opens and (document is None or digest_of(document) == digest)
        except (ValueError, RecursionError):
            raise _unopened("what should open it is malformed") from None
        if len(opening.salt) != SALT or not opens:
            raise _unopened("the digests beside it are not those that it was made of")
        return opening


@dataclass(frozen=True, slots=True)
class Included:
    """An event is in a log: at which index, and in a tree of which head."""

    opening: Opening
    index: int
    head: Head
    origin: str


def open_receipt(raw: bytes, key: NoteKey) -> Included:
    """Return what a receipt proves under the log's key. Raises ``LedgerError`` where it does not.

    What the digests stand for is for the caller to compare.
    """
    receipt = Receipt.parse(raw)
    opening = Opening.parse(receipt.extra)
    checkpoint = receipt.open(opening.leaf.entry(), key)
    return Included(opening, receipt.index, checkpoint.head, checkpoint.origin)


def _members(found: object) -> tuple[str, str, str, Mapping[str, str], bytes | None]:
    members = {"digest", "leaf", "salt", "subjects"}
    if not isinstance(found, Mapping) or set(found) - {"document"} != members:
        raise ValueError
    leaf, salt, digest, subjects = (found[key] for key in ("leaf", "salt", "digest", "subjects"))
    document = found.get("document", "")
    listed = subjects.values() if isinstance(subjects, Mapping) else [None]
    if not all(isinstance(item, str) for item in (leaf, salt, digest, document, *listed)):
        raise ValueError
    return leaf, salt, digest, subjects, document.encode() if "document" in found else None


def _unopened(reason: str) -> LedgerError:
    return LedgerError(f"the leaf of a ledger proof cannot be opened: {reason}", cure=_CURE)
