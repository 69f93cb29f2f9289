"""Runs due schedules: submits audits, re-evaluates stored records, and records results.

After a policy change the stored readings are evaluated first; the model runs only for readings that
are missing. A rollback candidate is the newest version with an open gate at that moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from auditor.domain.failed_rules import list_failed_rules
from auditor.domain.findings import Verdict
from auditor.domain.json import Json, read_json
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.errors import AuditorError, InvalidInputError, QuotaError, StoreError
from auditor.service.approvals.people import read_stored_record
from auditor.service.approvals.rejudge import rejudge_model_records, rejudge_record
from auditor.service.domain.access import AccessRole, ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.schedules import (
    DueRun,
    Schedule,
    ScheduledRun,
    ScheduledRunResult,
    SkipReason,
)
from auditor.service.domain.submissions import (
    AuditOrder,
    Submission,
    SubmissionResult,
    SubmissionState,
    UploadedFile,
    UploadKind,
)
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.gate import GateRequest
from auditor.service.jobs.submit import build_submission, submit_audit, validate_order
from auditor.service.schedules.context import ScheduleContext, run_each
from auditor.service.schedules.manage import RunChange, read_kept_order, set_model_version
from auditor.service.schedules.triggers import find_due_runs
from auditor.service.store.audit_queries import (
    AuditListQueries,
    AuditQuery,
    RecordQuery,
    has_measurements_since,
)
from auditor.service.store.trends import VersionStatus, list_version_statuses
from auditor.workflows.evidence import find_unobserved_checks
from auditor.workflows.prepare import choose_checks

NEWEST = 50
"""So many ended audits of a model are looked at for one that asked for the same."""
MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequester:
    """Whose run it is, what it asks for under the policy as it is now, and its own key."""

    run: ScheduledRun
    schedule: Schedule
    caller: ApiKey
    draft: Submission
    policy: Policy
    once: str


def judge_stored_readings(
    scheduler: ScheduleContext, asker: RunRequester
) -> tuple[str, str] | None:
    """Judge what a run's like measured by the policy of today, and say in which audit, and how.

    That audit has its record at once. Where readings are missing another run is put down, for
    the targets where they are. Nothing is returned where nothing is stored that can be judged,
    or where the same was measured for this policy since: what is older must not outrank that.
    """
    before = _before(scheduler, asker)
    if before is None:
        return None
    kept = scheduler.people.rejudged.record(asker.schedule.project, str(before[1]))
    if kept is None or _measured_since(scheduler, asker, read_stored_record(kept)):
        return None
    record = read_stored_record(kept)
    request = record.request
    checks = choose_checks(scheduler.people.checks, asker.policy, request.budget, request.only)
    lacking = find_unobserved_checks(record, checks)
    try:
        fresh, files = rejudge_record(scheduler.people, kept, asker.policy)
    except StoreError:
        raise
    except AuditorError:
        return None  # what does not verify, or other code saw, is measured anew
    detail = f"the evidence of {before[0]} was judged again without running a model"
    if lacking:
        # First, so that whoever is interrupted after the next line has put it down.
        due = DueRun(
            key=build_remeasurement_key(asker.run),
            trigger=asker.run.trigger,
            why=f"the policy requires readings of {_named(lacking)}, which are missing",
            change=RunChange(targets=tuple(lacking), measured=True).to_json(),
        )
        scheduler.runs.claim(asker.schedule.id, due, scheduler.now())
        detail += f"; {_named(lacking)} is to follow"
    # Make the audit that has the evidence's new record, and return its id
    desk, draft = scheduler.desk, asker.draft
    act = build_log_entry(
        asker.caller, AuditLogAction.AUDIT_ASKED, draft.id, draft.submitted, asked=draft.asked
    )
    # It waits for nobody, and takes no room from those that do.
    made, _new = desk.kept.submit(draft, asker.once, model=fresh.request.name, act=act)
    scheduler.trends.note(made.id, made.project, fresh)
    desk.kept.end(made.id, SubmissionResult(ended=fresh.finished, record=fresh.digest, files=files))
    return made.id, detail


def build_remeasurement_key(run: ScheduledRun) -> str:
    """Return the key of the run that measures what is missing for another run's policy."""
    return f"{run.key} {MISSING}"


def _before(scheduler: ScheduleContext, asker: RunRequester) -> tuple[str, str] | None:
    """Return the newest audit that asked for the same under another policy, and its record."""
    kept, project = scheduler.desk.kept, asker.schedule.project
    sought = AuditQuery(
        project=project, model=asker.schedule.model, states=(SubmissionState.DONE,), limit=NEWEST
    )
    for line in AuditListQueries(kept).audits(sought)[0]:
        asked = kept.submission(project, line.id)
        if asked is None or line.record is None:
            continue
        if _measured(asked.order) == _measured(asker.draft.order):
            return line.id, line.record
    return None


