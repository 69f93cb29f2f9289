"""Creates the terminal console; texts from outside are shown without control codes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from auditor.reports.wording import escape_invisible


def create_console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """Return a console that makes no pictogram of `:name:`, and sends no control of others.

    What looks like our own marks has to be escaped all the same: `plain` does.
    """
    console = Console(stderr=stderr, file=file, emoji=False)
    console.push_render_hook(_VisibleTextHook())
    return console


class _VisibleTextHook(RenderHook):
    """Lets through what the library itself says to a terminal, and of texts what can be seen."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_VisibleText(item) for item in renderables]


@dataclass(frozen=True, slots=True)
class _VisibleText:
    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for segment in console.render(self.inner, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape_invisible(segment.text), segment.style)
