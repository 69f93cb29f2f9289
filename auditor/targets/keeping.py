"""One artifact kept open in a child process, which is started again after it was lost."""

from collections.abc import Callable, Mapping
from typing import Any

from auditor.errors import SubjectLostError
from auditor.targets.frames import Anything, Frame
from auditor.targets.processes import Child
from auditor.targets.pulses import Pulse, unmoved


class Keeper:
    """Sends requests to a child that holds the artifact open.

    A request that loses the child raises ``SubjectLostError``; the next one opens it anew, so
    that what one check does to the model does not take the next check down.
    """

    def __init__(
        self, start: Callable[[], Child], opening: Mapping[str, Any], seconds: float
    ) -> None:
        self._start = start
        self._opening = opening
        self.seconds = seconds
        self._child: Child | None = None
        self._opened: Frame | None = None

    @property
    def child(self) -> Child:
        """The child with the artifact open; started where there is none."""
        if self._child is None:
            self._child = self._start()
            try:
                self._opened = self._child.ask(self._opening, seconds=self.seconds)
            except BaseException:
                self.close()
                raise
        return self._child

    @property
    def opened(self) -> Frame:
        """What the child said when it opened the artifact; opens it where it is not."""
        if self.child and self._opened is not None:
            return self._opened
        message = "a child that is there has opened the artifact"
        raise AssertionError(message)

    @property
    def level(self) -> str:
        """How far the child is cut off from this machine."""
        return self.child.level.value

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None,
        pulse: Pulse = unmoved,
    ) -> Frame:  # fmt: skip
        """Send one request within the target's time limit; see ``Child.ask`` for what it raises."""
        child = self.child
        try:
            return child.ask(header, arrays, seconds=self.seconds, pulse=pulse)
        except SubjectLostError:
            self.close()
            raise

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child = None