def _measured_since(scheduler: ScheduleContext, asker: RunRequester, record: AuditRecord) -> bool:
    artifact = record.request.artifact
    if artifact is None:
        return False
    under = RecordQuery(asker.schedule.project, artifact.digest, asker.policy.digest)
    return has_measurements_since(scheduler.desk.kept, under, record.registered)


def _measured(asked: AuditOrder) -> tuple[object, ...]:
    """Return what of an order decides what is measured, but for the policy."""
    inputs = frozenset((item.path, item.file) for item in asked.inputs)
    return (
        asked.audit_file, inputs, asked.targets, asked.budget, asked.only, asked.sealed,
        asked.sealed_sets,
    )  # fmt: skip


def _named(lacking: Mapping[str, tuple[str, ...]]) -> str:
    """Name the checks that are missing, and where; the first three of each target."""
    return "; ".join(
        f"{', '.join(checks[:3])}{f' and {len(checks) - 3} more' if checks[3:] else ''} on {target}"
        for target, checks in lacking.items()
    )


MOST_VERSIONS = 20


def find_rollbacks(
    scheduler: ScheduleContext, project: str, submission: str, record: AuditRecord
) -> Iterator[dict[str, Json]]:
    """Yield what to go back to on each target on which a record does not pass.

    Of the model only the newest 20 versions are looked at, the failing one apart; as many gates
    are asked at most a target.
    """
    request = record.request
    failing = [
        it for it in list_version_statuses(submission, record) if it.verdict != Verdict.PASS.value
    ]
    versions = scheduler.trends.versions(project, (request.name,), MOST_VERSIONS)
    for here in failing:
        others = _others(versions, here)
        found = next((it for it in others if _is_open(scheduler, project, here, it)), None)
        candidate: dict[str, Json] | None = None
        if found is not None:
            candidate = {
                "version": found.version,
                "artifact": found.artifact,
                "record": found.record,
                "audit": found.submission,
            }
        yield {"target": here.target, "candidate": candidate}


def _others(versions: tuple[VersionStatus, ...], here: VersionStatus) -> Iterator[VersionStatus]:
    """Yield other versions that were audited on a target, the newest first, each once."""
    seen = {"", here.artifact}
    for item in versions:
        if item.target == here.target and item.artifact not in seen:
            seen.add(item.artifact)
            yield item


def _is_open(
    scheduler: ScheduleContext, project: str, here: VersionStatus, other: VersionStatus
) -> bool:
    asking = GateRequest(
        project=project, artifact=other.artifact, policy=here.policy, target=here.target
    )
    try:
        return scheduler.gate(asking).open
    except AuditorError:
        return False  # a record whose files are lost opens nothing


def conclude_ended_runs(scheduler: ScheduleContext) -> None:
    """Say what came of every run whose audit has ended."""
    over = scheduler.runs.over(scheduler.now())
    run_each(over, lambda pair: _conclude(scheduler, *pair))


def _conclude(scheduler: ScheduleContext, run: ScheduledRun, schedule: Schedule) -> None:
    name = str(run.audit)
    ending = scheduler.desk.kept.outcome(name)
    if ending is None:
        return
    if ending.record is None:
        failure = ending.failure
        detail = "the audit was cancelled" if failure is None else failure.problem
        came = ScheduledRunResult(detail=detail, told=failure is not None)
    else:
        record = _standing(scheduler, schedule.project, name, ending.record)
        passes = record.verdict is Verdict.PASS
        back = () if passes else tuple(find_rollbacks(scheduler, schedule.project, name, record))
        came = ScheduledRunResult(
            record=record.digest,
            verdict=record.verdict.value,
            failed=list_failed_rules(record),
            rollback=back,
            told=not passes,
        )
        # What is measured next says more than that something is missing.
        follows = scheduler.runs.of_key(run.schedule, build_remeasurement_key(run)) is not None
        if follows and record.verdict is Verdict.INCONCLUSIVE:
            came = replace(came, told=False)
    scheduler.runs.ended(run, schedule.project, came, scheduler.now())


def _standing(
    scheduler: ScheduleContext, project: str, submission: str, digest: str
) -> AuditRecord:
    """Return the record at which an audit stands, with the waivers that count for it by now."""
    panel = scheduler.people
    first = panel.rejudged.record(project, digest)
    if first is None:
        raise StoreError(f"record {digest} is not stored", cure="Restore it from a copy.")
    record = read_stored_record(first)
    if record.verdict is Verdict.PASS:
        return record
    try:
        rejudge_model_records(panel, project, record.request.name)
    except StoreError:
        raise  # somebody else is at it: the next round knows what came of it
    except AuditorError:
        return record
    last = panel.rejudged.last(submission)
    return record if last is None else read_stored_record(last)


