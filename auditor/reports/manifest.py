"""The manifest of a record's stored files: digests by name in its folder."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.domain.json import parse_json, read_json
from auditor.errors import RecordError
from auditor.reports.folder import RecordFolder
from auditor.store.blobs import BlobStorage

NOWHERE = ".nowhere"
"""The folder of what is not in a manifest: no such one is ever made."""


@dataclass(frozen=True, slots=True, eq=False)
class _BlobPlaces(Mapping[str, Path]):
    """Where files lie by their names, each asked for when it is read: it may have to be fetched."""

    blobs: BlobStorage
    named: Mapping[str, str]

    def __getitem__(self, name: str) -> Path:
        return self.blobs.path(self.named[name])

    def __contains__(self, name: object) -> bool:
        return name in self.named

    def __iter__(self) -> Iterator[str]:
        return iter(self.named)

    def __len__(self) -> int:
        return len(self.named)


def build_manifest(blobs: BlobStorage, digest: str | None) -> dict[str, str]:
    """Return the digests of a record's files by their names. Raises ``RecordError`` for none."""
    if digest is None:
        raise RecordError("the record's files were not kept", cure="Repeat the audit.")
    said = parse_json(blobs.get(digest))
    return dict(sorted(read_json(dict[str, str], said, "the manifest of a record's files").items()))


@contextmanager
def materialize_folder(blobs: BlobStorage, files: str | None) -> Iterator[RecordFolder]:
    """Lay the files of a manifest out as a record's folder, by links where the disk knows them."""
    named = _named(blobs, files)
    with tempfile.TemporaryDirectory(dir=blobs.root, prefix=".folder-") as root:
        for name, digest in named.items():
            place = Path(root) / name
            if "/" in name:
                place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(blobs.path(digest), place)
            except OSError:
                place.write_bytes(blobs.get(digest))
        yield RecordFolder(Path(root))


def open_stored_folder(blobs: BlobStorage, files: str | None) -> RecordFolder:
    """Return the files of a manifest as a record's folder that is read where the blobs lie.

    Nothing is laid out, and from a bucket comes no more than what is read. Raises ``RecordError``.
    """
    return RecordFolder(blobs.root / NOWHERE, _BlobPlaces(blobs, _named(blobs, files)))


def _named(blobs: BlobStorage, files: str | None) -> dict[str, str]:
    named = build_manifest(blobs, files)
    for name in named:
        path = PurePosixPath(name)
        if not (bool(path.parts) and not path.is_absolute() and ".." not in path.parts):
            raise RecordError(f"the manifest names {name!r}", cure="Repeat the audit.")
    return named
