"""RFC 3161 timestamps: requests, responses, token verification, and proof of a signing time.

Sources: RFC 3161, section 2.4.2; RFC 5652, sections 5.1 to 5.6; RFC 5816 for ESSCertIDv2. A parsed
response is not yet proof: ``find_proven_moment`` determines which ones prove a time.

A file holds one response after the other. The first stamps the signature; each later one stamps the
signature and all earlier responses, so that a time stays proven after the certificate or the hash
that first proved it expires (as in RFC 4998, without its structures).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from auditor.trust.encoding.der import (
    BITS,
    BOOLEAN,
    INTEGER,
    MOST_BYTES,
    NULL,
    OCTETS,
    OID,
    SEQUENCE,
    SET,
    TIME,
    DerElement,
    DerReader,
    context_tag,
    refuse_der,
    write_element,
    write_integer,
    write_oid,
)
from auditor.trust.encoding.hash_oids import HASHES, OF_HASH
from auditor.trust.signatures.trusted_signers import NOTHING, TrustedSigners, VerificationTime
from auditor.trust.signatures.x509 import (
    TIME_STAMPING,
    X509Certificate,
    complete_chain,
    find_link_issues,
    find_validity_issues,
    is_issued_by,
    read_certificate,
    read_certificates,
)
from auditor.trust.verification_result import IssueCode, VerificationError, VerificationIssue

GRANTED = frozenset({0, 1})
MOST_TOKENS = 64
SUFFIX = ".tsr"
"""What is added to a file's name for the file of its timestamps."""
_TRUE = b"\xff"


@dataclass(frozen=True, slots=True)
class TimestampQuery:
    """What an authority is asked to stamp: a digest, by the name of its hash in hashlib.

    ``policy`` is the one asked for, with dots; ``nonce`` ties the answer to this very query.
    """

    hash: str
    digest: bytes
    nonce: int | None = None
    policy: str | None = None

    @classmethod
    def over(cls, covered: bytes, nonce: int, *, kind: str = "sha256", policy: str | None = None
             ) -> "TimestampQuery":  # fmt: skip
        """Ask for a stamp over these bytes."""
        return cls(kind, hashlib.new(kind, covered).digest(), nonce, policy)

    def emit(self) -> bytes:
        """Return the request (TimeStampReq); the authority's certificates are asked for."""
        algorithm = write_element(SEQUENCE, write_oid(OF_HASH[self.hash]), write_element(NULL))
        imprint = write_element(SEQUENCE, algorithm, write_element(OCTETS, self.digest))
        policy = [] if self.policy is None else [write_oid(self.policy)]
        nonce = [] if self.nonce is None else [write_integer(self.nonce)]
        wanted = write_element(BOOLEAN, _TRUE)
        return write_element(SEQUENCE, write_integer(1), imprint, *policy, *nonce, wanted)

    @classmethod
    def parse(cls, raw: bytes) -> "TimestampQuery":
        """Read a request. Raises ``VerificationError``."""
        parts = _only(raw).parts()
        if parts.take(INTEGER).integer() != 1:
            refuse_der("the request is of another version")
        kind, digest = _imprint(parts.take(SEQUENCE))
        policy, nonce = parts.maybe(OID), parts.maybe(INTEGER)
        parts.maybe(BOOLEAN)
        parts.end()
        number = None if nonce is None else nonce.integer()
        return cls(kind, digest, number, None if policy is None else policy.oid())


@dataclass(frozen=True, slots=True)
class TimestampInfo:
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
    def parse(cls, raw: bytes) -> "TimestampInfo":
        """Read what is signed. Raises ``VerificationError``."""
        parts = _only(raw).parts()
        if parts.take(INTEGER).integer() != 1:
            refuse_der("it is of another version")
        policy = parts.take(OID).oid()
        kind, digest = _imprint(parts.take(SEQUENCE))
        serial, time = parts.take(INTEGER).integer(), parts.take(TIME).time()
        element = parts.maybe(SEQUENCE)
        if element is None:
            accuracy = timedelta()
        else:
            accuracy_parts = element.parts()
            tags = (INTEGER, context_tag(0, constructed=False), context_tag(1, constructed=False))
            seconds, millis, micros = (
                0 if (found := accuracy_parts.maybe(tag)) is None else found.integer()
                for tag in tags
            )
            accuracy_parts.end()
            if min(seconds, millis, micros) < 0:
                refuse_der("its accuracy is below zero")
            accuracy = timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)
        ordering = parts.maybe(BOOLEAN)
        if ordering is not None and ordering.content != _TRUE:
            refuse_der("it says what goes without saying")
        nonce = parts.maybe(INTEGER)
        parts.maybe(
            context_tag(0)
        )  # a name, which proves nothing: the certificate is named elsewhere
        extensions = parts.maybe(context_tag(1))
        for item in () if extensions is None else extensions.parts().every():
            critical_parts = item.parts()
            name = critical_parts.take(OID).oid()
            if critical_parts.maybe(BOOLEAN) is not None:
                refuse_der(f"it has the critical extension {name}, unknown here")
        parts.end()
        number = None if nonce is None else nonce.integer()
        return cls(raw, policy, kind, digest, serial, time, accuracy, number)


