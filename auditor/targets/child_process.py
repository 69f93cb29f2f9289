"""Child process that holds a model open: requests, heartbeats, timeouts, and exit reasons.

While it waits for an answer, the parent calls a callback about once a second; an exception raised
there ends the child process.
"""

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Self, TypeAlias

from auditor._resources import find_user_home
from auditor.domain.isolation import IsolationLevel
from auditor.errors import (
    ArtifactError,
    AuditorError,
    MissingExtraError,
    ModelCrashedError,
    ModelFailedError,
    ModelOutOfMemoryError,
    ModelTimeoutError,
    RecipeError,
    RuntimeMissingError,
    TargetError,
    TwinError,
)
from auditor.targets.emulation import prepare_emulator
from auditor.targets.isolation import (
    SandboxBounds,
    build_child_command,
    build_child_environment,
    is_foreign_program,
)
from auditor.targets.protocol import (
    PROTOCOL,
    Anything,
    FrameError,
    MessageFrame,
    encode_frame,
    explain_exit,
    quote_last_output,
    receive_frame,
    to_plain_text,
)

SECONDS = 1.0
Pulse: TypeAlias = Callable[[], None]
"""Called about every second while an answer is waited for; may raise, to wait no longer."""


def ignore_pulse() -> None:
    """Wait on."""


class Heartbeat:
    """Calls a pulse every so often, over all the waits for one answer."""

    def __init__(self, pulse: Pulse = ignore_pulse) -> None:
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


START_SECONDS = 60.0
"""For starting an interpreter and its libraries, whatever the model's own time limit."""
EMULATED_PATIENCE = 20.0
"""Time limits are for the processor itself. One that is played takes about a hundred times as long
to compute and ten times to start; a hang is still told from that."""
ON_FILE = frozenset({"sandbox.artifact_parser", "sandbox.differentiable_twin", "sandbox.certifier"})
"""Programs that work on the file, wherever they are; the others run as their bounds say."""
GOODBYE_SECONDS = 5.0
MOST_REPLY = 2**30
TAIL = 4096
REFUSALS: Mapping[str, type[AuditorError]] = {
    "artifact": ArtifactError,
    "model": ModelFailedError,
    "memory": ModelOutOfMemoryError,
    "target": TargetError,
    "twin": TwinError,
    "extra": MissingExtraError,
    "runtime": RuntimeMissingError,
    "recipe": RecipeError,
}
STRONGER: Mapping[IsolationLevel, str] = {
    IsolationLevel.BUBBLEWRAP: "Install bubblewrap, and let this user create user namespaces",
    IsolationLevel.LANDLOCK: "Use Linux 6.2 or newer with Landlock and seccomp, on x86-64 or "
    "64-bit Arm",
    IsolationLevel.NAMESPACES: "Let this user create user namespaces",
    IsolationLevel.LIMITS: "Nothing is weaker",
}
"""How a machine comes to give a level."""


class _PipeClosedError(Exception):
    """The other end of the pipe is closed."""


