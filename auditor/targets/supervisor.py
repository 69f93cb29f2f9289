"""Supervises the child process that holds an artifact, and restarts it after it is lost."""

from collections.abc import Callable, Mapping
from typing import Any

from auditor.errors import SubjectLostError
from auditor.targets.child_process import ChildProcess, Pulse, ignore_pulse
from auditor.targets.protocol import Anything, MessageFrame


class ProcessSupervisor:
    """Sends requests to a child that holds the artifact open.

    A request that loses the child raises ``SubjectLostError``; the next one opens it anew, so
    that what one check does to the model does not take the next check down.
    """

    def __init__(
        self, start: Callable[[], ChildProcess], opening: Mapping[str, Any], seconds: float
    ) -> None:
        self._start = start
        self._opening = opening
        self.seconds = seconds
        self._child: ChildProcess | None = None
        self._opened: MessageFrame | None = None

    @property
    def child(self) -> ChildProcess:
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
    def opened(self) -> MessageFrame:
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
        pulse: Pulse = ignore_pulse,
    ) -> MessageFrame:  # fmt: skip
        """Send one request within the target's time limit; see ``ChildProcess.ask`` for what it
        raises.
        """
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
