"""Waiting for a process with a call about every second, so that nobody waits unasked."""

import math
import select
import time
from collections.abc import Callable
from typing import TypeAlias

SECONDS = 1.0
Pulse: TypeAlias = Callable[[], None]
"""Called about every second while an answer is waited for; may raise, to wait no longer."""


def unmoved() -> None:
    """Wait on."""


class Beat:
    """Calls a pulse every so often, over all the waits for one answer."""

    def __init__(self, pulse: Pulse = unmoved) -> None:
        self._pulse = pulse
        self._next = time.monotonic() + SECONDS

    def wait(self, poll: select.poll, end: float) -> list[tuple[int, int]]:
        """Return what is ready. Raises ``TimeoutError`` at ``end``, and whatever the pulse does."""
        ready: list[tuple[int, int]] = []
        while not ready:
            now = time.monotonic()
            if now >= self._next:
                self._next = now + SECONDS
                self._pulse()
            if now >= end:
                raise TimeoutError
            ready = poll.poll(math.ceil((min(end, self._next) - now) * 1000))
        return ready
