"""Whose turn it is: many at once, or one alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets any number be about something at once, and now and then one alone.

    Whoever comes while one is alone, or waits to be, waits until none is and none does.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = 0

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait for a turn, and have it as long as the block lasts."""
        with self._changed:
            if alone:
                self._alone += 1
                self._changed.wait_for(lambda: self._inside == 0)
            else:
                self._changed.wait_for(lambda: self._alone == 0)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._alone -= alone
                self._changed.notify_all()
