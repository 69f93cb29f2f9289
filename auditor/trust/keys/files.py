"""Key files: creation, loading, password encryption (PKCS#8), and replacement of key pairs.

Only the owner can read a private key file. Encryption follows RFC 8018. The library's default of
2048 PBKDF2 rounds is too weak against a stolen file; we use as many as OWASP recommends, in the
same format that OpenSSL and the library read. Replacement of a key pair can resume after an
interruption.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auditor.domain.key_roles import KeyRole
from auditor.errors import KeyFileError
from auditor.trust.encoding.der import (
    NULL,
    OCTETS,
    SEQUENCE,
    write_element,
    write_integer,
    write_oid,
)
from auditor.trust.signatures.keys import CURVES, HASHES, KeySigner, PublicKey, read_public_key
from auditor.trust.signatures.x509 import X509Certificate, read_certificates
from auditor.trust.verification_result import VerificationError

PASSWORD_FILE = "AUDITOR_PASSWORD_FILE"  # noqa: S105 -- the variable that names a file
MOST_PASSWORD_BYTES = 1024
Ask = Callable[[str], str]
"""Asks the user for the password of the named key."""


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """How a password is found out: ``file`` holds it on its first line; else ``ask`` asks.

    Without either there is nobody to be asked. A password never comes from a command line, which
    every user of a machine can read.
    """

    file: Path | None = None
    ask: Ask | None = None

    def of(self, what: str) -> bytes:
        """Return the password of ``what``. Raises ``KeyFileError`` where there is none."""
        if self.file is not None:
            return read_password(self.file)
        if self.ask is None:
            raise KeyFileError(
                f"{what} is locked, no password was given, and nobody is there to be asked",
                cure=f"Name a file whose first line is the password: {PASSWORD_FILE}=FILE, or in "
                "Python Key.load(…, password_file=…).",
            )
        return refuse_empty_password(self.ask(what).encode(), "what was typed")


NOBODY = PasswordSource()
"""Nobody is there who knows a password."""


def read_password(path: Path) -> bytes:
    """Return the first line of a file. Raises ``KeyFileError`` where it cannot be a password."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_PASSWORD_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"the password file {path} cannot be read: {error.strerror}",
            cure="Name a file whose first line is the password.",
        ) from None
    if len(raw) > MOST_PASSWORD_BYTES:
        raise KeyFileError(
            f"the password file {path} has more than {MOST_PASSWORD_BYTES} bytes",
            cure="Name a file whose first line is the password, and nothing else.",
        )
    return refuse_empty_password(
        raw.partition(b"\n")[0].removesuffix(b"\r"), f"the first line of {path}"
    )


def refuse_empty_password(password: bytes, source: str) -> bytes:
    """Return a password. Raises ``KeyFileError`` for one that locks nothing."""
    if not password:
        raise KeyFileError(f"{source} is empty, which is not a password", cure="Give a password.")
    return password


ROUNDS = 600_000
_PBES2, _PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"
_HMAC_SHA256, _AES256_CBC = "1.2.840.113549.2.9", "2.16.840.1.101.3.4.1.42"
_BLOCK, _KEY, _SALT, _WIDTH = 16, 32, 16, 64


def encode_private_key(
    key: EllipticCurvePrivateKey | Ed25519PrivateKey, password: bytes | None
) -> bytes:
    """Return a private key as PEM; with a password, encrypted by AES-256 (PBES2)."""
    if password is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, start = secrets.token_bytes(_SALT), secrets.token_bytes(_BLOCK)
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, ROUNDS, _KEY)
    padder = PKCS7(8 * _BLOCK).padder()
    cipher = Cipher(algorithms.AES(derived), modes.CBC(start)).encryptor()
    text = cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    hashing = write_element(SEQUENCE, write_oid(_HMAC_SHA256), write_element(NULL))
    rounds = write_element(SEQUENCE, write_element(OCTETS, salt), write_integer(ROUNDS), hashing)
    parts = (
        write_element(SEQUENCE, write_oid(_PBKDF2), rounds),
        write_element(SEQUENCE, write_oid(_AES256_CBC), write_element(OCTETS, start)),
    )
    how = write_element(SEQUENCE, write_oid(_PBES2), write_element(SEQUENCE, *parts))
    lines = wrap(
        base64.b64encode(write_element(SEQUENCE, how, write_element(OCTETS, text))).decode(), _WIDTH
    )
    words = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {words}-----", *lines, f"-----END {words}-----", ""]).encode()


def is_locked(pem: bytes) -> bool:
    """Whether a private key in PEM form opens with a password alone."""
    return b"ENCRYPTED" in pem


