"""Sigstore bundles, version 0.3, with a public key: how a signed statement lies on disk.

Source: https://docs.sigstore.dev/about/bundle/ and sigstore/protobuf-specs, sigstore_bundle.proto.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.signatures.dsse import IN_TOTO, Envelope, pae, parse_envelope
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.objections import Code, Grade, Objection, Refused, Verification
from auditor.signatures.strict import expect, only, read_object, write_object

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_BUNDLE = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"})
_MATERIAL = frozenset({"publicKey", "tlogEntries", "timestampVerificationData"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """An envelope, and a hint at the key that signed it; the hint is no proof of anything."""

    hint: str
    envelope: Envelope

    def emit(self) -> bytes:
        """Return the bundle's bytes."""
        return write_object(
            {
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
                "dsseEnvelope": self.envelope.to_json(),
            }
        )


def parse_bundle(raw: bytes) -> Bundle:
    """Read a bundle strictly. Raises ``Refused`` with the code of the first objection."""
    found = read_object(raw, "the signature file")
    only(found, _BUNDLE, "the signature file")
    if found.get("mediaType") != MEDIA_TYPE:
        raise Refused(Code.MEDIA_TYPE, f"the signature file is not a bundle of type {MEDIA_TYPE}")
    return Bundle(
        _parse_material(found.get("verificationMaterial")),
        parse_envelope(found.get("dsseEnvelope")),
    )


def seal(payload: bytes, signer: Signer, *, hint: str | None = None) -> bytes:
    """Sign an in-toto statement, and return the bundle's bytes. ``hint`` defaults to cosign's."""
    named = hint or read_public_key(signer.public_pem()).cosign_hint
    return Bundle(named, Envelope(IN_TOTO, payload, signer.sign(pae(IN_TOTO, payload)))).emit()


def unseal(raw: bytes, key_pem: bytes) -> Verification:
    """Verify a bundle's one signature with one key; ``payload`` is what that key signed.

    A payload whose signature does not hold is never read, and is not returned.
    """
    try:
        bundle, key = parse_bundle(raw), read_public_key(key_pem)
    except Refused as refused:
        return Verification((refused.objection,))
    named = bundle.hint in key.hints
    if not key.holds(bundle.envelope.signature, bundle.envelope.signed):
        text = "the signature does not hold under the given key"
        if named:
            return Verification((Objection(Code.SIGNATURE, text),))
        return Verification((Objection(Code.KEY, f"{text}, and the bundle names another key"),))
    doubts = () if named else (_STRANGE_HINT,)
    return Verification(doubts, key.identity, bundle.envelope.payload)


def _parse_material(value: object) -> str:
    place = "verificationMaterial"
    found = expect(value, dict, place)
    for name in ("certificate", "x509CertificateChain"):
        if name in found:
            raise Refused(Code.UNSUPPORTED, f"{place}.{name}: only key signatures are supported")
    only(found, _MATERIAL, place)
    if _filled(found, "tlogEntries") or _filled(found, "timestampVerificationData"):
        # What we cannot check must not look as if it had been checked.
        raise Refused(Code.UNSUPPORTED, f"{place} has log entries or timestamps of a key signature")
    key = expect(found.get("publicKey"), dict, f"{place}.publicKey")
    only(key, frozenset({"hint"}), f"{place}.publicKey")
    return expect(key.get("hint"), str, f"{place}.publicKey.hint")


def _filled(material: Mapping[str, object], name: str) -> bool:
    return material.get(name) not in (None, [], {})


_STRANGE_HINT = Objection(
    Code.KEY_HINT, "the bundle's key hint is not one of the given key", Grade.WARNING
)
