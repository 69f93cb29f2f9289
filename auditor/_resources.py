"""File resources: shipped data, the user's home, temporary folders, and entry points."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal

import platformdirs

PACKAGE = Path(__file__).resolve().parent

Folder = Literal["policies", "reports", "alembic"]


def find_shipped_folder(name: Folder) -> Path:
    """Return the folder ``name`` as installed, or as it stands in the checkout."""
    installed = PACKAGE / "_data" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def find_user_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of what is kept for the user: ``AUDITOR_HOME``, else the config folder."""
    home = environment.get("AUDITOR_HOME") or platformdirs.user_config_dir("auditor")
    return Path(home).expanduser().absolute()


@cache
def code_digest() -> str:
    """Return one digest over the package's modules and its data folders' files."""
    roots = {
        "auditor": PACKAGE,
        "policies": find_shipped_folder("policies"),
        "reports": find_shipped_folder("reports"),
    }
    hasher = hashlib.sha256()
    for label, root in roots.items():
        for path in sorted(root.rglob("*")):
            if path.is_file() and "_data" not in path.parts and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                hasher.update(f"{label}/{path.relative_to(root).as_posix()} {content}\n".encode())
    return "sha256:" + hasher.hexdigest()


def list_entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Return what installed packages declare under a group, in the order of names."""
    return _list_entry_points(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _list_entry_points(group: str, _where: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Look once for each search path: it takes as long as all else of a start together."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


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
                path = Path(entry.path)
                held = _locked(path)
                if held is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    os.close(held)


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
