"""Verifies signed bundles by key, certificate chain or Sigstore; prepares external signing.

Keyless (Sigstore) signatures are verified offline with a trust root that is pinned as a file.

For signatures made elsewhere, such as in a browser, this module supplies the bytes to sign and
builds the bundle. WebCrypto returns ECDSA signatures as two numbers side by side (IEEE P1363);
bundles hold them in DER. Source: W3C Web Cryptography API, section 23.7.4.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import NamedTemporaryFile
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from auditor.errors import KeyFileError, MissingExtraError, suggest_install
from auditor.trust.encoding.dsse import IN_TOTO, DsseEnvelope, legacy_pae, pae
from auditor.trust.encoding.strict_json import write_json_object
from auditor.trust.signatures.keys import PublicKey, read_public_key
from auditor.trust.signatures.sigstore_bundle import (
    MEDIA_TYPE,
    ChainMaterial,
    KeylessMaterial,
    KeyMaterial,
    SigningMethod,
    SigstoreBundle,
    parse_bundle,
    rewrite_bundle,
)
from auditor.trust.signatures.trusted_signers import (
    SignerIdentity,
    TrustedKey,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.signatures.x509 import find_chain_issues, find_trusted_name, read_certificate
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
    VerificationProfile,
)

VerifyKeyless: TypeAlias = Callable[[bytes, TrustedSigners], tuple[str, bytes]]
"""Verifies a keyless bundle offline, and returns the identity and the payload that it signed.

Raises ``VerificationError``."""


def open_bundle(
    raw: bytes,
    trusted: TrustedSigners,
    *,
    moment: VerificationTime | None = None,
    profile: VerificationProfile = VerificationProfile.STRICT,
    keyless: VerifyKeyless | None = None,
) -> SignatureVerification:
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
                if not trusted.roots:
                    raise _untrusted(SigningMethod.CERTIFICATE)
                chain = [read_certificate(der) for der in bundle.material.certificates]
                key = chain[0].key
                chain_objections = find_chain_issues(chain, trusted, moment)
                name, strange = find_trusted_name(chain[0], trusted)
                chain_objections += strange
                if not key.holds(bundle.envelope.signature, bundle.envelope.signed):
                    chain_objections.append(_why_not(bundle, [key], named=True))
                found = SignatureVerification(
                    tuple(chain_objections), name, bundle.envelope.payload
                )
            case KeylessMaterial():
                found = _keyless(raw, bundle, bundle.material, trusted, keyless)
    except VerificationError as refused:
        return SignatureVerification((refused.objection,))
    if found.payload is not None and trusted.revokes(
        hashlib.sha256(found.payload).hexdigest(), moment
    ):
        gone = VerificationIssue(IssueCode.REVOKED, "the signed statement is revoked")
        found = replace(found, objections=(*found.objections, gone))
    objections = profile.graded((*bundle.doubts, *found.objections))
    if any(item.grade is IssueGrade.ERROR for item in objections):
        return SignatureVerification(objections)
    return SignatureVerification(objections, found.identity, found.payload)


def verify_bundle(raw: bytes, key_pem: bytes) -> SignatureVerification:
    """Verify a bundle's one signature with one key, strictly."""
    return open_bundle(raw, TrustedSigners.key(key_pem))


def verify_exact_bundle(raw: bytes, key_pem: bytes) -> SignatureVerification:
    """Verify a bundle as ``verify_bundle`` does, and that it is spelled as ``sign_bundle`` does it.

    So nothing unsigned can be said in it, and what was signed has one form on disk.
    """
    found = verify_bundle(raw, key_pem)
    if found.payload is None:
        return found
    if rewrite_bundle(parse_bundle(raw), read_public_key(key_pem).cosign_hint) == raw:
        return found
    other = VerificationIssue(
        IssueCode.FORMAT, "the bundle is signed, and not spelled as auditor writes it"
    )
    return SignatureVerification((*found.objections, other))


