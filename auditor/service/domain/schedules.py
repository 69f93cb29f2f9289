"""Schedules: what a service audits again, when, and upon what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.canonical import Json

SCHEDULE = re.compile(r"sch-[0-9a-f]{24}")
RUN = re.compile(r"run-[0-9a-f]{24}")


class Trigger(StrEnum):
    """Upon what a schedule audits again."""

    CRON = "cron"
    NEW_VERSION = "new_version"
    BATCH = "batch"
    POLICY_CHANGED = "policy_changed"
    WAIVER_EXPIRED = "waiver_expired"
    DRIFT_ALARM = "drift_alarm"
    FINGERPRINT_CHANGED = "fingerprint_changed"


class ScheduleState(StrEnum):
    """Whether a schedule makes runs."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class RunState(StrEnum):
    """How far one run of a schedule is."""

    DUE = "due"
    RUNNING = "running"
    SKIPPED = "skipped"
    ENDED = "ended"


class Skip(StrEnum):
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
    triggers: tuple[Trigger, ...]
    batch_path: str | None
    created: str
    state: ScheduleState = ScheduleState.ACTIVE
    resumed: str = ""
    watch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: why it was due, the audit that it made or why none, and what that came to.

    ``key`` is what there is one run of; ``change`` what is put in the place of what the schedule
    asks; ``rollback`` the versions to go back to, one a target that did not pass.
    """

    id: str
    schedule: str
    key: str
    trigger: Trigger
    why: str
    at: str
    change: Mapping[str, Json] = field(default_factory=dict)
    audit: str | None = None
    skipped: Skip | None = None
    detail: str = ""
    ended: str | None = None
    record: str | None = None
    verdict: str | None = None
    failed: tuple[str, ...] = ()
    rollback: tuple[Mapping[str, Json], ...] = ()

    @property
    def state(self) -> RunState:
        """How far it is."""
        if self.skipped is not None:
            return RunState.SKIPPED
        if self.ended is not None:
            return RunState.ENDED
        return RunState.DUE if self.audit is None else RunState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run to be made: of which there is one, upon what, why, and what takes which place."""

    key: str
    trigger: Trigger
    why: str
    change: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What the audit of a run came to, and which versions can be gone back to.

    Web hooks hear of it where it is to be ``told``.
    """

    record: str | None = None
    verdict: str | None = None
    detail: str = ""
    failed: tuple[str, ...] = ()
    rollback: tuple[Mapping[str, Json], ...] = ()
    told: bool = True
