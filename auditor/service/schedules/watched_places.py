"""Watched locations for new data: local folders and S3 prefixes, and the allowed roots.

No file outside the watched folder is ever opened. An object of a bucket arrives whole or not at
all. The operator lists the allowed roots, each for one project.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

from auditor.errors import ScheduleError, UploadError, UsageError
from auditor.service.domain.schedules import MOST_FILES, WatchedFile, WatchedPlace, is_announced
from auditor.store.blob_urls import BUCKET
from auditor.store.blobs_s3 import PART, connect_bucket, translate_bucket_errors

CHUNK = 2**20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""No link is followed, and nobody waits for the other side of a pipe."""
AGAIN = "Do not change it, or write it to another folder and move it here when it is complete."


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """A folder at or below one that may be watched; ``below`` are the names of folders to it.

    The outer folder is opened as it is named, and every further step without following links.
    """

    root: Path
    below: tuple[str, ...] = ()

    def files(self) -> Sequence[WatchedFile]:
        """Return the files that lie in it, of which links say that they cannot be had.

        Raises ``ScheduleError`` where it cannot be read, or holds more than 10 000.
        """
        with self._opened() as folder:
            try:
                with os.scandir(folder) as found:
                    names = [item.name for item in found if is_announced(item.name)]
            except OSError as error:
                raise self._unreadable(error) from None
            if len(names) > MOST_FILES:
                raise ScheduleError(
                    f"{self.name} holds more than {MOST_FILES} files",
                    cure="Move files that were already audited to another folder.",
                )
            return [file for name in names if (file := _arrived(folder, name)) is not None]

    @contextmanager
    def reading(self, file: WatchedFile) -> Iterator[Iterator[bytes]]:
        """Open a file and yield its bytes; at the end it has to be what it was when it was listed.

        Raises ``ScheduleError`` where it cannot be opened, ``UploadError`` where it changed.
        """
        with self._opened() as folder:
            try:
                there = os.fdopen(os.open(file.name, FILE, dir_fd=folder), "rb")
            except OSError as error:
                raise ScheduleError(
                    f"{file.name} cannot be read: {error.strerror}",
                    cure="Give the user of the service read permission, and write the file again.",
                ) from None
            with there:
                _refuse_changed(there, file)
                yield iter(lambda: there.read(CHUNK), b"")
                _refuse_changed(there, file)

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.root.joinpath(*self.below))

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open it step by step. Raises ``ScheduleError`` where a step is none, or a link."""
        try:
            found = os.open(self.root, FOLDER)
        except OSError as error:
            raise self._unreadable(error) from None
        try:
            for step in self.below:
                before = found
                try:
                    found = os.open(step, FOLDER | os.O_NOFOLLOW, dir_fd=before)
                except OSError as error:
                    raise self._unreadable(error) from None
                os.close(before)
            yield found
        finally:
            os.close(found)

    def _unreadable(self, error: OSError) -> ScheduleError:
        return ScheduleError(
            f"{self.name} cannot be watched: {error.strerror}",
            cure="Name a folder (not a link) that the user of the service can read.",
        )


def _arrived(folder: int, name: str) -> WatchedFile | None:
    """Return what lies under a name; nothing for a folder, or where it is gone by now."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    if stat.S_ISDIR(about.st_mode):
        return None
    return WatchedFile(
        name=name if name.isprintable() else ascii(name),
        size=about.st_size,
        mark=_mark(about),
        came=about.st_mtime_ns,
        problem=_problem(name, about),
    )


def _problem(name: str, about: os.stat_result) -> str:
    if not name.isprintable():
        return "its name is not a single line of printable text"
    if stat.S_ISLNK(about.st_mode):
        return "it is a link, and links are not followed"
    if not stat.S_ISREG(about.st_mode):
        return "it is not a regular file"
    return ""


def _mark(about: os.stat_result) -> str:
    return f"{about.st_size} {about.st_mtime_ns}"


def _refuse_changed(there: BinaryIO, file: WatchedFile) -> None:
    about = os.fstat(there.fileno())
    if not stat.S_ISREG(about.st_mode) or _mark(about) != file.mark:
        raise UploadError(f"{file.name} changed while it was read", cure=AGAIN)


if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

MICRO = 10**6


@dataclass(frozen=True, slots=True)
class WatchedBucket:
    """What lies directly under ``s3://BUCKET/PREFIX``."""

    url: str

    def files(self) -> Sequence[WatchedFile]:
        """Return the objects there. Raises ``StoreError``, and ``ScheduleError`` for too many."""
        import obstore  # noqa: PLC0415 -- optional

        bucket = connect_bucket(self.url)
        with translate_bucket_errors(self.url):
            listed = obstore.list_with_delimiter(bucket)["objects"]
        found = [_arrived_watched_buckets(it) for it in listed if is_announced(it["path"])]
        if len(found) > MOST_FILES:
            raise ScheduleError(
                f"{self.url} holds more than {MOST_FILES} objects",
                cure="Move files that were already audited to another folder.",
            )
        return found

    @contextmanager
    def reading(self, file: WatchedFile) -> Iterator[Iterator[bytes]]:
        """Fetch an object, part by part. Raises ``UploadError`` for another than was listed."""
        bucket = connect_bucket(self.url)
        with translate_bucket_errors(self.url):
            yield _parts(bucket, file)


