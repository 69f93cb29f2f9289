"""Real model servers, each started in an environment of its own."""

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_server_env.sh"
RUNTIMES = Path(__file__).parent / "servers"
READY_SECONDS = 240.0
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "no_proxy": "*"}


def environment_of(name: str) -> Path:
    """Return the environment of a server, made where there is none."""
    done = subprocess.run([str(SCRIPT), name], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip().splitlines()[-1])


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in opened]


@dataclass
class Served:
    """A running server of one model named ``tiny``, and how to start it again."""

    command: Sequence[str]
    folder: Path
    http: str
    grpc: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command), cwd=self.folder, env=ENVIRONMENT, stdout=log, stderr=log
            )
        end = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                said = (self.folder / "server.log").read_text(encoding="utf-8")
                raise AssertionError(f"the server does not start:\n{said[-3000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.http}/v2/models/tiny/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def running(served: Served) -> Iterator[Served]:
    try:
        served.start()
        yield served
    finally:
        served.kill()


def mlserver(model: Path, folder: Path, slots: dict[str, object], version: str = "") -> Served:
    """Return MLServer with ``model``; ``slots`` are its declared inputs and outputs."""
    http, grpc, metrics = free_ports(3)
    settings = {
        "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "host": "127.0.0.1",
        "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    parameters = {"uri": str(model)} | ({"version": version} if version else {})
    declared = {
        "name": "tiny", "implementation": "mlserver_runtime.OnnxRuntime",
        "parameters": parameters, **slots,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(declared), encoding="utf-8")
    source = RUNTIMES / "mlserver_runtime.py"
    (folder / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    command = [str(environment_of("mlserver") / "bin" / "mlserver"), "start", str(folder)]
    return Served(command, folder, f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}")


def kserve(model: Path, folder: Path) -> Served:
    """Return KServe's model server with ``model``."""
    http, grpc = free_ports(2)
    command = [
        str(environment_of("kserve") / "bin" / "python"), str(RUNTIMES / "kserve_runtime.py"),
        str(model), "--http_port", str(http), "--grpc_port", str(grpc),
    ]  # fmt: skip
    return Served(command, folder, f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}")
