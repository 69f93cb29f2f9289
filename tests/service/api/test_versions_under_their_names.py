"""A version that a schedule audits keeps its file's name, by which a gate finds it."""

from itertools import count
from typing import Any

import pytest
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World
from small_audits import linear_model

from auditor._time import utc_now
from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.json import Json, read_json
from auditor.service.domain.schedules import Schedule, ScheduleState
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.manage import FileReplacement
from auditor.service.schedules.run import run_due_schedules
from auditor.service.schedules.triggers import TriggerWatcher

NUMBERS = count()
OWN = "line-2.onnx"


@pytest.fixture
def scheduled(world: World) -> Scheduled:
    return Scheduled(world, f"named{next(NUMBERS)}")


def better(scheduled: Scheduled) -> bytes:
    place = scheduled.world.example.parent / "better.onnx"
    linear_model(place, [6.5, 4.5, 0.0], -5.5)
    return place.read_bytes()


def uploaded(scheduled: Scheduled, raw: bytes, name: str | None) -> str:
    told = {} if name is None else {"Upload-Name": name}
    where = f"/v1/artifacts/{sha(raw)}"
    answer = scheduled.world.call("PUT", where, scheduled.key, content=raw, headers=told)
    assert answer.status_code == 201, answer.text
    return sha(raw)


def audited_files(scheduled: Scheduled, made: Schedule) -> set[FileDigest]:
    """Return the models' files of the audits that the runs of a schedule make."""
    run_due_schedules(scheduled.world.service.schedules)
    return {_model_of(scheduled, str(run.audit)) for run in scheduled.runs(made)}


def _model_of(scheduled: Scheduled, name: str) -> FileDigest:
    audit = scheduled.world.service.kept.submission(scheduled.project, name)
    assert audit is not None
    (file,) = [item.file for item in audit.order.inputs if item.path == "model.onnx"]
    return file


def push(scheduled: Scheduled, made: Schedule, **asked: Any) -> Any:  # noqa: ANN401 -- JSON
    return scheduled.call("POST", f"/v1/schedules/{made.id}/versions", json=asked)


def test_a_version_that_is_pushed_is_audited_under_the_name_of_its_upload(
    scheduled: Scheduled,
) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    raw = better(scheduled)
    push(scheduled, made, artifact=uploaded(scheduled, raw, OWN), version="2")
    assert audited_files(scheduled, made) == {FileDigest.of(OWN, raw)}


def test_a_name_that_is_pushed_counts_more_and_makes_a_version_of_its_own(
    scheduled: Scheduled,
) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    raw = better(scheduled)
    asked = {"artifact": uploaded(scheduled, raw, OWN), "version": "2"}
    first = push(scheduled, made, **asked)["id"]
    second = push(scheduled, made, **asked, name="deployed.onnx")["id"]
    again = [push(scheduled, made, **asked, name=name)["id"] for name in (OWN, "deployed.onnx")]
    assert first != second
    assert again == [first, second]
    assert audited_files(scheduled, made) == {
        FileDigest.of(OWN, raw), FileDigest.of("deployed.onnx", raw)
    }  # fmt: skip


def test_a_file_that_nobody_named_keeps_the_schedules_name(scheduled: Scheduled) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    raw = better(scheduled)
    push(scheduled, made, artifact=uploaded(scheduled, raw, None), version="2")
    assert audited_files(scheduled, made) == {FileDigest.of("model.onnx", raw)}


@pytest.mark.parametrize("name", ["../up.onnx", "a/b.onnx", ".hidden", "a\\b", "nul\0", ""])
def test_a_name_that_is_a_path_is_refused(scheduled: Scheduled, name: str) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    asked = {"artifact": uploaded(scheduled, better(scheduled), OWN), "version": "2", "name": name}
    where = f"/v1/schedules/{made.id}/versions"
    answer = scheduled.world.call("POST", where, scheduled.key, json=asked)
    assert answer.status_code == 422, answer.text


def test_what_was_put_down_before_names_were_kept_is_read_as_it_was() -> None:
    before: dict[str, Json] = {
        "path": "model.onnx",
        "sha256": "0" * 64,
        "size": 3,
        "version": "2",
        "by": "me",
    }
    put = read_json(FileReplacement, before, "put")
    assert put.name is None
    assert put.to_json() == before


@pytest.mark.slow
def test_a_gate_finds_what_was_audited_of_a_version_that_somebody_handed_in(
    scheduled: Scheduled,
) -> None:
    made = scheduled.schedule(scheduled.audit(), None, ScheduleTrigger.NEW_VERSION)
    kept = scheduled.scheduler.kept
    for state in (ScheduleState.PAUSED, ScheduleState.ACTIVE):
        kept.change(made, state, "me", utc_now())
    raw = better(scheduled)
    uploaded(scheduled, raw, OWN)
    inputs = scheduled.world.body()["inputs"]
    file = FileDigest.of(OWN, raw)
    inputs[0] |= file.to_json()
    other = scheduled.audit(inputs=inputs)
    TriggerWatcher(scheduled.scheduler).watch()
    scheduled.call("POST", f"/v1/audits/{other}/cancel")  # the schedule's own is to be found
    assert audited_files(scheduled, made) == {file}
    scheduled.finish(str(scheduled.runs(made)[0].audit))
    asked = {"artifact": digest_files((file,)), "policy": scheduled.world.policy.digest}
    assert scheduled.call("GET", "/v1/gate", params=asked)["open"]
