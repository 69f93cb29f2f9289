"""Signing keys in a PKCS#11 token: key URIs (RFC 7512) and signing without exporting the key.

URIs have the form ``pkcs11:token=LABEL;object=LABEL``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn, Protocol, cast
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from auditor.errors import KeyFileError, MissingExtraError, suggest_install
from auditor.trust.keys.files import PasswordSource, read_password
from auditor.trust.signatures.keys import CURVES, HASHES, PublicKey

SCHEME = "pkcs11"
_PATH = frozenset({"token", "serial", "object", "id", "type"})
_QUERY = frozenset({"module-path", "pin-source"})
_FILE = "file:"


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """What a URI says: the token and the key by their attributes, the library, where the PIN lies.

    ``token`` and ``label`` are labels, ``serial`` is the token's number, ``id`` the key's own name
    in bytes. What is ``None`` is not asked for.
    """

    text: str
    token: str | None = None
    serial: bytes | None = None
    label: str | None = None
    id: bytes | None = None
    module: Path | None = None
    pin: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "Pkcs11Uri":
        """Read a URI. Raises ``KeyFileError`` where it names no key, or gives a PIN away."""
        scheme, _, rest = text.partition(":")
        path, _, query = rest.partition("?")
        found = _attributes(text, path, ";", _PATH)
        asked = _attributes(text, query, "&", _QUERY)
        if scheme != SCHEME or not ({"object", "id"} & set(found)):
            _refuse(text, "it names no key by its object or id")
        if not ({"token", "serial"} & set(found)):
            _refuse(text, "it names no token by its label or serial number")
        if found.get("type", b"private") != b"private":
            _refuse(text, "signing takes a key of type private")
        return cls(
            text,
            token=_text(text, found.get("token")),
            serial=found.get("serial"),
            label=_text(text, found.get("object")),
            id=found.get("id"),
            module=_path(text, asked.get("module-path")),
            pin=_path(text, asked.get("pin-source")),
        )


def _attributes(text: str, part: str, sign: str, known: frozenset[str]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, part.split(sign)):
        name, equals, value = item.partition("=")
        if name == "pin-value":
            raise KeyFileError(
                "a PIN in a URI can be read by every user of the machine",
                cure="Put it into a file: pin-source=file:PATH, or AUDITOR_PASSWORD_FILE=PATH.",
            )
        if not equals or not value or name not in known or name in found:
            _refuse(text, f"{name[:40]!r} is unknown, empty or there twice")
        found[name] = unquote_to_bytes(value)
    return found


def _text(text: str, value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        _refuse(text, "a label is not UTF-8")


def _path(text: str, value: bytes | None) -> Path | None:
    named = _text(text, value)
    return None if named is None else Path(named.removeprefix(_FILE))


def _refuse(text: str, reason: str) -> NoReturn:
    raise KeyFileError(
        f"{text} is not a URI of a private key in a token: {reason}",
        cure="Write it as pkcs11:token=LABEL;object=LABEL?module-path=/path/to/library.so "
        "(RFC 7512).",
    )


if TYPE_CHECKING:
    from pkcs11 import PublicKey as TokenPublicKey
    from pkcs11 import Session, Token

MODULE = "AUDITOR_PKCS11_MODULE"


class Pkcs11PrivateKey(Protocol):
    """A private key as the library has it."""

    def sign(self, data: bytes, *, mechanism: int) -> bytes:
        """Return the two numbers of an ECDSA signature, side by side."""
        ...


@dataclass(frozen=True, slots=True)
class Pkcs11Signer:
    """Signs within a token: the digest goes in, two numbers come out."""

    private: Pkcs11PrivateKey
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


def open_pkcs11_signer(
    uri: str, passwords: PasswordSource, environment: Mapping[str, str] = os.environ
) -> Pkcs11Signer:
    """Open the private key that a ``pkcs11:`` URI names; the PIN is the token's password.

    The library is the URI's ``module-path``, else ``AUDITOR_PKCS11_MODULE``. Raises
    ``KeyFileError`` and ``MissingExtraError``.
    """
    named = Pkcs11Uri.parse(uri)
    module = named.module or Path(environment.get(MODULE) or "")
    if not module.is_file():
        raise KeyFileError(
            f"{uri}: there is no PKCS#11 library {module}",
            cure=f"Name your token's library: ?module-path=/path/to.so, or {MODULE}=/path/to.so.",
        )
    library = _library()
    pin = read_password(named.pin) if named.pin is not None else passwords.of(uri)
    try:
        asked = {"token_label": named.token, "token_serial": named.serial}
        given = {name: item for name, item in asked.items() if item is not None}
        token: Token = library.lib(str(module)).get_token(**given)
        session = _session(library, token, pin)
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
        return Pkcs11Signer(cast("Pkcs11PrivateKey", private), PublicKey(key))
    except library.exceptions.PKCS11Error as error:
        raise KeyFileError(
            f"{uri} cannot be used: {_WORDS.get(type(error).__name__, type(error).__name__)}",
            cure="See the token with `pkcs11-tool --module LIBRARY --list-objects --login`.",
        ) from None


def _session(library: ModuleType, token: "Token", pin: bytes) -> "Session":
    try:
        return token.open(user_pin=pin.decode())
    except library.exceptions.UserAlreadyLoggedIn:
        return token.open()  # a login holds for the token, whichever of its keys asked for it


def _library() -> ModuleType:
    try:
        import pkcs11  # noqa: PLC0415 -- an extra
    except ImportError:
        raise MissingExtraError(
            "The key lives in a token (PKCS#11), and python-pkcs11 is not installed",
            cure=f"{suggest_install('pkcs11')}.",
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
