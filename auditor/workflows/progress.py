"""Progress display of an audit: terminal, notebook, or callback."""

import html
import inspect
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from threading import Event, Thread
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.domain.checks import Check
from auditor.domain.number_text import format_duration
from auditor.domain.observed_checks import Result
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.errors import UsageError
from auditor.inputs.api_arguments import describe_value
from auditor.reports.terminal import create_console
from auditor.reports.terminal_text import escape_markup, make_printable
from auditor.workflows.remaining_time import CheckPlace, RemainingTime

ProgressCallback = Callable[[int, int, str], object]
"""Called with the checks that are done, the number of checks, and what is being done."""
REDRAW_SECONDS, PAUSE_SECONDS, MINUTE = 0.2, 5.0, 60
MORE_ROWS = ", more rows in the time that is left"
"""What is said of a check that ended, and goes on."""


@runtime_checkable
class AuditProgress(Protocol):
    """What is told of an audit while it runs, as a context that lasts as long as the checks do."""

    def __enter__(self) -> Self:
        """Start showing."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing."""
        ...

    def say(self, text: str) -> None:
        """Say something in plain words, also before the first check."""
        ...

    def expects(self, seconds: Mapping[CheckPlace, float], most: float | None = None) -> None:
        """Name the checks by target and id, with about how many seconds each takes.

        All of them together take ``most`` seconds, where there is a limit.
        """
        ...

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins."""
        ...

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far the check at hand is; may raise ``CancelledError``."""
        ...

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say that a check has ended."""
        ...


class CallbackProgress:
    """Tells a function of each check that begins and ends; without one, tells nobody.

    What the function raises stops the audit.
    """

    def __init__(self, tell: ProgressCallback | None = None) -> None:
        self._tell = tell
        self._ended: dict[CheckPlace, bool] = {}
        self._total = 0

    @property
    def _done(self) -> int:
        """Checks that have ended, also where they go on."""
        return len(self._ended)

    def __enter__(self) -> Self:
        """Start; there is nothing to draw."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; there is nothing to take away."""

    def say(self, text: str) -> None:
        """Pass a sentence on."""
        if self._tell is not None:
            self._tell(self._done, self._total, text)

    def expects(self, seconds: Mapping[CheckPlace, float], most: float | None = None) -> None:  # noqa: ARG002 -- it counts checks alone
        """Keep how many checks there are."""
        self._total = len(seconds)

    def started(self, target: str, check: Check) -> None:
        """Pass on that a check begins."""
        self.say(self._describe_start(target, check))

    def _describe_start(self, target: str, check: Check) -> str:
        on = MORE_ROWS if (target, check.id) in self._ended else ""
        return f"{check.id} on {target}{on}"

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Keep quiet about parts of a check."""

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Count a check that has ended, and pass that on."""
        self._ended[target, check.id] = isinstance(result, Gap)
        self.say(f"{check.id} on {target}: done")


def read_result(result: Result) -> tuple[Reading, ...]:
    """Return the readings of one check."""
    return tuple(compute_readings([result], CONFIDENCE))


def choose_progress(wanted: "bool | ProgressCallback | AuditProgress") -> AuditProgress:
    """Return what shows an audit: a line in a notebook, bars on a terminal, or a callback.

    Raises ``UsageError`` for what is neither, and for a function that takes other arguments.
    """
    if isinstance(wanted, bool):
        if not wanted:
            return CallbackProgress()
        console = create_console(stderr=True)
        return NotebookProgress() if console.is_jupyter else ConsoleProgress(console)
    if isinstance(wanted, AuditProgress) and not isinstance(wanted, type):
        return wanted
    if not callable(wanted) or not _takes_progress(wanted):
        raise UsageError(
            f"progress is {describe_value(wanted)}, and no function of (done, total, text)",
            cure="Pass True, False, or a function that takes these three arguments.",
        )
    return CallbackProgress(wanted)


def _takes_progress(function: ProgressCallback) -> bool:
    try:
        inspect.signature(function).bind(0, 1, "")
    except TypeError:
        return False
    except ValueError:  # of what is built in, nobody knows the arguments
        return True
    return True


class NotebookProgress(CallbackProgress):
    """Shows an audit in one output of a notebook's cell, of which a line stays when it has ended.

    It needs nothing but IPython: no widgets, and no bar that a saved notebook cannot draw.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left = RemainingTime()
        self._said: list[str] = []
        self._began, self._drawn = time.monotonic(), -math.inf
        self._output: Any = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave a line that says what was done."""
        gaps = sum(self._ended.values())
        seen = f"{self._done - gaps} measured, {gaps} gaps"
        ended = "Done" if error is None else "Stopped"
        took = time.monotonic() - self._began
        self._drawn = -math.inf
        self._draw(f"{ended}: {self._done} of {self._total} checks in {took:.0f} s ({seen})")

    def say(self, text: str) -> None:
        """Keep a sentence above the line."""
        self._said.append(text)
        self._draw("")

    def expects(self, seconds: Mapping[CheckPlace, float], most: float | None = None) -> None:
        """Keep how many checks there are, and how long each takes."""
        super().expects(seconds, most)
        self._left = RemainingTime(seconds, most=most)

    def started(self, target: str, check: Check) -> None:
        """Show the check at hand."""
        self._left.start((target, check.id))
        self._show(self._describe_start(target, check))

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Keep quiet about parts of a check: a saved notebook would keep them, too."""

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Count a check that has ended."""
        seen = any(isinstance(it, Measurement) for it in read_result(result))
        self._ended[target, check.id] = not seen
        self._left.end((target, check.id), seen=seen)
        self._show(f"{check.id} on {target}: done")

    def _show(self, text: str) -> None:
        self._draw(f"{self._left}: {text}")

    def _draw(self, line: str) -> None:
        """Write everything anew, but not more often than can be seen."""
        now = time.monotonic()
        if now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        lines = [make_printable(text) for text in (*self._said, line) if text]
        shown = "<br>".join(html.escape(text) for text in lines)
        data = {"text/plain": "\n".join(lines), "text/html": f"<div>{shown}</div>"}
        if self._output is None:
            display = import_module("IPython.display").display
            self._output = display(data, raw=True, display_id=True)
        else:
            self._output.update(data, raw=True)


