"""What a document that lies beside a model declares, and what is wrong with the document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from auditor.domain.canonical import Json
from auditor.domain.supplies import DATASETS, Part
from auditor.signatures.objections import Grade
from auditor.signatures.statements import is_sha256

MOST_DECLARED = 10_000
MOST_LISTED = 20
_SHOWN = 200
SHA256 = "sha256"
T = TypeVar("T")


class Kind(StrEnum):
    """What a document is."""

    SLSA_V1 = "slsa-provenance-v1"
    SLSA_V0_2 = "slsa-provenance-v0.2"
    MODEL_SIGNATURE = "model-signature"
    IN_TOTO = "in-toto-statement"
    CYCLONEDX = "cyclonedx"
    CROISSANT = "croissant"
    MODEL_CARD = "model-card"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """The stable name of what is wrong with a document, beside the codes of signatures."""

    TOO_LARGE = "TOO_LARGE"
    TOO_MANY = "TOO_MANY"
    FORMAT = "FORMAT"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    UNKNOWN_KIND = "UNKNOWN_KIND"
    VERSION = "VERSION"
    DIGEST_FORMAT = "DIGEST_FORMAT"
    NOTHING_DECLARED = "NOTHING_DECLARED"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing wrong with a document: an error means that it could not be read as a whole."""

    code: str
    text: str
    grade: Grade = Grade.ERROR

    def to_json(self) -> dict[str, Json]:
        """Return the form that a record holds."""
        return {"code": self.code, "grade": self.grade.value, "text": self.text}


class MalformedError(Exception):
    """A document that cannot be read any further."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.remark = Remark(code, text)


@dataclass(frozen=True, slots=True)
class Declared:
    """One input that a document speaks of.

    ``part`` is what the document says that it is, ``None`` where it does not say; ``parts`` are
    those that it may be. ``digests`` maps an algorithm to hexadecimal digits; ``where`` is its
    place in the document.
    """

    where: str
    name: str
    digests: Mapping[str, str] = field(default_factory=dict)
    part: Part | None = None
    parts: frozenset[Part] = frozenset(Part)

    @classmethod
    def of(
        cls, part: Part, where: str, name: str, digests: Mapping[str, str] | None = None
    ) -> "Declared":
        """Return an input of which the document says what it is."""
        return cls(where, name, digests or {}, part, frozenset({part}))

    @classmethod
    def dataset(cls, where: str, name: str, digests: Mapping[str, str]) -> "Declared":
        """Return a dataset of which the document does not say what it was used for."""
        return cls(where, name, digests, None, DATASETS)


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that one document says: of which inputs, and ``about`` them in a few texts."""

    kind: Kind
    declared: tuple[Declared, ...] = ()
    about: Mapping[str, Json] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def clean(value: object) -> str:
    """Return an untrusted text in one short line that every reader can show."""
    text = value if isinstance(value, str) else type(value).__name__
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cut
    )


def texts_of(value: object) -> list[Json]:
    """Return the texts of a text or a list, at most ``MOST_LISTED``, made fit to be shown."""
    listed = value if isinstance(value, list) else [value]
    return [clean(item) for item in listed[:MOST_LISTED] if isinstance(item, str)]


def told(**about: object) -> dict[str, Json]:
    """Return those of ``about`` that say anything; texts and lists of texts alone are kept."""
    found: dict[str, Json] = {}
    for name, value in about.items():
        said = texts_of(value)
        if said:
            found[name] = said if isinstance(value, list) else said[0]
    return found


def items(value: object, place: str) -> list[tuple[str, dict[str, object]]]:
    """Return the objects of a list with their places; a list that is not there has none.

    Raises ``MalformedError`` for what is no list of objects, and for a longer one than any real
    document has.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedError(Fault.FORMAT, f"{place} must be a list of objects")
    if len(value) > MOST_DECLARED:
        raise MalformedError(Fault.TOO_MANY, f"{place} has more than {MOST_DECLARED} entries")
    return [(f"{place}[{index}]", item) for index, item in enumerate(value)]


def member(value: Mapping[str, object], name: str, kind: type[T], place: str) -> T | None:
    """Return a member of an object, ``None`` where it is not there. Raises ``MalformedError``."""
    found = value.get(name)
    if found is None or isinstance(found, kind):
        return found
    raise MalformedError(Fault.FORMAT, f"{place}.{name} must be of type {kind.__name__}")


def sha256_of(value: object, place: str, *, upper: bool = False) -> dict[str, str]:
    """Return a SHA-256 by its algorithm. Raises ``MalformedError`` for what is none.

    ``upper`` is for formats that allow upper-case digits.
    """
    text = value.lower() if upper and isinstance(value, str) else value
    if isinstance(text, str) and is_sha256(text):
        return {SHA256: text}
    raise MalformedError(Fault.DIGEST_FORMAT, f"{place} is no SHA-256 in hexadecimal digits")


def bounded(declared: Sequence[Declared]) -> tuple[Declared, ...]:
    """Return what a document declares. Raises ``MalformedError`` where that has no end."""
    if len(declared) > MOST_DECLARED:
        text = f"it declares more than {MOST_DECLARED} inputs"
        raise MalformedError(Fault.TOO_MANY, text)
    return tuple(declared)
