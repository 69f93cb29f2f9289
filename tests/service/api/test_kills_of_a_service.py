"""A service whose processes are killed again and again loses nothing, and does nothing twice."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from served_toys import body_of, files_of, sha
from served_worlds import World
from small_audits import AUDIT, write_example

from auditor.checks.registry import discover_checks
from auditor.domain.json import Json, parse_json
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import all_hold
from auditor.reports.folder import RECORD
from auditor.reports.manifest import materialize_folder
from auditor.service.domain.submissions import SubmissionEventKind
from auditor.service.jobs.executor import build_executor
from auditor.service.store.submission_history import ServiceStore
from auditor.store.database import migrate
from auditor.targets.model import OpenedModel
from auditor.workflows.engine.local import ProgressHeartbeat
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_service_verifier
from auditor.workflows.wiring import load_named_policy
from auditor.workflows.workspace import Workspace, open_workspace

COMMAND = Path(sys.executable).with_name("auditor")
CHECKS = [
    "evasion.tabular", "fairness.groups", "privacy.extraction", "privacy.inversion",
    "quality.accuracy", "quality.calibration",
]  # fmt: skip
PATIENCE = 300
"""Seconds in which all comes right again, on a machine that others share."""


@dataclass
class Fleet:
    """A service and two workers, each in a process of its own, started anew wherever killed."""

    home: Path
    database: str
    folder: Path
    port: int
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, role: str) -> None:
        """Start the service, or a worker of a name."""
        serve = ["serve", "--no-work", "--port", str(self.port)]
        asked = serve if role == "serve" else ["worker", "--target", "cpu", "--name", role]
        told = {"AUDITOR_HOME": str(self.home), "AUDITOR_DATABASE_URL": self.database}
        with (self.folder / f"{role}.log").open("ab") as log:
            self.running[role] = subprocess.Popen(
                [COMMAND, *asked], env={**os.environ, **told, "OMP_NUM_THREADS": "1"}, stderr=log
            )

    def kill(self, role: str) -> None:
        """Kill a process as the kernel does, and start it anew."""
        self.running[role].kill()
        self.running[role].wait()
        self.start(role)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 -- httpx's
        """Call until the service answers, as a client does whose line breaks."""
        key = self.home / "service" / "admin.key"
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            try:
                bearer = {"Authorization": f"Bearer {key.read_text().strip()}"}
                url = f"http://127.0.0.1:{self.port}{path}"
                headers = {**bearer, **more.get("headers", {})}
                return httpx.request(method, url, **{**more, "headers": headers}, timeout=30)
            except (httpx.TransportError, FileNotFoundError):
                time.sleep(0.2)
        raise AssertionError((self.folder / "serve.log").read_text()[-2000:])

    def hand_in(self, once: str, body: dict[str, Any]) -> str:
        """Hand an audit in, once however often it takes, and return its id."""
        answer = self.call("POST", "/v1/audits", json=body, headers={"Idempotency-Key": once})
        assert answer.status_code in {200, 201}, answer.text
        return str(answer.json()["id"])

    def ended(self, name: str) -> str:
        """Wait until an audit has ended, and return how."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            state = str(self.call("GET", f"/v1/audits/{name}").json()["state"])
            if state in {"done", "failed", "cancelled"}:
                return state
            time.sleep(0.5)
        raise AssertionError(f"{name} is {state}")


