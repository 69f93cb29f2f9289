"""Key files: a private key that only its owner reads, and the public one beside it."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auditor.errors import KeyFileError
from auditor.ledgers.key_events import KeyRole
from auditor.signatures.certificates import Certificate, read_certificates
from auditor.signatures.keys import CURVES, HASHES, KeySigner, PublicKey, read_public_key
from auditor.signatures.objections import Refused
from auditor.signing.locking import is_locked, private_pem

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
MOST_BYTES = 64 * 1024
_MAKE_KEYS = "Make a pair with `auditor keys new`, or name another file."


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a pair of keys lies, and the identity by which policies speak of it."""

    private: Path
    public: Path
    identity: str


def new_keys(
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
    pem = private_pem(signer.key, password)
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
            raise wrong_password(path) from None
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
    except Refused as refused:
        raise KeyFileError(
            f"{source}: {refused.problem}", cure=f"Name a public key, such as {PUBLIC}."
        ) from None


def load_certificates(path: Path) -> tuple[Certificate, ...]:
    """Read a chain or a list of roots. Raises ``KeyFileError`` where the file holds none."""
    try:
        return read_certificates(read_pem(path))
    except Refused as refused:
        raise KeyFileError(
            f"{path}: {refused.problem}", cure="Name a file of certificates in PEM form."
        ) from None


def read_pem(path: Path) -> bytes:
    """Return a key file's bytes. Raises ``KeyFileError`` where there is none, or a huge one."""
    try:
        if not path.is_file():
            raise KeyFileError(f"There is no key file {path}", cure=_MAKE_KEYS)
        with path.open("rb") as file:
            pem = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}", cure="Mend its permissions."
        ) from None
    if len(pem) > MOST_BYTES:
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


def wrong_password(path: Path) -> KeyFileError:
    """Return the error for a locked key that another password locks."""
    return KeyFileError(
        f"{path} does not open with the given password", cure="Give its own password."
    )


def _password(path: Path, *, missing: bool) -> KeyFileError:
    if missing:
        return KeyFileError(f"{path} is encrypted, and no password was given", cure="Give it.")
    return KeyFileError(f"{path} is not encrypted, and a password was given", cure="Leave it out.")
