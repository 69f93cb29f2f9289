"""Everything of a submission is looked at before anything is queued."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from served_toys import StillEngine, sha
from served_worlds import World, problem

from auditor.service.domain.submissions import SubmissionState
from auditor.service.jobs.queue import dispatch_waiting, requeue_unfinished

Change = Callable[[World], dict[str, Any]]


def post(world: World, body: object, once: str | None = None) -> Any:  # noqa: ANN401 -- httpx's
    headers = {} if once is None else {"Idempotency-Key": once}
    return world.call("POST", "/v1/audits", json=body, headers=headers)


def audit_file(world: World, *changes: tuple[str, str]) -> str:
    """Upload the example's audit file with ``changes`` and return its digest."""
    text = (world.example / "audit.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return world.upload(text.encode())


def count(world: World) -> int:
    return len(world.call("GET", "/v1/audits?limit=200").json()["audits"])


def test_what_is_handed_in_is_queued_once_and_shown(world: World) -> None:
    made = post(world, world.body())
    assert made.status_code == 201
    name = made.json()["id"]
    assert made.headers["location"] == f"/v1/audits/{name}"
    assert world.engine.queued.count(name) == 1
    shown = world.call("GET", f"/v1/audits/{name}", "viewer").json()
    assert shown == made.json()
    assert (shown["state"], shown["targets"], shown["project"]) == ("queued", ["cpu"], "default")
    assert shown["submitter"] == world.keys["submitter"].split("_")[1]


def test_the_same_call_with_the_same_key_makes_one_audit(world: World) -> None:
    first, again = (post(world, world.body(), "once-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = post(world, world.body(only=[]), "once-1")
    assert other.status_code == 409
    assert problem(other)["type"].endswith("/idempotency_conflict")


def test_what_was_handed_in_once_is_returned_though_its_worker_died_since(world: World) -> None:
    first = post(world, world.body(), "once-2")
    world.engine.alive = frozenset()
    try:
        again, fresh = (post(world, world.body(), key) for key in ("once-2", "once-3"))
    finally:
        world.engine.alive = frozenset({"cpu"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert fresh.status_code == 409


def test_a_pack_can_be_named_instead_of_a_policy_that_is_sent(world: World) -> None:
    made = post(world, world.body(policy="baseline"))
    assert made.status_code == 201
    digest = world.call("GET", "/v1/policies/baseline").json()["digest"]
    assert made.json()["policy"] == digest
    assert world.service.store.blobs.has(digest)


REFUSED: dict[str, tuple[str, Change]] = {
    "an audit file that was not uploaded": (
        "submission_invalid",
        lambda world: world.body(audit_file=sha(b"never")),
    ),
    "a policy that was not uploaded": (
        "submission_invalid",
        lambda world: world.body(policy=sha(b"never")),
    ),
    "a pack that there is not": ("submission_invalid", lambda world: world.body(policy="nothing")),
    "a path in place of a pack": (
        "submission_invalid",
        lambda world: world.body(policy="../../etc/passwd"),
    ),
    "a policy that is none": (
        "policy_invalid",
        lambda world: world.body(policy=world.upload(b"kind: Policy")),
    ),
    "a policy that is not its own resolved document": (
        "policy_invalid",
        lambda world: world.body(
            policy=world.upload((world.example / "policy.yaml").read_bytes() + b"\n")
        ),
    ),
    "an input that was not uploaded": (
        "submission_invalid",
        lambda world: world.body(
            inputs=[
                *world.body()["inputs"],
                {"path": "a", "name": "a", "size": 1, "sha256": "0" * 64},
            ]
        ),
    ),
    "an input of another size": (
        "submission_invalid",
        lambda world: world.body(inputs=[{**item, "size": 1} for item in world.body()["inputs"]]),
    ),
    "an input above its folder": (
        "submission_invalid",
        lambda world: world.body(
            inputs=[{**item, "name": f"../{item['name']}"} for item in world.body()["inputs"]]
        ),
    ),
    "a model that is not among the inputs": (
        "submission_invalid",
        lambda world: world.body(inputs=world.body()["inputs"][1:]),
    ),
    "a check that there is not": ("usage", lambda world: world.body(only=["quality.luck"])),
    "a target that there is not": (
        "target_unavailable",
        lambda world: world.body(targets=["moon"]),
    ),
    "a target written out": (
        "submission_invalid",
        lambda world: world.body(audit_file=audit_file(world, ("[cpu]", "[{name: x}]"))),
    ),
    "a disclosure": (
        "submission_invalid",
        lambda world: world.body(audit_file=audit_file(world, ("seed: 3", "disclosure: rows"))),
    ),
    "waivers": (
        "submission_invalid",
        lambda world: world.body(audit_file=audit_file(world, ("seed: 3", "waivers: [w.json]"))),
    ),
    "a baseline": (
        "submission_invalid",
        lambda world: world.body(audit_file=audit_file(world, ("seed: 3", "baseline: before"))),
    ),
    "a name of two lines": ("submission_invalid", lambda world: world.body(source="a\nb")),
    "a field that is unknown": ("call_invalid", lambda world: world.body(assurance="A3")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_submission_is_refused_and_nothing_is_queued_for(world: World, what: str) -> None:
    slug, change = REFUSED[what]
    body, queued, before = change(world), len(world.engine.queued), count(world)
    answer = post(world, body)
    assert problem(answer)["type"].endswith(f"/{slug}"), answer.text
    assert answer.status_code in {409, 422}
    assert (len(world.engine.queued), count(world)) == (queued, before)


def test_a_malformed_audit_file_is_refused_with_its_lines(world: World) -> None:
    bad = audit_file(world, ("budget: smoke", "budget: endless"), ("[0.0, 1.0]", "[1.0, 0.0]"))
    answer = post(world, world.body(audit_file=bad))
    assert answer.status_code == 422
    said = problem(answer)
    assert said["type"].endswith("/audit_file_invalid")
    assert "audit.yaml:10: budget" in said["detail"]


def test_a_target_without_a_worker_is_refused_or_waited_for(world: World) -> None:
    world.engine.alive = frozenset()
    try:
        refused = post(world, world.body())
        waiting = post(world, world.body(wait_for_target=600))
        live = world.call("GET", "/v1/targets").json()["targets"]
        dispatch_waiting(world.service.desk)
        still = world.call("GET", f"/v1/audits/{waiting.json()['id']}").json()["state"]
    finally:
        world.engine.alive = frozenset({"cpu"})
    assert refused.status_code == 409
    assert "auditor worker --target cpu" in problem(refused)["cure"]
    assert (waiting.status_code, waiting.json()["state"]) == (201, "waiting_for_target")
    name = waiting.json()["id"]
    assert still == "waiting_for_target"
    assert name not in world.engine.queued
    said = world.service.kept.events(name)[-1]
    assert said.detail["targets"] == ["cpu"]
    assert str(said.detail["until"]) > said.at
    assert [item["live"] for item in live] == [False]
    dispatch_waiting(world.service.desk)
    assert name in world.engine.queued
    assert world.call("GET", f"/v1/audits/{name}").json()["state"] == "queued"


def test_what_waited_too_long_ends_and_says_for_what(world: World) -> None:
    world.engine.alive = frozenset()
    try:
        name = post(world, world.body(wait_for_target=60)).json()["id"]
        dispatch_waiting(replace(world.service.desk, clock=lambda: "2999-01-01T00:00:00Z"))
    finally:
        world.engine.alive = frozenset({"cpu"})
    shown = world.call("GET", f"/v1/audits/{name}").json()
    assert shown["state"] == "failed"
    assert shown["failure"]["problem"] == "no worker for cpu came online in time"
    assert name not in world.engine.queued


def test_a_service_that_starts_again_takes_up_what_was_handed_in(world: World) -> None:
    open_now, over = (post(world, world.body()).json()["id"] for _ in range(2))
    world.call("POST", f"/v1/audits/{over}/cancel")
    fresh = StillEngine()
    requeue_unfinished(replace(world.service.desk, engine=fresh))
    assert open_now in fresh.queued
    assert over not in fresh.queued
    assert world.done not in fresh.queued


def test_an_audit_is_cancelled_once(world: World) -> None:
    name = post(world, world.body()).json()["id"]
    stopped = world.call("POST", f"/v1/audits/{name}/cancel")
    assert stopped.json()["state"] == "cancelled"
    assert name in world.engine.stopped
    again = world.call("POST", f"/v1/audits/{name}/cancel")
    assert again.status_code == 409
    assert problem(again)["type"].endswith("/state_conflict")


def test_a_list_is_filtered_and_goes_on_page_by_page(world: World) -> None:
    for _ in range(3):
        post(world, world.body())
    whole = world.call("GET", "/v1/audits?limit=200").json()["audits"]
    paged, cursor = [], ""
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        page = world.call("GET", f"/v1/audits?limit=2{more}").json()
        paged += page["audits"]
        cursor = page["next"]
        if not cursor:
            break
    assert paged == whole
    done = world.call("GET", f"/v1/audits?state={SubmissionState.DONE}&model=line").json()["audits"]
    assert all(item in whole and item["state"] == "done" for item in done)
    assert len(done) < len(whole)
    first = next(item for item in done if item["id"] == world.done)
    assert (first["verdict"], first["failure"]) == ("pass", None)
    assert world.call("GET", "/v1/audits?model=other").json()["audits"] == []
    assert world.call("GET", "/v1/audits?cursor=sub-" + "0" * 24).status_code == 422
    assert world.call("GET", "/v1/audits?state=eaten").status_code == 422


def test_what_waits_waits_from_the_start_so_that_no_stop_leaves_it_queued_for_nobody(
    world: World,
) -> None:
    world.engine.alive = frozenset()
    try:
        name = post(world, world.body(wait_for_target=600)).json()["id"]
    finally:
        world.engine.alive = frozenset({"cpu"})
    events = world.service.kept.events(name)
    assert [event.kind for event in events] == [SubmissionState.WAITING]
    world.call("POST", f"/v1/audits/{name}/cancel")
