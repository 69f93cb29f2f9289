"""The files of a model where they lie: found without following links, opened, and stamped.

The path that the user names may be a link. What a file names may not: it is opened part by part
without following links, below the main file's folder, and must be a regular file.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from auditor.errors import ArtifactError
from auditor.scanning.paths import inside
from auditor.scanning.wire import external_locations
from auditor.signing.hashing import Stamp, mapped, refuse_changed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block us
_NAMED = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class NotPlainError(ArtifactError):
    """What a file names is missing, a link, or no regular file."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The files that a model consists of, the main one first, each with its stamp.

    ``main`` is the one file that the user named, ``None`` for a folder; ``apart`` are the names
    that were left out.
    """

    path: Path
    folder: Path
    main: str | None
    stamps: Mapping[str, Stamp]
    apart: frozenset[str] = frozenset()

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each file."""
        return {name: stamp.size for name, stamp in self.stamps.items()}


def find_files(path: Path, leave_out: Iterable[Path] = ()) -> Tree:
    """Find the files of a model, and stamp them.

    A file ending in ``.onnx`` brings its external-data files; a folder is all regular files in it
    but ``leave_out`` (its own signature), by name. Raises ``ArtifactError`` for a missing file, a
    symbolic link or special file in a folder, a malformed ONNX file, and for external data that is
    missing or outside the folder: a signature must cover the whole model.
    """
    if path.is_dir():
        apart = _below(path, leave_out)
        stamps = _walk(path, apart)
        if not stamps:
            raise ArtifactError(f"{path} holds no file", cure="Name a folder that holds a model.")
        return Tree(path, path, None, stamps, apart)
    with opened_main(path) as main:
        stamps = {utf8(path.name): main.stamp}
        locations = main.locations
    names = [inside(location) or _refuse_outside(path, location) for location in locations]
    with opened_folder(path.parent) as folder:
        for name in others(names, path.name):
            stamps[name] = _stamp_below(path.parent, folder, name)
    return Tree(path, path.parent, path.name, stamps)


def refuse_moved(tree: Tree) -> None:
    """Raise ``ArtifactError`` unless the very same files are still there as they were."""
    try:
        again = _walk(tree.path, tree.apart) if tree.main is None else find_files(tree.path).stamps
    except ArtifactError:
        raise refuse_changed(str(tree.path)) from None
    if again != tree.stamps:
        names = sorted(dict(set(again.items()) ^ set(tree.stamps.items())))
        raise refuse_changed(str(tree.folder / names[0]))


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Open a folder, so that it stays the same one whatever its name comes to mean."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        refuse_unread(path, error)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Opened:
    """An open regular file."""

    path: Path
    descriptor: int
    stamp: Stamp

    @property
    def locations(self) -> tuple[str, ...]:
        """The external-data paths of an ONNX file; nothing for any other."""
        if self.path.suffix.lower() != ".onnx":
            return ()
        with mapped(self.descriptor, self.stamp.size) as view:
            found = external_locations(view, self.path.name)
        if Stamp.of(os.fstat(self.descriptor)) != self.stamp:
            raise refuse_changed(str(self.path))
        return found


@contextmanager
def opened_main(path: Path) -> Iterator[Opened]:
    """Open the file that the user named. Raises ``ArtifactError`` for none, or an empty one."""
    try:
        opened = _opened(path, os.open(path, _NAMED))
    except OSError as error:
        refuse_unread(path, error)
    try:
        if not opened.stamp.size:
            raise ArtifactError(f"{path} is empty", cure="Export the model again.")
        yield opened
    finally:
        os.close(opened.descriptor)


@contextmanager
def opened_below(place: Path, folder: int, name: str) -> Iterator[Opened]:
    """Open a file below an open folder. Raises ``NotPlainError`` unless it is a plain one."""
    try:
        opened = _opened(place / name, _open_below(folder, name))
    except OSError as error:
        raise NotPlainError(
            f"{place / name} belongs to the model and cannot be read: {error.strerror}",
            cure="Put the file itself, not a link, beside the model, or export in one file.",
        ) from None
    try:
        yield opened
    finally:
        os.close(opened.descriptor)


def others(names: Iterable[str], main: str) -> list[str]:
    """Return the files beside the main one, once each, by name."""
    return sorted(set(names) - {main})


def utf8(name: str) -> str:
    """Return a file's name. Raises ``ArtifactError`` where its bytes are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ArtifactError(
            f"The model has a file whose name {name!a} is not UTF-8", cure="Rename the file."
        ) from None
    return name


def refuse_unread(path: Path, error: OSError) -> NoReturn:
    """Raise ``ArtifactError`` for a path that cannot be read."""
    raise ArtifactError(
        f"{path} cannot be read: {error.strerror}", cure="Name the model's file or folder."
    ) from None


def _stamp_below(place: Path, folder: int, name: str) -> Stamp:
    with opened_below(place, folder, name) as opened:
        return opened.stamp


def _opened(path: Path, descriptor: int) -> Opened:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return Opened(path, descriptor, Stamp.of(found))


def _open_below(folder: int, name: str) -> int:
    *above, last = name.split("/")
    if not above:
        return os.open(last, _FILE, dir_fd=folder)
    opened = os.dup(folder)
    try:
        for part in above:
            deeper = os.open(part, _DIRECTORY, dir_fd=opened)
            os.close(opened)
            opened = deeper
        return os.open(last, _FILE, dir_fd=opened)
    finally:
        os.close(opened)


def _below(root: Path, paths: Iterable[Path]) -> frozenset[str]:
    """Return the names within a folder that paths lead to, links on the way followed."""
    real = [os.path.realpath(path) for path in paths]
    above = os.path.realpath(root) + "/" if real else ""
    return frozenset(path[len(above) :] for path in real if path.startswith(above))


def _walk(root: Path, apart: frozenset[str]) -> dict[str, Stamp]:
    """Stamp every file of a folder, by name; what is no plain file is refused and not passed by."""
    place = str(root)
    found: dict[str, Stamp] = {}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(f"{place}/{below}") as entries:
                for entry in entries:
                    name = below + utf8(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    elif not entry.is_file(follow_symlinks=False):
                        raise _strange(root / name)
                    elif name not in apart:
                        found[name] = Stamp.of(entry.stat(follow_symlinks=False))
        except OSError as error:
            refuse_unread(root / below, error)
    return {name: found[name] for name in sorted(found)}


def _strange(path: Path) -> ArtifactError:
    kind = "a symbolic link" if path.is_symlink() else "a special file"
    return ArtifactError(
        f"{path} is {kind}, which cannot be part of a model",
        cure="Put the file itself into the folder.",
    )


def _refuse_outside(path: Path, location: str) -> NoReturn:
    raise ArtifactError(
        f"{path} keeps tensors in {location[:80]!r}, outside its own folder",
        cure="Save the model with its external data beside it.",
    )
