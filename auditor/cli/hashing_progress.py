"""A progress bar for the hashing of large files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)


@contextmanager
def show_hashing(
    console: Console, total: Callable[[], int], doing: str = "hashing"
) -> Iterator[Callable[[int], None] | None]:
    """Show on a terminal of how many of all bytes it is done; ``None`` where nobody watches."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn(doing),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as live:
        task = live.add_task("", total=total())
        yield lambda count: live.advance(task, count)
