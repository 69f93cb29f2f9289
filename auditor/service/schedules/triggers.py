"""Schedule triggers: clock times, pushed batches and versions, drift alarms, and target changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import TypeAlias

from auditor._time import parse_time
from auditor.domain.artifacts import FileDigest
from auditor.domain.digests import Digest
from auditor.domain.findings import Outcome
from auditor.domain.json import Json, digest_json
from auditor.domain.policies import RuleEffect
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver, WaiverValidity
from auditor.errors import (
    AuditorError,
    ScheduleError,
    StateConflictError,
    StoreError,
    SubmissionError,
)
from auditor.service.approvals.people import read_stored_record
from auditor.service.domain.access import ApiKey
from auditor.service.domain.agents import select_identity_facts
from auditor.service.domain.schedules import DueRun, Schedule, ScheduledRun, ScheduleState
from auditor.service.domain.submissions import UploadKind
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.context import ScheduleContext, resolve_audit_file, run_each
from auditor.service.schedules.cron import MOST_COUNTED, CronExpression
from auditor.service.schedules.manage import (
    RESOLVED,
    FileReplacement,
    RunChange,
    find_batch_path,
    find_schedule,
    find_single_file,
    read_kept_order,
)
from auditor.service.store.audit_queries import (
    AuditListQueries,
    AuditQuery,
    find_newest_on_target,
    find_newest_record,
    list_records_since,
)
from auditor.trust.signatures.decisions import verify_waiver

Heard: TypeAlias = "Callable[[str, str], DriftAlarm | None]"
"""Knows the alarm that a project's record (by its digest) is."""
WATCHED = ("data.drift", "data.decay")
"""The checks of which a failed finding is an alarm, as the author of the policy writes them."""
NEWEST = 20
"""So many newly ended audits of a model are looked at."""


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """What a record's policy says of drift or decay: the rules that failed, each with its target.

    ``of`` is the digest of artifact, policy, data and targets: an alarm is heeded once for it.
    """

    rules: tuple[str, ...]
    targets: tuple[str, ...]
    of: str


def find_alarm(record: AuditRecord) -> DriftAlarm | None:
    """Return the alarm that a record is, or nothing.

    There is no threshold here: an alarm is a finding that denies or warns, and failed. One that is
    waived, or unknown, is none.
    """
    failed = [
        item
        for item in record.findings
        if item.outcome is Outcome.FAILED
        and item.effect is not RuleEffect.INFO
        and item.measure.partition("/")[0] in WATCHED
    ]
    if not failed:
        return None
    targets = tuple(sorted({item.target for item in failed}))
    # What a record is of: artifact, policy, and data
    request = record.request
    of = digest_json(
        {
            "artifact": None if request.artifact is None else request.artifact.digest,
            "policy": request.policy.digest,
            "data": sorted(f"{item.role} {item.digest}" for item in request.datasets),
            "targets": list(targets),
        }
    )
    return DriftAlarm(tuple(f"{item.name} on {item.target}" for item in failed), targets, of)


def find_alarm_runs(
    scheduler: ScheduleContext, schedule: Schedule, heard: Heard
) -> Iterator[DueRun]:
    """Yield the runs that the newest records of a schedule's model call for, the oldest first.

    What ended before the schedule began is past; what was made upon an alarm raises no other.
    """
    store = scheduler.kept.store
    stood = list_records_since(store, schedule.project, schedule.model, schedule.resumed, NEWEST)
    records = {item.submission: item.record for item in stood}
    made = scheduler.runs.made_of(tuple(records), ScheduleTrigger.DRIFT_ALARM)
    for name, digest in reversed(records.items()):
        alarm = None if name in made else heard(schedule.project, digest)
        if alarm is None:
            continue
        change = RunChange(put=_brought(scheduler, schedule, name), whole=True, upon=name)
        yield DueRun(
            key=f"{ScheduleTrigger.DRIFT_ALARM} {alarm.of}",
            trigger=ScheduleTrigger.DRIFT_ALARM,
            why=f"{', '.join(alarm.rules)} failed in {name}",
            change=change.to_json(),
        )


def load_alarm(scheduler: ScheduleContext, project: str, digest: str) -> DriftAlarm | None:
    """Return the alarm that a kept record of a project is. Raises ``StoreError``."""
    kept = scheduler.people.rejudged.record(project, digest)
    if kept is None:
        raise StoreError(f"the record {digest} is not kept", cure="Restore it from a copy.")
    return find_alarm(read_stored_record(kept))


