"""Make schedules, and let them rest, go on, and end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.acting import act_by
from auditor.clock import fresh_id
from auditor.domain.acts import Act, ActKind
from auditor.domain.api_keys import ApiKey
from auditor.domain.arrivals import Arrived
from auditor.domain.auditfiles import AuditFile
from auditor.domain.canonical import Json, canonical, digest_json
from auditor.domain.schedules import Schedule, ScheduleState, Trigger
from auditor.domain.served import Upload, UploadKind
from auditor.domain.submissions import DIGEST
from auditor.refusals import NotFoundError, ScheduleError
from auditor.schedules.crons import read_cron
from auditor.schedules.parts import Scheduler
from auditor.schedules.templates import (
    RESOLVED,
    WAIT,
    alone,
    asked_json,
    path_of_batches,
    same_as,
)
from auditor.submitting import MOST_BYTES, Asked, looked_at

CHANGES = {
    ScheduleState.PAUSED: ActKind.SCHEDULE_PAUSED,
    ScheduleState.ACTIVE: ActKind.SCHEDULE_RESUMED,
    ScheduleState.ENDED: ActKind.SCHEDULE_ENDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller wants audited again: what is asked, or the same as an audit of the project.

    ``cron`` says when, ``on`` upon what; ``batch_role`` which data a batch takes the place of, and
    ``watch`` a place whose new files are batches.
    """

    name: str
    asked: Asked | None
    same: str | None
    cron: str | None
    on: tuple[Trigger, ...]
    batch_role: str | None
    watch: str | None = None


def make(scheduler: Scheduler, caller: ApiKey, wish: Wish) -> Schedule:
    """Make a schedule of what is looked at as any audit that is handed in.

    Raises ``ScheduleError``, ``NotFoundError`` for an audit that there is not, and as ``submit``
    for what is asked.
    """
    now, asked = scheduler.now(), _asked(scheduler, caller.project, wish)
    cron = None if wish.cron is None else read_cron(wish.cron, now).text
    triggers = _triggers(wish, asked)
    policy, file = looked_at(scheduler.desk, caller.project, asked)
    batches = _replaced(wish, triggers, asked, file)
    kept = _bounded({**asked_json(asked), RESOLVED: policy.digest}, file.source)
    schedule = Schedule(
        id=fresh_id("sch"),
        project=caller.project,
        maker=caller.id,
        name=wish.name,
        model=file.model.name,
        asked=kept,
        cron=cron,
        triggers=triggers,
        batch_path=batches,
        created=now,
        resumed=now,
        watch=wish.watch,
    )
    there = _there(scheduler, schedule)
    scheduler.kept.add(schedule, _act(caller, schedule), there)
    return schedule


def _act(caller: ApiKey, schedule: Schedule) -> Act:
    """Return what is written down of who made a schedule."""
    asked = digest_json(dict(schedule.asked))
    watched: dict[str, Json] = {} if schedule.watch is None else {"watch": schedule.watch}
    return act_by(
        caller, ActKind.SCHEDULE_MADE, schedule.id, schedule.created, asked=asked,
        cron=schedule.cron, **watched,
    )  # fmt: skip


def _there(scheduler: Scheduler, schedule: Schedule) -> Sequence[Arrived]:
    """Return what lies in a schedule's place as it begins: it is past.

    Raises ``ScheduleError`` for a place that may not be watched, or cannot.
    """
    if schedule.watch is None:
        return ()
    return scheduler.roots.place(schedule.project, schedule.watch).files()


def _bounded(kept: dict[str, Json], source: str) -> dict[str, Json]:
    """Return what a schedule asks, if it is not too long. Raises ``ScheduleError``."""
    if len(canonical(kept)) > MOST_BYTES:
        raise ScheduleError(
            f"{source} names more files than a schedule holds",
            cure="Name fewer files: 1 MiB of names is the most.",
        )
    return kept


def found(scheduler: Scheduler, project: str, name: str) -> Schedule:
    """Return a schedule of a project. Raises ``NotFoundError``."""
    schedule = scheduler.kept.find(project, name)
    if schedule is None:
        raise NotFoundError(f"there is no schedule {name}", cure="GET /v1/schedules lists them.")
    return schedule


def changed(scheduler: Scheduler, caller: ApiKey, name: str, state: ScheduleState) -> Schedule:
    """Let a schedule of the caller's project rest, go on, or end.

    Raises ``NotFoundError``, ``StandingError`` for one that has ended, and ``ScheduleError`` where
    its place cannot be watched any more.
    """
    schedule = found(scheduler, caller.project, name)
    now = scheduler.now()
    act = act_by(caller, CHANGES[state], schedule.id, now)
    there = _there(scheduler, schedule) if state is ScheduleState.ACTIVE else ()
    scheduler.kept.change(schedule, state, caller.id, now, act, there)
    return found(scheduler, caller.project, name)


def _asked(scheduler: Scheduler, project: str, wish: Wish) -> Asked:
    if (wish.asked is None) == (wish.same is None):
        raise ScheduleError(
            "a schedule asks for an audit, or for the same as one", cure="Send one of the two."
        )
    if wish.asked is not None:
        return replace(wish.asked, wait=WAIT if wish.asked.wait is None else wish.asked.wait)
    desk, name = scheduler.desk, str(wish.same)
    submission = desk.kept.submission(project, name)
    if submission is None:
        raise NotFoundError(f"there is no audit {name}", cure="GET /v1/audits lists them.")
    # A pack's document was never uploaded; the project has it by this audit, and now by its digest.
    size = desk.blobs.size(submission.policy)
    upload = Upload(
        project=project, digest=submission.policy, kind=UploadKind.DATASET, name="policy.json",
        size=size, at=scheduler.now(),
    )  # fmt: skip
    desk.kept.note_upload(upload)
    return same_as(submission)


def _replaced(
    wish: Wish, triggers: tuple[Trigger, ...], asked: Asked, file: AuditFile
) -> str | None:
    """Return the path of what batches take the place of, once every such place is one file's."""
    if Trigger.NEW_VERSION in triggers:
        if file.model.artifact is None:
            raise ScheduleError(
                f"{file.source} names no artifact, so that there is no new version of it",
                cure="Leave new_version out.",
            )
        alone(asked, file.model.artifact)
    if Trigger.BATCH not in triggers:
        return None
    path = path_of_batches(file, wish.batch_role)
    alone(asked, path)
    return path


def _triggers(wish: Wish, asked: Asked) -> tuple[Trigger, ...]:
    watched = [] if wish.watch is None else [Trigger.BATCH]
    named = (*([] if wish.cron is None else [Trigger.CRON]), *wish.on, *watched)
    if Trigger.CRON in wish.on:
        raise ScheduleError(
            "cron stands among the triggers", cure="Write the expression as cron instead."
        )
    if not named:
        raise ScheduleError(
            "nothing says when to audit again", cure="Give cron, or name triggers with on."
        )
    if wish.batch_role is not None and Trigger.BATCH not in named:
        raise ScheduleError("batch_role is for batches", cure="Name batch among the triggers.")
    if Trigger.POLICY_CHANGED in named and DIGEST.fullmatch(asked.policy):
        raise ScheduleError(
            "the policy is named by its digest, and so it never changes",
            cure="Name a pack as policy, or leave policy_changed out.",
        )
    return tuple(dict.fromkeys(named))
