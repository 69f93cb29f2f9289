"""DSSE envelopes: what exactly a signature covers, and one payload with one signature.

Source: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.
"""

import base64
from dataclasses import dataclass

from auditor.signatures.objections import Code, Refused, quoted
from auditor.signatures.strict import expect, only, read_base64

IN_TOTO = "application/vnd.in-toto+json"
_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"sig", "keyid"})


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: the pre-authentication encoding of protocol.md."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def legacy_pae(payload_type: str, payload: bytes) -> bytes:
    """Return what version 0.2 of ``model_signing`` signed instead: Python's way to write bytes."""
    return f"DSSEV1 {len(payload_type)} {payload_type} {len(payload)} {payload!r}".encode()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and the one signature over both."""

    payload_type: str
    payload: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return pae(self.payload_type, self.payload)

    def to_json(self) -> dict[str, object]:
        """Return the envelope's JSON form."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": "", "sig": base64.b64encode(self.signature).decode()}],
        }


def parse_envelope(value: object) -> Envelope:
    """Read an envelope strictly: exactly one signature, nothing unknown. Raises ``Refused``."""
    found = expect(value, dict, "dsseEnvelope")
    only(found, _ENVELOPE, "dsseEnvelope")
    signatures = expect(found.get("signatures"), list, "dsseEnvelope.signatures")
    if len(signatures) != 1:
        # With several, two verifiers may look at different ones.
        raise Refused(
            Code.SIGNATURE_COUNT, f"the envelope must have one signature, and has {len(signatures)}"
        )
    payload_type = expect(found.get("payloadType"), str, "dsseEnvelope.payloadType")
    if payload_type != IN_TOTO:
        raise Refused(
            Code.PAYLOAD_TYPE, f"the payload's type is {quoted(payload_type)}, not {IN_TOTO}"
        )
    return Envelope(
        payload_type,
        read_base64(found.get("payload"), "dsseEnvelope.payload"),
        _parse_signature(signatures[0]),
    )


def _parse_signature(value: object) -> bytes:
    place = "dsseEnvelope.signatures[0]"
    found = expect(value, dict, place)
    only(found, _SIGNATURE, place)
    if found.get("keyid") is not None:
        expect(found["keyid"], str, f"{place}.keyid")
    return read_base64(found.get("sig"), f"{place}.sig")
