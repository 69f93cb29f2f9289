"""Keyless signatures (Sigstore), verified offline by a trust root that is pinned as a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from types import ModuleType

from cryptography.hazmat.primitives.serialization import Encoding

from auditor.errors import KeyFileError, MissingExtraError
from auditor.extras import to_install
from auditor.signatures.certificates import read_certificate
from auditor.signatures.dsse import IN_TOTO
from auditor.signatures.objections import Code, Refused
from auditor.signatures.trust import Identity, Trusted

MOST_SAID = 200


def verify_keyless(raw: bytes, trusted: Trusted) -> tuple[str, bytes]:
    """Verify a bundle with a short-lived certificate, and return identity and payload.

    The certificate must lead to the pinned authority and be in its certificate log, and the pinned
    transparency log must have seen the signature while the certificate was valid. Nothing is
    fetched. Raises ``Refused`` for a bundle that does not hold, ``MissingExtraError`` without the
    extra, and ``KeyFileError`` for a trust root that cannot be read.
    """
    wanted = [item for item in trusted.identities if item.issuer is not None]
    if not wanted:
        text = "a keyless signature needs an identity and its issuer, and none is trusted"
        raise Refused(Code.NO_IDENTITY, text)
    refusals = []
    for identity in wanted:
        try:
            return _verify(raw, trusted, identity)
        except Refused as refused:
            refusals.append(refused)
    raise refusals[0]


def _verify(raw: bytes, trusted: Trusted, identity: Identity) -> tuple[str, bytes]:
    models, verify = _library()
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
        raise Refused(Code.KEYLESS, f"Sigstore does not accept it: {said}") from None
    borne = read_certificate(bundle.signing_certificate.public_bytes(Encoding.DER)).names
    if name not in borne:
        # The library compares texts alone, of whatever kind.
        raise Refused(Code.IDENTITY, "the signer bears the trusted name as one of another kind")
    if kind != IN_TOTO:
        raise Refused(Code.PAYLOAD_TYPE, "the keyless signature is over another type of payload")
    return f"sigstore:{name.short}?issuer={identity.issuer}", payload


def _library() -> tuple[ModuleType, ModuleType]:
    try:
        from sigstore import models, verify  # noqa: PLC0415 -- an extra
    except ImportError:
        raise MissingExtraError(
            "The signature is a keyless one (Sigstore), and sigstore is not installed",
            cure=f"{to_install('sigstore')}.",
        ) from None
    return models, verify


@contextmanager
def _written(content: bytes) -> Iterator[str]:
    """Write the trust root down: the library reads it from a path only."""
    with NamedTemporaryFile(prefix="trusted-root-", suffix=".json") as file:
        file.write(content)
        file.flush()
        yield file.name
