"""Files of a model artifact: finds them without following links, hashes them, and stages copies.

The path given by the user may be a link. A path named inside a file may not: it is opened component
by component without following links, must be below the main file's folder, and must be a regular
file.
"""

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import NoReturn

from auditor.domain.artifacts import FileDigest, SignedResourceDigests
from auditor.errors import ArtifactError, CancelledError, MissingExtraError
from auditor.onnx.scan.external_locations import read_external_locations
from auditor.onnx.scan.paths import path_inside_folder
from auditor.trust.artifacts.hash import (
    Advance,
    FileStamp,
    Stream,
    Views,
    changed_file_error,
    hash_streams,
    map_file,
    new_hasher,
    read_file_views,
)
from auditor.trust.signatures.model_serialisations import (
    FilePart,
    HashAlgorithm,
    ModelSerialisation,
)
from auditor.trust.signatures.model_signing import (
    WHOLE,
    ModelFileDigests,
    open_signature,
    read_claim,
)
from auditor.trust.signatures.sigstore_bundle import parse_bundle
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.trust.verification_result import VerificationError, VerificationProfile

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block us
_NAMED = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class NotRegularFileError(ArtifactError):
    """What a file names is missing, a link, or no regular file."""


@dataclass(frozen=True, slots=True)
class ArtifactFiles:
    """The files that a model consists of, the main one first, each with its stamp.

    ``main`` is the one file that the user named, ``None`` for a folder; ``apart`` are the names
    that were left out.
    """

    path: Path
    folder: Path
    main: str | None
    stamps: Mapping[str, FileStamp]
    apart: frozenset[str] = frozenset()

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each file."""
        return {name: stamp.size for name, stamp in self.stamps.items()}


def find_artifact_files(path: Path, leave_out: Iterable[Path] = ()) -> ArtifactFiles:
    """Find the files of a model, and stamp them.

    A file ending in ``.onnx`` brings its external-data files; a folder is all regular files in it
    but ``leave_out`` (its own signature), by name. Raises ``ArtifactError`` for a missing file, a
    symbolic link or special file in a folder, a malformed ONNX file, and for external data that is
    missing or outside the folder: a signature must cover the whole model.
    """
    if path.is_dir():
        real = [os.path.realpath(path) for path in leave_out]
        above = os.path.realpath(path) + "/" if real else ""
        apart = frozenset(path[len(above) :] for path in real if path.startswith(above))
        stamps = _walk(path, apart)
        if not stamps:
            raise ArtifactError(f"{path} holds no file", cure="Name a folder that holds a model.")
        return ArtifactFiles(path, path, None, stamps, apart)
    with open_main_file(path) as main:
        stamps = {require_utf8_name(path.name): main.stamp}
        locations = main.locations
    names = [
        path_inside_folder(location) or _refuse_outside(path, location) for location in locations
    ]
    with open_folder(path.parent) as folder:
        for name in list_other_files(names, path.name):
            with open_file_below(path.parent, folder, name) as opened:
                stamps[name] = opened.stamp
    return ArtifactFiles(path, path.parent, path.name, stamps)


def refuse_changed_files(tree: ArtifactFiles) -> None:
    """Raise ``ArtifactError`` unless the very same files are still there as they were."""
    try:
        again = (
            _walk(tree.path, tree.apart)
            if tree.main is None
            else find_artifact_files(tree.path).stamps
        )
    except ArtifactError:
        raise changed_file_error(str(tree.path)) from None
    if again != tree.stamps:
        names = sorted(dict(set(again.items()) ^ set(tree.stamps.items())))
        raise changed_file_error(str(tree.folder / names[0]))


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Open a folder, so that it stays the same one whatever its name comes to mean."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        refuse_unreadable_path(path, error)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An open regular file."""

    path: Path
    descriptor: int
    stamp: FileStamp

    @property
    def locations(self) -> tuple[str, ...]:
        """The external-data paths of an ONNX file; nothing for any other."""
        if self.path.suffix.lower() != ".onnx":
            return ()
        with map_file(self.descriptor, self.stamp.size) as view:
            found = read_external_locations(view, self.path.name)
        if FileStamp.of(os.fstat(self.descriptor)) != self.stamp:
            raise changed_file_error(str(self.path))
        return found


@contextmanager
def open_main_file(path: Path) -> Iterator[OpenedFile]:
    """Open the file that the user named. Raises ``ArtifactError`` for none, or an empty one."""
    try:
        opened = _opened(path, os.open(path, _NAMED))
    except OSError as error:
        refuse_unreadable_path(path, error)
    try:
        if not opened.stamp.size:
            raise ArtifactError(f"{path} is empty", cure="Export the model again.")
        yield opened
    finally:
        os.close(opened.descriptor)