@dataclass(slots=True)
class RunningCheck:
    """A check that runs since ``began``, the ``share`` of it that is done, and the minutes told."""

    title: str
    began: float
    share: float = 0.0
    told: int = 0

    def tell(self, now: float) -> str:
        """Return the line of the minute that has passed, or nothing in between."""
        seconds = now - self.began
        if int(seconds // MINUTE) <= self.told:
            return ""
        self.told = int(seconds // MINUTE)
        if not 0 < self.share <= 1:
            return f"running {self.title}, for {format_duration(seconds)}"
        left = format_duration(seconds / self.share - seconds)
        return f"running {self.title}, {self.share * 100:.0f} %, about {left} left"


GAP_MARK = "[yellow]gap [/]"
AT_ONCE = 0.05
"""Checks that end with a gap within so many seconds share a line: nothing was done for them."""


class ConsoleProgress:
    """Writes one line a finished check; on a terminal also a bar for the one at hand.

    Elsewhere it writes a line of a check that runs for a minute, and then one each minute.
    """

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._console, self._clock, self._pause = console, clock, pause
        self._running: RunningCheck | None = None
        self._lack: list[str] = []
        self._lacking = ""
        self._ended = Event()
        self._watcher: Thread | None = None
        self._left = RemainingTime()
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not (console.is_terminal or console.is_jupyter),
        )
        self._all = self._live.add_task("", total=None, note="", visible=False)
        self._one = self._live.add_task("", total=None, note="", visible=False)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        if self._live.disable:
            self._ended.clear()
            self._watcher = Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join(timeout=1.0)
        self._flush()
        self._live.stop()

    def say(self, text: str) -> None:
        """Say something in plain words, whatever they hold."""
        self._flush()
        self._console.print(make_printable(text), highlight=False, markup=False, soft_wrap=True)

    def expects(self, seconds: Mapping[CheckPlace, float], most: float | None = None) -> None:
        """Name the checks by target and id, with about how many seconds each takes."""
        self._left = RemainingTime(seconds, most=most)
        self._count()

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins."""
        self.begun(target, check.id)

    def begun(self, target: str, check: str) -> None:
        """Say that a check begins, by its id."""
        on = MORE_ROWS if self._left.has_ended((target, check)) else ""
        self._left.start((target, check))
        self._running = RunningCheck(f"{check} on {target}{on}", self._clock())
        self._count()
        self._live.reset(
            self._one,
            description=f"{escape_markup(check)} on {escape_markup(target)}{on}",
            total=None,
            note="",
            visible=True,
        )

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Move the bar of the check at hand."""
        if self._running is not None:
            self._running.share = done / total if total else 0.0
        self._live.update(self._one, completed=done, total=total, note=note)
        self._count()

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Write the check's line."""
        found = read_result(result)
        seen = [reading for reading in found if isinstance(reading, Measurement)]
        if seen:
            self.told(target, check.id, f"{len(seen)} reading{'s' * (len(seen) != 1)}", seen=True)
            return
        reasons = dict.fromkeys(
            gap.reason.value.replace("_", " ") for gap in found if isinstance(gap, Gap)
        )
        self.told(target, check.id, ", ".join(reasons), seen=False)

    def told(self, target: str, check: str, said: str, *, seen: bool) -> None:
        """Write the line of a check by its id, with what is said of it."""
        self._running = None
        seconds = self._left.end((target, check), seen=seen)
        self._live.update(self._one, visible=False)
        self._count()
        words = f" on {escape_markup(target)}" + (f": {escape_markup(said)}" if said else "")
        if not seen and seconds < AT_ONCE:
            if words != self._lacking:
                self._flush()
            self._lacking = words
            self._lack.append(check)
            return
        self._flush()
        mark = "[green]seen[/]" if seen else GAP_MARK
        line = f"  {mark} {escape_markup(check)}{words} ({seconds:.1f} s)"
        self._console.print(line, highlight=False)

    def _flush(self) -> None:
        """Write one line for the checks that lack the same, one after another."""
        lack, self._lack = self._lack, []  # at once: the watcher writes too
        if lack:
            more = f" and {len(lack) - 1} more" if len(lack) > 1 else ""
            line = f"  {GAP_MARK} {escape_markup(lack[0])}{more}{self._lacking}"
            self._console.print(line, highlight=False)

    def _watch(self) -> None:
        """Tell of the check at hand, until the audit has ended."""
        while not self._ended.wait(self._pause):
            running = self._running
            if running is not None and (line := running.tell(self._clock())):
                self.say(f"  {line}")

    def _count(self) -> None:
        """Show how many checks are done, and about how long the others take."""
        left = self._left
        self._live.update(
            self._all,
            description=f"{left.done} of {left.total} checks",
            completed=left.done,
            total=left.total,
            note=f"about {format_duration(left.seconds)} left",
            visible=left.total > 0,
        )
