"""The ledger's key pair: ``ledger.key`` signs checkpoints only."""

import hashlib
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auditor.errors import KeyFileError, LedgerError
from auditor.trust.keys.files import (
    NOBODY,
    PasswordSource,
    encode_private_key,
    is_locked,
    read_pem,
    write_key,
    wrong_password_error,
)
from auditor.trust.ledger.notes import MemoryNoteSigner, NoteKey

LEDGER_PRIVATE = "ledger.key"
LEDGER_PUBLIC = "ledger.pub"
KEY_PLACE = "{key}"
"""Stands in an origin for the hexadecimal SHA-256 of the public key."""
_ORIGIN = re.compile(r"[!-*,-~]{1,200}")  # visible ASCII, but for the plus sign


def create_ledger_key(home: Path, origin: str, *, password: bytes | None = None) -> Path:
    """Make an Ed25519 pair in ``home``: ``ledger.key`` (PKCS#8, mode 0600), ``ledger.pub`` (vkey).

    The private one is encrypted where a ``password`` is given. ``origin`` names the log for good.
    Returns the private key's path. Raises ``KeyFileError`` where one of the files exists or cannot
    be written, or the origin is no name.
    """
    private, public = home / LEDGER_PRIVATE, home / LEDGER_PUBLIC
    there = next((path for path in (private, public) if path.exists() or path.is_symlink()), None)
    if there is not None:
        raise KeyFileError(
            f"{there} exists without its other half",
            cure="Restore the pair from a copy, for a ledger cannot go on under another key; where "
            "none was begun yet, remove the file.",
        )
    key = Ed25519PrivateKey.generate()
    fingerprint = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()
    name = origin.replace(KEY_PLACE, fingerprint)
    if not _ORIGIN.fullmatch(name):
        raise KeyFileError(
            f"{name!r} cannot be the origin of a ledger",
            cure="Set AUDITOR_LEDGER_ORIGIN to a name without spaces and plus signs, such as "
            "ledger.example.org/models.",
        )
    pem = encode_private_key(key, password)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(public, f"{MemoryNoteSigner(name, key).key}\n".encode(), mode=0o644)
        write_key(private, pem, mode=0o600)
    except OSError as error:
        raise KeyFileError(
            f"Keys cannot be written to {home}: {error.strerror}",
            cure="Set AUDITOR_HOME to a folder that you may write to.",
        ) from None
    return private


def load_ledger_signer(home: Path, passwords: PasswordSource = NOBODY) -> MemoryNoteSigner:
    """Read the pair in ``home``; ``passwords`` open a private half that is encrypted.

    Raises ``KeyFileError`` where its halves are none, or differ, or the password is another.
    """
    private, public = home / LEDGER_PRIVATE, load_note_key(home / LEDGER_PUBLIC)
    pem = read_pem(private)
    password = passwords.of(str(private)) if is_locked(pem) else None
    try:
        key = load_pem_private_key(pem, password)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        if password is not None:
            raise wrong_password_error(private) from None
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(
            f"{private} is not an Ed25519 key in PEM form", cure="Restore it from a copy."
        )
    signer = MemoryNoteSigner(public.name, key)
    if signer.key != public:
        raise KeyFileError(
            f"{private} and {public.name}'s {LEDGER_PUBLIC} are not one pair",
            cure="Restore both from one copy.",
        )
    return signer


def load_note_key(path: Path) -> NoteKey:
    """Read a public key in the form of signed notes. Raises ``KeyFileError``."""
    if not path.exists():
        raise KeyFileError(
            f"There is no key file {path}",
            cure=f"Name the log's public key or a witness's. A first audit makes {LEDGER_PUBLIC} "
            "under AUDITOR_HOME.",
        )
    try:
        return NoteKey.parse(read_pem(path).decode("ascii", "replace").strip())
    except LedgerError as error:
        raise KeyFileError(
            f"{path}: {error.problem}",
            cure=f"Name the log's public key, such as {LEDGER_PUBLIC}, or a witness's.",
        ) from None


def describe_new_key(path: Path) -> str:
    """Say which private key a first run made."""
    what = "ledger" if path.name == LEDGER_PRIVATE else "signing"
    return f"First run: made the {what} key {path}"