class ChildProcess:
    """A running child process. Everything that it says is checked before it is used."""

    def __init__(self, role: str, bounds: SandboxBounds, title: str) -> None:
        self._title = title
        self._memory_limit = bounds.memory_limit
        self._tail = b""
        self._beat = Heartbeat()
        held = bounds.on_auditor() if role in ON_FILE else _equipped(bounds)
        self._patience = 1.0 if held.emulator is None else EMULATED_PATIENCE
        self._process = subprocess.Popen(  # noqa: S603 -- our own command
            build_child_command(role, held),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=build_child_environment(held),
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        streams = self._process.stdin, self._process.stdout, self._process.stderr
        self._in, self._out, self._err = (stream.fileno() for stream in streams if stream)
        for end in (self._in, self._out, self._err):
            os.set_blocking(end, False)
        # Take in the greeting; of a foreign program the level is what ours said before it
        confined = self._exchange([], START_SECONDS).header
        if confined.get("isolation") in list(IsolationLevel):
            self._refuse_weaker(IsolationLevel(confined["isolation"]), held.least)
        hello = self._exchange([], START_SECONDS).header if is_foreign_program(held) else confined
        if "error" in hello:
            self.kill()
            raise self._refusal(hello["error"])
        if hello.get("protocol") != PROTOCOL or confined.get("isolation") not in list(
            IsolationLevel
        ):
            self.kill()
            raise self._broken(f"it greets with {to_plain_text(str(hello), 200)}")
        self.level = IsolationLevel(confined["isolation"])

    @property
    def pid(self) -> int:
        """Number of the process that was started (bubblewrap's own, where that is in use)."""
        return self._process.pid

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None,
        *, seconds: float, pulse: Pulse = ignore_pulse,
    ) -> MessageFrame:  # fmt: skip
        """Send one request and return its answer; what ``pulse`` raises ends the process.

        Raises ``SubjectLostError`` where the process died, hung, ran out of memory or broke the
        protocol (it is then ended), else what ``REFUSALS`` makes of its refusal.
        """
        self._beat = Heartbeat(pulse)
        reply = self._exchange(encode_frame(MessageFrame(header, arrays or {})), seconds)
        if reply.header.get("ok") is not True:
            raise self._refusal(reply.header.get("error"))
        return reply

    def kill(self) -> None:
        """End the process and what it started. It holds nothing that would have to be saved."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        """Return the child itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.kill()

    def _refuse_weaker(self, level: IsolationLevel, least: IsolationLevel) -> None:
        if level.reaches(least):
            return
        self.kill()
        raise TargetError(
            f"{self._title} has the isolation level {level}, and this machine is set to require "
            f"{least}, so nothing was opened",
            cure=f"{STRONGER[least]}, or set --require-isolation (AUDITOR_REQUIRE_ISOLATION) "
            f"to {level}.",
        )

    def _exchange(self, parts: Iterable[bytes | memoryview], seconds: float) -> MessageFrame:
        seconds *= self._patience
        end = time.monotonic() + seconds
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    try:
                        view = view[os.write(self._in, view) :]
                    except BlockingIOError:
                        self._wait(self._in, select.POLLOUT, end)
                    except BrokenPipeError:
                        raise _PipeClosedError from None
            return receive_frame(lambda view: self._fill(view, end), MOST_REPLY)
        except TimeoutError:
            self.kill()
            raise ModelTimeoutError(
                f"{self._title} did not answer within {seconds:g} s, and was ended"
                f"{quote_last_output(self._tail)}",
                cure="Raise the target's `time_limit`, or look for an endless loop in the model.",
            ) from None
        except _PipeClosedError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=GOODBYE_SECONDS)
            self._hear_out()
            code = self._process.poll()
            self.kill()
            raise explain_exit(self._title, code, self._tail, self._memory_limit) from None
        except FrameError as error:
            self.kill()
            raise self._broken(str(error)) from None
        except BaseException:  # an interrupted exchange leaves the stream out of step
            self.kill()
            raise

    def _fill(self, view: memoryview, end: float) -> None:
        while view:
            try:
                count = os.readv(self._out, [view])
            except BlockingIOError:
                self._wait(self._out, select.POLLIN, end)
                continue
            if count == 0:
                raise _PipeClosedError
            view = view[count:]

    def _wait(self, descriptor: int, event: int, end: float) -> None:
        """Wait until ``descriptor`` is ready, and keep the end of what standard error says."""
        poll = select.poll()
        poll.register(descriptor, event)
        if self._err >= 0:
            poll.register(self._err, select.POLLIN)
        ready = self._beat.wait(poll, end)
        if any(found == self._err for found, _ in ready) and not self._listen():
            self._err = -1  # closed: polling it again would spin

    def _listen(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._err, 2**16)
            self._tail = (self._tail + said)[-TAIL:]
            return bool(said)
        return True

    def _hear_out(self) -> None:
        """Take in what standard error holds, until there is no more of it for now."""
        with contextlib.suppress(OSError):
            while self._err >= 0 and select.select([self._err], [], [], 0)[0] and self._listen():
                continue

    def _broken(self, what: str) -> ModelCrashedError:
        return ModelCrashedError(
            f"{self._title} broke the protocol: {what}",
            cure="Look for a model that takes its process over, or for two versions of auditor "
            "in one environment.",
        )

    def _refusal(self, said: object) -> AuditorError:
        told = said if isinstance(said, dict) else {}
        kind, problem = (
            told.get("kind"),
            to_plain_text(str(told.get("problem") or "it gave no reason")),
        )
        error = REFUSALS.get(str(kind), ModelCrashedError)
        if error is ModelOutOfMemoryError:
            self.kill()
            return explain_exit(self._title, None, problem.encode(), self._memory_limit)
        if error is RecipeError:  # code of the owner's, whose own words help most
            self._hear_out()
            problem += quote_last_output(self._tail)
        return error(problem, cure=to_plain_text(str(told.get("cure") or "Look at the model.")))


def _equipped(bounds: SandboxBounds) -> SandboxBounds:
    """Return the bounds with the emulator that they ask for, fetched where it is not here."""
    if bounds.emulated is None:
        return bounds
    emulator = prepare_emulator(bounds.emulated, find_user_home())
    if emulator.foreign is not None and bounds.interpreter != sys.executable:
        raise TargetError(
            f"the target's interpreter {bounds.interpreter} is not one of a {bounds.emulated}",
            cure="Remove `interpreter`: an emulated processor of another kind brings its own.",
        )
    return replace(bounds, emulator=emulator)
