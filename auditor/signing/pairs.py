"""One pair of key files takes the place of another, in steps that can be gone on with."""

import os
from pathlib import Path

from auditor.errors import KeyFileError
from auditor.signatures.keys import read_public_key
from auditor.signing.keys import new_keys, write_key

_DIGITS = 12


def prepare_next(home: Path, stem: str, password: bytes | None) -> Path:
    """Make the pair that is to follow ``stem``, or find the one that an interrupted run made.

    Returns the private key's path, ``STEM.next.key``. Raises ``KeyFileError``.
    """
    waiting = home / f"{stem}.next.key"
    if waiting.exists():
        return waiting
    return new_keys(home, stem=f"{stem}.next", password=password, overwrite=True).private


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
            cure="Mend the folder's permissions, and give the same command again.",
        ) from None
    return aside
