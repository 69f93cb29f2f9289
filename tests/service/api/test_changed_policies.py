"""A policy that changed judges what is stored; a model runs only where readings are missing."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World

from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import FileDigest
from auditor.domain.json import Json, encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.requests import InputFile
from auditor.policy.load import load_policy
from auditor.service.domain.schedules import Schedule, ScheduledRun, ScheduledRunState
from auditor.service.domain.submissions import AuditOrder, SubmissionState
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.jobs.submit import submit_audit
from auditor.service.schedules.context import ScheduleContext
from auditor.service.schedules.manage import ScheduleOrder, create_schedule
from auditor.service.schedules.run import run_due_schedules
from auditor.service.schedules.triggers import TriggerWatcher

NUMBERS = count()
ONLY = ("data.balance", "quality.accuracy")


def policy_at(
    version: str, at_least: float, checks: Mapping[str, Json] | None = None
) -> Policy:  # fmt: skip
    document: dict[str, Json] = {
        "apiVersion": "auditor/v1", "kind": "Policy",
        "metadata": {"name": "moving", "version": version, "owner": "tests@example.org",
                     "least_budget": "smoke"},
        "checks": dict(checks or {}),
        "rules": [{
            "id": "accuracy", "title": "It is right", "severity": "high", "effect": "deny",
            "measure": "quality.accuracy/accuracy", "at_least": at_least,
        }],
    }  # fmt: skip
    return load_policy(encode_canonical(document), "moving", discover_checks(), {})


class Moving:
    """A project whose schedule names a pack that a test changes."""

    def __init__(self, world: World) -> None:
        self.at = Scheduled(world, f"moving{next(NUMBERS)}")
        self.at.clock.now = datetime.now(UTC)
        self.now = policy_at("1.0.0", 0.6)
        schedules = world.service.schedules
        desk = replace(schedules.desk, pack=lambda _name: self.now)
        self.scheduler: ScheduleContext = replace(schedules, desk=desk)
        self.first = self.finished(submit_audit(desk, self.at.caller, self.asked())[0].id)
        wish = ScheduleOrder(
            name="moving", asked=self.asked(), same=None, cron=None,
            on=(ScheduleTrigger.POLICY_CHANGED,), batch_role=None,
        )  # fmt: skip
        self.schedule: Schedule = create_schedule(self.scheduler, self.at.caller, wish)

    def asked(self) -> AuditOrder:
        body = self.at.world.body()
        inputs = tuple(
            InputFile(it["path"], FileDigest(it["name"], it["size"], it["sha256"]))
            for it in body["inputs"]
        )
        return AuditOrder(
            audit_file=body["audit_file"], source="audit.yaml", inputs=inputs, policy="moving",
            only=ONLY,
        )  # fmt: skip

    def fails_under(self, policy: Policy) -> str:
        """Measure the same on wrong labels under a policy, later than all that is stored."""
        raw, kept = self.at.bad_batch(), self.record(self.first)
        self.at.world.upload(raw, key=self.at.key)
        while utc_now() <= str(kept["registered"]):
            time.sleep(0.05)
        given = self.asked()
        inputs = tuple(
            replace(it, file=FileDigest(it.file.name, len(raw), sha(raw).removeprefix("sha256:")))
            if it.path == "test.csv" else it
            for it in given.inputs
        )  # fmt: skip
        desk = replace(self.scheduler.desk, pack=lambda _name: policy)
        asked = replace(given, inputs=inputs)
        return self.finished(submit_audit(desk, self.at.caller, asked)[0].id)

    def finished(self, audit: str) -> str:
        self.at.finish(audit)
        return audit

    def changes(self, policy: Policy) -> None:
        self.now = policy
        TriggerWatcher(self.scheduler).watch()

    def ticks(self) -> tuple[ScheduledRun, ...]:
        """Hand in and conclude what is due, and return the runs, the oldest first."""
        run_due_schedules(self.scheduler)
        found = self.scheduler.runs.of_schedule(self.schedule.id, None, 50)[0]
        return tuple(sorted(found, key=lambda run: (len(run.key), run.at)))

    def record(self, audit: str) -> dict[str, Json]:
        path = f"/v1/audits/{audit}/record"
        return dict(json.loads(self.at.world.call("GET", path, self.at.key).content))

    def gate(self) -> dict[str, Json]:
        record = self.record(self.first)
        request = record["request"]
        assert isinstance(request, dict)
        asked = {"artifact": request["artifact"]["digest"], "policy": self.now.digest}
        answer = self.at.world.call("GET", "/v1/gate", self.at.key, params=asked).json()
        return {**answer, "by": {it["name"]: it for it in answer["steps"]}}


@pytest.fixture
def moving(apart: World) -> Moving:
    return Moving(apart)


@pytest.mark.slow
def test_a_changed_policy_judges_what_is_stored_and_runs_no_model(moving: Moving) -> None:
    moving.changes(policy_at("2.0.0", 0.7))
    (run,) = moving.ticks()
    engine, kept = moving.at.engine, moving.at.world.service.kept
    assert run.audit not in engine.queued
    assert kept.state(str(run.audit)) is SubmissionState.DONE
    assert run.detail == (
        f"the evidence of {moving.first} was judged again without running a model"
    )  # fmt: skip
    made, before = moving.record(str(run.audit)), moving.record(moving.first)
    ending = kept.outcome(moving.first)
    assert ending is not None
    assert made["derived_from"] == ending.record
    assert made["registered"] == before["registered"]
    assert (made["verdict"], made["readings"]) == ("pass", before["readings"])
    (run,) = moving.ticks()
    assert (run.state, run.verdict) == (ScheduledRunState.ENDED, "pass")
    TriggerWatcher(moving.scheduler).watch()
    assert len(moving.ticks()) == 1


@pytest.mark.slow
def test_a_gate_under_the_changed_policy_rests_on_what_was_judged_again(moving: Moving) -> None:
    moving.changes(policy_at("2.0.0", 0.7))
    (run,) = moving.ticks()
    asked = moving.gate()
    failed = {name: it for name, it in asked["by"].items() if it["result"] == "failed"}
    assert asked["audit"] == run.audit
    assert (failed, asked["open"]) == ({}, True)
    assert asked["by"]["verdict"]["result"] == "holds"
    assert asked["by"]["policy"]["result"] == "holds"


@pytest.mark.slow
def test_a_changed_policy_that_what_is_stored_breaks_fails_without_a_run_of_a_model(
    moving: Moving,
) -> None:
    moving.changes(policy_at("2.0.0", 0.999))
    moving.ticks()
    (run,) = moving.ticks()
    assert (run.verdict, run.failed) == ("fail", ("accuracy on cpu",))
    assert run.audit not in moving.at.engine.queued


@pytest.mark.slow
def test_old_evidence_is_not_judged_over_what_was_measured_for_the_policy_since(
    moving: Moving,
) -> None:
    strict = policy_at("2.0.0", 0.7)
    failed = moving.fails_under(strict)
    moving.changes(strict)
    (run,) = moving.ticks()
    assert run.audit in moving.at.engine.queued
    assert run.detail == ""
    asked = moving.gate()
    assert (asked["audit"], asked["open"]) == (failed, False)
    assert asked["by"]["verdict"]["result"] == "failed"


@pytest.mark.slow
def test_where_readings_are_missing_an_audit_is_made_of_those_targets(moving: Moving) -> None:
    moving.changes(policy_at("2.0.0", 0.7, {"data.balance": {"listed": 3}}))
    moving.ticks()
    judged, follows = moving.ticks()
    assert judged.detail.endswith("without running a model; data.balance on cpu is to follow")
    assert judged.audit not in moving.at.engine.queued
    assert follows.why == (
        "the policy requires readings of data.balance on cpu, which are missing"
    )  # fmt: skip
    assert follows.audit in moving.at.engine.queued
    again = moving.at.world.service.kept.submission(moving.at.project, str(follows.audit))
    assert again is not None
    assert (again.order.targets, again.order.policy) == (("cpu",), moving.now.digest)
    TriggerWatcher(moving.scheduler).watch()
    assert len(moving.ticks()) == 2


@pytest.mark.slow
def test_without_anything_stored_a_changed_policy_is_audited_by(apart: World) -> None:
    moving = Moving(apart)
    body = moving.asked()
    other = replace(body, only=("data.duplicates",))
    wish = ScheduleOrder(name="other", asked=other, same=None, cron=None,
                         on=(ScheduleTrigger.POLICY_CHANGED,), batch_role=None)  # fmt: skip
    made = create_schedule(moving.scheduler, moving.at.caller, wish)
    moving.changes(policy_at("3.0.0", 0.7))
    run_due_schedules(moving.scheduler)
    (run,) = moving.scheduler.runs.of_schedule(made.id, None, 50)[0]
    assert run.audit in moving.at.engine.queued
    assert run.detail == ""
