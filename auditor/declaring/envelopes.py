"""Whether the signature of a document holds, and the statement that it is put over."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.declaring.believing import UNSIGNED, Believed, Sealed, Signed
from auditor.declaring.declarations import Fault, MalformedError, clean
from auditor.signatures.dsse import Envelope, parse_envelope
from auditor.signatures.objections import Refused
from auditor.signatures.strict import read_object
from auditor.trusting.papers import as_bundle

BUNDLE = "application/vnd.dev.sigstore.bundle"
_MATERIALS = ("certificate", "x509CertificateChain")


@dataclass(frozen=True, slots=True)
class Opened:
    """A statement and the signature that it came under."""

    statement: Mapping[str, object]
    signed: Signed


def open_document(found: Mapping[str, object], believed: Believed) -> Opened:
    """Take a statement out of its envelope or bundle; what lies in neither is unsigned.

    ``believed`` says whose signature counts. Raises ``MalformedError``.
    """
    media_type = found.get("mediaType")
    if isinstance(media_type, str) and media_type.startswith(BUNDLE):
        if "dsseEnvelope" not in found:
            text = "the bundle signs the digest of a file, and holds no statement"
            raise MalformedError(Fault.FORMAT, text)
        material = found.get("verificationMaterial")
        named = [name for name in _MATERIALS if isinstance(material, dict) and name in material]
        return _open(found, found["dsseEnvelope"], believed, next(iter(named), None))
    if "payloadType" in found and "signatures" in found:
        return _open(found, found, believed, None)
    return Opened(found, UNSIGNED)


def _open(
    found: Mapping[str, object], value: object, believed: Believed, certificate: str | None
) -> Opened:
    envelope = _envelope(value)
    statement = _statement(envelope)
    sealed = Sealed(envelope, as_bundle(found) or b"", certificate)
    return Opened(statement, believed.look(sealed))


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