def find_target_change_runs(scheduler: ScheduleContext, schedule: Schedule) -> Iterator[DueRun]:
    """Yield the runs that are due since a target turned out to be another than it was audited on.

    It is held against the newest record of the model on that target, once for each time that a
    worker or an agent says so.
    """
    file = resolve_audit_file(scheduler, read_kept_order(schedule.asked))
    targets = {spec.name for spec in file.targets}
    seen = scheduler.sightings.since(schedule.project, schedule.resumed)
    # Of what one of them said of a target the last word counts.
    for sighting in {(it.seer, it.target): it for it in seen if it.target in targets}.values():
        # The newest audit on a target and its place there, where that is not what was seen. Nothing
        # is known of a record that says nothing of the place.
        store, target = scheduler.kept.store, sighting.target
        newest = find_newest_on_target(store, schedule.project, schedule.model, target)
        kept = None if newest is None else scheduler.people.rejudged.record(
            schedule.project, newest.record
        )  # fmt: skip
        if newest is None or kept is None:
            found = None
        else:
            record = read_stored_record(kept)
            fingerprint = record.fingerprints.get(target)
            facts = {} if fingerprint is None else select_identity_facts(fingerprint.identity_facts)
            if not facts or digest_json(facts) == sighting.identity:
                found = None
            else:
                found = newest.submission, digest_json(facts)
        if found is None:
            continue
        name, before = found
        of: dict[str, Json] = {
            "target": sighting.target, "identity": sighting.identity,
            "seer": sighting.seer, "number": sighting.number,
        }  # fmt: skip
        yield DueRun(
            key=f"{ScheduleTrigger.FINGERPRINT_CHANGED} {digest_json(of)}",
            trigger=ScheduleTrigger.FINGERPRINT_CHANGED,
            why=f"{sighting.target} is {sighting.identity} for {sighting.seer} since {sighting.at},"
            f" and was {before} in {name}",
            change=RunChange(targets=(sighting.target,)).to_json(),
        )


def _brought(scheduler: ScheduleContext, schedule: Schedule, name: str) -> FileReplacement | None:
    """Return the data in which an alarm was, for the place of what a schedule has of that role.

    That is what batches take the place of, else the production data. Nothing is put where one of
    both audits has none such, or in several files, or where it is the same.
    """
    submission = scheduler.desk.kept.submission(schedule.project, name)
    if submission is None:
        return None
    mine = read_kept_order(schedule.asked)
    try:
        file = resolve_audit_file(scheduler, mine)
        here = schedule.batch_path or find_batch_path(file, None)
        role = next(key.value for key, it in file.data.items() if it.path == here)
        theirs = submission.order
        path = find_batch_path(resolve_audit_file(scheduler, theirs), role)
        there = find_single_file(theirs, path).file
        same = find_single_file(mine, here).file.sha256 == there.sha256
    except AuditorError:
        return None  # also where a target of theirs is not there any more
    return None if same else FileReplacement(path=here, sha256=there.sha256, size=there.size)


LATE = timedelta(seconds=90)
"""A time that came longer ago was missed: the service did not run."""


def find_due_runs(scheduler: ScheduleContext) -> None:
    """Put down a run of every schedule whose time has come.

    After a stop at most one is made up, and says so. What came while a schedule rested is past.
    """
    now, clocked = scheduler.now(), scheduler.kept.clocked()
    last = scheduler.runs.last_came([schedule.id for schedule in clocked])
    run_each(clocked, lambda schedule: _clocked(scheduler, schedule, last.get(schedule.id), now))


def _clocked(scheduler: ScheduleContext, schedule: Schedule, last: str | None, now: str) -> None:
    if schedule.cron is None:
        return
    base = schedule.resumed if last is None else max(schedule.resumed, last.removeprefix("cron "))
    came = CronExpression(schedule.cron).came(base, now)
    if came is None:
        return
    why = f"{schedule.cron} came at {came.last}"
    late = parse_time(now) - parse_time(came.last) > LATE
    if late or came.times > 1:
        more = "or more " if came.times == MOST_COUNTED else ""
        why += f"; made up for {came.times} {more}missed since {base}, once"
    due = DueRun(key=f"cron {came.last}", trigger=ScheduleTrigger.CRON, why=why, change={})
    scheduler.runs.claim(schedule.id, due, now)


def push_batch(
    scheduler: ScheduleContext, caller: ApiKey, name: str, digest: str
) -> tuple[ScheduledRun, bool]:
    """Audit again with a batch in the place of its data; return the run of it, and if it is new.

    Raises ``NotFoundError``, ``StateConflictError`` where the schedule does not run upon batches or
    rests, and ``SubmissionError`` for what was not uploaded.
    """
    schedule = _ready(scheduler, caller, name, ScheduleTrigger.BATCH)
    put = _put(scheduler, caller, str(schedule.batch_path), digest)
    due = DueRun(
        key=f"batch {digest}",
        trigger=ScheduleTrigger.BATCH,
        why=f"the batch {digest} was pushed by {caller.id}",
        change=put.to_json(),
    )
    return scheduler.runs.claim(schedule.id, due, scheduler.now())


