"""Open a signed bundle: whose signature holds over which payload, by what a verifier trusts."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from auditor.signatures.bundles import Bundle, parse_bundle, respelled
from auditor.signatures.certificates import read_certificate
from auditor.signatures.chains import object_to_chain, trusted_name
from auditor.signatures.dsse import legacy_pae
from auditor.signatures.keys import PublicKey, read_public_key
from auditor.signatures.material import ChainMaterial, KeylessMaterial, KeyMaterial, Method
from auditor.signatures.objections import Code, Grade, Objection, Refused, Verification
from auditor.signatures.profiles import Profile
from auditor.signatures.trust import Moment, Trusted, TrustedKey

VerifyKeyless: TypeAlias = Callable[[bytes, Trusted], tuple[str, bytes]]
"""Verifies a keyless bundle offline, and returns the identity and the payload that it signed.

Raises ``Refused``."""


def open_bundle(
    raw: bytes,
    trusted: Trusted,
    *,
    moment: Moment | None = None,
    profile: Profile = Profile.STRICT,
    keyless: VerifyKeyless | None = None,
) -> Verification:
    """Verify a bundle's one signature; ``payload`` is what somebody trusted signed.

    A payload whose signature does not hold is never read, and is not returned. Certificates must
    be valid at ``moment``; ``keyless`` is how a signature without a lasting key is verified.
    """
    try:
        bundle = parse_bundle(raw, profile)
        match bundle.material:
            case KeyMaterial():
                found = _by_key(bundle, bundle.material, trusted, moment)
            case ChainMaterial():
                found = _by_chain(bundle, bundle.material, trusted, moment)
            case KeylessMaterial():
                found = _keyless(raw, bundle, bundle.material, trusted, keyless)
    except Refused as refused:
        return Verification((refused.objection,))
    if found.payload is not None and _revoked(found.payload, trusted, moment):
        gone = Objection(Code.REVOKED, "the signed statement is revoked")
        found = replace(found, objections=(*found.objections, gone))
    objections = profile.graded((*bundle.doubts, *found.objections))
    if any(item.grade is Grade.ERROR for item in objections):
        return Verification(objections)
    return Verification(objections, found.identity, found.payload)


def unseal(raw: bytes, key_pem: bytes) -> Verification:
    """Verify a bundle's one signature with one key, strictly."""
    return open_bundle(raw, Trusted.key(key_pem))


def unseal_exactly(raw: bytes, key_pem: bytes) -> Verification:
    """Verify a bundle as ``unseal`` does, and that it is spelled as ``seal`` spells it.

    So nothing unsigned can be said in it, and what was signed has one form on disk.
    """
    found = unseal(raw, key_pem)
    if found.payload is None:
        return found
    if respelled(parse_bundle(raw), read_public_key(key_pem).cosign_hint) == raw:
        return found
    other = Objection(Code.FORMAT, "the bundle is signed, and not spelled as auditor writes it")
    return Verification((*found.objections, other))


def _by_key(
    bundle: Bundle, material: KeyMaterial, trusted: Trusted, moment: Moment | None
) -> Verification:
    if not trusted.keys:
        raise _untrusted(Method.KEY)
    known = [(read_public_key(item.pem), item) for item in trusted.keys]
    known.sort(key=lambda pair: material.hint not in pair[0].hints)
    for key, item in known:
        if key.holds(bundle.envelope.signature, bundle.envelope.signed):
            found = [*_object_to_key(key, item, trusted, moment)]
            if material.hint not in key.hints:
                found.append(_STRANGE_HINT)
            return Verification(tuple(found), key.identity, bundle.envelope.payload)
    keys = [key for key, _ in known]
    return Verification((_why_not(bundle, keys, named=material.hint in keys[0].hints),))


def _object_to_key(
    key: PublicKey, item: TrustedKey, trusted: Trusted, moment: Moment | None
) -> list[Objection]:
    found = []
    if trusted.revokes(hashlib.sha256(key.der).hexdigest(), moment):
        found.append(Objection(Code.REVOKED, "the key is revoked"))
    if item.not_before is None and item.not_after is None:
        return found
    if moment is None:
        found.append(Objection(Code.KEY_TIME, "there is no time at which the key can be judged"))
    elif (item.not_before is not None and moment.at < item.not_before) or (
        item.not_after is not None and moment.at > item.not_after
    ):
        found.append(Objection(Code.KEY_TIME, "the key is trusted at another time only"))
    return found


def _by_chain(
    bundle: Bundle, material: ChainMaterial, trusted: Trusted, moment: Moment | None
) -> Verification:
    if not trusted.roots:
        raise _untrusted(Method.CERTIFICATE)
    chain = [read_certificate(der) for der in material.certificates]
    key = chain[0].key
    objections = object_to_chain(chain, trusted, moment)
    name, strange = trusted_name(chain[0], trusted)
    objections += strange
    if not key.holds(bundle.envelope.signature, bundle.envelope.signed):
        objections.append(_why_not(bundle, [key], named=True))
    return Verification(tuple(objections), name, bundle.envelope.payload)


def _keyless(
    raw: bytes,
    bundle: Bundle,
    material: KeylessMaterial,
    trusted: Trusted,
    verify: VerifyKeyless | None,
) -> Verification:
    if trusted.trusted_root is None:
        raise _untrusted(Method.KEYLESS)
    certificate = read_certificate(material.certificate)
    if certificate.revocable & trusted.revoked.keys():
        raise Refused(Code.REVOKED, "the signer's certificate, or its key, is revoked")
    if verify is None:
        raise Refused(Code.UNSUPPORTED, "keyless signatures cannot be verified here")
    identity, payload = verify(raw, trusted)
    if payload != bundle.envelope.payload:
        raise Refused(Code.KEYLESS, "two readers of the bundle see two payloads")
    return Verification((), identity, payload)


def _why_not(bundle: Bundle, keys: Sequence[PublicKey], *, named: bool) -> Objection:
    envelope = bundle.envelope
    old = legacy_pae(envelope.payload_type, envelope.payload)
    if any(key.holds(envelope.signature, old) for key in keys):
        text = "the signature is over the faulty encoding of version 0.2 of the reference"
        return Objection(Code.LEGACY_PAE, text)
    text = "the signature does not hold under the given key"
    if named:
        return Objection(Code.SIGNATURE, text)
    return Objection(Code.KEY, f"{text}, and the bundle names another key")


def _revoked(payload: bytes, trusted: Trusted, moment: Moment | None) -> bool:
    return trusted.revokes(hashlib.sha256(payload).hexdigest(), moment)


def _untrusted(method: Method) -> Refused:
    text = f"the bundle is signed by {_WORDS[method]}, and no such signer is trusted"
    return Refused(Code.METHOD_UNTRUSTED, text)


_WORDS = {
    Method.KEY: "a key",
    Method.CERTIFICATE: "a certificate",
    Method.KEYLESS: "a keyless identity (Sigstore)",
}
_STRANGE_HINT = Objection(
    Code.KEY_HINT, "the bundle's key hint is not one of the given key", Grade.WARNING
)
