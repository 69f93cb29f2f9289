"""Alarms of drift, and targets that are others than before: each is audited upon once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World

from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.json import Json, digest_json, encode_canonical, read_json
from auditor.domain.record_json import read_record
from auditor.policy.load import load_policy
from auditor.service.domain.agents import select_identity_facts
from auditor.service.domain.schedules import DueRun, Schedule, ScheduledRun, SkipReason
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.manage import RunChange
from auditor.service.schedules.run import run_due_schedules
from auditor.service.schedules.triggers import TriggerWatcher
from auditor.service.server.worker import record_sightings
from auditor.service.store.agents import SightingStore
from auditor.targets.probe import probe_target
from auditor.targets.target_specs import NAMED

NUMBERS = count()
DRIFTS: Mapping[str, Json] = {
    "apiVersion": "auditor/v1", "kind": "Policy",
    "metadata": {"name": "drifting", "version": "1.0.0", "owner": "tests@example.org",
                 "least_budget": "smoke"},
    "rules": [
        {"id": "accuracy", "title": "It is right", "severity": "high", "effect": "deny",
         "measure": "quality.accuracy/accuracy", "at_least": 0.6},
        {"id": "drift", "title": "Nothing moved", "severity": "low", "effect": "warn",
         "measure": "data.drift/largest_distance", "at_most": 0.5},
    ],
}  # fmt: skip


@pytest.fixture
def scheduled(apart: World) -> Scheduled:
    found = Scheduled(apart, f"alarmed{next(NUMBERS)}")
    found.clock.now = datetime.now(UTC)
    return found


def asked(scheduled: Scheduled) -> Mapping[str, Any]:
    """Upload what an audit with a reference needs, and return how the example's form changes."""
    world, key = scheduled.world, scheduled.key
    policy = load_policy(encode_canonical(dict(DRIFTS)), "drifting", discover_checks(), {})
    raw = (world.example / "audit.yaml").read_bytes()
    raw = raw.replace(
        b"policy:", b"  reference: {path: before.csv, labels: y, id: id, groups: [town]}\npolicy:"
    )
    before = (world.example / "test.csv").read_bytes()
    inputs = world.body()["inputs"]
    inputs.append({**inputs[1], "path": "before.csv", "name": "before.csv"})
    assert inputs[1]["size"] == len(before)
    return {
        "audit_file": world.upload(raw, key=key),
        "policy": world.upload(encode_canonical(policy.document), key=key),
        "inputs": inputs,
        "only": ["data.drift"],
    }


def drifted(scheduled: Scheduled) -> bytes:
    """Return the example's data with every row moved towards one corner, and no two rows alike."""
    lines = (scheduled.world.example / "test.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    moved = (
        f"{name},{0.8 + 0.2 * at / len(cells):.4f},{0.8 + 0.2 * (at * 7 % 11) / 11:.4f},"
        f"{0.8 + 0.2 * (at * 5 % 13) / 13:.4f},{town},{label}"
        for at, (name, *_, town, label) in enumerate(cells)
    )
    return "\n".join([lines[0], *moved]).encode() + b"\n"


def upon(runs: tuple[ScheduledRun, ...], trigger: ScheduleTrigger) -> list[ScheduledRun]:
    return [run for run in runs if run.trigger is trigger]


def pushed(scheduled: Scheduled, schedule: Schedule, raw: bytes) -> str:
    """Push a batch, and return the audit that came of it, which has ended."""
    digest = scheduled.world.upload(raw, key=scheduled.key)
    path = f"/v1/schedules/{schedule.id}/batches"
    scheduled.call("POST", path, json={"dataset": digest})
    run_due_schedules(scheduled.world.service.schedules)
    audit = str(scheduled.runs(schedule)[0].audit)
    scheduled.finish(audit)
    return audit


@pytest.mark.slow
def test_a_batch_in_which_data_drift_by_the_policy_is_audited_as_a_whole_once(
    scheduled: Scheduled,
) -> None:
    first = scheduled.audit(**asked(scheduled))
    scheduled.finish(first)
    made = scheduled.schedule(first, None, ScheduleTrigger.BATCH, ScheduleTrigger.DRIFT_ALARM)
    watcher = TriggerWatcher(scheduled.world.service.schedules)
    quiet = (scheduled.world.example / "test.csv").read_bytes() + b"x1,0.1,0.2,0.3,north,no\n"
    pushed(scheduled, made, quiet)
    watcher.watch()
    assert upon(scheduled.runs(made), ScheduleTrigger.DRIFT_ALARM) == []
    raw = drifted(scheduled)
    audit = pushed(scheduled, made, raw)
    watcher.watch()
    watcher.watch()
    (run,) = upon(scheduled.runs(made), ScheduleTrigger.DRIFT_ALARM)
    assert run.why == f"drift on cpu failed in {audit}"
    run_due_schedules(scheduled.world.service.schedules)
    (run,) = upon(scheduled.runs(made), ScheduleTrigger.DRIFT_ALARM)
    kept = scheduled.world.service.kept
    whole, before = (kept.submission(scheduled.project, str(it)) for it in (run.audit, audit))
    assert whole is not None
    assert before is not None
    assert (before.order.only, whole.order.only) == (("data.drift",), ())
    assert sha(raw).removeprefix("sha256:") in {it.file.sha256 for it in whole.order.inputs}


