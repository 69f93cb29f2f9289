"""Find what is due by what changed meanwhile: versions, policies, waivers, records, targets."""

from dataclasses import dataclass
from functools import lru_cache, partial

from auditor.domain.artifacts import FileDigest
from auditor.domain.schedules import Due, Schedule, Trigger
from auditor.domain.submissions import Submission
from auditor.domain.verdicts import Outcome
from auditor.domain.waivers import Life, Waiver
from auditor.errors import AuditorError
from auditor.preparing import Overrides, read_asked
from auditor.schedules.alarms import kept_alarm, upon_alarms, upon_sightings
from auditor.schedules.parts import Scheduler, each
from auditor.schedules.templates import RESOLVED, Put, alone, read_asked_json
from auditor.schedules.triggering import artifact_path, version_key
from auditor.signatures.decisions import verify_waiver
from auditor.store.service.newest_records import newest_record
from auditor.store.service.overviews import Overviews, Sought

NEWEST = 20
"""So many submissions of a model are looked at for a version that is new."""
REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Brought:
    """The model's file that a submission brings, the version that it is called by, and who did."""

    file: FileDigest
    version: str
    by: str


class Watcher:
    """Watches for schedules what changes; what never does is read once, and remembered for a while.

    That is what a submission brings, which waivers a record rests on, and which alarm it is.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.brought = lru_cache(REMEMBERED)(partial(_brought, scheduler))
        self.waived = lru_cache(REMEMBERED)(partial(_waived, scheduler))
        self.heard = lru_cache(REMEMBERED)(partial(kept_alarm, scheduler))

    def watch(self) -> None:
        """Put down a run for every change that a schedule runs upon, once for each."""
        each(self.scheduler.kept.active(), self._watch)

    def _watch(self, schedule: Schedule) -> None:
        acts = {
            Trigger.NEW_VERSION: self._versions,
            Trigger.POLICY_CHANGED: self._policy,
            Trigger.WAIVER_EXPIRED: self._waivers,
            Trigger.DRIFT_ALARM: self._alarms,
            Trigger.FINGERPRINT_CHANGED: self._targets,
        }
        each((acts[it] for it in schedule.triggers if it in acts), lambda act: act(schedule))

    def _versions(self, schedule: Schedule) -> None:
        """Look whether somebody handed in a version of the model that is not the schedule's."""
        scheduler, asked = self.scheduler, read_asked_json(schedule.asked)
        path = artifact_path(scheduler, schedule)
        mine = alone(asked, path).file
        sought = Sought(project=schedule.project, model=schedule.model, limit=NEWEST)
        newest = Overviews(scheduler.desk.kept).audits(sought)[0]
        made = scheduler.runs.made_of(tuple(item.id for item in newest))
        for item in reversed(newest):
            if item.id in made or item.submitted < schedule.resumed:
                continue
            found = self.brought(schedule.project, item.id)
            if found is None or found.file.sha256 == mine.sha256:
                continue
            why = f"the version {found.version} was handed in as {item.id}"
            file = found.file
            put = Put(path=path, sha256=file.sha256, size=file.size, version=found.version,
                      by=found.by, name=file.name)  # fmt: skip
            key = version_key(mine, file, found.version)
            self._claim(schedule, Trigger.NEW_VERSION, key, why, put)

    def _policy(self, schedule: Schedule) -> None:
        """Look whether the pack that a schedule names is another than at its last audit."""
        now = self.scheduler.desk.pack(str(schedule.asked["policy"])).digest
        last = self.scheduler.runs.last_made(schedule.id)
        ran = None if last is None else self.scheduler.desk.kept.submission(schedule.project, last)
        then = str(schedule.asked[RESOLVED]) if ran is None else ran.policy
        if now != then:
            why = f"the policy {schedule.asked['policy']} is {now} now, and was {then}"
            self._claim(schedule, Trigger.POLICY_CHANGED, f"policy_changed {now}", why)

    def _waivers(self, schedule: Schedule) -> None:
        """Look whether a waiver ran out on which the newest record of the model rests."""
        store, now = self.scheduler.kept.store, self.scheduler.now()
        record = newest_record(store, schedule.project, schedule.model)
        for waiver in () if record is None else self.waived(record):
            if waiver.life(now) is Life.EXPIRED:
                why = f"{waiver} ran out on {waiver.expires}, and {record} rests on it"
                self._claim(schedule, Trigger.WAIVER_EXPIRED, f"waiver_expired {record}", why)
                return

    def _alarms(self, schedule: Schedule) -> None:
        """Look whether a record of the model says that its data drift, or that it decays."""
        for due in upon_alarms(self.scheduler, schedule, self.heard):
            self.scheduler.runs.claim(schedule.id, due, self.scheduler.now())

    def _targets(self, schedule: Schedule) -> None:
        """Look whether a target turned out to be another than the model was audited on."""
        for due in upon_sightings(self.scheduler, schedule):
            self.scheduler.runs.claim(schedule.id, due, self.scheduler.now())

    def _claim(
        self, schedule: Schedule, trigger: Trigger, key: str, why: str, put: Put | None = None
    ) -> None:
        change = {} if put is None else put.to_json()
        due = Due(key=key, trigger=trigger, why=why, change=change)
        self.scheduler.runs.claim(schedule.id, due, self.scheduler.now())


def _brought(scheduler: Scheduler, project: str, name: str) -> Brought | None:
    """Return what a submission brings, or nothing where it is no model of one file."""
    desk = scheduler.desk
    submission = desk.kept.submission(project, name)
    if submission is None:
        return None
    try:
        model = read_asked(
            desk.blobs.get(submission.audit_file), submission.source, _overrides(submission),
            desk.readers,
        ).model  # fmt: skip
    except AuditorError:
        return None  # its targets are not there any more
    files = [it.file for it in submission.inputs if it.path == model.artifact]
    if len(files) != 1:
        return None
    return Brought(files[0], model.version, submission.submitter)


def _overrides(submission: Submission) -> Overrides:
    return Overrides(targets=submission.targets, budget=submission.budget, only=submission.only)


def _waived(scheduler: Scheduler, digest: str) -> tuple[Waiver, ...]:
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
