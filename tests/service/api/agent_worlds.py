"""A service and agents of it, each a process of its own, and an audit to hand in."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from durable_toys import until
from served_toys import body_of, files_of, sha

from auditor.domain.policies import Policy
from auditor.trust.keys.files import create_key_pair

COMMAND = str(Path(sys.executable).with_name("auditor"))
ENDED = ("done", "failed", "cancelled")
LEASE = 3
ONLY = ["data.duplicates", "evasion.linf", "provenance.signature", "quality.accuracy"]


@dataclass
class Place:
    """Where the processes of one test run, and end."""

    folder: Path
    made: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(
        self, name: str, arguments: Sequence[str], inside: Sequence[str] = (), **environment: str
    ) -> "Process":
        """Start the command, in an environment that names nothing of ours but what is given."""
        log = self.folder / f"{name}-{len(self.made)}.log"
        kept = {key: text for key, text in os.environ.items() if not key.startswith("AUDITOR_")}
        with log.open("w") as errors:
            process = subprocess.Popen(
                [*inside, COMMAND, *arguments],
                env={**kept, **environment},
                stderr=errors,
                stdout=errors,
                text=True,
            )
        self.made.append(process)
        return Process(process, log)

    def end(self) -> None:
        for process in self.made:
            if process.poll() is None:
                process.kill()
            process.wait()


@dataclass(frozen=True)
class Process:
    """A process and its log."""

    process: subprocess.Popen[str]
    log: Path

    def told(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def waits_for(self, event: str, seconds: float = 90) -> dict[str, Any]:
        """Return the first line of its log that tells of an event, once it is there."""

        def there() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return any(line.get("event") == event for line in self.told())

        until(there, seconds)
        return next(line for line in self.told() if line.get("event") == event)


@dataclass(frozen=True)
class Serving:
    """A service that speaks TLS and leaves the target ``cpu`` to agents, and its first admin."""

    at: Process
    client: httpx.Client
    port: int

    @classmethod
    def start(cls, place: Place, tls: tuple[Path, Path], database: str | None) -> "Serving":
        home = place.folder / "service"
        options = ["--no-work", "--agents", "cpu", "--lease", str(LEASE), "--tls", *map(str, tls)]
        named = {} if database is None else {"AUDITOR_DATABASE_URL": database}
        begin = ["serve", "--host", "0.0.0.0", "--port", "0"]  # noqa: S104 -- the wire's end too
        at = place.run("serve", [*begin, *options], AUDITOR_HOME=str(home), **named)
        port = at.waits_for("serving")["port"]
        key = (home / "service" / "admin.key").read_text().strip()
        client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            verify=ssl.create_default_context(cafile=str(tls[0])),
        )
        return cls(at, client, port)

    def enrol(self, name: str, folder: Path) -> "Enrolled":
        """Make a pair of keys in a folder, and enrol an agent with it."""
        files = create_key_pair(folder / name, stem="agent")
        public = files.private.with_suffix(".pub").read_text()
        said = {"name": name, "targets": ["cpu"], "public_key": public}
        answer = self.client.post("/v1/agents", json=said)
        assert answer.status_code == 201, answer.text
        return Enrolled(name, answer.json()["text"], files.private, files.identity)

    def submit(self, example: Path, policy: Policy) -> str:
        for kind, raw in files_of(example, policy).values():
            assert self.client.put(f"/v1/{kind}/{sha(raw)}", content=raw).status_code in {200, 201}
        body = body_of(example, policy, only=ONLY, wait_for_target=120)
        answer = self.client.post("/v1/audits", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ended(self, audit: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until an audit has ended, and return it."""
        until(lambda: self.look(audit)["state"] in ENDED, seconds)
        return self.look(audit)

    def look(self, audit: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/audits/{audit}").json()
        return found

    def events(self, audit: str) -> list[dict[str, Any]]:
        headers = {"Accept": "application/json"}
        path = f"/v1/audits/{audit}/events"
        found: list[dict[str, Any]] = self.client.get(path, headers=headers).json()["events"]
        return found

    def told(self, audit: str, kind: str) -> list[dict[str, Any]]:
        """Return what the events of one kind say."""
        return [it["detail"] for it in self.events(audit) if it["kind"] == kind]

    def until_begun(self, audit: str, check: str) -> None:
        """Wait until an agent has begun a check."""
        until(lambda: any(it["check"] == check for it in self.told(audit, "check_started")), 120)


@dataclass(frozen=True)
class Enrolled:
    """An agent that was enrolled: its name, API key, private key, and that one's identity."""

    name: str
    key: str
    private: Path
    identity: str

    def start(self, place: Place, url: str, ca: Path, inside: Sequence[str] = ()) -> Process:
        arguments = ["worker", "--server", url, "--ca", str(ca), "--key", str(self.private)]
        home = str(place.folder / f"home-{self.name}")
        more = ["--target", "cpu", "--drain", "60"]
        environment = {"AUDITOR_HOME": home, "AUDITOR_API_KEY": self.key}
        return place.run(self.name, [*arguments, *more], inside, **environment)
