"""Read the files that an audit names, once: what is digested is what is parsed."""

import hashlib
import posixpath
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from auditor.domain.artifacts import FileDigest
from auditor.domain.requests import InputFile
from auditor.errors import DatasetError
from auditor.pointing import Locate


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file's bytes and what they are known by. ``path`` is as written, for messages."""

    path: str
    raw: bytes
    input: InputFile


def read_file(path: str, locate: Locate) -> ReadFile:
    """Read one file whole. Raises ``DatasetError`` when it is missing, a folder, or empty."""
    real = locate(path)
    raw = read_bytes(real, path)
    return ReadFile(path, raw, InputFile(path, digest_of(record_name(path), raw)))


def read_bytes(real: Path, shown: str) -> bytes:
    """Return a file's bytes; ``shown`` names it in messages. Raises ``DatasetError``."""
    try:
        if real.exists() and not real.is_dir() and not real.is_file():
            # A pipe would block for ever, and a device may never end.
            raise DatasetError(f"{shown} is not a regular file", cure="Name a plain file.")
        raw = real.read_bytes()
    except FileNotFoundError:
        raise DatasetError(
            f"{shown} does not exist", cure="Mend the path; it is relative to the audit file."
        ) from None
    except IsADirectoryError:
        raise DatasetError(
            f"{shown} is a folder, where a file is expected", cure="Name a file in it."
        ) from None
    except (OSError, ValueError) as mistake:
        raise DatasetError(
            f"{shown} cannot be read ({mistake})", cure="Mend the path or the file's permissions."
        ) from None
    if not raw:
        raise DatasetError(f"{shown} is empty (0 bytes)", cure="Write the data again.")
    return raw


def digest_of(name: str, raw: bytes) -> FileDigest:
    """Return the digest of bytes under a name."""
    return FileDigest(name, len(raw), hashlib.sha256(raw).hexdigest())


def record_name(path: str) -> str:
    """Return the name that a record gives a file: relative, with forward slashes.

    An absolute path keeps its last part alone, so that a record says nothing of a machine.
    """
    written = PureWindowsPath(path)
    if written.is_absolute() or path.startswith("/"):
        return written.name
    return posixpath.normpath(written.as_posix())
