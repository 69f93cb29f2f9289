"""A caller that asks too much is told to wait, and nobody else is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from served_toys import sha
from served_worlds import World, problem
from starlette.testclient import TestClient

from auditor.errors import RateLimitError, UsageError
from auditor.service.api.app import build_app
from auditor.service.domain.access import GIB, ServiceLimits, parse_service_limits
from auditor.service.rate_limits import RateLimiter, normalize_address
from auditor.service.uploads import UploadStore

PLENTY = ServiceLimits(reads=0, writes=0, failures=0)


@contextmanager
def limited(world: World, **most: int) -> Iterator[World]:
    """Open another door to the same service, with limits of its own."""
    service = replace(world.service, rationing=RateLimiter(replace(PLENTY, **most)))
    app = build_app(service)
    with TestClient(app, client=("192.0.2.7", 50000)) as client:
        yield replace(world, service=service, app=app, client=client)


def test_a_caller_over_its_limit_waits_and_others_do_not(world: World) -> None:
    with limited(world, reads=3) as narrow:
        answers = [narrow.call("GET", "/v1/targets", "viewer") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[0].headers["ratelimit-policy"] == '"reads";q=3;w=60'
        assert answers[0].headers["ratelimit"].startswith('"reads";r=2;t=')
        told = problem(answers[-1])
        assert told["type"].endswith("/too_many")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert narrow.call("GET", "/v1/targets", "submitter").status_code == 200


def test_reading_and_writing_are_counted_apart(world: World) -> None:
    with limited(world, reads=1, writes=1) as narrow:
        body = {"json": {"name": "another", "role": "viewer"}}
        assert narrow.call("GET", "/v1/keys", "admin").status_code == 200
        assert narrow.call("POST", "/v1/keys", "admin", **body).status_code == 201
        assert narrow.call("POST", "/v1/keys", "admin", **body).status_code == 429
        assert narrow.call("GET", "/v1/keys", "admin").status_code == 429


def test_who_watches_over_the_service_is_never_told_to_wait(world: World) -> None:
    with limited(world, reads=1, failures=1) as narrow:
        for path in ("/healthz", "/readyz"):
            assert {narrow.client.get(path).status_code for _ in range(5)} == {200}
        seen = [narrow.client.get("/.well-known/auditor-keys").status_code for _ in range(2)]
        assert seen == [200, 429]


def test_keys_that_do_not_hold_are_slowed_by_address_and_good_ones_are_not(world: World) -> None:
    with limited(world, failures=2) as narrow:
        wrong = "auk_0000000000000000_" + "A" * 43
        seen = [narrow.call("GET", "/v1/targets", wrong).status_code for _ in range(4)]
        assert seen == [401, 401, 429, 429]
        assert narrow.call("GET", "/v1/targets", "viewer").status_code == 200


def test_bytes_of_uploads_are_counted_and_what_came_before_stays(world: World) -> None:
    with limited(world, upload=3 * 2**20) as narrow:
        raw = b"limited".ljust(5 * 2**20, b".")
        path, length = f"/v1/datasets/{sha(raw)}", {"Upload-Length": str(len(raw))}
        first = narrow.call("PUT", path, content=raw[: 2 * 2**20], headers=length)
        assert first.status_code == 202
        rest = {**length, "Upload-Offset": first.headers["upload-offset"]}
        answer = narrow.call("PUT", path, content=raw[2 * 2**20 :], headers=rest)
        assert answer.status_code == 429
        assert problem(answer)["detail"].startswith("more than 3145728 bytes of uploads")
        assert 1 <= int(answer.headers["retry-after"]) <= 3600
        assert narrow.call("HEAD", path).headers["upload-offset"] == rest["Upload-Offset"]
        ended = world.call("PUT", path, content=raw[2 * 2**20 :], headers=rest)
        assert ended.status_code == 201


def test_a_project_stores_no_more_than_its_quota_parts_included(world: World) -> None:
    intake = world.service.intake
    there = world.service.kept.stored("elsewhere")
    narrow = replace(world.service, intake=UploadStore(
        intake.blobs, intake.kept, intake.clock, intake.most, there + 100))  # fmt: skip
    with TestClient(build_app(narrow)) as client:
        door = replace(world, client=client)
        fits, part, more = b"f" * 40, b"p" * 40, b"m" * 40
        sent = door.call("PUT", f"/v1/datasets/{sha(fits)}", "stranger", content=fits)
        assert sent.status_code == 201
        half = door.call("PUT", f"/v1/datasets/{sha(part)}", "stranger", content=part[:30],
                         headers={"Upload-Length": "40"})  # fmt: skip
        assert half.status_code == 202
        full = door.call("PUT", f"/v1/datasets/{sha(more)}", "stranger", content=more)
        assert full.status_code == 409
        assert problem(full)["type"].endswith("/quota_reached")
        assert not world.service.store.blobs.has(sha(more))
        rest = {"Upload-Length": "40", "Upload-Offset": "30"}
        ended = door.call("PUT", f"/v1/datasets/{sha(part)}", "stranger", content=part[30:],
                          headers=rest)  # fmt: skip
        assert ended.status_code == 201
        assert world.service.kept.stored("elsewhere") == there + 80
        again = door.call("PUT", f"/v1/artifacts/{sha(fits)}", "stranger", content=fits)
        assert again.status_code == 200
        assert world.service.kept.stored("elsewhere") == there + 80


def test_no_more_audits_of_a_project_wait_than_may(world: World) -> None:
    world.upload_example()
    open_now = sum(item.project == "default" for item in world.service.kept.unended())
    narrow = replace(world.service, desk=replace(world.service.desk, most_waiting=open_now + 1))
    with TestClient(build_app(narrow)) as client:
        door, queued = replace(world, client=client), list(world.engine.queued)
        once = {"headers": {"Idempotency-Key": "quota"}, "json": world.body()}
        first = door.call("POST", "/v1/audits", **once)
        assert first.status_code == 201
        refused = door.call("POST", "/v1/audits", json=world.body())
        assert refused.status_code == 409
        assert problem(refused)["type"].endswith("/quota_reached")
        assert world.engine.queued == [*queued, first.json()["id"]]
        assert door.call("POST", "/v1/audits", **once).status_code == 200
        door.call("POST", f"/v1/audits/{first.json()['id']}/cancel")
        second = door.call("POST", "/v1/audits", json=world.body())
        assert second.status_code == 201
        door.call("POST", f"/v1/audits/{second.json()['id']}/cancel")


def test_one_caller_is_nothing_to_another_and_nothing_is_no_limit() -> None:
    narrow = RateLimiter(replace(PLENTY, writes=1))
    narrow.call("key a", "POST")
    with pytest.raises(RateLimitError) as caught:
        narrow.call("key a", "DELETE")
    assert 1 <= caught.value.seconds <= 60
    assert narrow.call("key b", "PATCH") is not None
    assert [narrow.call("key a", "GET") for _ in range(100)] == [None] * 100


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not an address", "(unknown)"),
        (None, "(unknown)"),
    ],
)
def test_an_address_counts_as_one_place(host: str | None, counted: str) -> None:
    assert normalize_address(host) == counted


def test_limits_are_written_by_name() -> None:
    found = parse_service_limits(("reads=0", "stored=5", "waiting=7"))
    assert (found.reads, found.stored, found.waiting) == (0, 5 * GIB, 7)
    assert found.writes == ServiceLimits().writes
    for wrong in (
        "reads",
        "reads=-1",
        "reads=1.5",
        "nothing=1",
        "=1",
        "reads=٣",
        "reads=" + "9" * 30,
    ):
        with pytest.raises(UsageError, match="is not a limit"):
            parse_service_limits((wrong,))
