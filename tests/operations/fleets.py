"""Processes of a service as they are started for real, each with an environment of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from click.testing import CliRunner

from auditor.cli.main import auditor
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord

COMMAND = Path(sys.executable).with_name("auditor")
WAIT = 300.0
OURS = ("AUDITOR_", "AWS_")


@dataclass
class Running:
    """A process that says on standard error, a line of JSON an event, what it does."""

    process: subprocess.Popen[bytes]
    log: Path

    def told(self, event: str) -> Mapping[str, Any]:
        """Return the first line of an event, once it comes."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            lines = [it for it in self.log.read_text().splitlines() if it.startswith("{")]
            for line in map(json.loads, lines):
                if line.get("event") == event:
                    return dict(line)
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT) == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Fleet:
    """A folder in which homes lie, and the processes that were started on them."""

    folder: Path
    running: list[Running] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, it: BaseException | None, at: TracebackType | None
    ) -> None:
        for one in self.running:
            if one.process.poll() is None:
                one.kill()

    @property
    def example(self) -> Path:
        return self.folder / "example"

    def world(self, home: str, **more: str) -> dict[str, str]:
        """Return the environment of whoever has a home: nothing of ours comes from outside."""
        plain = {name: it for name, it in os.environ.items() if not name.startswith(OURS)}
        return {**plain, "AUDITOR_HOME": str(self.folder / home), "COLUMNS": "200", **more}

    def start(self, *command: str, world: Mapping[str, str]) -> Running:
        """Start one of our commands that goes on until it is stopped."""
        log = self.folder / f"log-{len(self.running)}"
        with log.open("wb") as errors:
            process = subprocess.Popen([COMMAND, *command], env=world, stderr=errors)
        self.running.append(Running(process, log))
        return self.running[-1]

    def serve(self, *more: str, world: Mapping[str, str]) -> "Door":
        """Start a service, and call it as its first admin does."""
        running = self.start("serve", "--port", "0", *more, world=world)
        port = running.told("serving")["port"]
        key = Path(world["AUDITOR_HOME"], "service", "admin.key").read_text().strip()
        return Door(running, f"http://127.0.0.1:{port}", key)

    def run(
        self, *command: str, world: Mapping[str, str], code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Carry out one of our commands in the example's folder."""
        done = subprocess.run(
            [COMMAND, *command],
            env=world,
            cwd=self.example,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def call(self, *command: str, world: Mapping[str, str]) -> None:
        """Carry out one of our commands in this process, which spares starting one."""
        done = CliRunner().invoke(
            auditor, command, env=world, standalone_mode=False, catch_exceptions=False
        )
        assert done.return_value == 0, done.output

    def audit(self, out: str, *more: str, world: Mapping[str, str]) -> AuditRecord:
        """Audit the example, here or at the service that ``more`` names."""
        command = ("audit", "audit.yaml", "--out", str(self.folder / out), *more)
        self.run(*command, world=world)
        return read_record((self.folder / out / "record.json").read_bytes())


@dataclass
class Door:
    """Where a service of a fleet listens, and a key to it."""

    running: Running
    url: str
    key: str

    @property
    def there(self) -> Sequence[str]:
        return ("--server", self.url)

    @property
    def caller(self) -> Mapping[str, str]:
        return {"AUDITOR_API_KEY": self.key}

    def get(self, path: str, **asked: str) -> Any:  # noqa: ANN401 -- JSON
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.get(f"{self.url}{path}", params=asked, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()
