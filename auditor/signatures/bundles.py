"""Sigstore bundles, version 0.3: how a signed statement lies on disk.

Source: https://docs.sigstore.dev/about/bundle/ and sigstore/protobuf-specs, sigstore_bundle.proto.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.signatures.dsse import IN_TOTO, Envelope, pae, parse_envelope
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.material import Material, parse_material
from auditor.signatures.objections import Code, Objection, Refused
from auditor.signatures.profiles import Profile
from auditor.signatures.strict import only, read_object, write_object

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_BUNDLE = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """An envelope, and by what to check who signed it: material that proves nothing by itself."""

    material: Material
    envelope: Envelope
    doubts: tuple[Objection, ...] = ()


def parse_bundle(raw: bytes, profile: Profile = Profile.STRICT) -> Bundle:
    """Read a bundle strictly. Raises ``Refused`` with the code of the first objection."""
    found = read_object(raw, "the signature file")
    only(found, _BUNDLE, "the signature file")
    if found.get("mediaType") != MEDIA_TYPE:
        raise Refused(Code.MEDIA_TYPE, f"the signature file is not a bundle of type {MEDIA_TYPE}")
    material, doubts = parse_material(found.get("verificationMaterial"), profile)
    return Bundle(material, parse_envelope(found.get("dsseEnvelope")), doubts)


def seal(payload: bytes, signer: Signer, *, hint: str | None = None) -> bytes:
    """Sign an in-toto statement, and return the bundle's bytes. ``hint`` defaults to cosign's."""
    named = hint or read_public_key(signer.public_pem()).cosign_hint
    return _emit({"publicKey": {"hint": named}, "tlogEntries": []}, _signed(payload, signer))


def seal_with_chain(payload: bytes, signer: Signer, chain: Sequence[bytes]) -> bytes:
    """Sign an in-toto statement with the key of the first of these certificates (DER)."""
    listed = [{"rawBytes": base64.b64encode(der).decode()} for der in chain]
    chained: dict[str, object] = {"certificates": listed}
    return _emit({"x509CertificateChain": chained, "tlogEntries": []}, _signed(payload, signer))


def respelled(bundle: Bundle, hint: str) -> bytes:
    """Return a bundle that a key signed as ``seal`` writes it: all that is not signed is given."""
    return _emit({"publicKey": {"hint": hint}, "tlogEntries": []}, bundle.envelope)


def _signed(payload: bytes, signer: Signer) -> Envelope:
    return Envelope(IN_TOTO, payload, signer.sign(pae(IN_TOTO, payload)))


def _emit(material: dict[str, object], envelope: Envelope) -> bytes:
    return write_object(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": material,
            "dsseEnvelope": envelope.to_json(),
        }
    )
