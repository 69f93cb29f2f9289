"""A small model server on this machine, with a real model behind it, that misbehaves on request."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from auditor.domain.tasks import Array

JSON_PART = "Inference-Header-Content-Length"
TYPES = {"tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(int64)": "INT64",
         "tensor(string)": "BYTES"}  # fmt: skip
DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}

Mishap = Callable[["Handler"], bool]
"""Answers a request in place of the model; false where the model is to answer after all."""


@dataclass
class Behaviour:
    """What the server says of itself, and what it does next."""

    binary: bool = True
    token: str | None = None
    version: str | None = "1"
    versions: tuple[str, ...] = ("1",)
    server_version: str = "1.0"
    change: Callable[[list[dict[str, Any]]], object] = lambda outputs: None
    instead: Callable[[Array, Array], Array] = lambda rows, scores: scores
    reply: Callable[[list[Any]], object] = lambda scores: {"predictions": scores}
    mishaps: list[Mishap] = field(default_factory=list)
    metadata_mishaps: list[Mishap] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    seen_headers: list[dict[str, str]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Speaks the Open Inference Protocol with JSON and binary tensors, and plain JSON."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def do_HEAD(self) -> None:
        self.say(405, b"")

    def do_GET(self) -> None:
        behaviour = self.server.behaviour
        behaviour.gets.append(self.path)
        if self.refused() or self.mishap(behaviour.metadata_mishaps):
            return
        if self.path == "/v2":
            said = {"name": "small", "version": behaviour.server_version, "extensions": []}
            self.say_json(200, said)
        elif self.path.startswith("/v2/models/tiny"):
            slots = self.server.slots()
            self.say_json(200, {"name": "tiny", "versions": list(behaviour.versions), **slots})
        elif self.path == "/v2/health/live":
            self.say(200, b"")
        else:
            self.say_json(404, {"error": "no such model"})

    def do_POST(self) -> None:
        behaviour = self.server.behaviour
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refused() or self.mishap(behaviour.mishaps):
            return
        if self.path.startswith("/predict"):
            self.predict()
        elif JSON_PART in self.headers and not behaviour.binary:
            self.say_json(422, {"error": "Input should be a valid JSON"})
        else:
            self.infer()

    def infer(self) -> None:
        size = int(self.headers.get(JSON_PART, len(self.body)))
        asked, raw = json.loads(self.body[:size]), self.body[size:]
        (given,) = asked["inputs"]
        dtype = DTYPES[given["datatype"]]
        binary = JSON_PART in self.headers
        flat = np.frombuffer(raw, dtype) if binary else np.array(given["data"], dtype)
        try:
            found = self.server.score(given["name"], flat.reshape(given["shape"]))
        except Exception as error:  # noqa: BLE001 -- whatever the runtime refuses
            self.say_json(400, {"error": str(error)})
            return
        behaviour = self.server.behaviour
        behaviour.rows.append(given["shape"][0])
        outputs = [
            {"name": name, "datatype": kind, "shape": list(array.shape), "data": array}
            for name, kind, array in found
        ]
        behaviour.change(outputs)
        tail = b""
        for output in outputs:
            if binary and output["datatype"] != "BYTES":
                part = np.asarray(output.pop("data")).tobytes()
                output["parameters"] = {"binary_data_size": len(part)}
                tail += part
            elif isinstance(output.get("data"), np.ndarray):
                output["data"] = output["data"].reshape(-1).tolist()
        said = {"model_name": "tiny", "outputs": outputs}
        if behaviour.version is not None:
            said["model_version"] = behaviour.version
        head = json.dumps(said).encode()
        more = {JSON_PART: str(len(head))} if tail else {}
        self.say(200, head + tail, more)

    def predict(self) -> None:
        asked = json.loads(self.body)
        rows = np.array(asked["instances"], np.float32)
        self.server.behaviour.rows.append(len(rows))
        found = self.server.score("x", rows)
        self.say_json(200, self.server.behaviour.reply(found[0][2].tolist()))

    def refused(self) -> bool:
        behaviour = self.server.behaviour
        behaviour.seen_headers.append({name.lower(): text for name, text in self.headers.items()})
        if behaviour.token is None or self.headers.get("Authorization") == behaviour.token:
            return False
        given = self.headers.get("Authorization")
        self.say_json(401, {"error": f"the token {given} is not valid"})
        return True

    def mishap(self, waiting: list[Mishap]) -> bool:
        return bool(waiting) and waiting.pop(0)(self)

    def say_json(self, status: int, said: object) -> None:
        self.say(status, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Holds the model; its connections can be cut."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, model: Path, behaviour: Behaviour) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.behaviour = behaviour
        self.session = onnxruntime.InferenceSession(str(model))
        self.open: list[socket.socket] = []

    def score(self, name: str, rows: Array) -> list[tuple[str, str, Any]]:
        slots = self.session.get_outputs()
        found = self.session.run(None, {name: rows})
        return [
            (slot.name, TYPES[slot.type], self.behaviour.instead(rows, array))
            for slot, array in zip(slots, found, strict=True)
        ]

    def slots(self) -> dict[str, list[dict[str, object]]]:
        sides = {"inputs": self.session.get_inputs(), "outputs": self.session.get_outputs()}
        return {
            side: [
                {
                    "name": slot.name,
                    "datatype": TYPES[slot.type],
                    "shape": [size if isinstance(size, int) else -1 for size in slot.shape],
                }
                for slot in slots
            ]
            for side, slots in sides.items()
        }

    def get_request(self) -> tuple[socket.socket, Any]:
        found = super().get_request()
        self.open.append(found[0])
        return found

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that clients hang up is what some tests are about."""

    def cut(self) -> None:
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Host:
    """Starts and stops the server; its port stays the same."""

    def __init__(self, model: Path, context: ssl.SSLContext | None = None) -> None:
        self.model = model
        self.behaviour = Behaviour()
        self.context = context
        self._server: Server | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"{'http' if self.context is None else 'https'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = Server(self.port, self.model, self.behaviour)
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        run = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        run.start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.cut()
            server.server_close()


@contextlib.contextmanager
def hosting(model: Path, context: ssl.SSLContext | None = None) -> Iterator[Host]:
    host = Host(model, context)
    try:
        yield host
    finally:
        host.stop()


def status(code: int, **headers: str) -> Mishap:
    """Answer with a status and nothing else."""

    def answer(handler: Handler) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.say(code, b'{"error": "on purpose"}', named)
        return True

    return answer


def hang_up(handler: Handler) -> bool:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def half_an_answer(handler: Handler) -> bool:
    """Announce a long body, send its beginning, and close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"outputs": [')
    return hang_up(handler)
