"""Requests and answers of time-stamping authorities (RFC 3161): what is asked, and what was said.

Nothing here is believed: ``clocks`` says which answers prove a time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.signatures.der import (
    BITS,
    BOOLEAN,
    INTEGER,
    MOST_BYTES,
    NULL,
    OCTETS,
    OID,
    SEQUENCE,
    TIME,
    Element,
    Reader,
    context,
    refuse,
    write,
    write_integer,
    write_oid,
)
from auditor.signatures.objections import Code, Refused

HASHES: Mapping[str, str] = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
OF_HASH = {name: oid for oid, name in HASHES.items()}
GRANTED = frozenset({0, 1})
MOST_TOKENS = 64
SUFFIX = ".tsr"
"""What is added to a file's name for the file of its timestamps."""
_TRUE = b"\xff"


@dataclass(frozen=True, slots=True)
class Query:
    """What an authority is asked to stamp: a digest, by the name of its hash in hashlib.

    ``policy`` is the one asked for, with dots; ``nonce`` ties the answer to this very query.
    """

    hash: str
    digest: bytes
    nonce: int | None = None
    policy: str | None = None

    @classmethod
    def over(cls, covered: bytes, nonce: int, *, kind: str = "sha256", policy: str | None = None
             ) -> "Query":  # fmt: skip
        """Ask for a stamp over these bytes."""
        return cls(kind, hashlib.new(kind, covered).digest(), nonce, policy)

    def emit(self) -> bytes:
        """Return the request (TimeStampReq); the authority's certificates are asked for."""
        algorithm = write(SEQUENCE, write_oid(OF_HASH[self.hash]), write(NULL))
        imprint = write(SEQUENCE, algorithm, write(OCTETS, self.digest))
        policy = [] if self.policy is None else [write_oid(self.policy)]
        nonce = [] if self.nonce is None else [write_integer(self.nonce)]
        wanted = write(BOOLEAN, _TRUE)
        return write(SEQUENCE, write_integer(1), imprint, *policy, *nonce, wanted)

    @classmethod
    def parse(cls, raw: bytes) -> "Query":
        """Read a request. Raises ``Refused``."""
        parts = _only(raw).parts()
        if parts.take(INTEGER).integer() != 1:
            refuse("the request is of another version")
        kind, digest = _imprint(parts.take(SEQUENCE))
        policy, nonce = parts.maybe(OID), parts.maybe(INTEGER)
        parts.maybe(BOOLEAN)
        parts.end()
        number = None if nonce is None else nonce.integer()
        return cls(kind, digest, number, None if policy is None else policy.oid())


@dataclass(frozen=True, slots=True)
class Stamped:
    """What an authority says (TSTInfo): it saw a digest at a time, under a policy of its own.

    The true time lies within ``accuracy`` of ``time``. ``raw`` are the bytes that are signed.
    """

    raw: bytes
    policy: str
    hash: str
    digest: bytes
    serial: int
    time: datetime
    accuracy: timedelta
    nonce: int | None

    @property
    def latest(self) -> datetime:
        """The latest time at which the digest may first have been seen."""
        return self.time + self.accuracy

    def covers(self, covered: bytes) -> bool:
        """Whether the digest is the one of these bytes."""
        return hashlib.new(self.hash, covered).digest() == self.digest

    @classmethod
    def parse(cls, raw: bytes) -> "Stamped":
        """Read what is signed. Raises ``Refused``."""
        parts = _only(raw).parts()
        if parts.take(INTEGER).integer() != 1:
            refuse("it is of another version")
        policy = parts.take(OID).oid()
        kind, digest = _imprint(parts.take(SEQUENCE))
        serial, time = parts.take(INTEGER).integer(), parts.take(TIME).time()
        accuracy = _accuracy(parts.maybe(SEQUENCE))
        ordering = parts.maybe(BOOLEAN)
        if ordering is not None and ordering.content != _TRUE:
            refuse("it says what goes without saying")
        nonce = parts.maybe(INTEGER)
        parts.maybe(context(0))  # a name, which proves nothing: the certificate is named elsewhere
        _refuse_critical(parts.maybe(context(1)))
        parts.end()
        number = None if nonce is None else nonce.integer()
        return cls(raw, policy, kind, digest, serial, time, accuracy, number)