@dataclass(frozen=True, slots=True)
class VersionPush:
    """A new version of a model: its file's digest, what it is called, and the file's own name.

    Without a ``name`` it is that under which the file was uploaded.
    """

    digest: str
    version: str
    name: str | None = None


def push_version(
    scheduler: ScheduleContext, caller: ApiKey, name: str, pushed: VersionPush
) -> tuple[ScheduledRun, bool]:
    """Audit again with a new version in the place of the model; return the run, and if it is new.

    Raises as ``push_batch``, and ``ScheduleError`` for the version that the schedule has.
    """
    schedule = _ready(scheduler, caller, name, ScheduleTrigger.NEW_VERSION)
    path = find_artifact_path(scheduler, schedule)
    digest, version = pushed.digest, pushed.version
    put = _put(scheduler, caller, path, digest, version)
    put = replace(put, name=pushed.name or _uploaded_as(scheduler, caller, digest))
    mine = find_single_file(read_kept_order(schedule.asked), path).file
    if mine.sha256 == put.sha256:
        raise ScheduleError(
            f"{digest} is already the version that {name} audits", cure="Submit a new version."
        )
    due = DueRun(
        key=build_version_key(
            mine, FileDigest(put.name or mine.name, put.size, put.sha256), version
        ),
        trigger=ScheduleTrigger.NEW_VERSION,
        why=f"version {version} ({digest}) was submitted by {caller.id}",
        change=put.to_json(),
    )
    return scheduler.runs.claim(schedule.id, due, scheduler.now())


def _ready(
    scheduler: ScheduleContext, caller: ApiKey, name: str, trigger: ScheduleTrigger
) -> Schedule:
    schedule = find_schedule(scheduler, caller.project, name)
    if trigger not in schedule.triggers:
        raise StateConflictError(
            f"{name} does not have the trigger {trigger}",
            cure=f"Create a schedule with on: [{trigger}].",
        )
    if schedule.state is not ScheduleState.ACTIVE:
        raise StateConflictError(
            f"{name} is {schedule.state}", cure="Resume it, or create another schedule."
        )
    return schedule


def _put(
    scheduler: ScheduleContext, caller: ApiKey, path: str, digest: str, version: str | None = None
) -> FileReplacement:
    if not scheduler.desk.kept.has_upload(caller.project, digest):
        raise SubmissionError(f"{digest} was not uploaded", cure="Upload it first with PUT.")
    size = scheduler.desk.blobs.size(digest)
    sha256 = Digest(digest).hex
    return FileReplacement(path=path, sha256=sha256, size=size, version=version, by=caller.id)


def _uploaded_as(scheduler: ScheduleContext, caller: ApiKey, digest: str) -> str | None:
    """Return the name under which a project uploaded a model's file, if it was told one."""
    name = scheduler.desk.kept.upload_name(caller.project, digest, UploadKind.ARTIFACT)
    return None if name is None or digest.endswith(name) else name


def find_artifact_path(scheduler: ScheduleContext, schedule: Schedule) -> str:
    """Return the path at which the audit file of a schedule names its artifact."""
    return str(resolve_audit_file(scheduler, read_kept_order(schedule.asked)).model.artifact)


def build_version_key(mine: FileDigest, file: FileDigest, version: str) -> str:
    """Return the key of the one run of a version, by its file and its name.

    The name of the file counts where it is not that of the schedule's own, ``mine``.
    """
    named: dict[str, Json] = {} if file.name == mine.name else {"name": file.name}
    told: dict[str, Json] = {"artifact": file.digest, "version": version, **named}
    return f"new_version {digest_json(told)}"


"""So many submissions of a model are looked at for a version that is new."""
REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class SubmittedVersion:
    """The model's file that a submission brings, the version that it is called by, and who did."""

    file: FileDigest
    version: str
    by: str


