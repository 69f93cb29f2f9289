"""The deployed files of a model: digested where they lie, or copied while they are digested."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import Any

from auditor.domain.artifacts import FileDigest, MeasuredAsSigned
from auditor.errors import CancelledError, MissingExtraError
from auditor.scanning.paths import inside
from auditor.signatures.bundles import parse_bundle
from auditor.signatures.claims import read_claim
from auditor.signatures.manifests import WHOLE
from auditor.signatures.objections import Refused
from auditor.signatures.oms import Measured, open_signature
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Hash, Part, Serialisation
from auditor.signatures.trust import Trusted
from auditor.signing.hashing import Advance, Stamp, Views, hasher_of, refuse_changed, views
from auditor.signing.lanes import Method, Stream, in_pairs
from auditor.signing.trees import (
    NotPlainError,
    Opened,
    Tree,
    find_files,
    opened_below,
    opened_folder,
    opened_main,
    others,
    refuse_moved,
    refuse_unread,
    utf8,
)

CHUNK = 2**20
LITTLE = 4 * 2**20
"""Models of fewer bytes are hashed in one thread: starting more takes longer."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def digest_artifact(
    path: Path, *, leave_out: Iterable[Path] = (), advance: Advance | None = None
) -> tuple[FileDigest, ...]:
    """Digest the files of a model, the main one first, by SHA-256.

    Raises ``ArtifactError`` as ``find_files`` does, and where a file changes meanwhile.
    """
    measured = measure_artifact(path, leave_out=leave_out, advance=advance)
    return tuple(
        FileDigest(name, size, measured.digests[name]) for name, size in measured.sizes.items()
    )


def measure_artifact(
    path: Path,
    how: Serialisation = WHOLE,
    *,
    leave_out: Iterable[Path] = (),
    advance: Advance | None = None,
) -> Measured:
    """Hash the files of a model as they will be signed.

    Raises ``ArtifactError`` as ``find_files`` does, and where a file changes meanwhile.
    """
    tree = find_files(path, leave_out)
    digests = hash_parts(tree, how.parts(tree.sizes), how.hash, advance)
    refuse_moved(tree)
    return Measured(tree.sizes, digests, how)


def bytes_of(path: Path, leave_out: Iterable[Path] = ()) -> int:
    """Return how many bytes a model's files have. Raises ``ArtifactError`` as ``find_files``."""
    return sum(find_files(path, leave_out).sizes.values())


