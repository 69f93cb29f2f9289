"""The deployed files of a model: found, digested, and copied while they are digested.

The path that the user names may be a link. What a file names may not: it is opened part by part
without following links, below the main file's folder, and must be a regular file.
"""

import errno
import hashlib
import io
import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from auditor.domain.artifacts import FileDigest
from auditor.errors import ArtifactError
from auditor.scanning.paths import inside
from auditor.scanning.wire import external_locations

CHUNK = 4 * 2**20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block us
_NAMED = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def digest_artifact(path: Path, *, leave_out: Iterable[Path] = ()) -> tuple[FileDigest, ...]:
    """Digest the files of a model, the main one first: what a signature covers.

    A file ending in ``.onnx`` brings its external-data files; a folder is all regular files in it
    but ``leave_out`` (its own signature), by name. Raises ``ArtifactError`` for a missing file, a
    symbolic link or special file in a folder, a malformed ONNX file, and for external data that is
    missing or outside the folder: a signature must cover the whole model.
    """
    if path.is_dir():
        apart, root = {item.resolve() for item in leave_out}, path.resolve()
        names = [name for name in _walk(path) if root / name not in apart]
        with _folder(path) as folder:
            return tuple(_take(folder, name, None) for name in names)
    with _folder(path.parent) as folder:
        main = _take_main(path, None)
        names = []
        for location in _locations(path):
            names.append(inside(location) or _refuse_outside(path, location))
        return (main, *(_take(folder, name, None) for name in _others(names, path.name)))


def stage_artifact(path: Path, destination: Path) -> tuple[FileDigest, ...]:
    """Copy a model's files into an empty folder, and return the digests of what was copied.

    So what is digested is what is loaded, whatever happens to the originals. External data that
    leaves the folder, is a link, or is missing is not followed and not copied: scanning the copy
    reports it. Raises ``ArtifactError`` where the main file is missing or malformed.
    """
    main = _take_main(path, destination)
    names = [name for name in map(inside, _locations(destination / path.name)) if name]
    copied = []
    with _folder(path.parent) as folder:
        for name in _others(names, path.name):
            with suppress(_NotPlainError):
                copied.append(_take(folder, name, destination))
    return (main, *copied)


class _NotPlainError(ArtifactError):
    """What a file names is missing, a link, or no regular file."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    descriptor: int


@contextmanager
def _folder(path: Path) -> Iterator[_Folder]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        _refuse(path, error)
    try:
        yield _Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _walk(root: Path) -> list[str]:
    names = []
    for place, folders, files in os.walk(root, followlinks=False):
        for name in map(_utf8, (*folders, *files)):
            found = Path(place) / name
            mode = found.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
                raise ArtifactError(
                    f"{found} is {kind}, which cannot be part of a model",
                    cure="Put the file itself into the folder.",
                )
        names += [(Path(place) / name).relative_to(root).as_posix() for name in files]
    if not names:
        raise ArtifactError(f"{root} holds no file", cure="Name a folder that holds a model.")
    return sorted(names)


def _locations(path: Path) -> tuple[str, ...]:
    if path.suffix.lower() != ".onnx":
        return ()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        view = memoryview(raw)
        try:
            return external_locations(view, path.name)
        finally:
            view.release()


def _take_main(path: Path, destination: Path | None) -> FileDigest:
    try:
        taken = _read(os.open(path, _NAMED), _utf8(path.name), destination)
    except OSError as error:
        _refuse(path, error)
    if not taken.size:
        raise ArtifactError(f"{path} is empty", cure="Export the model again.")
    return taken


def _take(folder: _Folder, name: str, destination: Path | None) -> FileDigest:
    """Read one file below a folder. Raises ``_NotPlainError`` unless it is a plain file there."""
    try:
        descriptor = _open_below(folder.descriptor, name)
    except OSError as error:
        raise _NotPlainError(
            f"{folder.path / name} belongs to the model and cannot be read: {error.strerror}",
            cure="Put the file itself, not a link, beside the model, or export in one file.",
        ) from None
    try:
        return _read(descriptor, name, destination)
    except OSError as error:
        _refuse(folder.path / name, error)


def _open_below(folder: int, name: str) -> int:
    *above, last = name.split("/")
    opened = os.dup(folder)
    try:
        for part in above:
            deeper = os.open(part, _DIRECTORY, dir_fd=opened)
            os.close(opened)
            opened = deeper
        descriptor = os.open(last, _FILE, dir_fd=opened)
    finally:
        os.close(opened)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def _read(descriptor: int, name: str, destination: Path | None) -> FileDigest:
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with _sink(name, destination) as sink:
            return _copy(file, name, sink)


def _copy(source: io.FileIO, name: str, sink: BinaryIO | None) -> FileDigest:
    hasher, size = hashlib.sha256(), 0
    view = memoryview(bytearray(CHUNK))
    while count := source.readinto(view):
        hasher.update(view[:count])
        size += count
        if sink is not None:
            sink.write(view[:count])
    return FileDigest(name, size, hasher.hexdigest())


@contextmanager
def _sink(name: str, destination: Path | None) -> Iterator[BinaryIO | None]:
    if destination is None:
        yield None
        return
    target = destination / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(target, _NEW, 0o600), "wb") as file:
        yield file


def _others(names: Iterable[str], main: str) -> list[str]:
    return sorted(set(names) - {main})


def _utf8(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ArtifactError(
            f"The model has a file whose name {name!a} is not UTF-8", cure="Rename the file."
        ) from None
    return name


def _refuse_outside(path: Path, location: str) -> NoReturn:
    raise ArtifactError(
        f"{path} keeps tensors in {location[:80]!r}, outside its own folder",
        cure="Save the model with its external data beside it.",
    )


def _refuse(path: Path, error: OSError) -> NoReturn:
    raise ArtifactError(
        f"{path} cannot be read: {error.strerror}", cure="Name the model's file or folder."
    ) from None
