"""The verification material of a Sigstore bundle: by what its signature is to be checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from auditor.signatures.objections import Code, Objection, Refused
from auditor.signatures.profiles import Profile
from auditor.signatures.strict import expect, only, read_base64

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


class Method(StrEnum):
    """How a bundle is signed."""

    KEY = "key"
    CERTIFICATE = "certificate"
    KEYLESS = "sigstore"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A hint at the key that signed, which proves nothing, and the key itself in old bundles."""

    hint: str
    method: Method = Method.KEY


@dataclass(frozen=True, slots=True)
class ChainMaterial:
    """Certificates in DER: the signer's, and each one's issuer after it."""

    certificates: tuple[bytes, ...]
    method: Method = Method.CERTIFICATE


@dataclass(frozen=True, slots=True)
class KeylessMaterial:
    """A short-lived certificate in DER, whose time the log entries and timestamps prove."""

    certificate: bytes
    method: Method = Method.KEYLESS


Material: TypeAlias = "KeyMaterial | ChainMaterial | KeylessMaterial"


def parse_material(value: object, profile: Profile) -> tuple[Material, tuple[Objection, ...]]:
    """Read the material strictly, and what is only doubtful in it. Raises ``Refused``."""
    found = expect(value, dict, _PLACE)
    only(found, _MATERIAL, _PLACE)
    kinds = sorted(found.keys() & {"publicKey", "x509CertificateChain", "certificate"})
    if len(kinds) != 1:
        raise Refused(Code.FORMAT, f"{_PLACE} must hold one key, chain or certificate")
    if kinds == ["certificate"]:
        return _parse_keyless(found), ()
    if _filled(found, "tlogEntries") or _filled(found, "timestampVerificationData"):
        # What we cannot check must not look as if it had been checked.
        text = f"{_PLACE} has log entries or timestamps beside a {kinds[0]}"
        raise Refused(Code.UNSUPPORTED, text)
    if kinds == ["publicKey"]:
        return _parse_key(found, profile)
    return _parse_chain(found), ()


def _parse_key(
    found: Mapping[str, object], profile: Profile
) -> tuple[KeyMaterial, tuple[Objection, ...]]:
    place = f"{_PLACE}.publicKey"
    key = expect(found.get("publicKey"), dict, place)
    if "rawBytes" not in key:
        only(key, frozenset({"hint"}), place)
        return KeyMaterial(expect(key.get("hint"), str, f"{place}.hint")), ()
    only(key, frozenset({"hint", "rawBytes", "keyDetails"}), place)
    # The key itself is not looked at: a bundle cannot say which key to believe.
    doubt = profile.tolerate(Code.LEGACY_KEY, f"{place} brings the key along, as old bundles do")
    return KeyMaterial(expect(key.get("hint", ""), str, f"{place}.hint")), (doubt,)


def _parse_chain(found: Mapping[str, object]) -> ChainMaterial:
    place = f"{_PLACE}.x509CertificateChain"
    chain = expect(found.get("x509CertificateChain"), dict, place)
    only(chain, frozenset({"certificates"}), place)
    listed = expect(chain.get("certificates"), list, f"{place}.certificates")
    if not 1 <= len(listed) <= MOST_CERTIFICATES:
        text = f"{place} must have 1 to {MOST_CERTIFICATES} certificates, and has {len(listed)}"
        raise Refused(Code.CERT_FORMAT, text)
    return ChainMaterial(
        tuple(
            _parse_certificate(item, f"{place}.certificates[{index}]")
            for index, item in enumerate(listed)
        )
    )


def _parse_keyless(found: Mapping[str, object]) -> KeylessMaterial:
    if not _filled(found, "tlogEntries"):
        # Nothing else tells when the short-lived certificate was used.
        raise Refused(Code.KEYLESS, f"{_PLACE} has a certificate, and no log entry beside it")
    return KeylessMaterial(_parse_certificate(found["certificate"], f"{_PLACE}.certificate"))


def _parse_certificate(value: object, place: str) -> bytes:
    found = expect(value, dict, place)
    only(found, frozenset({"rawBytes"}), place)
    return read_base64(found.get("rawBytes"), f"{place}.rawBytes")


def _filled(material: Mapping[str, object], name: str) -> bool:
    return material.get(name) not in (None, [], {})