@contextmanager
def open_file_below(place: Path, folder: int, name: str) -> Iterator[OpenedFile]:
    """Open a file below an open folder. Raises ``NotRegularFileError`` unless it is a plain one."""
    try:
        opened = _opened(place / name, _open_below(folder, name))
    except OSError as error:
        raise NotRegularFileError(
            f"{place / name} belongs to the model and cannot be read: {error.strerror}",
            cure="Put the file itself, not a link, beside the model, or export in one file.",
        ) from None
    try:
        yield opened
    finally:
        os.close(opened.descriptor)


def list_other_files(names: Iterable[str], main: str) -> list[str]:
    """Return the files beside the main one, once each, by name."""
    return sorted(set(names) - {main})


def require_utf8_name(name: str) -> str:
    """Return a file's name. Raises ``ArtifactError`` where its bytes are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ArtifactError(
            f"The model has a file whose name {name!a} is not UTF-8", cure="Rename the file."
        ) from None
    return name


def refuse_unreadable_path(path: Path, error: OSError) -> NoReturn:
    """Raise ``ArtifactError`` for a path that cannot be read."""
    raise ArtifactError(
        f"{path} cannot be read: {error.strerror}", cure="Name the model's file or folder."
    ) from None


def _opened(path: Path, descriptor: int) -> OpenedFile:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return OpenedFile(path, descriptor, FileStamp.of(found))


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


def _walk(root: Path, apart: frozenset[str]) -> dict[str, FileStamp]:
    """Stamp every file of a folder, by name; what is no plain file is refused and not passed by."""
    place = str(root)
    found: dict[str, FileStamp] = {}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(f"{place}/{below}") as entries:
                for entry in entries:
                    name = below + require_utf8_name(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    elif not entry.is_file(follow_symlinks=False):
                        path = root / name
                        kind = "a symbolic link" if path.is_symlink() else "a special file"
                        raise ArtifactError(
                            f"{path} is {kind}, which cannot be part of a model",
                            cure="Put the file itself into the folder.",
                        )
                    elif name not in apart:
                        found[name] = FileStamp.of(entry.stat(follow_symlinks=False))
        except OSError as error:
            refuse_unreadable_path(root / below, error)
    return {name: found[name] for name in sorted(found)}


def _refuse_outside(path: Path, location: str) -> NoReturn:
    raise ArtifactError(
        f"{path} keeps tensors in {location[:80]!r}, outside its own folder",
        cure="Save the model with its external data beside it.",
    )


CHUNK = 2**20
LITTLE = 4 * 2**20
"""Models of fewer bytes are hashed in one thread: starting more takes longer."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def digest_artifact(
    path: Path, *, leave_out: Iterable[Path] = (), advance: Advance | None = None
) -> tuple[FileDigest, ...]:
    """Digest the files of a model, the main one first, by SHA-256.

    Raises ``ArtifactError`` as ``find_artifact_files`` does, and where a file changes meanwhile.
    """
    measured = measure_artifact(path, leave_out=leave_out, advance=advance)
    return tuple(
        FileDigest(name, size, measured.digests[name]) for name, size in measured.sizes.items()
    )


def measure_artifact(
    path: Path,
    how: ModelSerialisation = WHOLE,
    *,
    leave_out: Iterable[Path] = (),
    advance: Advance | None = None,
) -> ModelFileDigests:
    """Hash the files of a model as they will be signed.

    Raises ``ArtifactError`` as ``find_artifact_files`` does, and where a file changes meanwhile.
    """
    tree = find_artifact_files(path, leave_out)
    digests = hash_parts(tree, how.parts(tree.sizes), how.hash, advance)
    refuse_changed_files(tree)
    return ModelFileDigests(tree.sizes, digests, how)


def count_artifact_bytes(path: Path, leave_out: Iterable[Path] = ()) -> int:
    """Return how many bytes a model's files have. Raises ``ArtifactError`` as
    ``find_artifact_files``.
    """
    return sum(find_artifact_files(path, leave_out).sizes.values())


