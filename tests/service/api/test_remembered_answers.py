"""What is remembered is told to nobody else, and to nobody once it is no longer so."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import pytest
from fastapi.routing import APIRoute
from served_worlds import World, counted
from starlette.testclient import TestClient

from auditor._time import utc_now
from auditor.service.api.app import build_app
from auditor.service.api.auth import is_public_path
from auditor.service.api.response_cache import HEADERS, CachedRoute
from auditor.service.api.validated_cache import MAKERS, MarkedCache
from auditor.service.domain.access import AccessRole
from auditor.service.domain.submissions import SubmissionResult
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore

JSON = {"Accept": "application/json"}


@pytest.fixture
def name(world: World) -> Iterator[str]:
    """An audit that nobody carries out."""
    made = world.call("POST", "/v1/audits", json=world.body()).json()["id"]
    yield made
    world.service.kept.end(made, SubmissionResult(ended=utc_now()))


@pytest.fixture
def elsewhere(world: World) -> Iterator[ServiceStore]:
    """The same store as another process has it open."""
    url = world.place.store.engine.url.render_as_string(hide_password=False)
    store = RecordStore.open(url, world.place.store.blobs)
    yield ServiceStore(store)
    store.close()


def remembered(world: World) -> list[str]:
    """Return the path of every route that answers from memory, with what ``default`` has."""
    routes = [
        it.path for it in world.app.routes
        if isinstance(it, APIRoute) and hasattr(it.endpoint, HEADERS)
    ]  # fmt: skip
    return [it.replace("{audit}", world.done).replace("{name}", "baseline") for it in routes]


def test_what_is_marked_is_read_behind_a_key_and_changes_nothing(world: World) -> None:
    marked = [
        it for it in world.app.routes
        if isinstance(it, APIRoute) and hasattr(it.endpoint, HEADERS)
    ]  # fmt: skip
    assert len(marked) >= 6
    for route in marked:
        assert isinstance(route, CachedRoute), route.path
        assert route.methods == {"GET"}, route.path
        assert not is_public_path(route.path), route.path


def test_no_answer_crosses_from_one_project_or_role_to_another(world: World) -> None:
    for path in remembered(world):
        mine = world.call("GET", path, "admin", headers=JSON)
        assert mine.status_code == 200, path
        for key, _ in product(("stranger", "agent", "expired", "ended"), range(2)):
            theirs = world.call("GET", path, key, headers=JSON)
            if world.done in path:
                assert theirs.status_code in {401, 403, 404}, (path, key)
            else:
                assert world.done not in theirs.text, (path, key)
        assert world.call("GET", path, "agent", headers=JSON).status_code == 403, path
        assert world.call("GET", path, "ended", headers=JSON).status_code == 401, path


def test_each_role_of_a_project_is_answered_alike_from_a_memory_of_its_own(world: World) -> None:
    roles = [role for role in AccessRole if role is not AccessRole.AGENT]
    for path in remembered(world):
        told = {world.call("GET", path, role.value, headers=JSON).text for role in roles}
        assert len(told) == 1, path


def test_the_same_question_asks_the_database_nothing_the_second_time(world: World) -> None:
    for path in remembered(world):
        # A moment may end between two calls, and none is that long.
        for _ in range(5):
            first = world.call("GET", path, "viewer", headers=JSON)
            with counted(world) as asked:
                second = world.call("GET", path, "viewer", headers=JSON)
            if not asked:
                break
        assert asked == [], path
        assert second.content == first.content, path
        assert second.headers["x-request-id"] != first.headers["x-request-id"]
        assert second.headers["content-security-policy"] == first.headers["content-security-policy"]


def listed(world: World) -> dict[str, str]:
    """Return the states of the audits that a list tells of, by their ids."""
    told = world.call("GET", "/v1/audits?limit=200").json()["audits"]
    return {item["id"]: item["state"] for item in told}


def test_whatever_is_kept_is_told_at_once(world: World, name: str) -> None:
    path = f"/v1/audits/{name}/events"
    for number in range(2, 6):
        world.service.kept.append(name, "note", {"text": "hello"}, utc_now())
        found = world.call("GET", path, "viewer", headers=JSON).json()
        assert found["events"][-1]["number"] == number
    assert listed(world)[name] == "queued"
    world.service.kept.append(name, "running", {}, utc_now())
    assert listed(world)[name] == "running"


def test_what_another_process_keeps_is_told_at_once(
    world: World, name: str, elsewhere: ServiceStore
) -> None:
    path = f"/v1/audits/{name}"
    assert world.call("GET", path).json()["state"] == "queued"
    elsewhere.append(name, "running", {}, utc_now())
    assert world.call("GET", path).json()["state"] == "running"
    elsewhere.end(name, SubmissionResult(ended=utc_now()))
    assert world.call("GET", path).json()["state"] == "cancelled"


def test_a_key_that_another_process_ends_holds_no_longer_at_once(
    world: World, elsewhere: ServiceStore
) -> None:
    key = world.key("default", AccessRole.VIEWER)
    for _ in range(2):
        assert world.call("GET", "/v1/audits", key).status_code == 200
    elsewhere.end_key(key.split("_")[1], utc_now(), "it stood in a log")
    assert world.call("GET", "/v1/audits", key).status_code == 401


def test_a_key_that_was_let_in_is_refused_once_its_time_is_over(world: World) -> None:
    times = ["2030-01-01T00:00:00Z"]
    service = replace(world.service, clock=lambda: times[-1])
    key = world.key("default", AccessRole.VIEWER, "2030-06-01T00:00:00Z")
    with TestClient(build_app(service), headers={"Authorization": f"Bearer {key}"}) as client:
        assert [client.get("/v1/policies").status_code for _ in range(2)] == [200, 200]
        times.append("2030-06-01T00:00:00Z")
        assert client.get("/v1/policies").status_code == 401


def test_what_is_followed_is_sent_as_it_happens_and_from_where_somebody_was(
    world: World, name: str
) -> None:
    kept, path = world.service.kept, f"/v1/audits/{name}/events"
    kept.end(name, SubmissionResult(ended=utc_now()))
    assert world.call("GET", path, headers=JSON).json()["state"] == "cancelled"
    whole = world.call("GET", path, headers={"Accept": "text/event-stream"})
    assert whole.text.count("event: ") == 2
    assert world.call("GET", path, headers={"Accept": "text/event-stream"}).text == whole.text
    after = world.call("GET", path, headers={**JSON, "Last-Event-ID": "1"}).json()
    assert [it["number"] for it in after["events"]] == [2]


def test_what_went_wrong_is_not_remembered(world: World) -> None:
    missing = f"/v1/audits/sub-{'f' * 24}"
    assert [world.call("GET", missing).status_code for _ in range(2)] == [404, 404]
    with counted(world) as asked:
        world.call("GET", missing)
    assert asked


def test_many_who_ask_at_once_are_all_told_the_same(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: world.call("GET", "/v1/policies").text, range(24)))
    assert len(found) == 1


def test_one_makes_what_many_wait_for_and_who_comes_after_a_change_waits_anew() -> None:
    made: list[int] = []

    async def make() -> int:
        made.append(len(made))
        await asyncio.sleep(0.01)
        return made[-1]

    async def all_of_it() -> None:
        recall: MarkedCache[int] = MarkedCache(60)
        first = asyncio.ensure_future(recall.of("a", 1, make))
        await asyncio.sleep(0)  # the first begins before the others ask
        others = [asyncio.ensure_future(recall.of("a", 1, make)) for _ in range(9)]
        assert await first == 0
        # They asked after that had begun, and one of them made it anew for all.
        assert [await it for it in others] == [1] * 9
        assert await recall.of("a", 1, make) == 1
        assert await recall.of("a", 2, make) == 2
        assert await recall.of("b", 2, make) == 3

    asyncio.run(all_of_it())


def test_few_values_are_made_at_once_and_one_that_waits_keeps_no_other_waiting() -> None:
    busy, most = 0, 0
    release = asyncio.Event()

    async def slow() -> int:
        await release.wait()
        return -1

    async def make() -> int:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.001)
        busy -= 1
        return most

    async def all_of_it() -> None:
        recall: MarkedCache[int] = MarkedCache(60)
        waits = asyncio.ensure_future(recall.of("slow", 1, slow))
        await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*(recall.of(it, 1, make) for it in range(9))), 60)
        assert most == MAKERS - 1
        release.set()
        assert await waits == -1
        await asyncio.gather(*(recall.of(it, 2, make) for it in range(9)))
        assert most == MAKERS

    asyncio.run(all_of_it())


def test_a_memory_keeps_neither_failures_nor_more_than_it_may_nor_for_longer() -> None:
    async def value(said: str) -> str:
        return said

    async def fail() -> str:
        raise OSError("it broke")

    async def all_of_it() -> None:
        recall: MarkedCache[str] = MarkedCache(60, most=2)
        with pytest.raises(OSError, match="broke"):
            await recall.of("a", 1, fail)
        assert await recall.of("a", 1, lambda: value("one"), lambda it: it != "one") == "one"
        assert await recall.of("a", 1, lambda: value("two")) == "two"
        assert await recall.of("a", 1, fail) == "two"
        for name in "bc":
            await recall.of(name, 1, lambda: value("more"))
        assert await recall.of("a", 1, lambda: value("anew")) == "anew"
        never: MarkedCache[str] = MarkedCache(0)
        assert await never.of("a", 1, lambda: value("one")) == "one"
        assert await never.of("a", 1, lambda: value("two")) == "two"

    asyncio.run(all_of_it())
