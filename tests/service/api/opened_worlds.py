"""A service on a real store in SQLite, with callers of every kind and a finished audit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from served_toys import StillEngine
from served_worlds import World
from small_audits import write_example
from starlette.testclient import TestClient

from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.json import Json
from auditor.service.api.app import build_app
from auditor.service.domain.access import AccessRole, ServiceLimits
from auditor.service.jobs.executor import build_executor
from auditor.service.server.assemble import assemble_service
from auditor.service.server.options import ServiceOptions
from auditor.targets.target_specs import NAMED
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import load_named_policy
from auditor.workflows.workspace import open_workspace

PLENTY = ServiceLimits(reads=0, writes=0, failures=0)
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
    with open_workspace(AuditorSettings(home, f"sqlite:///{home / 'auditor.db'}")) as place:
        stopping = lambda: False  # noqa: E731 -- a seam's one word
        service = assemble_service(
            place, engine, ServiceOptions(targets=NAMED, rations=PLENTY), log.append, stopping
        )
        app = build_app(service)
        policy = load_named_policy("policy.yaml", example, discover_checks())
        with TestClient(
            app, base_url="http://127.0.0.1:8400", client=("127.0.0.1", 50000)
        ) as client:
            made = World(place, service, engine, app, client, example, policy, log)
            for role in AccessRole:
                made.keys[role.value] = made.key("default", role)
            made.keys["stranger"] = made.key("elsewhere", AccessRole.ADMIN)
            made.keys["strange agent"] = made.key("elsewhere", AccessRole.AGENT)
            made.keys["expired"] = made.key("default", AccessRole.ADMIN, PAST)
            made.keys["ended"] = made.key("default", AccessRole.ADMIN)
            service.kept.end_key(made.keys["ended"].split("_")[1], utc_now(), "it stood in a log")
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
