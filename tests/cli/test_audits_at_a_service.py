"""Audits at a service in a process of its own: the same as here, and through whatever dies."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from scripted_services import Asked, serving
from small_audits import linear_model

from auditor.checks.registry import discover_checks
from auditor.cli.client_options import build_client
from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.policies import AssuranceLevel
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt
from auditor.service.domain.submissions import SubmissionState
from auditor.workflows.reproduced_readings import check_reproduction

pytestmark = pytest.mark.slow
COMMAND = Path(sys.executable).with_name("auditor")
WAIT = 300.0
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")
Command = Callable[..., Any]


@dataclass
class Served:
    """A service on a port of its own, which can be killed and started again."""

    home: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.home / "service" / "admin.key").read_text().strip()

    def start(self, *more: str) -> None:
        environment = {**os.environ, "AUDITOR_HOME": str(self.home)}
        command = [str(COMMAND), "serve", "--port", str(self.port), *more]
        with (self.home.parent / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, env=environment, stderr=log))
        until = time.monotonic() + WAIT
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.processes[-1].poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    def ended(self) -> int:
        """How many audits are done, as the store says, whether the service runs or not."""
        with closing(sqlite3.connect(self.home / "auditor.db")) as store:
            asked = "SELECT count(*) FROM submission_events WHERE kind = 'done'"
            return int(store.execute(asked).fetchone()[0])

    @property
    def log(self) -> str:
        return (self.home.parent / "log").read_text()

    def stop(self) -> None:
        self.processes[-1].send_signal(signal.SIGTERM)
        assert self.processes[-1].wait(WAIT) == 0

    def kill(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()


def new_service(folder: Path) -> Served:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Served(folder / "home", free.getsockname()[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    service = new_service(tmp_path_factory.mktemp("served"))
    service.start()
    yield service
    for process in service.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT)


@pytest.fixture
def there(served: Served, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setenv("AUDITOR_API_KEY", served.key)
    return "--server", served.url


def record_in(folder: Path) -> AuditRecord:
    return read_record((folder / "record.json").read_bytes())


def test_a_service_that_is_told_to_stop_while_it_starts_ends_well(tmp_path: Path) -> None:
    service = new_service(tmp_path)
    service.start()
    service.stop()
    assert '"stopped"' in service.log


def renamed(folder: Path, name: str) -> None:
    """Call the policy another name: attempts are counted by it, and other tests audit too."""
    file = folder / "policy.yaml"
    file.write_text(file.read_text().replace("name: tiny", f"name: {name}"))


def test_an_audit_at_a_service_is_the_one_that_runs_here(
    auditor: Command, inside: Path, home: Path, there: tuple[str, str]
) -> None:
    renamed(inside, "alike")
    done = auditor(*AUDITED, *there)
    assert done.code == 0, done.said
    assert "seen quality.accuracy on cpu" in done.said
    assert "Verdict: PASS under alike 1.0.0" in done.said
    assert not (home / "signer.key").exists()
    there_was = record_in(inside / "out")
    shutil.move(inside / "out", inside / "served")
    assert auditor(*AUDITED).code == 0
    here = record_in(inside / "out")
    assert there_was.request.attempt == AuditAttempt(number=1)
    assert here.request == replace(there_was.request, attempt=None)
    assert [item.to_json() for item in here.findings] == [
        item.to_json() for item in there_was.findings
    ]
    found = check_reproduction(here, there_was, discover_checks().values())
    steps = {step.name: step for step in found.steps}
    assert steps["request"].result.value == "holds"
    assert "equal" in steps["quality.accuracy on cpu"].detail
    assert there_was.assurance is AssuranceLevel.A1
    names = {path.relative_to(inside / "out") for path in (inside / "out").rglob("*")}
    served = {path.relative_to(inside / "served") for path in (inside / "served").rglob("*")}
    assert {name for name in served if name.parent.name != "evidence"} == {
        name for name in names if name.parent.name != "evidence"
    }


def test_an_audit_against_a_record_of_the_service_is_the_one_that_runs_here(
    auditor: Command, inside: Path, there: tuple[str, str]
) -> None:
    renamed(inside, "before")
    assert auditor(*AUDITED, *there).code == 0
    shutil.move(inside / "out", inside / "before")
    linear_model(inside / "model.onnx", [6.0, 4.5, 0.0], -5.0)
    policy = inside / "policy.yaml"
    policy.write_text(policy.read_text().replace("name: before", "name: after"))
    again = auditor(*AUDITED, *there, "--baseline", "before")
    assert again.code == 0, again.said
    there_was = record_in(inside / "out")
    named = compute_digest((inside / "before" / "record.json").read_bytes())
    assert there_was.request.baseline == named
    assert (
        auditor(*AUDITED, "--baseline", "before", "--baseline-key", "before/signer.pub").code == 0
    )
    here = record_in(inside / "out")
    assert here.request == replace(there_was.request, attempt=None)
    assert [item.to_json() for item in here.findings] == [
        item.to_json() for item in there_was.findings
    ]
    assert auditor(*AUDITED, *there, "--baseline", named).code == 0
    refused = auditor(*AUDITED, *there, "--baseline", f"sha256:{'0' * 64}")
    assert (refused.code, "the project has no record" in refused.said) == (2, True)
    key = auditor(*AUDITED, *there, "--baseline", named, "--baseline-key", "before/signer.pub")
    assert (key.code, "--baseline-key does not work with a service" in key.said) == (2, True)


def hold(url: str) -> tuple[str, str]:
    """Let an approver hold rows like those of the example; return the set's name, and digest."""
    name = f"rows-{uuid4().hex[:8]}"
    raw = Path("test.csv").read_bytes().replace(b"r0,", f"{name},".encode())
    kept = {"name": name, "role": "evaluation", "digest": compute_digest(raw), "file": "rows.csv"}
    shown = {"Authorization": f"Bearer {os.environ['AUDITOR_API_KEY']}"}
    with httpx.Client(base_url=url, headers=shown, timeout=60, trust_env=False) as line:
        approver = line.post("/v1/keys", json={"name": name, "role": "approver"}).json()
        line.headers["Authorization"] = f"Bearer {approver['text']}"
        assert line.put(f"/v1/datasets/{compute_digest(raw)}", content=raw).status_code == 201
        assert line.post("/v1/sealed-sets", json=kept).status_code == 201
    return name, compute_digest(raw)


