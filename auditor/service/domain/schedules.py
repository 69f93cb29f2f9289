"""Schedules, their runs and triggers, watched folders, and sealed datasets.

A sealed set holds rows that the auditor keeps; an audit refers to it by name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import Json
from auditor.service.domain.triggers import ScheduleTrigger

SCHEDULE = re.compile(r"sch-[0-9a-f]{24}")


class ScheduleState(StrEnum):
    """Whether a schedule makes runs."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class ScheduledRunState(StrEnum):
    """How far one run of a schedule is."""

    DUE = "due"
    RUNNING = "running"
    SKIPPED = "skipped"
    ENDED = "ended"


class SkipReason(StrEnum):
    """Why a run made no audit."""

    STILL_RUNNING = "still_running"
    KEY_ENDED = "key_ended"
    SAME_BEFORE = "same_before"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is audited again: ``asked`` is the form that audits are handed in by.

    ``maker`` is the id of the key that it acts by; ``batch_path`` the path, as the audit file
    writes it, of the data that a batch takes the place of; ``resumed`` when it last began;
    ``watch`` a place whose new files are batches.
    """

    id: str
    project: str
    maker: str
    name: str
    model: str
    asked: Mapping[str, Json]
    cron: str | None
    triggers: tuple[ScheduleTrigger, ...]
    batch_path: str | None
    created: str
    state: ScheduleState = ScheduleState.ACTIVE
    resumed: str = ""
    watch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRun:
    """One run: why it was due, the audit that it made or why none, and what that came to.

    ``key`` is what there is one run of; ``change`` what is put in the place of what the schedule
    asks; ``rollback`` the versions to go back to, one a target that did not pass.
    """

    id: str
    schedule: str
    key: str
    trigger: ScheduleTrigger
    why: str
    at: str
    change: Mapping[str, Json] = field(default_factory=dict)
    audit: str | None = None
    skipped: SkipReason | None = None
    detail: str = ""
    ended: str | None = None
    record: str | None = None
    verdict: str | None = None
    failed: tuple[str, ...] = ()
    rollback: tuple[Mapping[str, Json], ...] = ()

    @property
    def state(self) -> ScheduledRunState:
        """How far it is."""
        if self.skipped is not None:
            return ScheduledRunState.SKIPPED
        if self.ended is not None:
            return ScheduledRunState.ENDED
        return ScheduledRunState.DUE if self.audit is None else ScheduledRunState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """A run to be made: of which there is one, upon what, why, and what takes which place."""

    key: str
    trigger: ScheduleTrigger
    why: str
    change: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRunResult:
    """What the audit of a run came to, and which versions can be gone back to.

    Web hooks hear of it where it is to be ``told``.
    """

    record: str | None = None
    verdict: str | None = None
    detail: str = ""
    failed: tuple[str, ...] = ()
    rollback: tuple[Mapping[str, Json], ...] = ()
    told: bool = True


MOST_FILES = 10_000
UNFINISHED = (".part", ".partial", ".tmp")
"""How names end of files that are still being written, as those say who write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedFile:
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


class WatchedPlace(Protocol):
    """A folder, or the objects under a prefix of a bucket."""

    def files(self) -> Sequence[WatchedFile]:
        """Return the files that lie there. Raises ``ScheduleError`` and ``StoreError``."""
        ...

    def reading(self, file: WatchedFile) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file, and yield its bytes.

        Raises ``UploadError`` where it is not what was listed, ``ScheduleError`` where it cannot
        be read, and ``StoreError`` where the place cannot be reached.
        """
        ...


def is_announced(name: str) -> bool:
    """Whether a name says that the file is meant to be taken: not hidden, and not unfinished."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSet:
    """A file of rows for one role, under a name that a project gives once.

    ``file`` has the name by which its form is told (``rows.csv``); ``note`` says what audit files
    have to know of it, such as its columns; ``by`` is the id of the key that kept it.
    """

    project: str
    name: str
    role: DatasetRole
    file: FileDigest
    note: str
    by: str
    at: str

    @property
    def digest(self) -> str:
        """The digest under which the file lies among the blobs."""
        return self.file.digest
