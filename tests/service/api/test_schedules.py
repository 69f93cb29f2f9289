"""Schedules: what is due when, once however many look, and what came of it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World, counted, problem

from auditor._time import format_time, utc_now
from auditor.domain.findings import Outcome
from auditor.domain.json import JsonPart
from auditor.domain.waivers import Waiver
from auditor.errors import ScheduleError
from auditor.service.domain.access import AccessRole
from auditor.service.domain.schedules import Schedule, ScheduledRunState, ScheduleState, SkipReason
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.cron import CronExpression, parse_cron
from auditor.service.schedules.manage import change_schedule_state, set_model_version
from auditor.service.schedules.run import run_due_schedules, submit_due_runs
from auditor.service.schedules.triggers import (
    TriggerWatcher,
    VersionPush,
    find_due_runs,
    push_version,
)
from auditor.service.server.assemble import assemble_service
from auditor.service.server.options import ServiceOptions
from auditor.service.store.people import RejudgementStore
from auditor.targets.target_specs import NAMED
from auditor.trust.signatures.decisions import sign_waiver, verify_waiver
from auditor.workflows.workspace import open_workspace

NUMBERS = count()
HOURLY = "0 * * * *"
AT = "2030-01-01T12:00:00Z"


@pytest.fixture
def scheduled(world: World) -> Scheduled:
    return Scheduled(world, f"scheduled{next(NUMBERS)}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61 * * * *", "'minute' cannot be '61'"),
        ("0 24 * * *", "'hour' cannot be '24'"),
        ("0 0 R * *", "'day of the month' cannot be 'R'"),
        ("0 0 * foo *", "'month' cannot be 'foo'"),
        ("0 0 * * 1#9", "'day of the week' cannot be '1#9'"),
        ("*/10 * * * * *", "more often than once a minute"),
        ("* * * *", "has 4 fields, not 5 or 6"),
        ("@daily", "has 1 fields, not 5 or 6"),
        ("0 0 30 2 *", "matches no time"),
    ],
)
def test_a_wrong_cron_expression_is_refused_by_the_field_that_is_wrong(
    text: str, said: str
) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_cron(text, AT)
    assert said in caught.value.problem
    assert "UTC" in caught.value.cure


def test_seconds_stand_before_five_fields() -> None:
    assert parse_cron("30 0 3 * * *", AT).next(AT) == "2030-01-02T03:00:30Z"
    assert parse_cron("0 3 * * *", AT).next(AT) == "2030-01-02T03:00:00Z"


def test_a_time_is_due_at_its_very_second_and_not_before_or_again() -> None:
    hourly = CronExpression(HOURLY)
    assert hourly.came("2030-01-01T11:00:00Z", "2030-01-01T11:59:59Z") is None
    came = hourly.came("2030-01-01T11:00:00Z", AT)
    assert came is not None
    assert (came.last, came.times) == (AT, 1)
    assert hourly.came(AT, "2030-01-01T12:00:01Z") is None


def test_a_schedule_makes_an_audit_when_its_time_comes_and_says_why(scheduled: Scheduled) -> None:
    first = scheduled.audit()
    scheduled.call("POST", f"/v1/audits/{first}/cancel")
    made = scheduled.schedule(first, HOURLY)
    scheduled.tick(minutes=59)
    assert scheduled.runs(made) == ()
    scheduled.tick(minutes=1)
    scheduled.tick(seconds=2)
    (run,) = scheduled.runs(made)
    assert run.state is ScheduledRunState.RUNNING
    assert run.why == f"{HOURLY} came at 2030-01-01T13:00:00Z"
    assert run.audit in scheduled.engine.queued
    again = scheduled.world.service.kept.submission(scheduled.project, str(run.audit))
    before = scheduled.world.service.kept.submission(scheduled.project, first)
    assert again is not None
    assert before is not None
    assert again.asked == before.asked


def test_after_a_stop_one_missed_time_is_made_up_and_says_so(scheduled: Scheduled) -> None:
    made = scheduled.schedule(scheduled.audit(only=["fairness.groups"]), HOURLY)
    scheduled.tick(hours=5, minutes=30)
    (run,) = scheduled.runs(made)
    assert run.key == "cron 2030-01-01T17:00:00Z"
    assert "made up for 5 missed since 2030-01-01T12:00:00Z, once" in run.why
    scheduled.tick(minutes=1)
    assert len(scheduled.runs(made)) == 1


def test_the_database_is_asked_equally_often_however_many_schedules_there_are(
    scheduled: Scheduled,
) -> None:
    asked, audit = list[int](), scheduled.audit()
    find_due_runs(scheduled.scheduler)
    for number in (1, 4):
        for _ in range(number):
            scheduled.schedule(audit, "0 0 1 1 *")
        with counted(scheduled.world) as statements:
            find_due_runs(scheduled.scheduler)
        asked.append(len(statements))
    assert asked[0] == asked[1]


def test_what_comes_while_a_schedule_rests_is_past(scheduled: Scheduled) -> None:
    made = scheduled.schedule(scheduled.audit(), HOURLY)
    change_schedule_state(scheduled.scheduler, scheduled.caller, made.id, ScheduleState.PAUSED)
    scheduled.tick(hours=3, minutes=10)
    change_schedule_state(scheduled.scheduler, scheduled.caller, made.id, ScheduleState.ACTIVE)
    scheduled.tick(minutes=20)
    assert scheduled.runs(made) == ()
    scheduled.tick(minutes=30)
    assert [run.key for run in scheduled.runs(made)] == ["cron 2030-01-01T16:00:00Z"]
    change_schedule_state(scheduled.scheduler, scheduled.caller, made.id, ScheduleState.ENDED)
    scheduled.tick(hours=1)
    assert len(scheduled.runs(made)) == 1


def test_what_is_going_on_already_is_not_queued_again(scheduled: Scheduled) -> None:
    going = scheduled.audit()
    made = scheduled.schedule(going, HOURLY)
    scheduled.tick(hours=1)
    (run,) = scheduled.runs(made)
    assert (run.state, run.skipped) == (ScheduledRunState.SKIPPED, SkipReason.STILL_RUNNING)
    assert run.detail == f"{going} requests the same and has not ended"
    scheduled.call("POST", f"/v1/audits/{going}/cancel")
    scheduled.tick(hours=1)
    assert scheduled.runs(made)[0].state is ScheduledRunState.RUNNING


def test_two_services_on_one_database_run_a_due_time_once(scheduled: Scheduled) -> None:
    first = scheduled.audit()
    scheduled.call("POST", f"/v1/audits/{first}/cancel")
    made = scheduled.schedule(first, HOURLY)
    world = scheduled.world
    with open_workspace(world.place.settings) as place:
        other = scheduled.beside(
            assemble_service(
                place, world.engine, ServiceOptions(targets=NAMED), world.log.append, lambda: False
            )
        )
        scheduled.clock.move(hours=1)
        with ThreadPoolExecutor(4) as pool:
            both = [scheduled.scheduler, other]
            list(pool.map(run_due_schedules, both * 4))
    (run,) = scheduled.runs(made)
    assert run.state is ScheduledRunState.RUNNING
    listed = scheduled.call("GET", "/v1/audits")["audits"]
    assert {item["id"] for item in listed} == {first, run.audit}


def test_a_run_that_was_interrupted_after_its_audit_was_made_makes_no_other(
    scheduled: Scheduled,
) -> None:
    first = scheduled.audit()
    scheduled.call("POST", f"/v1/audits/{first}/cancel")
    made = scheduled.schedule(first, HOURLY)
    scheduled.clock.move(hours=1)
    find_due_runs(scheduled.scheduler)

    class DiedError(Exception):
        pass

    class Dies(type(scheduled.scheduler.runs)):  # type: ignore[misc]  # a store that dies at a word
        def started(self, *_said: object) -> bool:
            raise DiedError

    dying = replace(scheduled.scheduler, runs=Dies(scheduled.scheduler.runs.store))
    with pytest.raises(DiedError):
        submit_due_runs(dying)
    assert scheduled.runs(made)[0].state is ScheduledRunState.DUE
    scheduled.tick(seconds=2)
    (run,) = scheduled.runs(made)
    assert {item["id"] for item in scheduled.call("GET", "/v1/audits")["audits"]} == {
        first, run.audit
    }  # fmt: skip


def test_a_schedule_whose_key_has_ended_makes_no_audit(scheduled: Scheduled) -> None:
    made = scheduled.schedule(scheduled.audit(), HOURLY)
    scheduled.world.service.kept.end_key(scheduled.caller.id, utc_now(), "it left")
    scheduled.tick(hours=1)
    assert scheduled.runs(made)[0].skipped is SkipReason.KEY_ENDED


@pytest.mark.slow
def test_a_bad_batch_fails_its_audit_and_no_older_version_is_named_where_there_is_none(
    scheduled: Scheduled,
) -> None:
    first = scheduled.audit()
    scheduled.finish(first)
    made = scheduled.schedule(first, None, ScheduleTrigger.BATCH)
    digest = scheduled.world.upload(scheduled.bad_batch(), key=scheduled.key)
    path = f"/v1/schedules/{made.id}/batches"
    pushed = scheduled.world.call("POST", path, scheduled.key, json={"dataset": digest})
    assert pushed.status_code == 201, pushed.text
    again = scheduled.world.call("POST", path, scheduled.key, json={"dataset": digest})
    assert (again.status_code, again.json()["id"]) == (200, pushed.json()["id"])
    _at_real_time(scheduled)
    audit = str(scheduled.runs(made)[0].audit)
    scheduled.finish(audit)
    _at_real_time(scheduled)
    (run,) = scheduled.call("GET", f"/v1/schedules/{made.id}/runs")["runs"]
    assert (run["verdict"], run["failed"]) == ("fail", ["accuracy on cpu"])
    assert run["rollback"] == [{"target": "cpu", "candidate": None}]
    assert run["why"].startswith(f"the batch {digest} was pushed by ")


@pytest.mark.slow
def test_a_failing_new_version_names_the_one_to_go_back_to(scheduled: Scheduled) -> None:
    first = scheduled.audit()
    scheduled.finish(first)
    made = scheduled.schedule(first, None, ScheduleTrigger.NEW_VERSION)
    worse = _worse_model(scheduled)
    digest = scheduled.world.upload(worse, "artifacts", scheduled.key)
    asked = {"artifact": digest, "version": "2.0.0"}
    scheduled.call("POST", f"/v1/schedules/{made.id}/versions", json=asked)
    _at_real_time(scheduled)
    second, soon = str(scheduled.runs(made)[0].audit), datetime.now(UTC) + timedelta(minutes=1)
    scheduled.world.service.kept.finish(second, format_time(soon))
    scheduled.finish(second)
    _at_real_time(scheduled)
    (run,) = scheduled.runs(made)
    assert run.verdict == "fail"
    record = scheduled.call("GET", f"/v1/audits/{first}")["record"]
    (back,) = run.rollback
    assert back["target"] == "cpu"
    found = JsonPart(back, "rollback").mapping("candidate")
    assert (found["version"], found["audit"], found["record"]) == ("1.0.0", first, record)
    _trends_say(scheduled)


def test_a_version_that_somebody_hands_in_is_audited_once(scheduled: Scheduled) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    watcher = TriggerWatcher(scheduled.scheduler)
    watcher.watch()
    assert scheduled.runs(made) == ()
    made = _from_now_on(scheduled, made)
    other = scheduled.audit(**_other_version(scheduled))
    watcher.watch()
    watcher.watch()
    (run,) = scheduled.runs(made)
    assert run.trigger is ScheduleTrigger.NEW_VERSION
    assert run.why == f"version 3.0.0 was submitted as {other}"


def _other_version(scheduled: Scheduled) -> Mapping[str, Any]:
    raw = (scheduled.world.example / "audit.yaml").read_bytes().replace(b"1.0.0", b"3.0.0")
    scheduled.world.upload(raw, key=scheduled.key)
    model = _worse_model(scheduled)
    digest = scheduled.world.upload(model, "artifacts", scheduled.key)
    inputs = scheduled.world.body()["inputs"]
    inputs[0] |= {"size": len(model), "sha256": digest.removeprefix("sha256:")}
    return {"audit_file": sha(raw), "inputs": inputs}


def _from_now_on(scheduled: Scheduled, made: Schedule) -> Schedule:
    """Let a schedule rest and go on at the time by which calls over the API are answered."""
    kept = scheduled.scheduler.kept
    kept.change(made, ScheduleState.PAUSED, "me", utc_now())
    kept.change(made, ScheduleState.ACTIVE, "me", utc_now())
    found = kept.find(scheduled.project, made.id)
    assert found is not None
    return found


def test_a_policy_that_changed_is_audited_by_once(scheduled: Scheduled) -> None:
    body = {"name": "p", "audit": scheduled.world.body(policy="baseline"), "on": ["policy_changed"]}
    name = scheduled.call("POST", "/v1/schedules", json=body)["id"]
    made = scheduled.scheduler.kept.find(scheduled.project, name)
    assert made is not None
    TriggerWatcher(scheduled.scheduler).watch()
    assert scheduled.runs(made) == ()
    changed_pack = replace(scheduled.world.service.pack("baseline"), digest=sha(b"another"))
    desk = replace(scheduled.scheduler.desk, pack=lambda _name: changed_pack)
    watcher = TriggerWatcher(replace(scheduled.scheduler, desk=desk))
    watcher.watch()
    watcher.watch()
    (run,) = scheduled.runs(made)
    assert run.trigger is ScheduleTrigger.POLICY_CHANGED
    assert changed_pack.digest in run.why


def _trends_say(scheduled: Scheduled) -> None:
    (model,) = scheduled.call("GET", "/v1/models")["models"]
    assert [item["version"] for item in model["versions"]] == ["2.0.0", "1.0.0"]
    assert [item["targets"][0]["verdict"] for item in model["versions"]] == ["fail", "pass"]
    path = "/v1/models/line/trend?metric=accuracy&check=quality.accuracy&limit=1"
    page = scheduled.call("GET", path)
    (newest,) = page["points"]
    assert newest["version"] == "2.0.0"
    assert newest["low"] <= newest["value"] <= newest["high"]
    rest = scheduled.call("GET", f"{path}&cursor={page['next']}")
    assert [item["version"] for item in rest["points"]] == ["1.0.0"]
    assert rest["next"] == ""
    assert scheduled.call("GET", "/v1/models/line/trend?metric=nothing")["points"] == []


def _worse_model(scheduled: Scheduled) -> bytes:
    from small_audits import linear_model  # noqa: PLC0415 -- onnx is heavy

    place = scheduled.world.example.parent / "worse.onnx"
    linear_model(place, [-6.0, -4.0, 0.0], 5.0)
    return place.read_bytes()


def _at_real_time(scheduled: Scheduled) -> None:
    """Tick by the clock by which calls over the API are answered."""
    run_due_schedules(scheduled.world.service.schedules)


def test_an_audit_file_is_told_another_version_and_stays_as_it_was() -> None:
    flow = b"model: {name: line, version: 1.0.0, artifact: m.onnx}  # ours\nseed: 3\n"
    assert set_model_version(flow, '2 "x"') == flow.replace(b"1.0.0", b'"2 \\"x\\""')
    block = "# é\nmodel:\n    name: line\n    artifact: m.onnx\n".encode()
    told = block.replace(b"    name", b'    version: "2"\n    name')
    assert set_model_version(block, "2") == told


WRONG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "neither": ({"cron": HOURLY}, "needs either audit or same_as"),
    "never": ({"same_as": True}, "the schedule has no trigger"),
    "cron": ({"same_as": True, "cron": "99 * * * *"}, "'minute' cannot be '99'"),
    "trigger": ({"same_as": True, "on": ["cron"]}, "cron is not a value of on"),
    "role": ({"same_as": True, "on": ["batch"]}, "has no 'production' data"),
    "stray": (
        {"same_as": True, "cron": HOURLY, "batch_role": "evaluation"},
        "needs the trigger batch",
    ),
    "fixed": ({"same_as": True, "on": ["policy_changed"]}, "so policy_changed does not apply"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_schedule_that_makes_no_sense_is_refused(world: World, name: str) -> None:
    body, said = WRONG[name]
    sent = {"name": "wrong", **body}
    if sent.get("same_as"):
        sent["same_as"] = world.done
    told = problem(world.call("POST", "/v1/schedules", json=sent))
    assert told["type"].endswith("/schedule_invalid")
    assert said in told["detail"] + told["cure"].lower()


def test_a_schedule_asks_for_what_an_audit_may_ask_for_and_no_more(world: World) -> None:
    asked = world.body(audit_file=sha(b"never uploaded"))
    told = problem(
        world.call("POST", "/v1/schedules", json={"name": "x", "audit": asked, "cron": HOURLY})
    )
    assert told["type"].endswith("/submission_invalid")
    assert "was not uploaded" in told["detail"]


def test_a_schedule_that_has_ended_stays_so(scheduled: Scheduled) -> None:
    made = scheduled.schedule(scheduled.audit(), HOURLY)
    ended = scheduled.call("POST", f"/v1/schedules/{made.id}/end")
    assert (ended["state"], ended["next"]) == ("ended", None)
    again = scheduled.world.call("POST", f"/v1/schedules/{made.id}/resume", scheduled.key)
    assert problem(again)["type"].endswith("/state_conflict")


@pytest.mark.slow
def test_a_waiver_that_ran_out_is_audited_upon_once(scheduled: Scheduled) -> None:
    first = scheduled.audit()
    scheduled.finish(first)
    made = scheduled.schedule(first, None, ScheduleTrigger.WAIVER_EXPIRED)
    _waive(scheduled, first, until="2030-01-01T13:00:00Z")
    watcher = TriggerWatcher(scheduled.scheduler)
    watcher.watch()
    assert scheduled.runs(made) == ()
    scheduled.clock.move(hours=1)
    watcher.watch()
    watcher.watch()
    (run,) = scheduled.runs(made)
    assert run.trigger is ScheduleTrigger.WAIVER_EXPIRED
    assert "ran out on 2030-01-01T13:00:00Z" in run.why


def _waive(scheduled: Scheduled, audit: str, until: str) -> None:
    """Keep a record judged again of an audit's, that rests on a waiver."""
    store = scheduled.world.place.store
    digest_there = scheduled.call("GET", f"/v1/audits/{audit}")["record"]
    with store.unit_of_work() as unit:
        there = unit.find_record_by_digest(digest_there)
    assert there is not None
    record = there.read()
    waiver = Waiver(
        rule="accuracy", model="line", artifact=None, policy="tiny", owner="o@example.org",
        approver="a@example.org", reason="we mend it by then", ticket="T-1", expires=until,
        created="2029-12-01T00:00:00Z",
    )  # fmt: skip
    signer = scheduled.world.place.signer
    raw, key = sign_waiver(waiver, signer), signer.public_pem()
    signed = verify_waiver(raw, key, "waiver.json")
    for blob in (raw, key):
        store.blobs.put(blob)
    finding = replace(record.findings[0], outcome=Outcome.WAIVED, waiver=waiver.digest)
    judged = replace(
        record, id="judged-again", derived_from=record.digest, findings=(finding,),
        request=replace(record.request, waivers=(signed.ref,)), finished=utc_now(),
    )  # fmt: skip
    with store.unit_of_work() as unit:
        unit.register(judged.request, utc_now())
        unit.save(judged, b"{}")
    ending = scheduled.world.service.kept.outcome(audit)
    assert ending is not None
    RejudgementStore(store).add(audit, judged.digest, str(ending.files), utc_now())