def read_timestamp_answers(raw: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return each answer in a file, in order, and the token in it. Raises ``VerificationError``."""
    if len(raw) > MOST_BYTES:
        refuse_der(f"it has more than {MOST_BYTES} bytes")
    found = [(item.raw, extract_token(item)) for item in DerReader(raw).every()]
    if not 1 <= len(found) <= MOST_TOKENS:
        refuse_der(f"it must be 1 to {MOST_TOKENS} answers of authorities")
    return tuple(found)


def wrap_token(raw: bytes) -> bytes:
    """Return the answer (TimeStampResp) in a file that holds one, or a bare token.

    Raises ``VerificationError``, with the authority's reason where it granted nothing.
    """
    found = _only(raw)
    if found.content[:1] == bytes([OID]):
        return write_element(SEQUENCE, write_element(SEQUENCE, write_integer(0)), found.raw)
    extract_token(found)
    return found.raw


def extract_token(answer: DerElement) -> bytes:
    """Return the token in an answer. Raises ``VerificationError`` where the authority granted
    none.
    """
    if answer.tag != SEQUENCE:
        refuse_der("it is not an answer of an authority")
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
        raise VerificationError(
            IssueCode.TIMESTAMP_STATUS,
            f"the authority granted no timestamp (status {number}): {text}",
        )
    return token.raw


def _imprint(element: DerElement) -> tuple[str, bytes]:
    parts = element.parts()
    kind = read_hash_name(parts.take(SEQUENCE))
    digest = parts.take(OCTETS).content
    parts.end()
    if len(digest) != hashlib.new(kind).digest_size:
        refuse_der("its digest is of another length than its hash")
    return kind, digest


def read_hash_name(algorithm: DerElement) -> str:
    """Return the name of a hash that still stands. Raises ``VerificationError`` for any other."""
    parts = algorithm.parts()
    oid = parts.take(OID).oid()
    parts.maybe(NULL)
    parts.end()
    if oid not in HASHES:
        raise VerificationError(
            IssueCode.TIMESTAMP, f"the timestamp is made with the hash {oid}, which is weak"
        )
    return HASHES[oid]


def _only(raw: bytes) -> DerElement:
    """Return the one element that bytes hold. Raises ``VerificationError``."""
    if len(raw) > MOST_BYTES:
        refuse_der(f"it has more than {MOST_BYTES} bytes")
    reader = DerReader(raw)
    found = reader.take(SEQUENCE)
    reader.end()
    return found


MOST_CERTIFICATES = 16
_SIGNED_DATA, _STAMPED = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_CERTIFICATE, _CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_RSA = {
    "1.2.840.113549.1.1.1": None,
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
_ECDSA = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """A token whose signature holds under the certificate that it names; whom that one belongs to
    is not decided. ``others`` are the certificates that came along.
    """

    stamped: TimestampInfo
    signer: X509Certificate
    others: tuple[X509Certificate, ...]


@dataclass(frozen=True, slots=True)
class _SignerInfo:
    """The one signature of a token: the attributes that it covers, and how."""

    issuer: bytes
    serial: int
    hash: str
    attributes: Mapping[str, DerElement]
    covered: bytes
    algorithm: str
    signature: bytes


def open_timestamp_token(raw: bytes) -> TimestampToken:
    """Read a token and verify its signature. Raises ``VerificationError``."""
    outer = DerReader(raw).take(SEQUENCE).parts()
    if outer.take(OID).oid() != _SIGNED_DATA:
        refuse_der("it is not signed data")
    data = outer.take(context_tag(0)).parts().take(SEQUENCE).parts()
    outer.end()
    data.take(INTEGER)
    data.take(SET)
    parts = data.take(SEQUENCE).parts()
    if parts.take(OID).oid() != _STAMPED:
        refuse_der("what is signed is not a timestamp")
    inner = parts.take(context_tag(0)).parts()
    parts.end()
    content = inner.take(OCTETS).content
    inner.end()
    stamped = TimestampInfo.parse(content)
    listed = data.maybe(context_tag(0))
    data.maybe(context_tag(1))
    signers = data.take(SET).parts().every()
    data.end()
    if len(signers) != 1:
        refuse_der(f"it must have one signature, and has {len(signers)}")
    certificates = () if listed is None else _certificates(listed)
    signed = _signer(signers[0])
    signer = _named(signed, certificates)
    kind, digest = (signed.attributes.get(name) for name in (_CONTENT_TYPE, _MESSAGE_DIGEST))
    if kind is None or digest is None or kind.oid() != _STAMPED:
        refuse_der("its signature covers no digest, or another kind of content")
    if digest.content != hashlib.new(signed.hash, stamped.raw).digest():
        raise _unheld("what is signed was changed")
    key, algorithm = signer.parsed.public_key(), signed.algorithm
    named = _RSA.get(algorithm) or _ECDSA.get(algorithm) or signed.hash
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
            key.verify(signed.signature, signed.covered, padding.PKCS1v15(), _HASHES[named])
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
            key.verify(signed.signature, signed.covered, ec.ECDSA(_HASHES[named]))
        else:
            raise _unheld(f"the algorithm {algorithm} is not of the certificate's key, or unknown")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise _unheld("it does not hold under the certificate that it names") from None
    return TimestampToken(stamped, signer, tuple(item for item in certificates if item != signer))


def _certificates(element: DerElement) -> tuple[X509Certificate, ...]:
    listed = element.parts().every()
    if len(listed) > MOST_CERTIFICATES:
        refuse_der(f"it brings more than {MOST_CERTIFICATES} certificates")
    return tuple(read_certificate(item.raw) for item in listed)


def _signer(element: DerElement) -> _SignerInfo:
    parts = element.parts()
    parts.take(INTEGER)
    sid = parts.take(SEQUENCE).parts()
    issuer, serial = sid.take(SEQUENCE).raw, sid.take(INTEGER).integer()
    sid.end()
    kind = read_hash_name(parts.take(SEQUENCE))
    attributes = parts.take(context_tag(0))
    algorithm = parts.take(SEQUENCE).parts().take(OID).oid()
    signature = parts.take(OCTETS).content
    parts.maybe(context_tag(1))  # unsigned, and so of no weight
    parts.end()
    # What is signed is the set itself, and not the tag that stands for it in its place.
    covered = bytes([SET]) + attributes.raw[1:]
    found: dict[str, DerElement] = {}
    for item in attributes.parts().every():
        attributes_parts = item.parts()
        name = attributes_parts.take(OID).oid()
        values = attributes_parts.take(SET).parts().every()
        attributes_parts.end()
        if name in found or len(values) != 1:
            refuse_der(f"the attribute {name} is there twice, or has no single value")
        found[name] = values[0]
    return _SignerInfo(issuer, serial, kind, found, covered, algorithm, signature)


def _named(signed: _SignerInfo, certificates: tuple[X509Certificate, ...]) -> X509Certificate:
    """Return the certificate that the signature names, by its digest as well (RFC 5035)."""
    old, new = signed.attributes.get(_CERTIFICATE), signed.attributes.get(_CERTIFICATE_V2)
    if old is None and new is None:
        refuse_der("it does not name the certificate that it is signed under")
    wanted = [_digest(old, "sha1")] if old is not None else []
    wanted += [_digest(new, "sha256")] if new is not None else []
    issued = (signed.issuer, signed.serial)
    for item in certificates:
        borne = (item.parsed.issuer.public_bytes(), item.parsed.serial_number)
        same = all(hashlib.new(kind, item.der).digest() == digest for kind, digest in wanted)
        if borne == issued and same:
            return item
    return refuse_der("it does not bring the certificate that it is signed under")


def _digest(attribute: DerElement, kind: str) -> tuple[str, bytes]:
    """Return hash and digest of the first certificate that the attribute lists."""
    first = attribute.parts().take(SEQUENCE).parts().take(SEQUENCE).parts()
    named = first.maybe(SEQUENCE) if kind != "sha1" else None
    return kind if named is None else read_hash_name(named), first.take(OCTETS).content


def _unheld(reason: str) -> VerificationError:
    return VerificationError(
        IssueCode.TIMESTAMP_SIGNATURE, f"the signature of the timestamp: {reason}"
    )


SKEW = timedelta(minutes=5)
"""By how much an authority's clock may be ahead of the one here."""
_LONGEST = 8


@dataclass(frozen=True, slots=True)
class TimestampAuthorities:
    """Whose timestamps are believed: authorities that lead to ``roots`` (PEM), never the web's.

    With ``policies`` (with dots) a timestamp must be under one of them. ``revoked`` is as that of
    ``TrustedSigners``.
    """

    roots: tuple[bytes, ...]
    policies: frozenset[str] = frozenset()
    revoked: Mapping[str, datetime | None] = field(default_factory=lambda: NOTHING)


def find_proven_moment(
    answers: bytes, over: bytes, clocks: TimestampAuthorities, now: VerificationTime
) -> VerificationTime:
    """Return the time at which ``over`` is proven to have been there, at the latest.

    ``answers`` is a file of timestamps (``timestamp.tsr``), of which the last must hold ``now``,
    and each other when the next one was made. Raises ``VerificationError``.
    """
    tokens: list[TimestampToken] = []
    before = over
    for answer, raw in read_timestamp_answers(answers):
        tokens_token = open_timestamp_token(raw)
        if not tokens_token.stamped.covers(before):
            text = f"timestamp {len(tokens) + 1} is over something else"
            raise VerificationError(IssueCode.TIMESTAMP_IMPRINT, text)
        tokens.append(tokens_token)
        before += answer
    for place, token in enumerate(tokens):
        later = tokens[place + 1].stamped if place + 1 < len(tokens) else None
        if later is not None and later.time < token.stamped.time:
            raise VerificationError(
                IssueCode.TIMESTAMP_TIME, "a later timestamp says an earlier time"
            )
        checked = now if later is None else VerificationTime(later.latest, proven=True)
        objection = next(_object(token, clocks, checked), None)
        if objection is not None:
            which = f"timestamp {place + 1} of {len(tokens)}"
            raise VerificationError(objection.code, f"{which}: {objection.text}")
    return VerificationTime(tokens[0].stamped.latest, proven=True)


def build_renewal_content(answers: bytes, over: bytes) -> bytes:
    """Return what a further timestamp has to cover: all that there is."""
    return over + answers


def refuse_unrelated_answer(answer: bytes, query: TimestampQuery) -> None:
    """Raise ``VerificationError`` where an authority's answer is not the one to a query."""
    (found,) = read_timestamp_answers(answer)
    stamped = open_timestamp_token(found[1]).stamped
    if (stamped.hash, stamped.digest) != (query.hash, query.digest):
        raise VerificationError(IssueCode.TIMESTAMP_IMPRINT, "the authority stamped another digest")
    if stamped.nonce != query.nonce:
        raise VerificationError(
            IssueCode.TIMESTAMP_NONCE, "the answer is to another request: its nonce differs"
        )
    if query.policy is not None and stamped.policy != query.policy:
        text = f"the authority stamped under the policy {stamped.policy}, not {query.policy}"
        raise VerificationError(IssueCode.TIMESTAMP_POLICY, text)


def _object(
    token: TimestampToken, clocks: TimestampAuthorities, checked: VerificationTime
) -> Iterator[VerificationIssue]:
    stamped = token.stamped
    if clocks.policies and stamped.policy not in clocks.policies:
        text = f"it is under the policy {stamped.policy}, which is not trusted"
        yield VerificationIssue(IssueCode.TIMESTAMP_POLICY, text)
    if stamped.time > checked.at + SKEW:
        yield VerificationIssue(
            IssueCode.TIMESTAMP_TIME, f"it says a time to come, {stamped.time.isoformat()}"
        )
    roots = [item for pem in clocks.roots for item in read_certificates(pem)]
    path, found = complete_chain(_path(token, roots), roots)
    yield from found
    own = VerificationTime(stamped.time, proven=True)
    for item in find_link_issues(path, checked, TIME_STAMPING):
        yield VerificationIssue(item.code, f"the authority: {item.text}")
    for place, certificate in enumerate(path):
        yield from find_validity_issues(
            certificate, own, f"certificate {place + 1} of the authority"
        )
    # Who has an authority's key writes any time: only a later timestamp shows it before the theft.
    revokes = partial(TrustedSigners(revoked=clocks.revoked).revokes, moment=checked)
    for certificate in path:
        if any(map(revokes, certificate.revocable)):
            yield VerificationIssue(
                IssueCode.REVOKED, "a certificate of the authority, or its key, is revoked"
            )


def _path(token: TimestampToken, roots: Sequence[X509Certificate]) -> list[X509Certificate]:
    """Return a way from the signer to a root where there is one, else the signer alone."""
    found = _way([token.signer], token.others, {root.digest for root in roots}, roots)
    return found or [token.signer]


def _way(
    path: list[X509Certificate],
    pool: Sequence[X509Certificate],
    known: set[str],
    roots: Sequence[X509Certificate],
) -> list[X509Certificate] | None:
    last = path[-1]
    if any(is_issued_by(last, root) for root in roots) or (len(path) > 1 and last.digest in known):
        return path
    for item in pool if len(path) < _LONGEST else ():
        if item not in path and is_issued_by(last, item):
            found = _way([*path, item], pool, known, roots)
            if found is not None:
                return found
    return None
