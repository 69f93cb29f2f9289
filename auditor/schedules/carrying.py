"""Carry out runs that are due: hand their audits in, or judge what is stored."""

from dataclasses import replace
from functools import partial

from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.schedules import Run, Schedule, Skip, Trigger
from auditor.domain.served import Upload, UploadKind
from auditor.domain.submissions import State, Submission
from auditor.errors import InvalidInputError
from auditor.refusals import QuotaError
from auditor.schedules.changes import Change
from auditor.schedules.concluding import conclude_over
from auditor.schedules.parts import Scheduler, each
from auditor.schedules.remeasuring import Asker, judge_stored
from auditor.schedules.templates import read_asked_json, with_version
from auditor.schedules.triggering import by_the_clock
from auditor.submitting import Asked, drafted, looked_at, submit

OURS = "\u00a7"
"""How keys begin under which schedules hand audits in: callers send ASCII alone."""


def tick(scheduler: Scheduler) -> None:
    """Find what is due by the clock, hand its audits in, and say what came of earlier ones."""
    acts = (by_the_clock, hand_in_due, conclude_over)
    each(acts, lambda act: act(scheduler))


def hand_in_due(scheduler: Scheduler) -> None:
    """Make the audit of every run that has made none; one that was interrupted is gone on with."""
    due = scheduler.runs.due(scheduler.now())
    each(due, lambda pair: _carry_out(scheduler, *pair))


def _carry_out(scheduler: Scheduler, run: Run, schedule: Schedule) -> None:
    once, now = OURS + run.id, scheduler.now()
    skip = partial(scheduler.runs.skipped, run, schedule.project, at=now)
    if _made_before(scheduler, run, schedule.project, once):
        return
    maker = _caller(scheduler, schedule, schedule.maker)
    if not maker.holds(now):
        detail = f"the key {maker.id} that made the schedule has come to its end"
        skip(Skip.KEY_ENDED, detail)
        return
    # Leave is the maker's, but who brought what is audited is who handed it in.
    caller = _caller(scheduler, schedule, str(run.change.get("by") or schedule.maker))
    try:
        asked = _asked(scheduler, schedule, run)
        policy, file = looked_at(scheduler.desk, schedule.project, asked)
        draft = drafted(scheduler.desk, caller, asked, policy, file)
        why = _needless(scheduler, run, draft, once)
        if why is not None:
            skip(*why)
            return
        asker = Asker(
            run=run, schedule=schedule, caller=caller, draft=draft, policy=policy, once=once
        )
        made = _made(scheduler, asker, asked)
    except InvalidInputError as error:
        # What was pushed or changed comes once: it is asked for again until there is room.
        if run.trigger is Trigger.CRON or not isinstance(error, QuotaError):
            skip(Skip.REFUSED, error.problem)
        return
    scheduler.runs.started(run.id, made[0], now, made[1])


def _needless(
    scheduler: Scheduler, run: Run, draft: Submission, once: str
) -> tuple[Skip, str] | None:
    """Say why nothing is audited that was, or is being, audited already."""
    upon = run.change.get("upon")
    before = None if upon is None else scheduler.desk.kept.submission(draft.project, str(upon))
    if before is not None and before.asked == draft.asked:
        return Skip.SAME_BEFORE, f"{upon} asked for all of the same, and would be repeated"
    same = scheduler.runs.going_on(draft.project, draft.asked, once)
    if same is not None:
        return Skip.STILL_RUNNING, f"{same} asks for the same and has not ended"
    return None


def _made(scheduler: Scheduler, asker: Asker, asked: Asked) -> tuple[str, str]:
    """Make the audit of a run, and say how, where no model runs for it."""
    run = asker.run
    if run.trigger is Trigger.POLICY_CHANGED and not run.change.get("measured"):
        judged = judge_stored(scheduler, asker)
        if judged is not None:
            return judged
    return submit(scheduler.desk, asker.caller, asked, asker.once)[0].id, ""


def _made_before(scheduler: Scheduler, run: Run, project: str, once: str) -> bool:
    """Go on with the audit of a run that was interrupted, and say whether there is one."""
    made, desk = scheduler.runs.made_under(project, once), scheduler.desk
    if made is None:
        return False
    if desk.kept.state(made) is State.QUEUED:
        desk.engine.submit(made)
    scheduler.runs.started(run.id, made, scheduler.now())
    return True


def _caller(scheduler: Scheduler, schedule: Schedule, key: str) -> ApiKey:
    """Return the key of an id; one that is not kept was somebody's sign-on."""
    found = scheduler.desk.kept.key(key)
    if found is not None:
        return found
    return ApiKey(
        id=key, project=schedule.project, role=Role.SUBMITTER, name=schedule.name,
        secret_hash="", created=schedule.created,
    )  # fmt: skip


def _asked(scheduler: Scheduler, schedule: Schedule, run: Run) -> Asked:
    change = Change.read(run.change)
    asked, put = change.made_to(read_asked_json(schedule.asked)), change.put
    if put is None or put.version is None:
        return asked
    return _renamed(scheduler, schedule, asked, put.version)


def _renamed(scheduler: Scheduler, schedule: Schedule, asked: Asked, version: str) -> Asked:
    """Return what asks for the same by an audit file that names another version.

    The places of the one that was sent are of other lines, and go.
    """
    desk = scheduler.desk
    raw = with_version(desk.blobs.get(asked.audit_file), version)
    upload = Upload(
        project=schedule.project, digest=desk.blobs.put(raw), kind=UploadKind.DATASET,
        name=asked.source, size=len(raw), at=scheduler.now(),
    )  # fmt: skip
    desk.kept.note_upload(upload)
    return replace(asked, audit_file=upload.digest, places=None)
