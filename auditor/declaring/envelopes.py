"""Whether the signature of a document holds, and the statement that it is put over."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.declaring.declarations import Fault, MalformedError, Remark, clean
from auditor.signatures.dsse import Envelope, parse_envelope
from auditor.signatures.keys import read_public_key
from auditor.signatures.objections import Grade, Refused
from auditor.signatures.strict import read_object

BUNDLE = "application/vnd.dev.sigstore.bundle"
_MATERIALS = ("certificate", "x509CertificateChain")


class Standing(StrEnum):
    """How far the signature of a document is known to hold."""

    VERIFIED = "verified"
    REFUSED = "refused"
    NOT_VERIFIED = "not_verified"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of a signature: ``identity`` is the key's, and only of one that holds."""

    standing: Standing
    identity: str | None = None
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A statement and the signature that it came under."""

    statement: Mapping[str, object]
    signed: Signed


UNSIGNED = Signed(Standing.UNSIGNED)


def open_document(found: Mapping[str, object], key: bytes | None) -> Opened:
    """Take a statement out of its envelope or bundle; what lies in neither is unsigned.

    ``key`` is the public key, in PEM, of the only signer who is believed. Raises
    ``MalformedError``.
    """
    media_type = found.get("mediaType")
    if isinstance(media_type, str) and media_type.startswith(BUNDLE):
        return _open_bundle(found, key)
    if "payloadType" in found and "signatures" in found:
        return _open_envelope(found, key)
    return Opened(found, UNSIGNED)


def _open_bundle(found: Mapping[str, object], key: bytes | None) -> Opened:
    if "dsseEnvelope" not in found:
        text = "the bundle signs the digest of a file, and holds no statement"
        raise MalformedError(Fault.FORMAT, text)
    material = found.get("verificationMaterial")
    named = [name for name in _MATERIALS if isinstance(material, dict) and name in material]
    if not named:
        return _open_envelope(found["dsseEnvelope"], key)
    text = f"it is signed by a {named[0]}, and the audit names a key at most"
    remark = Remark("UNSUPPORTED", text, Grade.WARNING)
    statement = _statement(_envelope(found["dsseEnvelope"]))
    return Opened(statement, Signed(Standing.NOT_VERIFIED, remarks=(remark,)))


def _open_envelope(value: object, key: bytes | None) -> Opened:
    envelope = _envelope(value)
    return Opened(_statement(envelope), _look(envelope, key))


def _look(envelope: Envelope, key: bytes | None) -> Signed:
    if key is None:
        remark = Remark("NO_KEY", "it is signed, and the audit names no model.key", Grade.WARNING)
        return Signed(Standing.NOT_VERIFIED, remarks=(remark,))
    try:
        public = read_public_key(key)
    except Refused as refused:
        remark = Remark(refused.code.value, clean(refused.problem), Grade.WARNING)
        return Signed(Standing.NOT_VERIFIED, remarks=(remark,))
    if public.holds(envelope.signature, envelope.signed):
        return Signed(Standing.VERIFIED, public.identity)
    text = "its signature does not hold under model.key"
    return Signed(Standing.REFUSED, remarks=(Remark("SIGNATURE", text, Grade.WARNING),))


def _envelope(value: object) -> Envelope:
    try:
        return parse_envelope(value)
    except Refused as refused:
        raise MalformedError(refused.code.value, clean(refused.problem)) from None


def _statement(envelope: Envelope) -> Mapping[str, object]:
    try:
        return read_object(envelope.payload, "the payload")
    except Refused as refused:
        raise MalformedError(refused.code.value, clean(refused.problem)) from None
