"""A service of a few lines: answers by a script, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Script = Callable[["Asked"], None]


class Asked(BaseHTTPRequestHandler):
    """One call as the script sees it."""

    server: "Service"

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, body: object, status: int = 200) -> None:
        self.answer(status, json.dumps(body).encode())

    def problem(self, status: int, kind: str) -> None:
        told = {"type": f"x/{kind}", "detail": f"it is {kind}", "cure": "Mend it."}
        self.json(told, status)

    def cut(self, *lines: str) -> None:
        """Begin a stream that breaks off after ``lines``."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def _any(self) -> None:
        self.server.calls.append((self.command, self.path, dict(self.headers)))
        self.server.script(self)
        self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = _any  # noqa: N815 -- the standard library's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Service(ThreadingHTTPServer):
    """Where the script listens."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.script = script
        self.calls: list[tuple[str, str, Mapping[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(script: Script) -> Iterator[Service]:
    with Service(script) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


@dataclass
class Clock:
    """A clock that moves when somebody pauses."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now