@pytest.fixture
def fleet(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[Fleet]:
    """Start a service and two workers, and end them after the test."""
    url = f"sqlite:///{home / 'auditor.db'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
        migrate(url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Fleet(home, url, tmp_path, port)
    try:
        made.start("serve")
        made.call("GET", "/v1/targets")
        for name in ("one", "two"):
            made.start(name)
        yield made
    finally:
        for process in made.running.values():
            process.kill()
            process.wait()


def refuse_twice(events: list[dict[str, Any]]) -> None:
    """Hold that each check ended once, and that none ran again after that."""
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    ended: list[Json] = []
    for event in events:
        check = event["detail"].get("check")
        if event["kind"] == SubmissionEventKind.CHECK_STARTED:
            assert check not in ended, f"{check} had ended, and ran again"
        if event["kind"] == SubmissionEventKind.CHECK_ENDED:
            assert check not in ended, f"{check} ended twice"
            ended.append(check)
    assert sorted(map(str, ended)) == CHECKS
    states = [
        event["kind"]
        for event in events
        if event["kind"] not in {it.value for it in SubmissionEventKind}
    ]
    assert [it for it in states if it != "waiting_for_target"][-2:] == ["running", "done"]


def record_of(place: Workspace, name: str) -> dict[str, Any]:
    """Return an audit's record, whose folder verifies, and which the ledger has once."""
    ending = ServiceStore(place.store).outcome(name)
    assert ending is not None
    verifier = build_service_verifier(place.signer.public_pem())
    with materialize_folder(place.store.blobs, ending.files) as folder:
        assert all_hold(verify_folder(folder, verifier))
        record: dict[str, Any] = parse_json(folder.read(RECORD))  # type: ignore[assignment]  # JSON
    with place.store.ledger() as ledger:
        assert len(ledger.find(str(record["id"]))) == 1
    return record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fleet", "kills"),
    [
        pytest.param("postgresql", 3, id="postgresql-3"),
        pytest.param("sqlite", 50, id="sqlite-50", marks=pytest.mark.long),
        pytest.param("postgresql", 50, id="postgresql-50", marks=pytest.mark.long),
    ],
    indirect=["fleet"],
)
def test_whoever_is_killed_whenever_no_audit_is_lost_or_done_twice(
    fleet: Fleet, tmp_path: Path, kills: int
) -> None:
    example = tmp_path / "example"
    example.mkdir()
    write_example(example)
    policy = load_named_policy("policy.yaml", example, discover_checks())
    for kind, raw in files_of(example, policy).values():
        fleet.call("PUT", f"/v1/{kind}/{sha(raw)}", content=raw)
    body = body_of(example, policy, only=CHECKS, wait_for_target=PATIENCE)
    undisturbed = fleet.hand_in("undisturbed", body)
    assert fleet.ended(undisturbed) == "done"
    chance = random.Random(5)  # noqa: S311 -- no secret
    names = [fleet.hand_in("0", body)]
    for number in range(1, kills + 1):
        time.sleep(chance.uniform(0.1, 3.0))
        fleet.kill(chance.choice(sorted(fleet.running)))
        if number % 2:
            names.append(fleet.hand_in(str(number), body))
            assert fleet.hand_in(str(number), body) == names[-1]
    assert {name: fleet.ended(name) for name in names} == dict.fromkeys(names, "done")
    listed = json.loads(fleet.call("GET", "/v1/audits?limit=200").text)["audits"]
    assert sorted(item["id"] for item in listed) == sorted([*names, undisturbed])
    with open_workspace(AuditorSettings(fleet.home, fleet.database)) as place:
        expected = record_of(place, undisturbed)
        for name in names:
            asked = {"Accept": "application/json"}
            told = fleet.call("GET", f"/v1/audits/{name}/events?limit=200", headers=asked).json()
            refuse_twice(told["events"])
            record = record_of(place, name)
            for part in ("readings", "findings", "verdict"):
                assert record[part] == expected[part], part


class Died(BaseException):
    """A worker ends amid a check."""


def carried_out(world: World, name: str, dies: set[int]) -> AuditRecord:
    """Carry an audit out, by another worker after each word on its progress that is the last."""
    said = 0

    def advanced(*_: object) -> None:
        nonlocal said
        said += 1
        if said in dies:
            raise Died

    with patch.object(ProgressHeartbeat, "__call__", advanced):
        work = build_executor(world.place, {})
        for target, checks in work.plan(name):
            for check in checks:
                while True:
                    try:
                        work.observe(name, target, check)
                        break
                    except Died:
                        work = build_executor(world.place, {})
        work.conclude(name)
    assert said > max(dies, default=0)
    return read_record(world.call("GET", f"/v1/audits/{name}/record").content)


@pytest.mark.slow
def test_an_audit_whose_workers_died_goes_on_with_the_clock_of_the_last(apart: World) -> None:
    raw = AUDIT.replace("model.onnx}", "model.onnx, twin: none}") + "max_minutes: 0.1\n"
    apart.upload(raw.encode())
    only = ["evasion.linf_query", "fairness.groups", "quality.accuracy"]
    body = apart.body(audit_file=sha(raw.encode()), only=only)
    found = []
    with patch.object(OpenedModel, "pace", property(lambda _: 1e-3)):
        for once, dies in (("whole", set[int]()), ("dying", {100, 900, 2000})):
            asked = {"Idempotency-Key": once}
            answer = apart.call("POST", "/v1/audits", json=body, headers=asked)
            assert answer.status_code == 201, answer.text
            found.append(carried_out(apart, str(answer.json()["id"]), dies))
    whole, dying = found
    assert any("rows_asked" in getattr(it, "details", {}) for it in whole.readings)
    assert dying.readings == whole.readings
