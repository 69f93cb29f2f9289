"""A bad batch at a service that is served: its audit fails, and a web hook hears of it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hook_receivers import Receiver, receiving
from served_toys import body_of, files_of, sha
from small_audits import linear_model, write_example

from auditor.checks.registry import discover_checks
from auditor.workflows.wiring import load_named_policy

pytestmark = pytest.mark.slow
COMMAND = Path(sys.executable).with_name("auditor")
LEAVE = (
    "--allow-http-hooks",
    "--allow-private-hooks",
    "--public-url",
    "https://audits.example.org",
)
PATIENCE = 240.0


@pytest.fixture
def client(home: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """Serve on a port of its own, and give a caller with the first admin's key."""
    log = tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", *LEAVE, "--watch-root", str(tmp_path / "incoming")],
            env={**os.environ, "AUDITOR_HOME": str(home), "OMP_NUM_THREADS": "1"},
            stderr=errors,
        )
    try:
        port = until(lambda: _port(log))
        key = (home / "service" / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers=headers, timeout=60) as found:
            yield found
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "Traceback" not in log.read_text()
        assert '"event": "fault"' not in log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def until(look: Callable[[], Any]) -> Any:  # noqa: ANN401 -- whatever is waited for
    """Return the first thing that is there, before patience ends."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("nothing came in time")


def _port(log: Path) -> int | None:
    told = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return next((line["port"] for line in told if line["event"] == "serving"), None)


def test_a_bad_batch_is_told_with_the_version_to_go_back_to(
    client: httpx.Client, receiver: Receiver, home: Path, tmp_path: Path
) -> None:
    example = tmp_path / "example"
    example.mkdir()
    write_example(example)
    first = _audited(client, example)
    hook = {"url": receiver.url, "events": ["reaudit.failed"]}
    made = client.post("/v1/webhooks", json=hook)
    assert made.status_code == 201, made.text
    receiver.answers = [500]
    schedule = json.loads(_schedule_of_the_next_version(client, home, example))
    digest = _bad_batch(client, example)
    pushed = client.post(f"/v1/schedules/{schedule[0]['id']}/batches", json={"dataset": digest})
    assert pushed.status_code == 201, pushed.text
    until(lambda: len(receiver.got) > 1)
    said = receiver.verified(made.json()["secret"])
    assert said["type"] == "reaudit.failed"
    told = said["data"]
    assert (told["version"], told["verdict"], told["failed"]) == (
        "2.0.0", "fail", ["accuracy on cpu"]
    )  # fmt: skip
    assert told["rollback"][0]["candidate"]["audit"] == first
    assert told["rollback"][0]["candidate"]["version"] == "1.0.0"
    assert told["link"] == f"https://audits.example.org/audits/{told['audit']}"
    assert receiver.got[0][1] == receiver.got[1][1]
    path = f"/v1/webhooks/{made.json()['webhook']['id']}/deliveries"
    delivered = until(lambda: _delivered(client.get(path).json()["deliveries"]))
    assert [it["status"] for it in delivered["attempts"]] == [None, 500, 204]
    shown = _command(client, home, "runs", schedule[0]["id"])
    assert "return to 1.0.0 on cpu" in " ".join(shown.replace("│", " ").split())


def test_a_file_that_comes_in_a_watched_folder_is_audited(
    client: httpx.Client, home: Path, tmp_path: Path
) -> None:
    example, incoming = tmp_path / "example", tmp_path / "incoming"
    for folder in (example, incoming):
        folder.mkdir()
    write_example(example)
    (incoming / "before.csv").write_text("what was there before is past\n")
    asked = ("--watch", str(incoming), "--batch-role", "evaluation", "--only", "quality.accuracy")
    shown = _command(
        client, home, "add", str(example / "audit.yaml"), *asked, "--format", "json"
    )  # fmt: skip
    (made,) = json.loads(shown)
    assert (made["watch"], made["on"]) == (str(incoming), ["batch"])
    (incoming / "bad.csv").write_bytes(_wrong_labels(example))
    path = f"/v1/schedules/{made['id']}/runs"
    (run,) = until(lambda: [it for it in client.get(path).json()["runs"] if it["ended"]])
    assert (run["why"], run["verdict"]) == (f"bad.csv came in {incoming}", "fail")
    assert "bad.csv came in" in _command(client, home, "runs", made["id"])
    assert (incoming / "bad.csv").exists()
    # What the service's own target is was written down as it began.
    with closing(sqlite3.connect(home / "auditor.db")) as store:
        assert store.execute("SELECT target, number FROM target_sightings").fetchall() == [
            ("cpu", 1)
        ]


def test_a_pack_that_the_audit_file_names_is_watched_for_a_new_edition(
    client: httpx.Client, home: Path, tmp_path: Path
) -> None:
    example = tmp_path / "example"
    example.mkdir()
    write_example(example)
    audit = example / "audit.yaml"
    audit.write_text(audit.read_text().replace("policy.yaml", "baseline"))
    shown = _command(
        client, home, "add", str(audit), "--on", "policy_changed", "--format", "json"
    )  # fmt: skip
    (made,) = json.loads(shown)
    assert (made["policy"], made["on"]) == ("baseline", ["policy_changed"])


def _audited(client: httpx.Client, example: Path) -> str:
    policy = load_named_policy("policy.yaml", example, discover_checks())
    for kind, raw in files_of(example, policy).values():
        assert client.put(f"/v1/{kind}/{sha(raw)}", content=raw).status_code == 201
    name = client.post("/v1/audits", json=body_of(example, policy)).json()["id"]
    until(lambda: client.get(f"/v1/audits/{name}").json()["state"] == "done")
    return str(name)


def _schedule_of_the_next_version(client: httpx.Client, home: Path, example: Path) -> str:
    linear_model(example / "model.onnx", [6.5, 4.5, 0.0], -5.5)
    audit = example / "audit.yaml"
    audit.write_text(audit.read_text().replace("1.0.0", "2.0.0"))
    asked = ("--cron", "0 3 * * *", "--on", "batch", "--batch-role", "evaluation")
    return _command(
        client, home, "add", str(audit), *asked, "--only", "quality.accuracy", "--format", "json"
    )


def _command(client: httpx.Client, home: Path, *said: str) -> str:
    """Run `auditor schedule` against the service, as its first admin on this machine."""
    done = subprocess.run(
        [COMMAND, "schedule", *said, "--server", str(client.base_url).rstrip("/")],
        env={**os.environ, "AUDITOR_HOME": str(home), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _bad_batch(client: httpx.Client, example: Path) -> str:
    """Upload the example's data with every label wrong, and return its digest."""
    raw = _wrong_labels(example)
    assert client.put(f"/v1/datasets/{sha(raw)}", content=raw).status_code == 201
    return sha(raw)


def _wrong_labels(example: Path) -> bytes:
    flips = {"yes": "no", "no": "yes", "y": "y"}
    parts = (it.rpartition(",") for it in (example / "test.csv").read_text().splitlines())
    return "\n".join(f"{head},{flips[last]}" for head, _, last in parts).encode()


def _delivered(listed: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((item for item in listed if item["state"] == "delivered"), None)