def test_rows_that_the_auditor_holds_are_named_and_never_read_here(
    auditor: Command, inside: Path, there: tuple[str, str]
) -> None:
    renamed(inside, "holding")
    assert auditor(*AUDITED, *there, "--sealed-set", "rows").code == 2
    name, held = hold(there[1])
    Path("test.csv").unlink()
    sealed = (*AUDITED, "--sealed", *there)
    unknown = auditor(*sealed, "--sealed-set", "rows-of-nobody")
    assert (unknown.code, "unknown sealed set rows-of-nobody" in unknown.said) == (2, True)
    done = auditor(*sealed, "--sealed-set", name)
    assert done.code == 0, done.said
    record = record_in(Path("out"))
    assert record.request.attempt is not None
    assert record.request.attempt.sets == (name,)
    assert f"sha256:{_input(record, 'test.csv')}" == held


def _input(record: AuditRecord, path: str) -> str:
    (found,) = [item.file.sha256 for item in record.request.inputs if item.path == path]
    return found


def test_sealed_audits_have_seeds_of_the_service_that_anybody_can_check(
    auditor: Command, inside: Path, served: Served, there: tuple[str, str]
) -> None:
    renamed(inside, "counted")
    assert auditor(*AUDITED, "--sealed").code == 2
    seeds = []
    for number in (1, 2):
        done = auditor(*AUDITED, "--sealed", *there)
        assert done.code == 0, done.said
        assert f"number {number} of line under counted; seed sealed" in done.said
        record = record_in(inside / "out")
        assert record.request.attempt is not None
        assert record.request.attempt.number == number
        seeds.append(record.request.seed)
    assert len({3, *seeds}) == 3
    verify = ("verify", "out", "--key", "out/signer.pub", "--assurance", "A1")
    key = ("--ledger-key", str(served.home / "ledger.pub"))
    held = auditor(*verify, *key)
    assert held.code == 0, held.said
    assert "attempt 2" in held.said
    assert "no ledger key given" in auditor(*verify).said
    again = auditor("reproduce", "out", "--inputs", ".")
    assert again.code == 0, again.said
    body = json.loads((inside / "out" / "record.json").read_bytes())
    body["request"]["seed"] += 1
    (inside / "out" / "record.json").write_bytes(encode_canonical(body))
    edited = auditor(*verify, *key)
    assert edited.code == 1
    assert "SEED_NOT_DRAWN" in edited.said


