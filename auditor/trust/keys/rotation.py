"""What a key may not do: sign in two roles, or after its end."""

from pathlib import Path

from auditor.errors import AuditorError, KeyFileError
from auditor.ledgers.key_lives import KeyLife, KeyStatus
from auditor.signatures.keys import read_public_key
from auditor.signing.keys import STEMS


def refuse_role(life: KeyLife, role: str) -> None:
    """Raise ``KeyFileError`` where a key is one of another role."""
    if life.role != role:
        raise KeyFileError(
            f"the key {identity_of(life)} is the {life.role} key of leaf {life.begun.index} of the "
            f"ledger, and may not be the {role} key too",
            cure=f"Use a key of its own: `auditor keys new --role {role}`.",
        )


def refuse_ended(life: KeyLife, role: str, at: str) -> None:
    """Raise ``KeyFileError`` where a key may not sign in a role at a time."""
    refuse_role(life, role)
    if life.status(at) is not KeyStatus.IN_USE:
        raise KeyFileError(
            f"the {role} key {identity_of(life)} may sign no more: it is {life.words(at)}",
            cure="Use the key that follows it, or make a new one; `auditor keys list` shows all.",
        )


def refuse_second_role(home: Path, role: str, public: bytes) -> None:
    """Raise ``KeyFileError`` where a key in PEM form is the one of another role in ``home``."""
    for other, stem in STEMS.items():
        path = home / f"{stem}.pub"
        if other != role and path.is_file() and path.read_bytes().strip() == public.strip():
            raise KeyFileError(
                f"{path} is the {other} key, and may not be the {role} key too",
                cure=f"Use a key of its own: `auditor keys new --role {role}`.",
            )


def identity_of(life: KeyLife) -> str:
    """Return the name of a key: ``key:sha256:…``, or the name of a note's key."""
    try:
        return read_public_key(life.public.encode()).identity
    except AuditorError:
        return life.public.partition("+")[0][:200]
