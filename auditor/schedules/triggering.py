"""Find what is due: by the clock, by what was pushed, and by what changed meanwhile."""

from dataclasses import dataclass, replace
from datetime import timedelta

from auditor.clock import instant
from auditor.domain.api_keys import ApiKey
from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import Json, digest_json
from auditor.domain.schedules import Due, Run, Schedule, ScheduleState, Trigger
from auditor.domain.served import UploadKind
from auditor.refusals import ScheduleError, StandingError, SubmissionError
from auditor.schedules.crons import MOST_COUNTED, Cron
from auditor.schedules.making import found
from auditor.schedules.parts import Scheduler, each, file_of
from auditor.schedules.templates import Put, alone, read_asked_json

LATE = timedelta(seconds=90)
"""A time that came longer ago was missed: the service did not run."""


def by_the_clock(scheduler: Scheduler) -> None:
    """Put down a run of every schedule whose time has come.

    After a stop at most one is made up, and says so. What came while a schedule rested is past.
    """
    now, clocked = scheduler.now(), scheduler.kept.clocked()
    last = scheduler.runs.last_came([schedule.id for schedule in clocked])
    each(clocked, lambda schedule: _clocked(scheduler, schedule, last.get(schedule.id), now))


def _clocked(scheduler: Scheduler, schedule: Schedule, last: str | None, now: str) -> None:
    if schedule.cron is None:
        return
    base = schedule.resumed if last is None else max(schedule.resumed, _due_time(last))
    came = Cron(schedule.cron).came(base, now)
    if came is None:
        return
    why = f"{schedule.cron} came at {came.last}"
    late = instant(now) - instant(came.last) > LATE
    if late or came.times > 1:
        more = "or more " if came.times == MOST_COUNTED else ""
        why += f"; made up for {came.times} {more}missed since {base}, once"
    due = Due(key=f"cron {came.last}", trigger=Trigger.CRON, why=why, change={})
    scheduler.runs.claim(schedule.id, due, now)


def push_batch(scheduler: Scheduler, caller: ApiKey, name: str, digest: str) -> tuple[Run, bool]:
    """Audit again with a batch in the place of its data; return the run of it, and if it is new.

    Raises ``NotFoundError``, ``StandingError`` where the schedule does not run upon batches or
    rests, and ``SubmissionError`` for what was not uploaded.
    """
    schedule = _ready(scheduler, caller, name, Trigger.BATCH)
    put = _put(scheduler, caller, str(schedule.batch_path), digest)
    due = Due(
        key=f"batch {digest}",
        trigger=Trigger.BATCH,
        why=f"the batch {digest} was pushed by {caller.id}",
        change=put.to_json(),
    )
    return scheduler.runs.claim(schedule.id, due, scheduler.now())


@dataclass(frozen=True, slots=True)
class Version:
    """A new version of a model: its file's digest, what it is called, and the file's own name.

    Without a ``name`` it is that under which the file was uploaded.
    """

    digest: str
    version: str
    name: str | None = None


def push_version(
    scheduler: Scheduler, caller: ApiKey, name: str, pushed: Version
) -> tuple[Run, bool]:
    """Audit again with a new version in the place of the model; return the run, and if it is new.

    Raises as ``push_batch``, and ``ScheduleError`` for the version that the schedule has.
    """
    schedule = _ready(scheduler, caller, name, Trigger.NEW_VERSION)
    path = artifact_path(scheduler, schedule)
    digest, version = pushed.digest, pushed.version
    put = _put(scheduler, caller, path, digest, version)
    put = replace(put, name=pushed.name or _uploaded_as(scheduler, caller, digest))
    mine = alone(read_asked_json(schedule.asked), path).file
    if mine.sha256 == put.sha256:
        raise ScheduleError(
            f"{digest} is the version that {name} audits already", cure="Push a new version."
        )
    due = Due(
        key=version_key(mine, FileDigest(put.name or mine.name, put.size, put.sha256), version),
        trigger=Trigger.NEW_VERSION,
        why=f"the version {version} ({digest}) was handed in by {caller.id}",
        change=put.to_json(),
    )
    return scheduler.runs.claim(schedule.id, due, scheduler.now())


def _ready(scheduler: Scheduler, caller: ApiKey, name: str, trigger: Trigger) -> Schedule:
    schedule = found(scheduler, caller.project, name)
    if trigger not in schedule.triggers:
        raise StandingError(
            f"{name} does not run upon {trigger}", cure=f"Make a schedule with on: [{trigger}]."
        )
    if schedule.state is not ScheduleState.ACTIVE:
        raise StandingError(f"{name} is {schedule.state}", cure="Resume it, or make another.")
    return schedule


def _put(
    scheduler: Scheduler, caller: ApiKey, path: str, digest: str, version: str | None = None
) -> Put:
    if not scheduler.desk.kept.has_upload(caller.project, digest):
        raise SubmissionError(f"{digest} was not uploaded", cure="PUT it first.")
    size = scheduler.desk.blobs.size(digest)
    sha256 = digest.removeprefix("sha256:")
    return Put(path=path, sha256=sha256, size=size, version=version, by=caller.id)


def _uploaded_as(scheduler: Scheduler, caller: ApiKey, digest: str) -> str | None:
    """Return the name under which a project uploaded a model's file, if it was told one."""
    name = scheduler.desk.kept.upload_name(caller.project, digest, UploadKind.ARTIFACT)
    return None if name is None or digest.endswith(name) else name


def artifact_path(scheduler: Scheduler, schedule: Schedule) -> str:
    """Return the path at which the audit file of a schedule names its artifact."""
    return str(file_of(scheduler, read_asked_json(schedule.asked)).model.artifact)


def version_key(mine: FileDigest, file: FileDigest, version: str) -> str:
    """Return the key of the one run of a version, by its file and its name.

    The name of the file counts where it is not that of the schedule's own, ``mine``.
    """
    named: dict[str, Json] = {} if file.name == mine.name else {"name": file.name}
    told: dict[str, Json] = {"artifact": f"sha256:{file.sha256}", "version": version, **named}
    return f"new_version {digest_json(told)}"


def _due_time(key: str) -> str:
    return key.removeprefix("cron ")
