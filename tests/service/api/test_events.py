"""The history of an audit is listed, or followed to its end, from wherever a caller was."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from served_worlds import World

from auditor._time import utc_now
from auditor.service.domain.submissions import SubmissionFailure, SubmissionResult


@pytest.fixture
def name(world: World) -> Iterator[str]:
    """An audit that nobody carries out."""
    made = world.call("POST", "/v1/audits", json=world.body()).json()["id"]
    yield made
    world.service.kept.end(made, SubmissionResult(ended=utc_now()))


def follow(world: World, name: str, **headers: str) -> list[Mapping[str, Any]]:
    answer = world.call("GET", f"/v1/audits/{name}/events", "viewer", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [part.split("\n") for part in answer.text.split("\n\n") if part.startswith("id: ")]
    for number, kind, body in frames:
        event = json.loads(body.removeprefix("data: "))
        assert number == f"id: {event['number']}"
        assert kind == f"event: {event['kind']}"
    return [json.loads(body.removeprefix("data: ")) for _, _, body in frames]


def test_a_stream_ends_with_its_audit_and_goes_on_after_what_was_seen(
    world: World, name: str
) -> None:
    kept = world.service.kept
    kept.append(name, "running", {}, utc_now())
    kept.append(name, "note", {"text": "a line\nand another\n\nid: 99"}, utc_now())
    kept.end(
        name,
        SubmissionResult(
            ended=utc_now(), failure=SubmissionFailure(problem="it broke", cure="Mend it.")
        ),
    )
    whole = follow(world, name, Accept="text/event-stream")
    assert [event["kind"] for event in whole] == ["queued", "running", "note", "failed"]
    assert whole[2]["detail"] == {"text": "a line\nand another\n\nid: 99"}
    assert whole[3]["detail"] == {"problem": "it broke", "cure": "Mend it."}
    assert follow(world, name, **{"Last-Event-ID": "2"}) == whole[2:]
    path, seen = f"/v1/audits/{name}/events", {"Last-Event-ID": "4"}
    assert world.call("GET", path, "viewer", headers=seen).status_code == 204
    shown = world.call("GET", f"/v1/audits/{name}", "viewer").json()
    assert shown["failure"] == {"problem": "it broke", "cure": "Mend it."}


def test_events_are_listed_as_json_by_whoever_asks_for_that(world: World, name: str) -> None:
    world.service.kept.append(name, "running", {}, utc_now())
    path, accept = f"/v1/audits/{name}/events", {"Accept": "application/json"}
    listed = world.call("GET", path, "viewer", headers=accept).json()
    assert listed["state"] == "running"
    assert [event["number"] for event in listed["events"]] == [1, 2]
    after = world.call("GET", f"{path}?after=1", "viewer", headers=accept).json()
    assert after["events"] == listed["events"][1:]


def test_what_is_no_number_of_an_event_is_refused(world: World, name: str) -> None:
    path = f"/v1/audits/{name}/events"
    assert world.call("GET", path, headers={"Last-Event-ID": "last"}).status_code == 422