def test_a_policy_that_asks_for_a_sealed_audit_wants_the_ledger_that_drew_its_seed(
    auditor: Command, inside: Path, served: Served, there: tuple[str, str], tmp_path: Path
) -> None:
    renamed(inside, "drawn")
    policy = (inside / "policy.yaml").read_text()
    asks = policy.replace("least_budget: smoke", "least_budget: smoke, require_sealed: true")
    (inside / "policy.yaml").write_text(asks)
    done = auditor(*AUDITED, "--sealed", "--sealed-set", hold(there[1])[0], *there)
    assert done.code == 0, done.said
    believed = ("--key", "out/signer.pub", "--assurance", "A1")
    gate = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    ledger = ("--ledger-key", str(served.home / "ledger.pub"))
    (tmp_path / "own").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(tmp_path / "own"))
        assert auditor(*AUDITED[:-1], "mine").code == 0  # which makes a ledger of its own
    for shut in ((), ("--ledger-key", str(tmp_path / "own" / "ledger.pub"))):
        ended = auditor(*gate, *believed, *shut)
        assert ended.code == 1, ended.said
        assert "sealed" in ended.said.rpartition("Gate: closed (")[2], ended.said
        told = auditor("comment", "out", *believed, *shut)
        assert "\N{WHITE HEAVY CHECK MARK}" not in told.out
    opened = auditor(*gate, *believed, *ledger)
    assert opened.code == 0, opened.said
    assert "\N{WHITE HEAVY CHECK MARK}" in auditor("comment", "out", *believed, *ledger).out


def test_a_gate_of_a_service_opens_and_shuts(
    auditor: Command, inside: Path, there: tuple[str, str]
) -> None:
    assert auditor(*AUDITED, *there).code == 0
    asked = ("gate", "--policy", "policy.yaml", *there)
    opened = auditor(*asked, "--artifact", "model.onnx")
    assert opened.code == 0, opened.said
    assert "signed by a report key of this service" in opened.said
    shut = auditor(*asked, "--artifact", "test.csv")
    assert shut.code == 1
    assert "no audit of" in shut.said
    both = auditor(*asked, "--artifact", "model.onnx", "--record", "out")
    assert both.code == 2