def test_who_pushes_a_version_handed_its_audit_in_and_is_no_other_pair_of_eyes(
    scheduled: Scheduled,
) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    pusher = scheduled.world.key(scheduled.project, AccessRole.SUBMITTER)
    digest = scheduled.world.upload(b"another model", "artifacts", pusher)
    caller = scheduled.world.service.kept.key(pusher.split("_")[1])
    assert caller is not None
    push_version(scheduled.scheduler, caller, made.id, VersionPush(digest, "9"))
    scheduled.tick(seconds=2)
    (run,) = scheduled.runs(made)
    audit = scheduled.world.service.kept.submission(scheduled.project, str(run.audit))
    assert audit is not None
    assert audit.submitter == caller.id != made.maker


def test_a_version_that_comes_where_no_room_is_waits_for_it_and_keeps_no_other_project_up(
    apart: World,
) -> None:
    world, scheduled = apart, Scheduled(apart, f"scheduled{next(NUMBERS)}")
    full = scheduled.scheduler
    full = replace(full, desk=replace(full.desk, most_waiting=1))
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    for number in range(3):
        digest = world.upload(b"model %d" % number, "artifacts", scheduled.key)
        push_version(full, scheduled.caller, made.id, VersionPush(digest, str(number)))
    other = Scheduled(world, f"scheduled{next(NUMBERS)}", clock=scheduled.clock)
    first = other.audit()
    other.call("POST", f"/v1/audits/{first}/cancel")
    theirs = other.schedule(first, HOURLY)
    scheduled.clock.move(hours=1)
    find_due_runs(full)
    due = full.runs.due(scheduled.clock(), 2)
    assert {schedule.id for _, schedule in due} == {made.id, theirs.id}
    submit_due_runs(full)
    assert {run.state for run in scheduled.runs(made)} == {ScheduledRunState.DUE}
    submit_due_runs(scheduled.scheduler)
    assert {run.state for run in scheduled.runs(made)} == {ScheduledRunState.RUNNING}
