"""Sigstore bundles, version 0.3: reading, writing, and their verification material.

Source: https://docs.sigstore.dev/about/bundle/ and sigstore/protobuf-specs, sigstore_bundle.proto.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from auditor.trust.encoding.dsse import IN_TOTO, DsseEnvelope, pae, parse_envelope
from auditor.trust.encoding.strict_json import (
    read_base64,
    read_json_object,
    refuse_unknown_members,
    require_type,
    write_json_object,
)
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.verification_result import (
    IssueCode,
    VerificationError,
    VerificationIssue,
    VerificationProfile,
)

MOST_CERTIFICATES = 8
_PLACE = "verificationMaterial"
_MATERIAL = frozenset(
    {
        "publicKey",
        "x509CertificateChain",
        "certificate",
        "tlogEntries",
        "timestampVerificationData",
    }
)


class SigningMethod(StrEnum):
    """How a bundle is signed."""

    KEY = "key"
    CERTIFICATE = "certificate"
    KEYLESS = "sigstore"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A hint at the key that signed, which proves nothing, and the key itself in old bundles."""

    hint: str
    method: SigningMethod = SigningMethod.KEY


@dataclass(frozen=True, slots=True)
class ChainMaterial:
    """Certificates in DER: the signer's, and each one's issuer after it."""

    certificates: tuple[bytes, ...]
    method: SigningMethod = SigningMethod.CERTIFICATE


@dataclass(frozen=True, slots=True)
class KeylessMaterial:
    """A short-lived certificate in DER, whose time the log entries and timestamps prove."""

    certificate: bytes
    method: SigningMethod = SigningMethod.KEYLESS


Material: TypeAlias = "KeyMaterial | ChainMaterial | KeylessMaterial"


def parse_material(
    value: object, profile: VerificationProfile
) -> tuple[Material, tuple[VerificationIssue, ...]]:
    """Read the material strictly, and what is only doubtful in it. Raises ``VerificationError``."""
    found = require_type(value, dict, _PLACE)
    refuse_unknown_members(found, _MATERIAL, _PLACE)
    kinds = sorted(found.keys() & {"publicKey", "x509CertificateChain", "certificate"})
    if len(kinds) != 1:
        raise VerificationError(
            IssueCode.FORMAT, f"{_PLACE} must hold one key, chain or certificate"
        )
    if kinds == ["certificate"]:
        if not _filled(found, "tlogEntries"):
            # Nothing else tells when the short-lived certificate was used.
            raise VerificationError(
                IssueCode.KEYLESS, f"{_PLACE} has a certificate, and no log entry beside it"
            )
        return KeylessMaterial(
            _parse_certificate(found["certificate"], f"{_PLACE}.certificate")
        ), ()
    if _filled(found, "tlogEntries") or _filled(found, "timestampVerificationData"):
        # What we cannot check must not look as if it had been checked.
        text = f"{_PLACE} has log entries or timestamps beside a {kinds[0]}"
        raise VerificationError(IssueCode.UNSUPPORTED, text)
    if kinds == ["publicKey"]:
        place = f"{_PLACE}.publicKey"
        key = require_type(found.get("publicKey"), dict, place)
        if "rawBytes" not in key:
            refuse_unknown_members(key, frozenset({"hint"}), place)
            return KeyMaterial(require_type(key.get("hint"), str, f"{place}.hint")), ()
        refuse_unknown_members(key, frozenset({"hint", "rawBytes", "keyDetails"}), place)
        # The key itself is not looked at: a bundle cannot say which key to believe.
        doubt = profile.tolerate(
            IssueCode.LEGACY_KEY, f"{place} brings the key along, as old bundles do"
        )
        return KeyMaterial(require_type(key.get("hint", ""), str, f"{place}.hint")), (doubt,)
    place = f"{_PLACE}.x509CertificateChain"
    chain = require_type(found.get("x509CertificateChain"), dict, place)
    refuse_unknown_members(chain, frozenset({"certificates"}), place)
    listed = require_type(chain.get("certificates"), list, f"{place}.certificates")
    if not 1 <= len(listed) <= MOST_CERTIFICATES:
        text = f"{place} must have 1 to {MOST_CERTIFICATES} certificates, and has {len(listed)}"
        raise VerificationError(IssueCode.CERT_FORMAT, text)
    return ChainMaterial(
        tuple(
            _parse_certificate(item, f"{place}.certificates[{index}]")
            for index, item in enumerate(listed)
        )
    ), ()


def _parse_certificate(value: object, place: str) -> bytes:
    found = require_type(value, dict, place)
    refuse_unknown_members(found, frozenset({"rawBytes"}), place)
    return read_base64(found.get("rawBytes"), f"{place}.rawBytes")


def _filled(material: Mapping[str, object], name: str) -> bool:
    return material.get(name) not in (None, [], {})


MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_BUNDLE = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"})


@dataclass(frozen=True, slots=True)
class SigstoreBundle:
    """An envelope, and by what to check who signed it: material that proves nothing by itself."""

    material: Material
    envelope: DsseEnvelope
    doubts: tuple[VerificationIssue, ...] = ()


def parse_bundle(
    raw: bytes, profile: VerificationProfile = VerificationProfile.STRICT
) -> SigstoreBundle:
    """Read a bundle strictly. Raises ``VerificationError`` with the code of the first objection."""
    found = read_json_object(raw, "the signature file")
    refuse_unknown_members(found, _BUNDLE, "the signature file")
    if found.get("mediaType") != MEDIA_TYPE:
        raise VerificationError(
            IssueCode.MEDIA_TYPE, f"the signature file is not a bundle of type {MEDIA_TYPE}"
        )
    material, doubts = parse_material(found.get("verificationMaterial"), profile)
    return SigstoreBundle(material, parse_envelope(found.get("dsseEnvelope")), doubts)


def sign_bundle(payload: bytes, signer: Signer, *, hint: str | None = None) -> bytes:
    """Sign an in-toto statement, and return the bundle's bytes. ``hint`` defaults to cosign's."""
    named = hint or read_public_key(signer.public_pem()).cosign_hint
    return _emit({"publicKey": {"hint": named}, "tlogEntries": []}, _signed(payload, signer))


def sign_bundle_with_chain(payload: bytes, signer: Signer, chain: Sequence[bytes]) -> bytes:
    """Sign an in-toto statement with the key of the first of these certificates (DER)."""
    listed = [{"rawBytes": base64.b64encode(der).decode()} for der in chain]
    chained: dict[str, object] = {"certificates": listed}
    return _emit({"x509CertificateChain": chained, "tlogEntries": []}, _signed(payload, signer))


def rewrite_bundle(bundle: SigstoreBundle, hint: str) -> bytes:
    """Return a bundle that a key signed as ``sign_bundle`` writes it: all that is not signed is
    given.
    """
    return _emit({"publicKey": {"hint": hint}, "tlogEntries": []}, bundle.envelope)


def _signed(payload: bytes, signer: Signer) -> DsseEnvelope:
    return DsseEnvelope(IN_TOTO, payload, signer.sign(pae(IN_TOTO, payload)))


def _emit(material: dict[str, object], envelope: DsseEnvelope) -> bytes:
    return write_json_object(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": material,
            "dsseEnvelope": envelope.to_json(),
        }
    )
