"""What calls for an audit: alarms of drift or decay in records, and targets that changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.canonical import Json, digest_json
from auditor.domain.policies import Effect
from auditor.domain.records import AuditRecord
from auditor.domain.schedules import Due, Schedule, Trigger
from auditor.domain.sightings import Sighting, facts_told
from auditor.domain.verdicts import Outcome
from auditor.errors import AuditorError, StoreError
from auditor.people.panels import read_kept
from auditor.schedules.changes import Change
from auditor.schedules.parts import Scheduler, file_of
from auditor.schedules.templates import (
    Put,
    alone,
    path_of_batches,
    read_asked_json,
    same_as,
)
from auditor.store.service.newest_records import newest_there, records_since

Heard: TypeAlias = "Callable[[str, str], Alarm | None]"
"""Knows the alarm that a project's record (by its digest) is."""
WATCHED = ("data.drift", "data.decay")
"""The checks of which a failed finding is an alarm, in the words of whoever wrote the policy."""
NEWEST = 20
"""So many newly ended audits of a model are looked at."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a record's policy says of drift or decay: the rules that failed, each with its target.

    ``of`` is the digest of artifact, policy, data and targets: an alarm is heeded once for it.
    """

    rules: tuple[str, ...]
    targets: tuple[str, ...]
    of: str


def alarm_of(record: AuditRecord) -> Alarm | None:
    """Return the alarm that a record is, or nothing.

    There is no threshold here: an alarm is a finding that denies or warns, and failed. One that is
    waived, or unknown, is none.
    """
    failed = [
        item
        for item in record.findings
        if item.outcome is Outcome.FAILED
        and item.effect is not Effect.INFO
        and item.measure.partition("/")[0] in WATCHED
    ]
    if not failed:
        return None
    targets = tuple(sorted({item.target for item in failed}))
    of = digest_json({**_audited(record), "targets": list(targets)})
    return Alarm(tuple(f"{item.name} on {item.target}" for item in failed), targets, of)


def upon_alarms(scheduler: Scheduler, schedule: Schedule, heard: Heard) -> Iterator[Due]:
    """Yield the runs that the newest records of a schedule's model call for, the oldest first.

    What ended before the schedule began is past; what was made upon an alarm raises no other.
    """
    store = scheduler.kept.store
    stood = records_since(store, schedule.project, schedule.model, schedule.resumed, NEWEST)
    records = {item.submission: item.record for item in stood}
    made = scheduler.runs.made_of(tuple(records), Trigger.DRIFT_ALARM)
    for name, digest in reversed(records.items()):
        alarm = None if name in made else heard(schedule.project, digest)
        if alarm is None:
            continue
        change = Change(put=_brought(scheduler, schedule, name), whole=True, upon=name)
        yield Due(
            key=f"{Trigger.DRIFT_ALARM} {alarm.of}",
            trigger=Trigger.DRIFT_ALARM,
            why=f"{', '.join(alarm.rules)} failed in {name}",
            change=change.to_json(),
        )


def kept_alarm(scheduler: Scheduler, project: str, digest: str) -> Alarm | None:
    """Return the alarm that a kept record of a project is. Raises ``StoreError``."""
    kept = scheduler.people.rejudged.record(project, digest)
    if kept is None:
        raise StoreError(f"the record {digest} is not kept", cure="Restore it from a copy.")
    return alarm_of(read_kept(kept))


def upon_sightings(scheduler: Scheduler, schedule: Schedule) -> Iterator[Due]:
    """Yield the runs that are due since a target turned out to be another than it was audited on.

    It is held against the newest record of the model on that target, once for each time that a
    worker or an agent says so.
    """
    file = file_of(scheduler, read_asked_json(schedule.asked))
    targets = {spec.name for spec in file.targets}
    seen = scheduler.sightings.since(schedule.project, schedule.resumed)
    # Of what one of them said of a target the last word counts.
    for sighting in {(it.seer, it.target): it for it in seen if it.target in targets}.values():
        found = _elsewhere(scheduler, schedule, sighting)
        if found is None:
            continue
        name, before = found
        of: dict[str, Json] = {
            "target": sighting.target, "identity": sighting.identity,
            "seer": sighting.seer, "number": sighting.number,
        }  # fmt: skip
        yield Due(
            key=f"{Trigger.FINGERPRINT_CHANGED} {digest_json(of)}",
            trigger=Trigger.FINGERPRINT_CHANGED,
            why=f"{sighting.target} is {sighting.identity} for {sighting.seer} since {sighting.at},"
            f" and was {before} in {name}",
            change=Change(targets=(sighting.target,)).to_json(),
        )


def _elsewhere(
    scheduler: Scheduler, schedule: Schedule, sighting: Sighting
) -> tuple[str, str] | None:
    """Return the newest audit on a target and its place there, where that is not what was seen.

    Nothing is known of a record that says nothing of the place.
    """
    store, target = scheduler.kept.store, sighting.target
    newest = newest_there(store, schedule.project, schedule.model, target)
    kept = None if newest is None else scheduler.people.rejudged.record(
        schedule.project, newest.record
    )  # fmt: skip
    if newest is None or kept is None:
        return None
    record = read_kept(kept)
    fingerprint = record.fingerprints.get(target)
    facts = {} if fingerprint is None else facts_told(fingerprint.identity_facts)
    if not facts or digest_json(facts) == sighting.identity:
        return None
    return newest.submission, digest_json(facts)


def _audited(record: AuditRecord) -> dict[str, Json]:
    """Return what a record is of: artifact, policy, and data."""
    request = record.request
    return {
        "artifact": None if request.artifact is None else request.artifact.digest,
        "policy": request.policy.digest,
        "data": sorted(f"{item.role} {item.digest}" for item in request.datasets),
    }


def _brought(scheduler: Scheduler, schedule: Schedule, name: str) -> Put | None:
    """Return the data in which an alarm was, for the place of what a schedule has of that role.

    That is what batches take the place of, else the production data. Nothing is put where one of
    both audits has none such, or in several files, or where it is the same.
    """
    submission = scheduler.desk.kept.submission(schedule.project, name)
    if submission is None:
        return None
    mine, theirs = read_asked_json(schedule.asked), same_as(submission)
    try:
        file = file_of(scheduler, mine)
        here = schedule.batch_path or path_of_batches(file, None)
        role = next(key.value for key, it in file.data.items() if it.path == here)
        there = alone(theirs, path_of_batches(file_of(scheduler, theirs), role)).file
        same = alone(mine, here).file.sha256 == there.sha256
    except AuditorError:
        return None  # also where a target of theirs is not there any more
    return None if same else Put(path=here, sha256=there.sha256, size=there.size)
