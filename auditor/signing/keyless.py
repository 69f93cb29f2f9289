"""Keyless signatures (Sigstore), verified offline by a trust root that is pinned as a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

from auditor.errors import KeyFileError, MissingExtraError
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
    try:
        from sigstore.errors import Error, VerificationError  # noqa: PLC0415 -- an extra
        from sigstore.models import Bundle, InvalidBundle, TrustedRoot  # noqa: PLC0415
        from sigstore.verify import Verifier, policy  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(
            "The signature is a keyless one (Sigstore), and sigstore is not installed",
            cure="Install it: pip install 'auditor[sigstore]'.",
        ) from None
    name = identity.name.removeprefix("email:").removeprefix("uri:")
    with _written(trusted.trusted_root or b"") as path:
        try:
            root = TrustedRoot.from_file(path)
        except (ValueError, Error):
            raise KeyFileError(
                "The trust root of Sigstore cannot be read",
                cure="Name a trusted_root.json, as TUF gives it out or your own instance has it.",
            ) from None
    try:
        asked = policy.Identity(identity=name, issuer=identity.issuer)
        kind, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(raw), asked)
    except (VerificationError, InvalidBundle, Error, ValueError) as error:
        said = ascii(str(error))[1:-1][:MOST_SAID]
        raise Refused(Code.KEYLESS, f"Sigstore does not accept it: {said}") from None
    if kind != IN_TOTO:
        raise Refused(Code.PAYLOAD_TYPE, "the keyless signature is over another type of payload")
    return f"sigstore:{name}?issuer={identity.issuer}", payload


@contextmanager
def _written(content: bytes) -> Iterator[str]:
    """Write the trust root down: the library reads it from a path only."""
    with NamedTemporaryFile(prefix="trusted-root-", suffix=".json") as file:
        file.write(content)
        file.flush()
        yield file.name