class TriggerWatcher:
    """Watches for schedules what changes; what never does is read once, and remembered for a while.

    That is what a submission brings, which waivers a record rests on, and which alarm it is.
    """

    def __init__(self, scheduler: ScheduleContext) -> None:
        self.scheduler = scheduler
        self.brought = lru_cache(REMEMBERED)(partial(_brought_watching, scheduler))
        self.waived = lru_cache(REMEMBERED)(partial(_waived, scheduler))
        self.heard = lru_cache(REMEMBERED)(partial(load_alarm, scheduler))

    def watch(self) -> None:
        """Put down a run for every change that a schedule runs upon, once for each."""
        run_each(self.scheduler.kept.active(), self._watch)

    def _watch(self, schedule: Schedule) -> None:
        acts = {
            ScheduleTrigger.NEW_VERSION: self._versions,
            ScheduleTrigger.POLICY_CHANGED: self._policy,
            ScheduleTrigger.WAIVER_EXPIRED: self._waivers,
            ScheduleTrigger.DRIFT_ALARM: self._alarms,
            ScheduleTrigger.FINGERPRINT_CHANGED: self._targets,
        }
        run_each((acts[it] for it in schedule.triggers if it in acts), lambda act: act(schedule))

    def _versions(self, schedule: Schedule) -> None:
        """Look whether somebody handed in a version of the model that is not the schedule's."""
        scheduler, asked = self.scheduler, read_kept_order(schedule.asked)
        path = find_artifact_path(scheduler, schedule)
        mine = find_single_file(asked, path).file
        sought = AuditQuery(project=schedule.project, model=schedule.model, limit=NEWEST)
        newest = AuditListQueries(scheduler.desk.kept).audits(sought)[0]
        made = scheduler.runs.made_of(tuple(item.id for item in newest))
        for item in reversed(newest):
            if item.id in made or item.submitted < schedule.resumed:
                continue
            found = self.brought(schedule.project, item.id)
            if found is None or found.file.sha256 == mine.sha256:
                continue
            why = f"version {found.version} was submitted as {item.id}"
            file = found.file
            put = FileReplacement(
                path=path, sha256=file.sha256, size=file.size, version=found.version, by=found.by,
                name=file.name,
            )  # fmt: skip
            key = build_version_key(mine, file, found.version)
            self._claim(schedule, ScheduleTrigger.NEW_VERSION, key, why, put)

    def _policy(self, schedule: Schedule) -> None:
        """Look whether the pack that a schedule names is another than at its last audit."""
        now = self.scheduler.desk.pack(str(schedule.asked["policy"])).digest
        last = self.scheduler.runs.last_made(schedule.id)
        ran = None if last is None else self.scheduler.desk.kept.submission(schedule.project, last)
        then = str(schedule.asked[RESOLVED]) if ran is None else ran.order.policy
        if now != then:
            why = f"the policy {schedule.asked['policy']} is {now} now, and was {then}"
            self._claim(schedule, ScheduleTrigger.POLICY_CHANGED, f"policy_changed {now}", why)

    def _waivers(self, schedule: Schedule) -> None:
        """Look whether a waiver ran out on which the newest record of the model rests."""
        store, now = self.scheduler.kept.store, self.scheduler.now()
        record = find_newest_record(store, schedule.project, schedule.model)
        for waiver in () if record is None else self.waived(record):
            if waiver.life(now) is WaiverValidity.EXPIRED:
                why = f"{waiver} ran out on {waiver.expires}, and {record} rests on it"
                self._claim(
                    schedule, ScheduleTrigger.WAIVER_EXPIRED, f"waiver_expired {record}", why
                )
                return

    def _alarms(self, schedule: Schedule) -> None:
        """Look whether a record of the model says that its data drift, or that it decays."""
        for due in find_alarm_runs(self.scheduler, schedule, self.heard):
            self.scheduler.runs.claim(schedule.id, due, self.scheduler.now())

    def _targets(self, schedule: Schedule) -> None:
        """Look whether a target turned out to be another than the model was audited on."""
        for due in find_target_change_runs(self.scheduler, schedule):
            self.scheduler.runs.claim(schedule.id, due, self.scheduler.now())

    def _claim(
        self,
        schedule: Schedule,
        trigger: ScheduleTrigger,
        key: str,
        why: str,
        put: FileReplacement | None = None,
    ) -> None:
        change = {} if put is None else put.to_json()
        due = DueRun(key=key, trigger=trigger, why=why, change=change)
        self.scheduler.runs.claim(schedule.id, due, self.scheduler.now())


def _brought_watching(
    scheduler: ScheduleContext, project: str, name: str
) -> SubmittedVersion | None:
    """Return what a submission brings, or nothing where it is no model of one file."""
    desk = scheduler.desk
    submission = desk.kept.submission(project, name)
    if submission is None:
        return None
    try:
        model = resolve_audit_file(scheduler, submission.order).model
    except AuditorError:
        return None  # its targets are not there any more
    files = [it.file for it in submission.order.inputs if it.path == model.artifact]
    if len(files) != 1:
        return None
    return SubmittedVersion(files[0], model.version, submission.submitter)


def _waived(scheduler: ScheduleContext, digest: str) -> tuple[Waiver, ...]:
    """Return the waivers that a record's findings rest on."""
    store = scheduler.kept.store
    with store.unit_of_work() as unit:
        there = unit.find_record_by_digest(digest)
    if there is None:
        return ()
    record = there.read()
    used = {item.waiver for item in record.findings if item.outcome is Outcome.WAIVED}
    refs = [ref for ref in record.request.waivers if ref.waiver in used]
    blobs = store.blobs
    return tuple(
        verify_waiver(blobs.get(ref.digest), blobs.get(ref.key), ref.file).waiver for ref in refs
    )
