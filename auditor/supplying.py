"""The documents that came with a model: named in the audit file, or found beside the artifact."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from auditor.declaring.cards import FENCE
from auditor.declaring.reading import MOST_BYTES, is_strange
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import AuditFile
from auditor.domain.requests import InputFile
from auditor.domain.supplies import SupplyDocument
from auditor.errors import AuditFileError
from auditor.pointing import Locate, setting

CARD = "README.md"
WELL_KNOWN = (
    CARD, "*.intoto.json", "*.intoto.jsonl", "provenance.json", "bom.json", "*.cdx.json",
    "croissant.json", "*.croissant.json",
)  # fmt: skip
"""The names by which a document is found beside a model, in lower case but for the card's."""
MOST_DOCUMENTS = 100
CHUNK = 2**20
_PLAIN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Supplied:
    """A document, and the input file that it came from."""

    document: SupplyDocument
    input: InputFile


def read_documents(
    file: AuditFile, locate: Locate, artifact: tuple[FileDigest, ...]
) -> tuple[Supplied, ...]:
    """Read the documents of an audit: those that it names or, where it names none, those found.

    A document counts as found where a plain file of a well-known name lies in the folder of the
    artifact and is not one of its own files; a README only with a front matter. What is found is
    listed under the artifact's path, as its external data are. Raises ``AuditFileError``.
    """
    if file.model.documents is not None:
        named = tuple(_named(file, path, locate) for path in dict.fromkeys(file.model.documents))
        return _bounded(file, named)
    written = file.model.artifact
    if written is None:
        return ()
    folder, own = locate(written).parent, {item.name for item in artifact}
    names = [name for name in _names(folder) if name not in own]
    return _bounded(file, tuple(_found(folder, names, written)))


def _named(file: AuditFile, written: str, locate: Locate) -> Supplied:
    path = locate(written)
    try:
        document = _read(os.open(path, _PLAIN), path.name)
    except OSError as error:
        raise AuditFileError(
            f"{setting(file, 'model', 'documents')}: {written} cannot be read: {error.strerror}",
            cure="Name files that are there, or remove it from model.documents.",
        ) from None
    if is_strange(path.resolve().name, document.raw):
        raise AuditFileError(
            f"{setting(file, 'model', 'documents')}: {written} is no statement, bill of materials, "
            "Croissant description or model card (.md), and records publish documents whole",
            cure="Name documents that came with the model, or remove it from model.documents.",
        )
    return Supplied(document, InputFile(written, document.file))


def _found(folder: Path, names: list[str], written: str) -> Iterator[Supplied]:
    for name in names:
        try:
            document = _read(os.open(folder / name, _PLAIN | os.O_NOFOLLOW), name)
        except OSError:
            continue  # a link, a folder or no longer there: nothing that counts as found
        if name != CARD or (document.raw or b"").startswith(FENCE.encode()):
            yield Supplied(document, InputFile(written, document.file))


def _names(folder: Path) -> list[str]:
    try:
        listed = sorted(path.name for path in folder.iterdir())
    except OSError:
        return []  # whoever opens the artifact says so
    return [name for name in listed if _is_well_known(name)]


def _is_well_known(name: str) -> bool:
    known = any(fnmatchcase(name, wanted) for wanted in WELL_KNOWN)
    return known and name.isprintable()


def _read(descriptor: int, name: str) -> SupplyDocument:
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(0, "it is no regular file")
        hasher, size, kept = hashlib.sha256(), 0, bytearray()
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
            if size <= MOST_BYTES:
                kept += chunk
    file = FileDigest(name, size, hasher.hexdigest())
    return SupplyDocument(file, bytes(kept) if size <= MOST_BYTES else None)


def _bounded(file: AuditFile, found: tuple[Supplied, ...]) -> tuple[Supplied, ...]:
    if len(found) > MOST_DOCUMENTS:
        raise AuditFileError(
            f"{setting(file, 'model', 'documents')}: there are {len(found)}, more than "
            f"{MOST_DOCUMENTS}",
            cure="Name those that count under model.documents.",
        )
    return found
