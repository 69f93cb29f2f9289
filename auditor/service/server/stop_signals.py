"""Stop signals: SIGTERM, or an interrupt from the terminal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def watch_stop_signals() -> Iterator[threading.Event]:
    """Give what is set once SIGTERM or SIGINT comes."""
    stop = threading.Event()

    def heard(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {name: signal.signal(name, heard) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
