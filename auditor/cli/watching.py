"""Show how far a job is: a live line on a terminal; elsewhere a line a check, or nothing."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from auditor.cli.texts import plain
from auditor.domain.checks import Check
from auditor.domain.observed import Result
from auditor.domain.readings import Gap, Measurement
from auditor.measuring import CONFIDENCE, readings


class ConsoleWatch:
    """Writes one line a finished check; on a terminal also a bar for the one at hand."""

    def __init__(self, console: Console, checks: int) -> None:
        self._console = console
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._live.add_task("all checks", total=checks, note="")
        self._one = self._live.add_task("", total=None, note="", visible=False)
        self._began: dict[tuple[str, str], float] = {}

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._live.stop()

    def expects(self, checks: int) -> None:
        """Say how many checks there are, where that was not known before."""
        self._live.update(self._all, total=checks)

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins."""
        self.begun(target, check.id)

    def begun(self, target: str, check: str) -> None:
        """Say that a check begins, by its id."""
        self._began[target, check] = time.monotonic()
        self._live.reset(
            self._one,
            description=f"{plain(check)} on {plain(target)}",
            total=None,
            note="",
            visible=True,
        )

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Move the bar of the check at hand."""
        self._live.update(self._one, completed=done, total=total, note=note)

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Write the check's line."""
        found = readings([result], CONFIDENCE)
        seen = [reading for reading in found if isinstance(reading, Measurement)]
        if seen:
            self.told(target, check.id, f"{len(seen)} reading{'s' * (len(seen) != 1)}", seen=True)
            return
        reasons = dict.fromkeys(gap.reason.value for gap in found if isinstance(gap, Gap))
        self.told(target, check.id, ", ".join(reasons), seen=False)

    def told(self, target: str, check: str, said: str, *, seen: bool) -> None:
        """Write the line of a check by its id, with what is said of it."""
        now = time.monotonic()
        seconds = now - self._began.pop((target, check), now)
        self._live.advance(self._all)
        self._live.update(self._one, visible=False)
        mark = "[green]seen[/]" if seen else "[yellow]gap [/]"
        words = f": {plain(said)}" if said else ""
        self._console.print(
            f"  {mark} {plain(check)} on {plain(target)}{words} ({seconds:.1f} s)",
            highlight=False,
        )
