"""A service on a real store in SQLite, with callers of every kind and a finished audit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from served_toys import StillEngine
from served_worlds import World
from small_audits import write_example
from starlette.testclient import TestClient

from auditor.api.app import build_app
from auditor.checks.discovery import discover
from auditor.clock import now
from auditor.domain.api_keys import Role
from auditor.domain.canonical import Json
from auditor.domain.rations import Rations
from auditor.serving.assembling import assemble
from auditor.serving.choosing import Choices
from auditor.serving.executor import build_executor
from auditor.settings import Settings
from auditor.targets.resolving import NAMED
from auditor.wiring import policy_named
from auditor.workplaces import workplace

PLENTY = Rations(reads=0, writes=0, failures=0)
"""Tests call as fast as they can."""
PAST = "2020-01-01T00:00:00Z"


@contextmanager
def opened(root: Path) -> Iterator[World]:
    """Make a service in a folder, with callers of every kind, an audit, a schedule and a hook."""
    example, home = root / "example", root / "home"
    example.mkdir()
    write_example(example)
    engine = StillEngine()
    log: list[Mapping[str, Json]] = []
    with workplace(Settings(home, f"sqlite:///{home / 'auditor.db'}")) as place:
        stopping = lambda: False  # noqa: E731 -- a seam's one word
        service = assemble(
            place, engine, Choices(targets=NAMED, rations=PLENTY), log.append, stopping
        )
        app = build_app(service)
        policy = policy_named("policy.yaml", example, discover())
        with TestClient(
            app, base_url="http://127.0.0.1:8400", client=("127.0.0.1", 50000)
        ) as client:
            made = World(place, service, engine, app, client, example, policy, log)
            for role in Role:
                made.keys[role.value] = made.key("default", role)
            made.keys["stranger"] = made.key("elsewhere", Role.ADMIN)
            made.keys["strange agent"] = made.key("elsewhere", Role.AGENT)
            made.keys["expired"] = made.key("default", Role.ADMIN, PAST)
            made.keys["ended"] = made.key("default", Role.ADMIN)
            service.kept.end_key(made.keys["ended"].split("_")[1], now(), "it stood in a log")
            made.done = _finished(made)
            again = {"name": "again", "same_as": made.done, "on": ["batch"],
                     "batch_role": "evaluation"}  # fmt: skip
            made.schedule = made.call("POST", "/v1/schedules", json=again).json()["id"]
            hook = {"url": "https://hooks.example.org/audits", "events": ["key.ended"]}
            answer = made.call("POST", "/v1/webhooks", "admin", json=hook)
            made.webhook = answer.json()["webhook"]["id"]
            yield made


def _finished(world: World) -> str:
    """Hand the example in, and carry it out as an engine does."""
    world.upload_example()
    name = str(world.call("POST", "/v1/audits", json=world.body()).json()["id"])
    work = build_executor(world.place, {})
    for target, checks in work.plan(name):
        for check in checks:
            work.observe(name, target, check)
    work.conclude(name)
    return name
