"""A receiver of web hooks on this machine, that answers as it is told to."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass
class Receiver:
    """Where messages arrive: each with its headers and its body, in order."""

    port: int
    answers: list[int] = field(default_factory=list)
    text: bytes = b"thank you"
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?of=audits"

    def answer(self) -> int:
        """Return the next status that it was told to answer, and 204 after the last."""
        return self.answers.pop(0) if self.answers else 204

    def verified(self, secret: str, number: int = -1) -> Mapping[str, Any]:
        """Return a message that the library of the standard takes to be signed."""
        headers, body = self.got[number]
        found: Mapping[str, Any] = Webhook(secret).verify(body, dict(headers))
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((dict(self.headers.items()), body))
            status = receiver.answer()
            self.send_response(status)
            if status in {301, 302, 307, 308}:
                self.send_header("Location", receiver.url)
            self.send_header("Content-Length", "0" if status == 204 else str(len(receiver.text)))
            self.end_headers()
            if status != 204:
                self.wfile.write(receiver.text)

        def log_message(self, *_said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
