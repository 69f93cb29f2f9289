"""Content-addressed blob storage: the interface, and its implementation as a local folder."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from auditor.domain.digests import DIGEST_CURE, Digest, is_digest
from auditor.domain.json import compute_digest
from auditor.errors import StoreError

CHUNK = 2**20
READ_ONLY = 0o400
PRIVATE = 0o700


def parse_blob_digest(digest: str) -> Digest:
    """Return the digest that names a blob. Raises ``StoreError`` for what is none."""
    if not is_digest(digest):
        raise StoreError(f"{digest!r} is not a digest", cure=DIGEST_CURE)
    return Digest(digest)


@dataclass(frozen=True, slots=True)
class FolderBlobStore:
    """A folder in which bytes are found by what they are, and are what their name says.

    Blobs lie at ``root/<first two hex digits>/<all hex digits>``, are written whole or not at all,
    and are never changed; only an erasure removes some. Every method raises ``StoreError`` for
    what is not a digest and for what the file system refuses. What is not ``lasting`` may be gone,
    or no longer what its name says, after a power cut.
    """

    root: Path
    lasting: bool = True

    @property
    def name(self) -> str:
        """What messages call the folder."""
        return str(self.root)

    def put(self, raw: bytes) -> str:
        """Keep ``raw`` and return its digest; a blob that is there and whole is left alone."""
        digest = compute_digest(raw)
        with _explained(self.root):
            if not self.whole(digest):
                self._write((raw,))
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file at ``path`` and return the digest of what was copied.

        The digest is taken over the bytes as they are written, so that a file which changes
        meanwhile cannot end up under a name that is not its own.
        """
        try:
            source = path.open("rb")
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error.strerror}",
                cure="See that the file is there and that you may read it.",
            ) from error
        with source, _explained(self.root):
            return self._write(_chunks(source))

    def take(self, path: Path, digest: str) -> bool:
        """Move a file of that digest into the store, and say whether it had that digest.

        It must lie on the store's own disk; one of another digest stays where it is.
        """
        place = self._place(digest)
        with _explained(path):
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != place.name:
                    return False
                os.fchmod(file.fileno(), READ_ONLY)
                os.fsync(file.fileno())
            place.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            path.replace(place)
            sync_folder(place.parent)
        return True

    def get(self, digest: str) -> bytes:
        """Return a blob, hashed again. Raises ``StoreError`` when it is missing or damaged."""
        path = self.path(digest)
        with _explained(path):
            raw = path.read_bytes()
        if compute_digest(raw) != digest:
            raise StoreError(
                f"the blob {digest} is damaged: the bytes at {path} have another digest",
                cure="Restore that file from a copy, or remove it and repeat the audit.",
            )
        return raw

    def remove(self, digest: str) -> None:
        """Remove a blob; one that is not there stays away."""
        place = self._place(digest)
        with _explained(place):
            place.unlink(missing_ok=True)
            if place.parent.is_dir():
                sync_folder(place.parent)

    def path(self, digest: str) -> Path:
        """Return where a blob lies. Raises ``StoreError`` when it is missing."""
        place = self._place(digest)
        with _explained(place):
            there = place.is_file()
        if not there:
            raise StoreError(
                f"the blob {digest} is missing from {self.root}",
                cure="Restore it from a copy of the store, or repeat the audit.",
            )
        return place

    def size(self, digest: str) -> int:
        """Return a blob's length in bytes. Raises ``StoreError`` when it is missing."""
        path = self.path(digest)
        with _explained(path):
            return path.stat().st_size

    def has(self, digest: str) -> bool:
        """Whether there is a blob under that digest; it is not hashed again."""
        place = self._place(digest)
        with _explained(place):
            return place.is_file()

    def whole(self, digest: str) -> bool:
        """Whether a blob is there and has that digest, hashed again a part at a time."""
        place = self._place(digest)
        with _explained(place):
            if not place.is_file():
                return False
            with place.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == place.name

    def _place(self, digest: str) -> Path:
        name = parse_blob_digest(digest).hex
        return self.root / name[:2] / name

    def _write(self, chunks: Iterable[bytes]) -> str:
        self.root.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.root, prefix=".partial-")
        partial = Path(name)
        try:
            hasher = hashlib.sha256()
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    hasher.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fchmod(file.fileno(), READ_ONLY)
                if self.lasting:
                    os.fsync(file.fileno())
            digest = Digest.of_hex(hasher.hexdigest())
            place = self._place(digest)
            place.parent.mkdir(mode=PRIVATE, exist_ok=True)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
        if self.lasting:
            sync_folder(place.parent)
        return digest


def write_whole(place: Path, raw: bytes) -> None:
    """Write a file that readers find whole or not at all; a power cut may take it.

    Raises ``OSError``.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as draft:
        draft.write(raw)
    Path(draft.name).replace(place)


def sync_folder(folder: Path) -> None:
    """Flush a folder: a rename survives a power cut only once its folder has reached the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or place}: {error.strerror}",
            cure="Make the folder writable and see that the disk has room, "
            "or set AUDITOR_HOME to another folder.",
        ) from error


class BlobStorage(Protocol):
    """Bytes that are found by what they are, and are what their name says.

    Every method raises ``StoreError`` for what is not a digest and for what the place refuses.
    """

    @property
    def root(self) -> Path:
        """A folder of this machine, on whose disk ``path`` finds blobs and ``take`` moves files."""
        ...

    @property
    def name(self) -> str:
        """What messages call the place."""
        ...

    def put(self, raw: bytes) -> str:
        """Keep ``raw`` and return its digest; a blob that is there and whole is left alone."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return the digest of what was copied."""
        ...

    def take(self, path: Path, digest: str) -> bool:
        """Move a file of that digest here, and say whether it had it; one of another stays."""
        ...

    def get(self, digest: str) -> bytes:
        """Return a blob, hashed again. Raises ``StoreError`` when it is missing or damaged."""
        ...

    def path(self, digest: str) -> Path:
        """Return where a blob lies on this machine. Raises ``StoreError`` when it is missing."""
        ...

    def size(self, digest: str) -> int:
        """Return a blob's length in bytes. Raises ``StoreError`` when it is missing."""
        ...

    def has(self, digest: str) -> bool:
        """Whether there is a blob under that digest; it is not hashed again."""
        ...

    def remove(self, digest: str) -> None:
        """Remove a blob; one that is not there stays away."""
        ...