def hash_parts(
    tree: Tree, parts: Sequence[Part], kind: Hash, advance: Advance | None = None
) -> dict[str, str]:
    """Hash parts of a model's files, several at once, and return digests by the parts' labels.

    Raises ``ArtifactError`` where a file is no longer the one that was found.
    """
    hasher_of(kind)  # a missing library is told once, and not by every thread
    workers = _workers(tree, parts)
    threads = max(1, _cores() // workers)
    # A core for each part ends sooner than half a core.
    paired = in_pairs() if kind is Hash.SHA256 and len(parts) > workers else None
    method: Method[Any] = paired or Method(partial(hasher_of, kind, threads=threads))
    with opened_folder(tree.folder) as folder:
        # The largest come first: so the last lanes end at about one time.
        waiting: deque[Stream] = deque(
            (part.label, partial(_views, tree, folder, part))
            for part in sorted(parts, key=partial(_bytes_of, tree), reverse=True)
        )
        digests = _hash_by(workers, partial(method.hash, waiting), advance)
    return {part.label: digests[part.label] for part in parts}


def measure_as_signed(path: Path, bundle: bytes, key: bytes) -> MeasuredAsSigned | None:
    """Hash a model's files as a signature's manifest says, where ``digest_artifact`` does not.

    Returns ``None`` for a signature that does not hold under the key, that needs no more than the
    files' SHA-256, or whose hash is not installed.
    """
    opened = open_signature(bundle, Trusted.key(key), profile=Profile.COMPAT)
    if opened.how == WHOLE or not opened.verification.verified:
        return None
    return _measure_as(path, opened.how, opened.wanted)


def measure_as_claimed(path: Path, bundle: bytes) -> MeasuredAsSigned | None:
    """Hash a model's files as a signature says that they were, before anyone knows whose it is.

    Returns ``None`` as ``measure_as_signed`` does, and for what is no signature of a model.
    """
    try:
        payload = parse_bundle(bundle, Profile.COMPAT).envelope.payload
    except Refused:
        return None
    manifest = read_claim(payload, Profile.COMPAT).manifest
    if manifest is None or manifest.serialisation == WHOLE:
        return None
    return _measure_as(path, manifest.serialisation, manifest.serialisation.parts)


def _measure_as(
    path: Path, how: Serialisation, parts: Callable[[Mapping[str, int]], Sequence[Part]]
) -> MeasuredAsSigned | None:
    tree = find_files(path)
    try:
        digests = hash_parts(tree, parts(tree.sizes), how.hash)
    except MissingExtraError:
        return None
    refuse_moved(tree)
    return MeasuredAsSigned(how.hash.value, how.shard, digests)


def stage_artifact(path: Path, destination: Path) -> tuple[FileDigest, ...]:
    """Copy a model's files into an empty folder, and return the digests of what was copied.

    So what is digested is what is loaded, whatever happens to the originals. External data that
    leaves the folder, is a link, or is missing is not followed and not copied: scanning the copy
    reports it. Raises ``ArtifactError`` where the main file is missing or malformed, and where a
    file changes while it is copied.
    """
    with opened_main(path) as main:
        copied = [_copy(main, utf8(path.name), destination)]
    with opened_main(destination / path.name) as main:
        names = [name for name in map(inside, main.locations) if name]
    with opened_folder(path.parent) as folder:
        for name in others(names, path.name):
            with suppress(NotPlainError), opened_below(path.parent, folder, name) as opened:
                copied.append(_copy(opened, name, destination))
    return tuple(copied)


def _workers(tree: Tree, parts: Sequence[Part]) -> int:
    if sum(tree.stamps[name].size for name in {part.name for part in parts}) < LITTLE:
        return 1
    return max(1, min(_cores(), len(parts)))


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


def _views(tree: Tree, folder: int, part: Part) -> Views:
    """Show a part's bytes, and raise ``ArtifactError`` unless its file stays what was found."""
    stamp = tree.stamps[part.name]
    with _opened(tree, folder, part.name) as opened:
        if opened.stamp != stamp:
            raise refuse_changed(str(opened.path))
        end = stamp.size if part.end is None else part.end
        try:
            yield from views(opened.descriptor, part.start or 0, end)
            after = Stamp.of(os.fstat(opened.descriptor))
        except OSError as error:
            refuse_unread(opened.path, error)
        if after != stamp:
            raise refuse_changed(str(opened.path))


def _opened(tree: Tree, folder: int, name: str) -> AbstractContextManager[Opened]:
    if name == tree.main:
        return opened_main(tree.path)
    return opened_below(tree.folder, folder, name)


def _bytes_of(tree: Tree, part: Part) -> int:
    return (tree.stamps[part.name].size if part.end is None else part.end) - (part.start or 0)


def _advance(stop: Event, advance: Advance | None, count: int) -> None:
    if stop.is_set():
        raise CancelledError("Another file could not be hashed", cure="See the other error.")
    if advance is not None:
        advance(count)


def _copy(source: Opened, name: str, destination: Path) -> FileDigest:
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
        after = Stamp.of(os.fstat(source.descriptor))
    except OSError as error:
        refuse_unread(source.path, error)
    if after != source.stamp or size != source.stamp.size:
        raise refuse_changed(str(source.path))
    return FileDigest(name, size, hasher.hexdigest())
