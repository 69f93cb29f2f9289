"""A limit on the whole of a request, which timeouts of its single reads are not."""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

SHARE = 0.25
"""Of the limit, how far an alarm may be late."""
CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class Alarm:
    """Shuts the connection's socket when one request takes longer than ``seconds``.

    A server that sends a byte now and then keeps every single read within its timeout; only a
    second thread can end that.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = math.inf
        self._socket: socket.socket | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.rang = False

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a new connection, as the transport traces it."""
        if event in CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")

    @contextlib.contextmanager
    def set(self) -> Iterator[None]:
        """Watch over what is done within."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="alarm", daemon=True)
            self._thread.start()
        self.rang = False
        self._due = time.monotonic() + self._seconds
        try:
            yield
        finally:
            self._due = math.inf

    def close(self) -> None:
        """End the watch."""
        self._ended.set()

    def _watch(self) -> None:
        # Looking now and then costs a request nothing; waking this thread for each would.
        while not self._ended.wait(SHARE * self._seconds):
            if time.monotonic() > self._due:
                self.rang = True
                self._due = math.inf
                found = self._socket
                if found is not None:
                    with contextlib.suppress(OSError):
                        # Not the TLS socket's own method, which waits for the other end.
                        socket.socket.shutdown(found, socket.SHUT_RDWR)
