"""Which places may be watched: those that whoever runs the service named, each for one project."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from auditor.domain.arrivals import Place
from auditor.errors import UsageError
from auditor.refusals import ScheduleError
from auditor.schedules.folders import WatchedFolder
from auditor.store.blob_urls import BUCKET
from auditor.store.watched_buckets import WatchedBucket

S3 = "s3://"
PROJECT = "default"
LONGEST = 1000
CURE = (
    "Name a folder (from / on, without ..) or s3://BUCKET/PREFIX at or below one that the service "
    "was started with: auditor serve --watch-root PLACE, or PROJECT=PLACE."
)


@dataclass(frozen=True, slots=True)
class Roots:
    """The places of each project below which everything may be watched, for that project alone."""

    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, project: str, named: str) -> Place:
        """Return a place that a project may watch. Raises ``ScheduleError`` for any other.

        That there is such a folder is not told of one that may not be watched.
        """
        plain = _plain(named) or ""
        for root in self.allowed.get(project, ()) if plain else ():
            if plain == root or plain.startswith(root.rstrip("/") + "/"):
                return _place(root, plain)
        raise ScheduleError(f"{named[:200]!r} may not be watched here", cure=CURE)


def read_roots(texts: Iterable[str], home: Path, blobs: str | None = None) -> Roots:
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
            raise UsageError(f"{text!r} is no place to watch", cure=CURE)
        for own in (str(home), *([] if blobs is None else [blobs])):
            if _overlap(root, own):
                raise UsageError(
                    f"{root} has to do with {own}, where the service's own files lie",
                    cure="Let batches come in a place apart.",
                )
        found[project] = (*found.get(project, ()), root)
    _refuse_shared(found)
    return Roots(found)


def _refuse_shared(found: Mapping[str, tuple[str, ...]]) -> None:
    for (project, roots), (other, theirs) in combinations(found.items(), 2):
        shared = [(one, two) for one in roots for two in theirs if _overlap(one, two)]
        for one, two in shared:
            raise UsageError(
                f"{one} of the project {project} and {two} of {other} lie in one another",
                cure="Give each project a place apart: what lies there is that project's alone.",
            )


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


def _place(root: str, plain: str) -> Place:
    if plain.startswith(S3):
        return WatchedBucket(plain)
    below = PurePosixPath(plain).relative_to(root).parts
    return WatchedFolder(Path(root), below)