def read_answers(raw: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return each answer in a file, in order, and the token in it. Raises ``Refused``."""
    if len(raw) > MOST_BYTES:
        refuse(f"it has more than {MOST_BYTES} bytes")
    found = [(item.raw, token_of(item)) for item in Reader(raw).every()]
    if not 1 <= len(found) <= MOST_TOKENS:
        refuse(f"it must be 1 to {MOST_TOKENS} answers of authorities")
    return tuple(found)


def as_answer(raw: bytes) -> bytes:
    """Return the answer (TimeStampResp) in a file that holds one, or a bare token.

    Raises ``Refused``, with the authority's reason where it granted nothing.
    """
    found = _only(raw)
    if found.content[:1] == bytes([OID]):
        return write(SEQUENCE, write(SEQUENCE, write_integer(0)), found.raw)
    token_of(found)
    return found.raw


def token_of(answer: Element) -> bytes:
    """Return the token in an answer. Raises ``Refused`` where the authority granted none."""
    if answer.tag != SEQUENCE:
        refuse("it is no answer of an authority")
    parts = answer.parts()
    status = parts.take(SEQUENCE).parts()
    number = status.take(INTEGER).integer()
    said = status.maybe(SEQUENCE)
    status.maybe(BITS)
    status.end()
    token = parts.maybe(SEQUENCE)
    parts.end()
    if number not in GRANTED or token is None:
        words = b"" if said is None else b" ".join(item.content for item in said.parts().every())
        text = ascii(words.decode("utf-8", "replace"))[:200] if words else "no reason given"
        raise Refused(
            Code.TIMESTAMP_STATUS, f"the authority granted no timestamp (status {number}): {text}"
        )
    return token.raw


def _imprint(element: Element) -> tuple[str, bytes]:
    parts = element.parts()
    kind = hash_of(parts.take(SEQUENCE))
    digest = parts.take(OCTETS).content
    parts.end()
    if len(digest) != hashlib.new(kind).digest_size:
        refuse("its digest is of another length than its hash")
    return kind, digest


def hash_of(algorithm: Element) -> str:
    """Return the name of a hash that still stands. Raises ``Refused`` for any other."""
    parts = algorithm.parts()
    oid = parts.take(OID).oid()
    parts.maybe(NULL)
    parts.end()
    if oid not in HASHES:
        raise Refused(Code.TIMESTAMP, f"the timestamp is made with the hash {oid}, which is weak")
    return HASHES[oid]


def _accuracy(element: Element | None) -> timedelta:
    if element is None:
        return timedelta()
    parts = element.parts()
    tags = (INTEGER, context(0, constructed=False), context(1, constructed=False))
    seconds, millis, micros = (
        0 if (found := parts.maybe(tag)) is None else found.integer() for tag in tags
    )
    parts.end()
    if min(seconds, millis, micros) < 0:
        refuse("its accuracy is below zero")
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)


def _refuse_critical(extensions: Element | None) -> None:
    for item in () if extensions is None else extensions.parts().every():
        parts = item.parts()
        name = parts.take(OID).oid()
        if parts.maybe(BOOLEAN) is not None:
            refuse(f"it has the critical extension {name}, unknown here")


def _only(raw: bytes) -> Element:
    """Return the one element that bytes hold. Raises ``Refused``."""
    if len(raw) > MOST_BYTES:
        refuse(f"it has more than {MOST_BYTES} bytes")
    reader = Reader(raw)
    found = reader.take(SEQUENCE)
    reader.end()
    return found