def hash_parts(
    tree: ArtifactFiles,
    parts: Sequence[FilePart],
    kind: HashAlgorithm,
    advance: Advance | None = None,
) -> dict[str, str]:
    """Hash parts of a model's files, several at once, and return digests by the parts' labels.

    Raises ``ArtifactError`` where a file is no longer the one that was found.
    """
    new_hasher(kind)  # a missing library is told once, and not by every thread
    if sum(tree.stamps[name].size for name in {part.name for part in parts}) < LITTLE:
        workers = 1
    else:
        workers = max(1, min(_cores(), len(parts)))
    threads = max(1, _cores() // workers)
    make = partial(new_hasher, kind, threads=threads)
    with open_folder(tree.folder) as folder:
        # The largest come first: so all cores end at about one time.
        waiting: deque[Stream] = deque(
            (part.label, partial(_views, tree, folder, part))
            for part in sorted(parts, key=partial(_bytes_of, tree), reverse=True)
        )
        digests = _hash_by(workers, partial(hash_streams, waiting, make), advance)
    return {part.label: digests[part.label] for part in parts}


def measure_as_signed(path: Path, bundle: bytes, key: bytes) -> SignedResourceDigests | None:
    """Hash a model's files as a signature's manifest says, where ``digest_artifact`` does not.

    Returns ``None`` for a signature that does not hold under the key, that needs no more than the
    files' SHA-256, or whose hash is not installed.
    """
    opened = open_signature(bundle, TrustedSigners.key(key), profile=VerificationProfile.COMPAT)
    if opened.how == WHOLE or not opened.verification.verified:
        return None
    return _measure_as(path, opened.how, opened.wanted)


def measure_as_claimed(path: Path, bundle: bytes) -> SignedResourceDigests | None:
    """Hash a model's files as a signature says that they were, before anyone knows whose it is.

    Returns ``None`` as ``measure_as_signed`` does, and for what is no signature of a model.
    """
    try:
        payload = parse_bundle(bundle, VerificationProfile.COMPAT).envelope.payload
    except VerificationError:
        return None
    manifest = read_claim(payload, VerificationProfile.COMPAT).manifest
    if manifest is None or manifest.serialisation == WHOLE:
        return None
    return _measure_as(path, manifest.serialisation, manifest.serialisation.parts)


def _measure_as(
    path: Path, how: ModelSerialisation, parts: Callable[[Mapping[str, int]], Sequence[FilePart]]
) -> SignedResourceDigests | None:
    tree = find_artifact_files(path)
    try:
        digests = hash_parts(tree, parts(tree.sizes), how.hash)
    except MissingExtraError:
        return None
    refuse_changed_files(tree)
    return SignedResourceDigests(how.hash.value, how.shard, digests)


def stage_artifact(path: Path, destination: Path) -> tuple[FileDigest, ...]:
    """Copy a model's files into an empty folder, and return the digests of what was copied.

    So what is digested is what is loaded, whatever happens to the originals. External data that
    leaves the folder, is a link, or is missing is not followed and not copied: scanning the copy
    reports it. Raises ``ArtifactError`` where the main file is missing or malformed, and where a
    file changes while it is copied.
    """
    with open_main_file(path) as main:
        copied = [_copy(main, require_utf8_name(path.name), destination)]
    with open_main_file(destination / path.name) as main:
        names = [name for name in map(path_inside_folder, main.locations) if name]
    with open_folder(path.parent) as folder:
        for name in list_other_files(names, path.name):
            with (
                suppress(NotRegularFileError),
                open_file_below(path.parent, folder, name) as opened,
            ):
                copied.append(_copy(opened, name, destination))
    return tuple(copied)


@cache
def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _hash_by(
    workers: int, hashed: Callable[[Advance], dict[str, str]], advance: Advance | None
) -> dict[str, str]:
    """Hash in so many threads; once one of them fails, the others stop."""
    stop = Event()
    told = partial(_advance, stop, advance)
    if workers == 1:
        return hashed(told)
    with ThreadPoolExecutor(workers) as pool:
        try:
            running = [pool.submit(hashed, told) for _ in range(workers)]
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            return {label: digest for future in done for label, digest in future.result().items()}
        except BaseException:
            stop.set()
            raise


def _views(tree: ArtifactFiles, folder: int, part: FilePart) -> Views:
    """Show a part's bytes, and raise ``ArtifactError`` unless its file stays what was found."""
    stamp = tree.stamps[part.name]
    if part.name == tree.main:
        opened_artifacts = open_main_file(tree.path)
    else:
        opened_artifacts = open_file_below(tree.folder, folder, part.name)
    with opened_artifacts as opened:
        if opened.stamp != stamp:
            raise changed_file_error(str(opened.path))
        end = stamp.size if part.end is None else part.end
        try:
            yield from read_file_views(opened.descriptor, part.start or 0, end)
            after = FileStamp.of(os.fstat(opened.descriptor))
        except OSError as error:
            refuse_unreadable_path(opened.path, error)
        if after != stamp:
            raise changed_file_error(str(opened.path))


def _bytes_of(tree: ArtifactFiles, part: FilePart) -> int:
    return (tree.stamps[part.name].size if part.end is None else part.end) - (part.start or 0)


def _advance(stop: Event, advance: Advance | None, count: int) -> None:
    if stop.is_set():
        raise CancelledError("Another file could not be hashed", cure="See the other error.")
    if advance is not None:
        advance(count)


def _copy(source: OpenedFile, name: str, destination: Path) -> FileDigest:
    """Copy an open file; what is hashed is what was written, and not what is read a second time."""
    target = destination / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hasher, size = hashlib.sha256(), 0
    view = memoryview(bytearray(min(CHUNK, source.stamp.size + 1)))
    try:
        with os.fdopen(os.open(target, _NEW, 0o600), "wb") as sink:
            while count := os.preadv(source.descriptor, [view], size):
                hasher.update(view[:count])
                size += count
                sink.write(view[:count])
        after = FileStamp.of(os.fstat(source.descriptor))
    except OSError as error:
        refuse_unreadable_path(source.path, error)
    if after != source.stamp or size != source.stamp.size:
        raise changed_file_error(str(source.path))
    return FileDigest(name, size, hasher.hexdigest())
