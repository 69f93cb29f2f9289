"""A folder of this machine that is watched: nothing outside it is ever opened."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from auditor.domain.arrivals import MOST_FILES, Arrived, is_announced
from auditor.refusals import ScheduleError, UploadError

CHUNK = 2**20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""No link is followed, and nobody waits for the other side of a pipe."""
AGAIN = "Let it lie still, or write it elsewhere and move it here once it is whole."


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """A folder at or below one that may be watched; ``below`` are the names of folders to it.

    The outer folder is opened as it is named, and every further step without following links.
    """

    root: Path
    below: tuple[str, ...] = ()

    def files(self) -> Sequence[Arrived]:
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
                    cure="Move away what was brought in.",
                )
            return [file for name in names if (file := _arrived(folder, name)) is not None]

    @contextmanager
    def reading(self, file: Arrived) -> Iterator[Iterator[bytes]]:
        """Open a file and yield its bytes; at the end it has to be what it was when it was listed.

        Raises ``ScheduleError`` where it cannot be opened, ``UploadError`` where it changed.
        """
        with self._opened() as folder:
            try:
                there = os.fdopen(os.open(file.name, FILE, dir_fd=folder), "rb")
            except OSError as error:
                raise ScheduleError(
                    f"{file.name} cannot be read: {error.strerror}",
                    cure="Let the service's user read it, and write it again.",
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
            cure="Name a folder, by no link, that the service's user may read.",
        )


def _arrived(folder: int, name: str) -> Arrived | None:
    """Return what lies under a name; nothing for a folder, or where it is gone by now."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    if stat.S_ISDIR(about.st_mode):
        return None
    return Arrived(
        name=name if name.isprintable() else ascii(name),
        size=about.st_size,
        mark=_mark(about),
        came=about.st_mtime_ns,
        problem=_problem(name, about),
    )


def _problem(name: str, about: os.stat_result) -> str:
    if not name.isprintable():
        return "its name is not one line of printable text"
    if stat.S_ISLNK(about.st_mode):
        return "it is a link, and links are not followed"
    if not stat.S_ISREG(about.st_mode):
        return "it is no plain file"
    return ""


def _mark(about: os.stat_result) -> str:
    return f"{about.st_size} {about.st_mtime_ns}"


def _refuse_changed(there: BinaryIO, file: Arrived) -> None:
    about = os.fstat(there.fileno())
    if not stat.S_ISREG(about.st_mode) or _mark(about) != file.mark:
        raise UploadError(f"{file.name} changed while it was read", cure=AGAIN)