def _by_key(
    bundle: SigstoreBundle,
    material: KeyMaterial,
    trusted: TrustedSigners,
    moment: VerificationTime | None,
) -> SignatureVerification:
    if not trusted.keys:
        raise _untrusted(SigningMethod.KEY)
    known = [(read_public_key(item.pem), item) for item in trusted.keys]
    known.sort(key=lambda pair: material.hint not in pair[0].hints)
    for key, item in known:
        if key.holds(bundle.envelope.signature, bundle.envelope.signed):
            found = [*_object_to_key(key, item, trusted, moment)]
            if material.hint not in key.hints:
                found.append(_STRANGE_HINT)
            return SignatureVerification(tuple(found), key.identity, bundle.envelope.payload)
    keys = [key for key, _ in known]
    return SignatureVerification((_why_not(bundle, keys, named=material.hint in keys[0].hints),))


def _object_to_key(
    key: PublicKey, item: TrustedKey, trusted: TrustedSigners, moment: VerificationTime | None
) -> list[VerificationIssue]:
    found = []
    if trusted.revokes(hashlib.sha256(key.der).hexdigest(), moment):
        found.append(VerificationIssue(IssueCode.REVOKED, "the key is revoked"))
    if item.not_before is None and item.not_after is None:
        return found
    if moment is None:
        found.append(
            VerificationIssue(IssueCode.KEY_TIME, "there is no time at which the key can be judged")
        )
    elif (item.not_before is not None and moment.at < item.not_before) or (
        item.not_after is not None and moment.at > item.not_after
    ):
        found.append(
            VerificationIssue(IssueCode.KEY_TIME, "the key is trusted at another time only")
        )
    return found


def _keyless(
    raw: bytes,
    bundle: SigstoreBundle,
    material: KeylessMaterial,
    trusted: TrustedSigners,
    verify: VerifyKeyless | None,
) -> SignatureVerification:
    if trusted.trusted_root is None:
        raise _untrusted(SigningMethod.KEYLESS)
    certificate = read_certificate(material.certificate)
    if certificate.revocable & trusted.revoked.keys():
        raise VerificationError(
            IssueCode.REVOKED, "the signer's certificate, or its key, is revoked"
        )
    if verify is None:
        raise VerificationError(IssueCode.UNSUPPORTED, "keyless signatures cannot be verified here")
    identity, payload = verify(raw, trusted)
    if payload != bundle.envelope.payload:
        raise VerificationError(IssueCode.KEYLESS, "two readers of the bundle see two payloads")
    return SignatureVerification((), identity, payload)


def _why_not(
    bundle: SigstoreBundle, keys: Sequence[PublicKey], *, named: bool
) -> VerificationIssue:
    envelope = bundle.envelope
    old = legacy_pae(envelope.payload_type, envelope.payload)
    if any(key.holds(envelope.signature, old) for key in keys):
        text = "the signature is over the faulty encoding of version 0.2 of the reference"
        return VerificationIssue(IssueCode.LEGACY_PAE, text)
    text = "the signature does not hold under the given key"
    if named:
        return VerificationIssue(IssueCode.SIGNATURE, text)
    return VerificationIssue(IssueCode.KEY, f"{text}, and the bundle names another key")


def _untrusted(method: SigningMethod) -> VerificationError:
    text = f"the bundle is signed by {_WORDS[method]}, and no such signer is trusted"
    return VerificationError(IssueCode.METHOD_UNTRUSTED, text)


_WORDS = {
    SigningMethod.KEY: "a key",
    SigningMethod.CERTIFICATE: "a certificate",
    SigningMethod.KEYLESS: "a keyless identity (Sigstore)",
}
_STRANGE_HINT = VerificationIssue(
    IssueCode.KEY_HINT, "the bundle's key hint is not one of the given key", IssueGrade.WARNING
)


MOST_SAID = 200


def verify_keyless(raw: bytes, trusted: TrustedSigners) -> tuple[str, bytes]:
    """Verify a bundle with a short-lived certificate, and return identity and payload.

    The certificate must lead to the pinned authority and be in its certificate log, and the pinned
    transparency log must have seen the signature while the certificate was valid. Nothing is
    fetched. Raises ``VerificationError`` for a bundle that does not hold, ``MissingExtraError``
    without the extra, and ``KeyFileError`` for a trust root that cannot be read.
    """
    wanted = [item for item in trusted.identities if item.issuer is not None]
    if not wanted:
        text = "a keyless signature needs an identity and its issuer, and none is trusted"
        raise VerificationError(IssueCode.NO_IDENTITY, text)
    refusals = []
    for identity in wanted:
        try:
            return _verify(raw, trusted, identity)
        except VerificationError as refused:
            refusals.append(refused)
    raise refusals[0]


