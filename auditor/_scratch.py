"""Temporary folders of our own: gone with who made them, even where that was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

PREFIX = "auditor-run-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder that nobody else can read, for as long as the block lasts.

    Its owner holds a lock on it (``flock``), which ends with the process however that ends; the
    first of a process removes what those left that have ended.
    """
    _sweep_once(tempfile.gettempdir())
    path, held = _made()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def remove_stale_folders(place: Path) -> None:
    """Remove the folders of this user below ``place`` that no process holds."""
    with suppress(OSError), os.scandir(place) as found:
        for entry in found:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                _remove_unheld(Path(entry.path))


@cache
def _sweep_once(place: str) -> None:
    remove_stale_folders(Path(place))


def _made() -> tuple[Path, int]:
    """Return a fresh folder and the descriptor whose lock says that it is in use."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        held = _locked(path)
        if held is not None:
            return path, held
        # Another process took it for one that was left, before it was locked.


def _locked(path: Path) -> int | None:
    """Return a descriptor of a folder that nobody held; ``None`` where one does, or it is gone."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen = os.fstat(held)
        if os.path.samestat(seen, os.lstat(path)) and seen.st_uid == os.getuid():
            return held
    except OSError:
        pass  # in use, or removed meanwhile
    os.close(held)
    return None


def _remove_unheld(path: Path) -> None:
    held = _locked(path)
    if held is not None:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)
