"""Files that come in a place that is watched."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

MOST_FILES = 10_000
UNFINISHED = (".part", ".partial", ".tmp")
"""How names end of files that are still being written, as those say who write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A file in a place: its name there, its bytes, and a mark that is another once they are.

    ``came`` puts files in the order in which they came. One that is ``whole`` was there all at
    once; another may still be written to. ``problem`` says why it cannot be had.
    """

    name: str
    size: int
    mark: str
    came: int
    whole: bool = False
    problem: str = ""

    @property
    def order(self) -> tuple[int, str]:
        """What files are taken by: when they came, then their name."""
        return self.came, self.name


class Place(Protocol):
    """A folder, or the objects under a prefix of a bucket."""

    def files(self) -> Sequence[Arrived]:
        """Return the files that lie there. Raises ``ScheduleError`` and ``StoreError``."""
        ...

    def reading(self, file: Arrived) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file, and yield its bytes.

        Raises ``UploadError`` where it is not what was listed, ``ScheduleError`` where it cannot
        be read, and ``StoreError`` where the place cannot be reached.
        """
        ...


def is_announced(name: str) -> bool:
    """Whether a name says that the file is meant to be taken: not hidden, and not unfinished."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)