OURS = "\u00a7"
"""How keys begin under which schedules hand audits in: callers send ASCII alone."""


def run_due_schedules(scheduler: ScheduleContext) -> None:
    """Find what is due by the clock, hand its audits in, and say what came of earlier ones."""
    acts = (find_due_runs, submit_due_runs, conclude_ended_runs)
    run_each(acts, lambda act: act(scheduler))


def submit_due_runs(scheduler: ScheduleContext) -> None:
    """Make the audit of every run that has made none; one that was interrupted is gone on with."""
    due = scheduler.runs.due(scheduler.now())
    run_each(due, lambda pair: _carry_out(scheduler, *pair))


def _carry_out(scheduler: ScheduleContext, run: ScheduledRun, schedule: Schedule) -> None:
    once, now = OURS + run.id, scheduler.now()
    skip = partial(scheduler.runs.skipped, run, schedule.project, at=now)
    # Go on with the audit of a run that was interrupted, where there is one
    before_made, desk = scheduler.runs.made_under(schedule.project, once), scheduler.desk
    if before_made is not None:
        if desk.kept.state(before_made) is SubmissionState.QUEUED:
            desk.engine.submit(before_made)
        scheduler.runs.started(run.id, before_made, scheduler.now())
        return
    maker = _caller(scheduler, schedule, schedule.maker)
    if not maker.holds(now):
        detail = f"API key {maker.id}, which created the schedule, has expired or was revoked"
        skip(SkipReason.KEY_ENDED, detail)
        return
    # Leave is the maker's, but who brought what is audited is who handed it in.
    caller = _caller(scheduler, schedule, str(run.change.get("by") or schedule.maker))
    try:
        asked = _asked(scheduler, schedule, run)
        policy, file = validate_order(scheduler.desk, schedule.project, asked)
        draft = build_submission(scheduler.desk, caller, asked, policy, file)
        # Say why nothing is audited that was, or is being, audited already
        upon = run.change.get("upon")
        before = None if upon is None else scheduler.desk.kept.submission(draft.project, str(upon))
        if before is not None and before.asked == draft.asked:
            why = (
                SkipReason.SAME_BEFORE,
                (f"{upon} requested exactly the same, so this run would repeat it"),
            )
        else:
            same = scheduler.runs.going_on(draft.project, draft.asked, once)
            if same is not None:
                why = SkipReason.STILL_RUNNING, f"{same} requests the same and has not ended"
            else:
                why = None
        if why is not None:
            skip(*why)
            return
        asker = RunRequester(
            run=run, schedule=schedule, caller=caller, draft=draft, policy=policy, once=once
        )
        made = _made(scheduler, asker, asked)
    except InvalidInputError as error:
        # What was pushed or changed comes once: it is asked for again until there is room.
        if run.trigger is ScheduleTrigger.CRON or not isinstance(error, QuotaError):
            skip(SkipReason.REFUSED, error.problem)
        return
    scheduler.runs.started(run.id, made[0], now, made[1])


def _made(scheduler: ScheduleContext, asker: RunRequester, asked: AuditOrder) -> tuple[str, str]:
    """Make the audit of a run, and say how, where no model runs for it."""
    run = asker.run
    if run.trigger is ScheduleTrigger.POLICY_CHANGED and not run.change.get("measured"):
        judged = judge_stored_readings(scheduler, asker)
        if judged is not None:
            return judged
    return submit_audit(scheduler.desk, asker.caller, asked, asker.once)[0].id, ""


def _caller(scheduler: ScheduleContext, schedule: Schedule, key: str) -> ApiKey:
    """Return the key of an id; one that is not kept was somebody's sign-on."""
    found = scheduler.desk.kept.key(key)
    if found is not None:
        return found
    return ApiKey(
        id=key, project=schedule.project, role=AccessRole.SUBMITTER, name=schedule.name,
        secret_hash="", created=schedule.created,
    )  # fmt: skip


def _asked(scheduler: ScheduleContext, schedule: Schedule, run: ScheduledRun) -> AuditOrder:
    change = read_json(RunChange, run.change, "change")
    asked, put = change.made_to(read_kept_order(schedule.asked)), change.put
    if put is None or put.version is None:
        return asked
    # What asks for the same by an audit file that names another version. The places of the one that
    # was sent are of other lines, and go.
    desk = scheduler.desk
    raw = set_model_version(desk.blobs.get(asked.audit_file), put.version)
    upload = UploadedFile(
        project=schedule.project, digest=desk.blobs.put(raw), kind=UploadKind.DATASET,
        name=asked.source, size=len(raw), at=scheduler.now(),
    )  # fmt: skip
    desk.kept.note_upload(upload)
    return replace(asked, audit_file=upload.digest, places=None)