def _verify(raw: bytes, trusted: TrustedSigners, identity: SignerIdentity) -> tuple[str, bytes]:
    try:
        from sigstore import models, verify  # noqa: PLC0415 -- an extra
    except ImportError:
        raise MissingExtraError(
            "The signature is a keyless one (Sigstore), and sigstore is not installed",
            cure=f"{suggest_install('sigstore')}.",
        ) from None
    name = identity.name
    with _written(trusted.trusted_root or b"") as path:
        try:
            root = models.TrustedRoot.from_file(path)
        except Exception:  # noqa: BLE001 -- whatever it trips over, there is no root to trust
            raise KeyFileError(
                "The trust root of Sigstore cannot be read",
                cure="Name a trusted_root.json, as TUF gives it out or your own instance has it.",
            ) from None
    try:
        bundle = models.Bundle.from_json(raw)
        asked = verify.policy.Identity(identity=name.value, issuer=identity.issuer)
        kind, payload = verify.Verifier(trusted_root=root).verify_dsse(bundle, asked)
    except Exception as error:  # noqa: BLE001 -- whatever it trips over, it has not verified
        said = ascii(str(error))[1:-1][:MOST_SAID]
        raise VerificationError(IssueCode.KEYLESS, f"Sigstore does not accept it: {said}") from None
    borne = read_certificate(bundle.signing_certificate.public_bytes(Encoding.DER)).names
    if name not in borne:
        # The library compares texts alone, of whatever kind.
        raise VerificationError(
            IssueCode.IDENTITY, "the signer bears the trusted name as one of another kind"
        )
    if kind != IN_TOTO:
        raise VerificationError(
            IssueCode.PAYLOAD_TYPE, "the keyless signature is over another type of payload"
        )
    return f"sigstore:{name.short}?issuer={identity.issuer}", payload


@contextmanager
def _written(content: bytes) -> Iterator[str]:
    """Write the trust root down: the library reads it from a path only."""
    with NamedTemporaryFile(prefix="trusted-root-", suffix=".json") as file:
        file.write(content)
        file.flush()
        yield file.name


@dataclass(frozen=True, slots=True)
class UnsignedStatement:
    """A statement that a key is to sign: its payload and type, the bytes to sign, the bundle.

    The bundle is whole but for its one signature, whose ``sig`` is empty.
    """

    payload: bytes
    kind: str
    to_sign: bytes
    bundle: bytes


def prepare_unsigned_statement(payload: bytes, key_pem: bytes) -> UnsignedStatement:
    """Return what the holder of a public key has to sign.

    Raises ``VerificationError`` for no such key.
    """
    key = read_public_key(key_pem)
    return UnsignedStatement(payload, IN_TOTO, pae(IN_TOTO, payload), _bundle(payload, b"", key))


def assemble_signed_bundle(payload: bytes, signature: bytes, key_pem: bytes) -> bytes:
    """Return the bundle of a payload that was signed elsewhere, whether that signature holds or
    not. Raises ``VerificationError`` for what is no public key.
    """
    key = read_public_key(key_pem)
    return _bundle(payload, _der(signature, pae(IN_TOTO, payload), key), key)


def convert_signature_to_der(bundle: bytes, key_pem: bytes) -> bytes:
    """Return a bundle whose signature of two numbers side by side is written in DER.

    Any other stays as it is, to the byte. Raises ``VerificationError`` for what is no bundle, or no
    key.
    """
    found, key = parse_bundle(bundle), read_public_key(key_pem)
    envelope = found.envelope
    der = _der(envelope.signature, envelope.signed, key)
    return bundle if der == envelope.signature else _bundle(envelope.payload, der, key)


def _der(signature: bytes, signed: bytes, key: PublicKey) -> bytes:
    size = (key.key.curve.key_size + 7) // 8
    if len(signature) != 2 * size or key.holds(signature, signed):
        return signature
    one, other = signature[:size], signature[size:]
    return encode_dss_signature(int.from_bytes(one), int.from_bytes(other))


def _bundle(payload: bytes, signature: bytes, key: PublicKey) -> bytes:
    return write_json_object(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.cosign_hint}, "tlogEntries": []},
            "dsseEnvelope": DsseEnvelope(IN_TOTO, payload, signature).to_json(),
        }
    )
