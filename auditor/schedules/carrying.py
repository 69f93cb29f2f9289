"""Carry out runs that are due, and say what came of those whose audit has ended."""

from functools import partial

from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.failed_rules import failed_rules
from auditor.domain.json_parts import Part
from auditor.domain.schedules import Came, Run, Schedule, Skip, Trigger
from auditor.domain.served import Upload, UploadKind
from auditor.domain.submissions import State
from auditor.domain.verdicts import Verdict
from auditor.errors import InvalidInputError, StoreError
from auditor.refusals import QuotaError
from auditor.schedules.parts import Scheduler, each
from auditor.schedules.rollbacks import rollbacks
from auditor.schedules.templates import Put, read_asked_json, with_file, with_version
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


def conclude_over(scheduler: Scheduler) -> None:
    """Say what came of every run whose audit has ended."""
    over = scheduler.runs.over(scheduler.now())
    each(over, lambda pair: _conclude(scheduler, *pair))


def _carry_out(scheduler: Scheduler, run: Run, schedule: Schedule) -> None:
    once, now, runs = OURS + run.id, scheduler.now(), scheduler.runs
    skip = partial(runs.skipped, run, schedule.project, at=now)
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
        draft = drafted(
            scheduler.desk, caller, asked, *looked_at(scheduler.desk, schedule.project, asked)
        )
        same = runs.going_on(schedule.project, draft.asked, once)
        if same is not None:
            skip(Skip.STILL_RUNNING, f"{same} asks for the same and has not ended")
            return
        kept, _new = submit(scheduler.desk, caller, asked, once)
    except InvalidInputError as error:
        # What was pushed or changed comes once: it is asked for again until there is room.
        if run.trigger is Trigger.CRON or not isinstance(error, QuotaError):
            skip(Skip.REFUSED, error.problem)
        return
    runs.started(run.id, kept.id, now)


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
    asked = read_asked_json(schedule.asked)
    if not run.change:
        return asked
    put = Put.read(Part(run.change, "change"))
    asked = with_file(asked, put)
    return asked if put.version is None else _renamed(scheduler, schedule, asked, put.version)


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
    return Asked(
        audit_file=upload.digest, source=asked.source, inputs=asked.inputs, policy=asked.policy,
        targets=asked.targets, budget=asked.budget, only=asked.only, wait=asked.wait,
        sealed=asked.sealed, sets=asked.sets,
    )  # fmt: skip


def _conclude(scheduler: Scheduler, run: Run, schedule: Schedule) -> None:
    name = str(run.audit)
    ending = scheduler.desk.kept.outcome(name)
    if ending is None:
        return
    if ending.record is None:
        failure = ending.failure
        detail = "the audit was cancelled" if failure is None else failure.problem
        came = Came(detail=detail, told=failure is not None)
    else:
        came = _came(scheduler, schedule.project, name, ending.record)
    scheduler.runs.ended(run, schedule.project, came, scheduler.now())


def _came(scheduler: Scheduler, project: str, submission: str, digest: str) -> Came:
    with scheduler.kept.store.unit_of_work() as unit:
        there = unit.find_record_by_digest(digest)
    if there is None:
        raise StoreError(f"the record {digest} is not kept", cure="Restore it from a copy.")
    record = there.read()
    passes = record.verdict is Verdict.PASS
    back = () if passes else tuple(rollbacks(scheduler, project, submission, record))
    return Came(
        record=digest,
        verdict=record.verdict.value,
        failed=failed_rules(record),
        rollback=back,
        told=not passes,
    )
