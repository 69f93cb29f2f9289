"""Agents as they are started: behind a wall, cut off, killed, and told to stop."""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from agent_worlds import ONLY, Enrolled, Place, Process, Serving
from durable_toys import until
from postgresql_databases import postgresql_database
from small_audits import write_example
from sqlalchemy import URL, create_engine, text
from walled_places import Walled, certificate, walled
from watching import Nobody

from auditor.checks.registry import discover_checks
from auditor.domain.json import parse_json
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.store.database import migrate
from auditor.workflows.audit import run_audit
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import build_path_resolver, build_resolvers, load_named_policy
from auditor.workflows.workspace import open_workspace

__all__ = ["postgresql_database"]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("agents")]


@dataclass(frozen=True)
class Yard:
    """A service on PostgreSQL, an agent behind a wall where there can be one, and another agent."""

    place: Place
    serving: Serving
    wall: Walled | None
    first: Process
    one: Enrolled
    other: Enrolled
    example: Path
    policy: Policy

    def submit(self) -> str:
        return self.serving.submit(self.example, self.policy)

    def record(self, audit: str) -> AuditRecord:
        return read_record(self.serving.client.get(f"/v1/audits/{audit}/record").content)


@pytest.fixture
def database(postgresql_database: URL) -> Iterator[str]:
    """Give a database of its own: an engine works in all of one."""
    name = f"agents_{uuid.uuid4().hex}"
    administrator = create_engine(postgresql_database, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = postgresql_database.set(database=name).render_as_string(hide_password=False)
    migrate(url)
    yield url
    with administrator.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administrator.dispose()


@pytest.fixture
def yard(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("agents")
    example, place = folder / "example", Place(folder)
    example.mkdir()
    write_example(example)
    with ExitStack() as stack:
        wall = stack.enter_context(walled())
        stack.callback(place.end)
        address = "127.0.0.1" if wall is None else wall.address
        tls = certificate(folder, "127.0.0.1", address)
        serving = Serving.start(place, tls, database)
        stack.enter_context(serving.client)
        one, other = serving.enrol("one", folder), serving.enrol("other", folder)
        url = f"https://{address}:{serving.port}"
        first = one.start(place, url, tls[0], () if wall is None else wall.inside)
        policy = load_named_policy("policy.yaml", example, discover_checks())
        first.waits_for("working")
        yield Yard(place, serving, wall, first, one, other, example, policy)


@pytest.fixture
def here(yard: Yard) -> dict[str, object]:
    """Audit the example on this machine, by the same code, without a service."""
    path, parts = yard.example / "audit.yaml", build_resolvers(yard.example)
    file = read_overridden_audit_file(path.read_bytes(), path.name, parts, only=tuple(ONLY))
    settings = AuditorSettings.from_environment(
        {**os.environ, "AUDITOR_HOME": str(yard.example / "home")}
    )
    with (
        open_workspace(settings) as place,
        prepare_audit(file, build_path_resolver(path), parts) as prepared,
    ):
        return seen(run_audit(place.informed(prepared), place.surroundings(), Nobody()))


def seen(record: AuditRecord) -> dict[str, object]:
    body = parse_json(record.canonical())
    assert isinstance(body, dict)
    body["request"].pop("attempt", None)  # services count, and nobody else does
    return {name: body[name] for name in ("request", "observations", "readings", "findings")}


def test_an_agent_that_reaches_one_port_alone_completes_an_audit_though_its_wire_is_cut(
    yard: Yard, here: dict[str, object]
) -> None:
    wall, serving = yard.wall, yard.serving
    if wall is None:
        pytest.skip("this machine lets us make no network namespace (`ip netns add`)")
    assert wall.reaches(serving.port)
    assert not wall.reaches(5432), "the database must not be reached from behind the wall"
    audit = yard.submit()
    serving.until_begun(audit, "evasion.linf")
    wall.cut()
    until(lambda: bool(serving.told(audit, "note")), 60)
    assert serving.look(audit)["state"] == "running"
    wall.mend()
    assert serving.ended(audit)["verdict"] == "pass"
    (note, *_) = serving.told(audit, "note")
    assert "one did not respond in time" in note["text"]
    ended = [it["check"] for it in serving.told(audit, "check_ended")]
    assert sorted(ended) == sorted(ONLY)
    record = yard.record(audit)
    assert seen(record) == here
    assert record.tool["agents"] == {"cpu": [yard.one.identity]}
    # What it keeps is blobs by digest: there is no database where it is, nor a way to one.
    home = yard.place.folder / "home-one"
    assert {it.name for it in home.iterdir()} == {"agent"}
    assert not list(home.rglob("*.db"))


def test_where_an_agent_is_killed_another_takes_its_shard_and_ends_well_when_told_to(
    yard: Yard, here: dict[str, object]
) -> None:
    serving, ca = yard.serving, yard.place.folder / "tls.pem"
    audit = yard.submit()
    serving.until_begun(audit, "evasion.linf")
    yard.first.process.kill()
    second = yard.other.start(yard.place, str(serving.client.base_url), ca)
    assert serving.ended(audit)["verdict"] == "pass"
    record = yard.record(audit)
    assert seen(record) == here
    assert record.tool["agents"] == {"cpu": sorted([yard.one.identity, yard.other.identity])}
    begun = [it["agent"] for it in serving.told(audit, "check_started")]
    assert (begun[0], begun[-1]) == ("one", "other")
    again = yard.submit()
    serving.until_begun(again, "data.duplicates")
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(90) == 0
    assert second.told()[-1] == {"event": "stopped"}
    begun, ended = (
        [it["check"] for it in serving.told(again, kind)]
        for kind in ("check_started", "check_ended")
    )
    assert ended == begun
    assert len(ended) < len(ONLY)
    assert serving.look(again)["state"] == "running"
