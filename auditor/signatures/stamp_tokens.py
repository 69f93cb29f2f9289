"""Timestamp tokens: one signature of an authority over what it stamped (RFC 3161, RFC 5652).

Source: RFC 3161, section 2.4.2; RFC 5652, sections 5.1 to 5.6; RFC 5816 for ESSCertIDv2.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from auditor.signatures.certificates import Certificate, read_certificate
from auditor.signatures.der import (
    INTEGER,
    OCTETS,
    OID,
    SEQUENCE,
    SET,
    Element,
    Reader,
    context,
    refuse,
)
from auditor.signatures.objections import Code, Refused
from auditor.signatures.timestamps import Stamped, hash_of

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
class Token:
    """A token whose signature holds under the certificate that it names; whom that one belongs to
    is not decided. ``others`` are the certificates that came along.
    """

    stamped: Stamped
    signer: Certificate
    others: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class _Signed:
    """The one signature of a token: the attributes that it covers, and how."""

    issuer: bytes
    serial: int
    hash: str
    attributes: Mapping[str, Element]
    covered: bytes
    algorithm: str
    signature: bytes


def open_token(raw: bytes) -> Token:
    """Read a token and verify its signature. Raises ``Refused``."""
    outer = Reader(raw).take(SEQUENCE).parts()
    if outer.take(OID).oid() != _SIGNED_DATA:
        refuse("it is not signed data")
    data = outer.take(context(0)).parts().take(SEQUENCE).parts()
    outer.end()
    data.take(INTEGER)
    data.take(SET)
    stamped = _content(data.take(SEQUENCE))
    listed = data.maybe(context(0))
    data.maybe(context(1))
    signers = data.take(SET).parts().every()
    data.end()
    if len(signers) != 1:
        refuse(f"it must have one signature, and has {len(signers)}")
    certificates = () if listed is None else _certificates(listed)
    signed = _signer(signers[0])
    signer = _named(signed, certificates)
    _verify(signed, stamped, signer)
    return Token(stamped, signer, tuple(item for item in certificates if item != signer))


def _content(element: Element) -> Stamped:
    parts = element.parts()
    if parts.take(OID).oid() != _STAMPED:
        refuse("what is signed is no timestamp")
    inner = parts.take(context(0)).parts()
    parts.end()
    content = inner.take(OCTETS).content
    inner.end()
    return Stamped.parse(content)


def _certificates(element: Element) -> tuple[Certificate, ...]:
    listed = element.parts().every()
    if len(listed) > MOST_CERTIFICATES:
        refuse(f"it brings more than {MOST_CERTIFICATES} certificates")
    return tuple(read_certificate(item.raw) for item in listed)


def _signer(element: Element) -> _Signed:
    parts = element.parts()
    parts.take(INTEGER)
    sid = parts.take(SEQUENCE).parts()
    issuer, serial = sid.take(SEQUENCE).raw, sid.take(INTEGER).integer()
    sid.end()
    kind = hash_of(parts.take(SEQUENCE))
    attributes = parts.take(context(0))
    algorithm = parts.take(SEQUENCE).parts().take(OID).oid()
    signature = parts.take(OCTETS).content
    parts.maybe(context(1))  # unsigned, and so of no weight
    parts.end()
    # What is signed is the set itself, and not the tag that stands for it in its place.
    covered = bytes([SET]) + attributes.raw[1:]
    found = _attributes(attributes)
    return _Signed(issuer, serial, kind, found, covered, algorithm, signature)


def _attributes(element: Element) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for item in element.parts().every():
        parts = item.parts()
        name = parts.take(OID).oid()
        values = parts.take(SET).parts().every()
        parts.end()
        if name in found or len(values) != 1:
            refuse(f"the attribute {name} is there twice, or has no single value")
        found[name] = values[0]
    return found


def _named(signed: _Signed, certificates: tuple[Certificate, ...]) -> Certificate:
    """Return the certificate that the signature names, by its digest as well (RFC 5035)."""
    old, new = signed.attributes.get(_CERTIFICATE), signed.attributes.get(_CERTIFICATE_V2)
    if old is None and new is None:
        refuse("it does not name the certificate that it is signed under")
    wanted = [_digest(old, "sha1")] if old is not None else []
    wanted += [_digest(new, "sha256")] if new is not None else []
    issued = (signed.issuer, signed.serial)
    for item in certificates:
        borne = (item.parsed.issuer.public_bytes(), item.parsed.serial_number)
        same = all(hashlib.new(kind, item.der).digest() == digest for kind, digest in wanted)
        if borne == issued and same:
            return item
    return refuse("it does not bring the certificate that it is signed under")


def _digest(attribute: Element, kind: str) -> tuple[str, bytes]:
    """Return hash and digest of the first certificate that the attribute lists."""
    first = attribute.parts().take(SEQUENCE).parts().take(SEQUENCE).parts()
    named = first.maybe(SEQUENCE) if kind != "sha1" else None
    return kind if named is None else hash_of(named), first.take(OCTETS).content


def _verify(signed: _Signed, stamped: Stamped, signer: Certificate) -> None:
    kind, digest = (signed.attributes.get(name) for name in (_CONTENT_TYPE, _MESSAGE_DIGEST))
    if kind is None or digest is None or kind.oid() != _STAMPED:
        refuse("its signature covers no digest, or another kind of content")
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


def _unheld(reason: str) -> Refused:
    return Refused(Code.TIMESTAMP_SIGNATURE, f"the signature of the timestamp: {reason}")