@pytest.mark.slow
def test_an_alarm_of_anybodys_audit_brings_its_data_to_a_schedule_that_waits_for_alarms(
    scheduled: Scheduled,
) -> None:
    form = asked(scheduled)
    made = scheduled.schedule(
        scheduled.audit(**form), None, ScheduleTrigger.BATCH, ScheduleTrigger.DRIFT_ALARM
    )
    raw = drifted(scheduled)
    digest = scheduled.world.upload(raw, key=scheduled.key)
    file = {"size": len(raw), "sha256": digest.removeprefix("sha256:")}
    inputs = [it | (file if it["path"] == "test.csv" else {}) for it in form["inputs"]]
    theirs = scheduled.audit(**{**form, "inputs": inputs})
    scheduled.finish(theirs)
    TriggerWatcher(scheduled.world.service.schedules).watch()
    (run,) = upon(scheduled.runs(made), ScheduleTrigger.DRIFT_ALARM)
    change = read_json(RunChange, run.change, "change")
    assert (change.upon, change.whole) == (theirs, True)
    assert change.put is not None
    assert (change.put.path, change.put.sha256) == ("test.csv", file["sha256"])


def test_an_alarm_of_an_audit_that_was_whole_already_repeats_nothing(scheduled: Scheduled) -> None:
    whole = scheduled.audit(only=[])
    scheduled.call("POST", f"/v1/audits/{whole}/cancel")
    made = scheduled.schedule(whole, None, ScheduleTrigger.DRIFT_ALARM)
    change = RunChange(whole=True, upon=whole).to_json()
    due = DueRun(
        key="drift_alarm x", trigger=ScheduleTrigger.DRIFT_ALARM, why="it drifts", change=change
    )
    scheduled.scheduler.runs.claim(made.id, due, scheduled.clock())
    scheduled.tick()
    (run,) = scheduled.runs(made)
    assert run.skipped is SkipReason.SAME_BEFORE
    assert run.detail == f"{whole} requested exactly the same, so this run would repeat it"


@pytest.mark.slow
def test_a_target_that_is_another_than_it_was_audited_on_is_audited_there_once(
    scheduled: Scheduled,
) -> None:
    first = scheduled.audit()
    scheduled.finish(first)
    made = scheduled.schedule(first, None, ScheduleTrigger.FINGERPRINT_CHANGED)
    watcher, sightings = TriggerWatcher(scheduled.world.service.schedules), _sightings(scheduled)
    facts = _facts(scheduled, first)
    assert sightings.note("worker 1", "cpu", facts, utc_now())
    watcher.watch()
    assert scheduled.runs(made) == ()
    other = {**facts, "machine": {"os": "Linux", "cpu": {"model": "another"}}}
    assert sightings.note("worker 1", "cpu", other, utc_now())
    assert not sightings.note("worker 1", "cpu", other, utc_now())
    assert sightings.note("worker 1", "gpu", other, utc_now())
    watcher.watch()
    watcher.watch()
    (run,) = scheduled.runs(made)
    assert run.trigger is ScheduleTrigger.FINGERPRINT_CHANGED
    assert run.why.startswith(
        f"cpu is {digest_json(select_identity_facts(other))} for worker 1 since "
    )
    assert run.why.endswith(f"and was {digest_json(facts)} in {first}")
    run_due_schedules(scheduled.world.service.schedules)
    (run,) = scheduled.runs(made)
    again = scheduled.world.service.kept.submission(scheduled.project, str(run.audit))
    assert again is not None
    assert again.order.targets == ("cpu",)


@pytest.mark.slow
def test_what_agents_of_other_projects_see_makes_nobody_audit(scheduled: Scheduled) -> None:
    first = scheduled.audit()
    scheduled.finish(first)
    made = scheduled.schedule(first, None, ScheduleTrigger.FINGERPRINT_CHANGED)
    other = {**_facts(scheduled, first), "runtime": {"name": "another"}}
    sightings = _sightings(scheduled)
    sightings.note(f"their agent {made.id}", "cpu", other, utc_now(), project="elsewhere")
    TriggerWatcher(scheduled.world.service.schedules).watch()
    theirs = [run for run in scheduled.runs(made) if "their agent" in run.why]
    assert theirs == []
    sightings.note(f"our agent {made.id}", "cpu", other, utc_now(), project=scheduled.project)
    TriggerWatcher(scheduled.world.service.schedules).watch()
    assert [run for run in scheduled.runs(made) if f"our agent {made.id}" in run.why] != []


@pytest.mark.slow
def test_a_probe_tells_the_same_of_a_place_as_the_record_of_an_audit_there(
    scheduled: Scheduled,
) -> None:
    first = scheduled.audit()
    scheduled.finish(first)
    probe = probe_target(NAMED["cpu"])
    assert select_identity_facts(probe) == _facts(scheduled, first)
    told: list[Mapping[str, Json]] = []
    seer = f"serve {scheduled.project}"
    for _ in range(2):
        record_sightings(scheduled.world.place.store, seer, [NAMED["cpu"]], told.append)
    seen = _sightings(scheduled).since(scheduled.project, "2020-01-01T00:00:00Z")
    (mine,) = [it for it in seen if it.seer == seer]
    assert (mine.target, mine.facts, told) == ("cpu", select_identity_facts(probe), [])


def test_a_probe_that_lacks_what_must_match_tells_nothing(scheduled: Scheduled) -> None:
    assert not _sightings(scheduled).note("w", "cpu", {"machine": {"os": "Linux"}}, utc_now())


def _sightings(scheduled: Scheduled) -> SightingStore:
    return SightingStore(scheduled.world.place.store)


def _facts(scheduled: Scheduled, audit: str) -> dict[str, Json]:
    raw = scheduled.world.call("GET", f"/v1/audits/{audit}/record", scheduled.key).content
    return select_identity_facts(read_record(raw).fingerprints["cpu"].identity_facts)