PRIVATE = "signer.key"
PUBLIC = "signer.pub"
STEMS = {
    KeyRole.REPORT: "signer",
    KeyRole.LEDGER: "ledger",
    KeyRole.MODEL: "model",
    KeyRole.TRUST: "trust",
    KeyRole.DECISION: "decision",
    KeyRole.AGENT: "agent",
}
"""How the pair of a role is called in its folder, without ``.key`` and ``.pub``."""
MOST_KEY_BYTES = 64 * 1024
_MAKE_KEYS = "Make a pair with `auditor keys new`, or name another file."


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a pair of keys lies, and the identity by which policies speak of it."""

    private: Path
    public: Path
    identity: str


def create_key_pair(
    home: Path,
    *,
    stem: str = STEMS[KeyRole.REPORT],
    password: bytes | None = None,
    overwrite: bool = False,
) -> KeyFiles:
    """Make a P-256 pair in the folder ``home``: ``signer.key`` (PKCS#8, mode 0600), ``signer.pub``,
    or under another ``stem``; the private one is encrypted where a ``password`` is given.

    Raises ``KeyFileError`` where one of them exists, unless ``overwrite``, or cannot be written.
    """
    private, public = home / f"{stem}.key", home / f"{stem}.pub"
    there = next((path for path in (private, public) if path.exists() or path.is_symlink()), None)
    if there is not None and not overwrite:
        raise KeyFileError(
            f"{there} exists, and what it signed could not be verified without it",
            cure="Choose another folder, or move the old pair away first.",
        )
    signer = KeySigner(ec.generate_private_key(ec.SECP256R1()))
    pem = encode_private_key(signer.key, password)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(private, pem, mode=0o600)
        write_key(public, signer.public_pem(), mode=0o644)
    except OSError as error:
        raise KeyFileError(
            f"Keys cannot be written to {home}: {error.strerror}",
            cure="Set AUDITOR_HOME to a folder that you may write to.",
        ) from None
    return KeyFiles(private, public, signer.identity)


def load_signer(path: Path, *, password: bytes | None = None) -> KeySigner:
    """Read a private key. Raises ``KeyFileError`` that says what the file is instead."""
    pem = read_pem(path)
    if b"PRIVATE KEY" not in pem and b"-----BEGIN" in pem:
        raise KeyFileError(
            f"{path} holds a public key or a certificate; signing takes a private key",
            cure=f"Name the private key; `auditor keys new` calls it {PRIVATE}.",
        )
    try:
        key = load_pem_private_key(pem, password)
    except TypeError:
        raise _password(path, missing=password is None) from None
    except (ValueError, UnsupportedAlgorithm):
        if password is not None and is_locked(pem):
            raise wrong_password_error(path) from None
        raise KeyFileError(f"{path} is not a private key in PEM form", cure=_MAKE_KEYS) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in HASHES:
        raise KeyFileError(f"{path} is not an elliptic-curve key on {CURVES}", cure=_MAKE_KEYS)
    return KeySigner(key)


def load_public_key(path: Path) -> PublicKey:
    """Read a public key. Raises ``KeyFileError`` that says what the file is instead."""
    return parse_public_key(read_pem(path), str(path))


def parse_public_key(raw: bytes, source: str) -> PublicKey:
    """Return the public key in a file's bytes. Raises ``KeyFileError`` that says what they are."""
    try:
        return read_public_key(raw)
    except VerificationError as refused:
        raise KeyFileError(
            f"{source}: {refused.problem}", cure=f"Name a public key, such as {PUBLIC}."
        ) from None


def load_certificates(path: Path) -> tuple[X509Certificate, ...]:
    """Read a chain or a list of roots. Raises ``KeyFileError`` where the file holds none."""
    try:
        return read_certificates(read_pem(path))
    except VerificationError as refused:
        raise KeyFileError(
            f"{path}: {refused.problem}", cure="Name a file of certificates in PEM form."
        ) from None


def read_pem(path: Path) -> bytes:
    """Return a key file's bytes. Raises ``KeyFileError`` where there is none, or a huge one."""
    try:
        if not path.is_file():
            raise KeyFileError(f"There is no key file {path}", cure=_MAKE_KEYS)
        with path.open("rb") as file:
            pem = file.read(MOST_KEY_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}", cure="Fix its permissions."
        ) from None
    if len(pem) > MOST_KEY_BYTES:
        raise KeyFileError(f"{path} is too large for a key", cure=_MAKE_KEYS)
    return pem


def write_key(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file whole, with its mode from the first byte on. Raises ``OSError``."""
    # A new file under a name of its own, then one rename: nobody sees half a key, and the mode
    # holds from the first byte on.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def wrong_password_error(path: Path) -> KeyFileError:
    """Return the error for a locked key that another password locks."""
    return KeyFileError(
        f"{path} does not open with the given password", cure="Give its own password."
    )


def _password(path: Path, *, missing: bool) -> KeyFileError:
    if missing:
        return KeyFileError(f"{path} is encrypted, and no password was given", cure="Give it.")
    return KeyFileError(f"{path} is not encrypted, and a password was given", cure="Remove it.")


_DIGITS = 12


def prepare_next_pair(home: Path, stem: str, password: bytes | None) -> Path:
    """Make the pair that is to follow ``stem``, or find the one that an interrupted run made.

    Returns the private key's path, ``STEM.next.key``. Raises ``KeyFileError``.
    """
    waiting = home / f"{stem}.next.key"
    if waiting.exists():
        return waiting
    return create_key_pair(home, stem=f"{stem}.next", password=password, overwrite=True).private


def swap_pairs(home: Path, stem: str, old_pem: bytes, new_pem: bytes) -> Path:
    """Put the pair ``STEM.next`` in the place of ``STEM``, which is kept under its digest.

    Whenever it is interrupted, doing it again comes to the same end. Returns where the old private
    key lies now; the public one lies beside it. Raises ``KeyFileError`` where files cannot be
    written.
    """
    digits = read_public_key(old_pem).identity.rpartition(":")[2][:_DIGITS]
    current, aside = home / f"{stem}.key", home / f"{stem}.{digits}.key"
    try:
        if not aside.exists():
            os.link(current, aside)
        write_key(aside.with_suffix(".pub"), old_pem, mode=0o644)
        write_key(home / f"{stem}.pub", new_pem, mode=0o644)
        (home / f"{stem}.next.key").replace(current)
        (home / f"{stem}.next.pub").unlink(missing_ok=True)
    except OSError as error:
        raise KeyFileError(
            f"the new key of {home} cannot take the old one's place: {error.strerror}",
            cure="Fix the folder's permissions, and give the same command again.",
        ) from None
    return aside
