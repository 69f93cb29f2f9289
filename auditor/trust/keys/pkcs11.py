"""Keys that live in a token (PKCS#11): used there, and never read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from auditor.errors import KeyFileError, MissingExtraError
from auditor.extras import to_install
from auditor.signatures.keys import CURVES, HASHES, PublicKey
from auditor.signing.passwords import Passwords, read_password
from auditor.signing.token_uris import TokenUri

if TYPE_CHECKING:
    from pkcs11 import PublicKey as TokenPublicKey
    from pkcs11 import Session, Token

MODULE = "AUDITOR_PKCS11_MODULE"


class SigningObject(Protocol):
    """A private key as the library has it."""

    def sign(self, data: bytes, *, mechanism: int) -> bytes:
        """Return the two numbers of an ECDSA signature, side by side."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """Signs within a token: the digest goes in, two numbers come out."""

    private: SigningObject
    public: PublicKey

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``."""
        from pkcs11 import Mechanism  # noqa: PLC0415 -- an extra

        hasher = hashes.Hash(HASHES[self.public.key.curve.name])
        hasher.update(pae)
        # Tokens hash with ECDSA in ways of their own, or not at all; all know the bare mechanism.
        raw = self.private.sign(hasher.finalize(), mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self.public.pem


def open_token(
    uri: str, passwords: Passwords, environment: Mapping[str, str] = os.environ
) -> TokenSigner:
    """Open the private key that a ``pkcs11:`` URI names; the PIN is the token's password.

    The library is the URI's ``module-path``, else ``AUDITOR_PKCS11_MODULE``. Raises
    ``KeyFileError`` and ``MissingExtraError``.
    """
    named = TokenUri.parse(uri)
    module = named.module or Path(environment.get(MODULE) or "")
    if not module.is_file():
        raise KeyFileError(
            f"{uri}: there is no PKCS#11 library {module}",
            cure=f"Name your token's library: ?module-path=/path/to.so, or {MODULE}=/path/to.so.",
        )
    library = _library()
    pin = read_password(named.pin) if named.pin is not None else passwords.of(uri)
    try:
        return _signer(library, _session(library, _token(library, module, named), pin), named)
    except library.exceptions.PKCS11Error as error:
        raise KeyFileError(
            f"{uri} cannot be used: {_WORDS.get(type(error).__name__, type(error).__name__)}",
            cure="See the token with `pkcs11-tool --module LIBRARY --list-objects --login`.",
        ) from None


def _token(library: ModuleType, module: Path, named: TokenUri) -> "Token":
    asked = {"token_label": named.token, "token_serial": named.serial}
    given = {name: item for name, item in asked.items() if item is not None}
    token: Token = library.lib(str(module)).get_token(**given)
    return token


def _session(library: ModuleType, token: "Token", pin: bytes) -> "Session":
    try:
        return token.open(user_pin=pin.decode())
    except library.exceptions.UserAlreadyLoggedIn:
        return token.open()  # a login holds for the token, whichever of its keys asked for it


def _signer(library: ModuleType, session: "Session", named: TokenUri) -> TokenSigner:
    from pkcs11.util.ec import encode_ec_public_key  # noqa: PLC0415 -- an extra

    private, public = (
        session.get_key(
            object_class=kind, key_type=library.KeyType.EC, label=named.label, id=named.id
        )
        for kind in (library.ObjectClass.PRIVATE_KEY, library.ObjectClass.PUBLIC_KEY)
    )
    key = load_der_public_key(encode_ec_public_key(cast("TokenPublicKey", public)))
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise KeyFileError(
            f"{named.text} is not an elliptic-curve key on {CURVES}", cure="Name another key."
        )
    return TokenSigner(cast("SigningObject", private), PublicKey(key))


def _library() -> ModuleType:
    try:
        import pkcs11  # noqa: PLC0415 -- an extra
    except ImportError:
        raise MissingExtraError(
            "The key lives in a token (PKCS#11), and python-pkcs11 is not installed",
            cure=f"{to_install('pkcs11')}.",
        ) from None
    return pkcs11


_WORDS = {
    "NoSuchToken": "the library knows no such token",
    "MultipleTokensReturned": "several tokens are of that name",
    "NoSuchKey": "the token has no such pair of elliptic-curve keys",
    "MultipleObjectsReturned": "several keys are of that name",
    "PinIncorrect": "the PIN is wrong",
    "PinLocked": "the PIN is locked after too many wrong ones",
    "PinLenRange": "the PIN is too short or too long",
}