def test_a_wrong_key_and_an_address_where_nobody_listens_are_told_apart(
    auditor: Command, inside: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_API_KEY", "auk_0000000000000000_" + "a" * 43)
    wrong = auditor(*AUDITED, "--server", served.url)
    assert wrong.code == 2
    assert "this is not an API key of this service. Set AUDITOR_API_KEY" in wrong.said
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = auditor(*AUDITED, "--server", f"http://127.0.0.1:{port}")
    assert nobody.code == 4
    assert "cannot be reached" in nobody.said
    assert not (inside / "out").exists()


CHANGES = {
    "a target that is written out": ("[cpu]", "[{name: own, runtime: onnxruntime}]", "written out"),
    "a target that it has not": ("[cpu]", "[npu]", "no target 'npu'"),
    "withheld rows": ("seed: 3", "seed: 3\ndisclosure: rows", "disclosure"),
    "a baseline": ("seed: 3", "seed: 3\nbaseline: {record: old}", "baseline"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_for_a_service_is_refused_before_anything_is_sent(
    auditor: Command, inside: Path, served: Served, there: tuple[str, str], change: str
) -> None:
    before, after, words = CHANGES[change]
    file = inside / "audit.yaml"
    file.write_text(file.read_text().replace(before, after))
    puts = served.log.count('"PUT"')
    refused = auditor(*AUDITED, *there)
    assert refused.code == 2, refused.said
    assert words in refused.said
    assert served.log.count('"PUT"') == puts
    assert auditor(*AUDITED, *there, "--baseline", "last").code == 2


MORE = ("data.duplicates", "quality.calibration", "data.balance")


def test_whoever_waits_gets_the_record_though_the_service_is_killed_meanwhile(
    auditor: Command, inside: Path, served: Served, there: tuple[str, str]
) -> None:
    file = inside / "audit.yaml"
    file.write_text(file.read_text().replace("seed: 3", "seed: 4"))
    before, killed = served.ended(), list[int]()

    def kill_once_it_runs() -> None:
        with build_client(served.url) as calls:
            while served.ended() == before and not any(
                told.state is SubmissionState.RUNNING for told in calls.audits()
            ):
                time.sleep(0.05)
        served.kill()
        killed.append(served.ended())
        served.start()

    killer = threading.Thread(target=kill_once_it_runs)
    killer.start()
    only = [word for check in MORE for word in ("--only", check)]
    done = auditor(*AUDITED, *only, *there)
    killer.join()
    assert killed == [before], "it was killed too late"
    assert done.code == 0, done.said + served.log
    record = record_in(inside / "out")
    assert record.request.seed == 4
    assert {item.check for item in record.readings} == {"quality.accuracy", *MORE}
    again = auditor("audit", "audit.yaml", "--out", "b", *there, "--attach", named(done.out))
    assert again.code == 0
    assert record_in(inside / "b") == record


def named(said: str) -> str:
    return said.partition("Submitted as ")[2].split()[0]


@pytest.fixture
def idle_service(served: Served) -> Iterator[Served]:
    """The service, carrying nothing out itself; the tests after this one find it at work again."""
    served.stop()
    served.start("--no-work")
    yield served
    served.stop()
    served.start()


def test_a_worker_of_its_own_carries_out_what_waits_for_its_target(
    auditor: Command, inside: Path, idle_service: Served, there: tuple[str, str]
) -> None:
    served = idle_service
    idle = auditor(*AUDITED, *there)
    assert idle.code == 2
    assert "no worker for cpu is online" in idle.said
    environment = {**os.environ, "AUDITOR_HOME": str(served.home)}
    with (served.home.parent / "worker").open("wb") as log:
        command = [str(COMMAND), "worker", "--target", "cpu"]
        worker = subprocess.Popen(command, env=environment, stderr=log)
    served.processes.insert(0, worker)
    done = auditor(*AUDITED, *there, "--wait-for-target", "5m")
    assert done.code == 0, done.said
    assert "Waiting for a worker for cpu" in done.said
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT) == 0
    assert '"stopped"' in (served.home.parent / "worker").read_text()


def test_a_record_that_a_service_did_not_sign_or_of_something_else_is_not_written(
    auditor: Command, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_API_KEY", "auk_any")
    assert auditor(*AUDITED).code == 0
    assert auditor("keys", "new", "--home", "other").code == 0
    files = {
        str(path.relative_to(inside / "out")): path.read_bytes()
        for path in (inside / "out").rglob("*")
        if path.is_file()
    }
    mine, other = files["signer.pub"].decode(), (inside / "other" / "signer.pub").read_text()

    def asked(key: str, *more: str) -> Any:  # noqa: ANN401 -- how a command ended
        with serving(partial(lying, files, key)) as service:
            return auditor(*AUDITED[:-1], "fetched", "--server", service.url, *more)

    forged = asked(other)
    assert forged.code == 2
    assert "does not verify: signature" in forged.said
    unasked = asked(mine, "--budget", "ci")
    assert unasked.code == 2
    assert "another request: the budget differ" in unasked.said
    assert not (inside / "fetched").exists()
    assert asked(mine).code == 0
    assert record_in(inside / "fetched") == record_in(inside / "out")


def lying(files: Mapping[str, bytes], key: str, asked: Asked) -> None:
    """Answer as a service would that did the audit whose files these are."""
    name, record = f"sub-{'0a' * 12}", compute_digest(files["record.json"])
    standing = {"id": name, "state": "done", "source": "audit.yaml", "targets": ["cpu"],
                "submitted": "2026-01-01T00:00:00Z", "record": record}  # fmt: skip
    match asked.path.removeprefix("/v1/audits").partition(name)[2]:
        case "/events":
            asked.answer(204)
        case "/files":
            listed = [(path, compute_digest(raw), len(raw)) for path, raw in files.items()]
            asked.json({"files": [{"name": n, "digest": d, "size": s} for n, d, s in listed]})
        case path if path.startswith("/files/"):
            asked.answer(200, files[path.removeprefix("/files/")])
        case _ if asked.path == "/v1/targets":
            asked.json({"targets": [{"name": "cpu", "live": True}], "recipes": False})
        case _ if asked.path == "/.well-known/auditor-keys":
            asked.json({"report": key})
        case _:
            asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
            asked.json(standing)
