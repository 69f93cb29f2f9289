"""A service and its workers, each in a process of its own, with one engine and then another."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from auditor.service.client.api import ServiceClient
from auditor.service.client.http import HttpTransport
from auditor.store.database import migrate
from auditor.workflows.settings import ADMIN_KEY

COMMAND = Path(sys.executable).with_name("auditor")
STARTS = 600.0


def older_engine(release: str, folder: Path) -> Path | None:
    """Install a release of the engine into a folder, and return that; ``None`` where it fails."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run(  # noqa: S603 -- our own command
        [*pip, f"dbos=={release}"], check=False, capture_output=True
    )
    return folder if release and done.returncode == 0 else None


@dataclass
class Fleet:
    """The processes that run, by role, and the folder of an older engine until they change."""

    home: Path
    database: str
    port: int
    older: Path | None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def started(
        cls, folder: Path, database: str | None, workers: int, older: Path | None
    ) -> Iterator["Fleet"]:
        """Start a service and so many workers, and end them all after the block."""
        home = folder / "home"
        home.mkdir(parents=True)
        if database is not None:
            migrate(database)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        fleet = cls(home, database or f"sqlite:///{home / 'auditor.db'}", port, older)
        try:
            fleet.start("serve", older)
            fleet.wait()
            for number in range(workers):
                fleet.start(f"w{number}", older)
            fleet.wait_for_workers()
            yield fleet
        finally:
            for process in fleet.running.values():
                process.kill()
                process.wait()

    def start(self, role: str, engine: Path | None) -> None:
        """Start the service, or a worker of a name, with the engine in a folder or ours."""
        serve = ["serve", "--no-work", "--port", str(self.port), "--limit", "reads=0"]
        asked = serve if role == "serve" else ["worker", "--target", "cpu", "--name", role]
        told = {
            "AUDITOR_HOME": str(self.home), "AUDITOR_DATABASE_URL": self.database,
            "OMP_NUM_THREADS": "1", **({} if engine is None else {"PYTHONPATH": str(engine)}),
        }  # fmt: skip
        with (self.home.parent / f"{role}.log").open("ab") as log:
            self.running[role] = subprocess.Popen(  # noqa: S603 -- the same
                [COMMAND, *asked], env={**os.environ, **told}, stderr=log
            )

    def change(self, role: str) -> None:
        """Let a process come to its end, and start it anew with the engine that is installed."""
        self.running[role].send_signal(signal.SIGTERM)
        self.running[role].wait()
        self.start(role, None)
        if role == "serve":
            self.wait()

    def client(self) -> ServiceClient:
        """Return a client with the first admin's key, which waits where the service is away."""
        return ServiceClient(HttpTransport(f"http://127.0.0.1:{self.port}", self.client_key()))

    def client_key(self) -> str:
        """Return the first admin's key."""
        return (self.home / ADMIN_KEY).read_text().strip()

    def wait(self) -> None:
        """Wait until the service answers, and the first admin has a key to ask it with."""
        until = time.monotonic() + STARTS
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.2)
                continue
            if (self.home / ADMIN_KEY).exists():
                return
            time.sleep(0.2)
        raise TimeoutError((self.home.parent / "serve.log").read_text()[-2000:])

    def wait_for_workers(self) -> None:
        """Wait until somebody works for the target."""
        with self.client() as client:
            while not all(item.live for item in client.offer().targets):
                time.sleep(0.2)

    def memory(self) -> dict[str, float]:
        """Return what each process holds in memory (MiB)."""
        found = {}
        for role, process in self.running.items():
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            found[role] = pages * os.sysconf("SC_PAGESIZE") / 2**20
        return found