def _parts(bucket: "ObjectStore", file: WatchedFile) -> Iterator[bytes]:
    import obstore  # noqa: PLC0415 -- optional

    for start in range(0, file.size, PART):
        if _mark_watched_buckets(obstore.head(bucket, file.name)) != file.mark:
            raise UploadError(
                f"{file.name} changed while it was read", cure="It will be read again."
            )
        length = min(PART, file.size - start)
        yield bytes(obstore.get_range(bucket, file.name, start=start, length=length))


def _arrived_watched_buckets(about: "ObjectMeta") -> WatchedFile:
    came = about["last_modified"].astimezone(UTC)
    return WatchedFile(
        name=about["path"],
        size=about["size"],
        mark=_mark_watched_buckets(about),
        came=int(came.timestamp() * MICRO),
        whole=True,
        problem=""
        if about["path"].isprintable()
        else "its name is not a single line of printable text",
    )


def _mark_watched_buckets(about: "ObjectMeta") -> str:
    return f"{about['size']} {about['e_tag'] or about['last_modified'].isoformat()}"


S3 = "s3://"
PROJECT = "default"
LONGEST = 1000
CURE = (
    "Name an absolute folder without .. or s3://BUCKET/PREFIX, at or below a place "
    "that the service was started with: auditor serve --watch-root PLACE, or "
    "PROJECT=PLACE."
)


@dataclass(frozen=True, slots=True)
class WatchRoots:
    """The places of each project below which everything may be watched, for that project alone."""

    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, project: str, named: str) -> WatchedPlace:
        """Return a place that a project may watch. Raises ``ScheduleError`` for any other.

        That there is such a folder is not told of one that may not be watched.
        """
        plain = _plain(named) or ""
        for root in self.allowed.get(project, ()) if plain else ():
            if plain == root or plain.startswith(root.rstrip("/") + "/"):
                if plain.startswith(S3):
                    return WatchedBucket(plain)
                below = PurePosixPath(plain).relative_to(root).parts
                return WatchedFolder(Path(root), below)
        raise ScheduleError(f"{named[:200]!r} is not an allowed place to watch", cure=CURE)


def parse_watch_roots(texts: Iterable[str], home: Path, blobs: str | None = None) -> WatchRoots:
    """Read ``PLACE`` (for the project ``default``) and ``PROJECT=PLACE``.

    Raises ``UsageError`` for what is none, for a place that has the service's own ``home`` or
    ``blobs`` in it, or lies there: neither keys nor what others uploaded are batches; and for
    places of two projects of which one lies in the other.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        before, equals, after = text.partition("=")
        named = bool(equals) and "/" not in before
        project, root = (before, _plain(after)) if named else (PROJECT, _plain(text))
        if root is None or not project:
            raise UsageError(f"{text!r} is not a place to watch", cure=CURE)
        for own in (str(home), *([] if blobs is None else [blobs])):
            if _overlap(root, own):
                raise UsageError(
                    f"{root} overlaps with {own}, the folder of the service's own files",
                    cure="Use a separate folder for batches.",
                )
        found[project] = (*found.get(project, ()), root)
    for (shared_project, roots), (other, theirs) in combinations(found.items(), 2):
        shared = [(one, two) for one in roots for two in theirs if _overlap(one, two)]
        for one, two in shared:
            raise UsageError(
                f"{one} of project {shared_project} and {two} of {other} overlap",
                cure=(
                    "Give each project a separate place, because its files belong "
                    "only to that project."
                ),
            )
    return WatchRoots(found)


def _overlap(root: str, own: str) -> bool:
    """Whether one of two places lies in the other, as far as both are of one kind."""
    if root.startswith(S3) != own.startswith(S3):
        return False
    if root.startswith(S3):
        one, other = (f"{place.rstrip('/')}/" for place in (root, own))
        return one.startswith(other) or other.startswith(one)
    there, here = Path(root).resolve(), Path(unquote(own.removeprefix("file://"))).resolve()
    return there.is_relative_to(here) or here.is_relative_to(there)


def _plain(named: str) -> str | None:
    """Return a place in the one way it is written, or nothing where it is none."""
    if not named.isprintable() or len(named) > LONGEST:
        return None
    if named.startswith(S3):
        steps = named.removeprefix(S3).rstrip("/").split("/")
        plain = f"{S3}{'/'.join(steps)}"
        known = BUCKET.fullmatch(plain) and not {"", ".", ".."} & set(steps)
        return plain if known else None
    path = PurePosixPath(named)
    if not path.is_absolute() or named.startswith("//") or ".." in path.parts:
        return None
    return str(path)
