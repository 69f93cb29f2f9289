"""The service as it is started: an audit from its upload to a folder that verifies, and its end."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from served_toys import body_of, files_of, sha
from small_audits import write_example

from auditor.checks.registry import discover_checks
from auditor.domain.policies import AssuranceLevel
from auditor.domain.verification_steps import all_hold
from auditor.reports.folder import RecordFolder
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_verifier
from auditor.workflows.wiring import load_named_policy

pytestmark = pytest.mark.slow
COMMAND = Path(sys.executable).with_name("auditor")
CHECKS = ("quality.accuracy", "quality.calibration", "quality.errors")
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Started:
    """A service in a process of its own, and a caller with its first admin's key."""

    process: subprocess.Popen[str]
    log: Path
    client: httpx.Client

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)


def start(home: Path, folder: Path, *more: str) -> Started:
    log = folder / f"log-{time.monotonic_ns()}"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", *more],
            env={**os.environ, "AUDITOR_HOME": str(home)},
            stderr=errors,
            text=True,
        )
    for _ in range(600):
        time.sleep(0.2)
        told = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        port = next((line["port"] for line in told if line["event"] == "serving"), None)
        if port is not None:
            break
        assert process.poll() is None, log.read_text()
    key = (home / "service" / "admin.key").read_text().strip()
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    return Started(process, log, client)


@pytest.fixture
def starts(home: Path, tmp_path: Path) -> Iterator[Callable[[], Started]]:
    """Start the service, once or again; whatever still runs at the end is killed."""
    made: list[Started] = []

    def again(*more: str) -> Started:
        made.append(start(home, tmp_path, *more))
        return made[-1]

    yield again
    for one in made:
        one.client.close()
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def hands(process: subprocess.Popen[str]) -> list[Path]:
    """Return the places of the processes beside a service that do its work."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [Path(f"/proc/{it}") for thread in threads for it in thread.read_text().split()]
    return [
        it
        for it in children
        if b"auditor.service.server.worker_main" in (it / "cmdline").read_bytes()
    ]


def over(process: Path) -> bool:
    """Whether a process has ended; another than its parent may still have to take note of it."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def handed_in(client: httpx.Client, example: Path, only: Sequence[str] = CHECKS[:1]) -> str:
    """Upload the example, hand it in for some checks, and return its id."""
    example.mkdir()
    write_example(example)
    policy = load_named_policy("policy.yaml", example, discover_checks())
    for kind, raw in files_of(example, policy).values():
        assert client.put(f"/v1/{kind}/{sha(raw)}", content=raw).status_code == 201
    return str(client.post("/v1/audits", json=body_of(example, policy, only=[*only])).json()["id"])


@pytest.mark.parametrize("told", [signal.SIGKILL, signal.SIGTERM])
def test_an_audit_in_hand_goes_on_after_the_service_ended(
    starts: Callable[..., Started], home: Path, tmp_path: Path, told: signal.Signals
) -> None:
    started = starts("--drain", "1")
    name = handed_in(started.client, tmp_path / "example", CHECKS)
    with started.client.stream("GET", f"/v1/audits/{name}/events") as lines:
        next(line for line in lines.iter_lines() if line == "event: running")
        (beside,) = hands(started.process)
        os.kill(int(beside.name), signal.SIGSTOP)  # so that a step stays in hand
    assert started.client.get(f"/v1/audits/{name}").json()["state"] == "running"
    started.process.send_signal(told)
    assert started.process.wait(120) == (0 if told is signal.SIGTERM else -told)
    if told is signal.SIGKILL:
        os.kill(int(beside.name), signal.SIGCONT)
        ends = time.monotonic() + 120
        while not over(beside) and time.monotonic() < ends:
            time.sleep(0.1)
    assert over(beside)
    again = starts()
    with again.client.stream("GET", f"/v1/audits/{name}/events") as lines:
        kinds = [line[7:] for line in lines.iter_lines() if line.startswith("event: ")]
    assert {kind: kinds.count(kind) for kind in ("queued", "running", "check_ended", "done")} == {
        "queued": 1, "running": 1, "check_ended": len(CHECKS), "done": 1,
    }  # fmt: skip
    with sqlite3.connect(home / "auditor.db") as database:
        assert database.execute("SELECT count(*) FROM records").fetchone() == (1,)
    database.close()
    assert again.stop() == 0


def test_an_audit_goes_all_the_way_and_the_service_comes_to_a_good_end(
    starts: Callable[..., Started], home: Path, tmp_path: Path
) -> None:
    started = starts("--require-isolation", "limits")
    example, out, client = tmp_path / "example", tmp_path / "out", started.client
    name = handed_in(client, example)
    policy = load_named_policy("policy.yaml", example, discover_checks())
    with client.stream("GET", f"/v1/audits/{name}/events") as lines:
        kinds = [line[7:] for line in lines.iter_lines() if line.startswith("event: ")]
    assert kinds == ["queued", "running", "check_started", "check_ended", "done"]
    # It was prepared, carried out and concluded beside the process that answers.
    beside = hands(started.process)
    assert len(beside) == 1
    # It isolates models as this one was told to.
    inherited = (beside[0] / "environ").read_bytes().split(b"\0")
    assert b"AUDITOR_REQUIRE_ISOLATION=limits" in inherited
    for item in client.get(f"/v1/audits/{name}/files").json()["files"]:
        place = out / item["name"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(client.get(f"/v1/audits/{name}/files/{item['name']}").content)
    key = client.get("/.well-known/auditor-keys").json()["report"].encode()
    assert all_hold(
        verify_folder(RecordFolder(out), replace(build_verifier(key), highest=AssuranceLevel.A1))
    )
    assert stat.S_IMODE((home / "service" / "admin.key").stat().st_mode) == 0o600
    # A stream that is open does not keep it from ending.
    other = client.post("/v1/audits", json=body_of(example, policy, only=[])).json()["id"]
    with client.stream("GET", f"/v1/audits/{other}/events") as lines:
        next(lines.iter_lines())
        assert started.stop() == 0
    assert not beside[0].exists()
    assert "Traceback" not in started.log.read_text()
    again = starts()
    assert again.client.get(f"/v1/audits/{other}").json()["state"] not in ENDED
    again.client.post(f"/v1/audits/{other}/cancel")
    assert again.client.get(f"/v1/audits/{other}").json()["state"] == "cancelled"
    assert again.stop() == 0
