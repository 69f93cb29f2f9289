"""Uploads: files sent in parts, kept only if they have the announced digest."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from auditor.errors import (
    QuotaError,
    RequestTooLargeError,
    StoreError,
    UploadConflictError,
    UploadError,
)
from auditor.service.domain.access import MOST_UPLOAD_BYTES
from auditor.service.domain.submissions import UploadedFile, UploadKind
from auditor.service.store.projects import UploadTally
from auditor.service.store.submission_history import ServiceStore
from auditor.store.blobs import BlobStorage

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
STALE = 7 * 24 * 3600.0
"""Seconds after which an upload that nobody went on with is forgotten."""
HELD = "Read Upload-Offset with HEAD, and send the rest from that offset."


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSpec:
    """What is announced of a file: whose it is, its kind, digest and name, and its bytes."""

    project: str
    kind: UploadKind
    digest: str
    name: str
    length: int
    offset: int = 0

    @property
    def place(self) -> str:
        """The name of its part file, in which nothing stands that a caller could choose freely."""
        return f"{build_part_name(self.project, self.kind, self.digest)}-{self.length}"

    def of_length(self, length: int) -> "UploadSpec":
        """Return what is announced, with the length that the file turned out to have."""
        return replace(self, length=length, offset=0)


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How much of a file is there; ``complete`` once it is kept."""

    offset: int
    length: int
    complete: bool


class PartialUpload:
    """A part file that grows, and may grow to the length that was announced."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self.left = left

    def take(self, chunk: bytes) -> None:
        """Write what arrived. Raises ``UploadError`` beyond the length announced."""
        if len(chunk) > self.left:
            raise UploadError(
                f"the body is longer than the {self.left} bytes that Upload-Length allows",
                cure="Set Upload-Length to the length of the file.",
            )
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _refused(error) from error
        self.left -= len(chunk)


@dataclass(frozen=True, slots=True)
class UploadStore:
    """Where uploads arrive. Nothing of them is opened, and none is kept under a false digest.

    ``most`` is the largest file, and ``quota`` the bytes that one project may have; 0 is any.
    """

    blobs: BlobStorage
    kept: ServiceStore
    clock: Callable[[], str]
    most: int = MOST_UPLOAD_BYTES
    quota: int = 0
    tally: UploadTally = field(default_factory=UploadTally)

    @property
    def folder(self) -> Path:
        """Where parts lie: on the disk of the blobs, so that a whole one is moved and not copied.

        No blob is ever looked up there.
        """
        return self.blobs.root / ".uploads"

    def held(self, project: str, kind: UploadKind, digest: str) -> UploadProgress | None:
        """Say how much of a file a project has sent, as whatever kind; ``None`` for nothing."""
        if self.kept.has_upload(project, digest):
            size = self.blobs.size(digest)
            return UploadProgress(size, size, complete=True)
        start = f"{build_part_name(project, kind, digest)}-"
        found = sorted(self.folder.glob(f"{start}*")) if self.folder.is_dir() else []
        parts = [
            UploadProgress(path.stat().st_size, int(path.name.removeprefix(start)), complete=False)
            for path in found
        ]
        return max(parts, key=lambda part: part.offset, default=None)

    def note(self, parcel: UploadSpec) -> None:
        """Write down that a project has a file that is kept, as this kind and under this name."""
        self.kept.note_upload(
            UploadedFile(
                project=parcel.project,
                digest=parcel.digest,
                kind=parcel.kind,
                name=parcel.name,
                size=parcel.length,
                at=self.clock(),
            )
        )

    @contextmanager
    def receiving(self, parcel: UploadSpec) -> Iterator[PartialUpload]:
        """Open a part at the offset announced; at the end a whole one is kept.

        What arrived before an error stays, so that the caller can go on. Raises
        ``RequestTooLargeError``, ``UploadConflictError`` for another offset than the one reached or
        a second sender at once, ``QuotaError``, and ``UploadError`` for bytes of another digest,
        which are thrown away.
        """
        self.refuse_too_large(parcel)
        path = self.folder / parcel.place
        with self._opened(path) as file:
            # Lock a part and return its size
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadConflictError(
                    "another request is already sending this file", cure=HELD
                ) from None
            found = os.fstat(file.fileno())
            if not found.st_nlink or not path.exists():
                raise UploadConflictError("another request has just sent this file", cure=HELD)
            there = found.st_size
            if there != parcel.offset:
                raise UploadConflictError(
                    f"the service has {there} bytes of {parcel.digest}, but this "
                    f"request starts at {parcel.offset}",
                    cure=HELD,
                )
            arriving = PartialUpload(file, parcel.length - there)
            yield arriving
            if arriving.left == 0:
                file.flush()
                if not self.blobs.take(path, parcel.digest):
                    path.unlink(missing_ok=True)
                    raise UploadError(
                        f"the bytes of {parcel.name} do not have the digest {parcel.digest} and "
                        "were discarded",
                        cure=(
                            "Compute the digest of the file that you send, and send it again "
                            "from the start."
                        ),
                    )
                self.note(parcel)

    def forget(self, now: float) -> None:
        """Remove parts that nobody went on with for a week; ``now`` in seconds since the epoch."""
        for path in self.folder.glob("*-*") if self.folder.is_dir() else ():
            if path.stat().st_mtime < now - STALE:
                path.unlink(missing_ok=True)

    def refuse_too_large(self, parcel: UploadSpec) -> None:
        """Raise ``RequestTooLargeError`` for a file, and ``QuotaError`` where the project has no
        room.
        """
        if parcel.length > self.most:
            raise RequestTooLargeError(
                f"{parcel.name} has {parcel.length} bytes; the limit is {self.most}",
                cure="Audit it locally, or ask the operator of the service for a higher limit.",
            )
        # Raise `QuotaError` where a file would not fit beside what its project has by now. Parts
        # count as far as they have come; two processes may let in more between them.
        if not self.quota:
            return
        there = self.tally.over(
            parcel.project, parcel.length, self.quota, lambda: self._there(parcel)
        )
        if there is not None:
            raise QuotaError(
                f"{parcel.name} has {parcel.length} bytes, but project {parcel.project} "
                f"already uses {there} bytes, and its limit is {self.quota}",
                cure="Ask the operator of the service for a higher quota.",
            )

    def _there(self, parcel: UploadSpec) -> int:
        others = (
            self.folder.glob(f"{build_project_prefix(parcel.project)}*-*")
            if self.folder.is_dir()
            else ()
        )
        parts = sum(_size(path) for path in others if path.name != parcel.place)
        return self.kept.stored(parcel.project) + parts

    @contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        try:
            path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.fdopen(os.open(path, flags, PRIVATE_FILE), "ab")
        except OSError as error:
            raise _refused(error) from error
        with file:
            yield file


def build_part_name(project: str, kind: UploadKind, digest: str) -> str:
    """Return the name under which parts of a file lie, which tells nothing of whose it is."""
    rest = hashlib.sha256(f"{project}\0{kind}\0{digest}".encode()).hexdigest()
    return f"{build_project_prefix(project)}{rest}"


def build_project_prefix(project: str) -> str:
    """Return how the names of all parts of a project begin."""
    return hashlib.sha256(project.encode()).hexdigest()[:16]


def _size(path: Path) -> int:
    """Return the size of a part, which may be whole and gone by now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _refused(error: OSError) -> StoreError:
    return StoreError(
        f"an upload cannot be written: {error.strerror}",
        cure="Check the free space and the write permission on the disk of the service.",
    )
