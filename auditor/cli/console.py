"""Terminal output of every command: plain tables, steps of a verification, gaps and notices."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.cli.main import adapt_install_hints
from auditor.domain.findings import Outcome
from auditor.domain.number_text import format_counted
from auditor.domain.readings import Gap
from auditor.domain.trust_context import ModelBinding
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.reports.terminal_text import escape_markup, make_printable
from auditor.trust.keys.ledger_key import describe_new_key

OUTCOMES = {
    Outcome.FAILED: "[bold red]failed[/]",
    Outcome.UNKNOWN: "[yellow]undecided[/]",
    Outcome.WITHSTOOD: "[cyan]withstood[/]",
    Outcome.PASSED: "[green]passed[/]",
    Outcome.WAIVED: "[magenta]waived[/]",
    Outcome.NOT_APPLICABLE: "[dim]not applicable[/]",
}
STEPS = {
    StepResult.HOLDS: "[green]holds[/]",
    StepResult.FAILED: "[bold red]failed[/]",
    StepResult.NOT_PRESENT: "[dim]not present[/]",
    StepResult.NOT_CHECKED: "[yellow]not checked[/]",
    StepResult.WITHHELD: "[bold yellow]withheld[/]",
}

TAKEN = frozenset({StepResult.HOLDS, StepResult.FAILED, StepResult.WITHHELD})
"""Results of steps that must hold; of the others nothing was there to check."""


def print_plain(console: Console, text: str) -> None:
    """Say something in plain words, whatever they hold."""
    console.print(make_printable(text), highlight=False, markup=False, soft_wrap=True)


def show_notice(console: Console, words: str) -> None:
    """Say what must not be overlooked, if there is something."""
    if words:
        console.print(f"[yellow]Note[/] {escape_markup(words)}", highlight=False, soft_wrap=True)


def show_gap_groups(console: Console, lacks: Iterable[tuple[Gap, str, str]]) -> None:
    """Say each Gap once: in which words, what helps, and who lacks it."""
    lacking: dict[tuple[str, str], dict[str, None]] = {}
    for gap, why, who in lacks:
        words = adapt_install_hints(f"{why.rstrip('.')}. {gap.cure}")
        lacking.setdefault((gap.reason.value, words), {})[who] = None
    for (reason, words), checks in lacking.items():
        console.print(
            f"[yellow]{reason}[/] {escape_markup(words)} "
            f"[dim]({', '.join(map(escape_markup, checks))})[/]",
            highlight=False,
            soft_wrap=True,
        )


def show_new_keys(console: Console, keys: Iterable[Path]) -> None:
    """Say which private keys a first run made."""
    for path in keys:
        console.print(describe_new_key(path), highlight=False, markup=False)


def show_binding_conflicts(
    console: Console, bindings: Iterable[ModelBinding], artifact: str | None
) -> None:
    """Say which other bytes have the name and version of what is audited, or the bytes which.

    ``artifact`` is the digest of what is audited.
    """
    for item in bindings:
        same = "The file is unchanged: these bytes have a new name or version."
        cure = same if item.digest == artifact else "Give the changed file a new version."
        console.print(
            f"[yellow]Note[/] {escape_markup(item.name)} {escape_markup(item.version)} "
            f"was registered at {item.registered} for {item.digest}. {cure}",
            highlight=False,
            soft_wrap=True,
        )


def show_steps(console: Console, steps: Iterable[VerificationStep]) -> None:
    """Show each step of a verification with its result."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for step in steps:
        table.add_row(STEPS[step.result], escape_markup(step.name), escape_markup(step.detail))
    console.print(table)


def summarize_steps(done: str, steps: Iterable[VerificationStep]) -> str:
    """Return the closing line of a verification, such as ``Verified: 9 of 9 steps passed``."""
    found = tuple(steps)
    taken = [step for step in found if step.result in TAKEN]
    passed = sum(step.result is StepResult.HOLDS for step in taken)
    others = [step.name for step in taken if step.result is not StepResult.HOLDS]
    said = f"{passed} of {format_counted(len(taken), 'step')} passed"
    if skipped := sum(step.result is StepResult.NOT_CHECKED for step in found):
        said += f", {skipped} not checked"
    if others:
        said += f"; {', '.join(others)} did not"
    return f"{done if all_hold(found) else f'Not {done.lower()}'}: {said}"


def show_rows(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a plain table; the first column holds names, which are not broken where they fit."""
    fill_table(console, Table(), heads, [[escape_markup(cell) for cell in row] for row in rows])


def fill_table(
    console: Console,
    table: Table,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    whole: Sequence[str] = (),
) -> None:
    """Print a table of marked cells whose columns fold.

    Names in the first column stay whole where they leave half of the width to the others, and then
    the columns named in ``whole``, in this order, as long as the others have room for their words.
    """
    columns = [
        [head, *(Text.from_markup(row[at]).plain for row in rows)] for at, head in enumerate(heads)
    ]
    longest = [max(len(line) for cell in column for line in cell.split("\n")) for column in columns]
    words = [max(map(len, " ".join(column).split())) for column in columns]
    _, right, _, left = table.padding
    room = console.width - (right + left + 1) * len(heads) - 1
    kept = {0} if longest[0] <= console.width // 2 else set()
    for place in map(heads.index, whole):
        widths = [longest[at] if at in {*kept, place} else least for at, least in enumerate(words)]
        kept |= {place} if sum(widths) <= room else set()
    for place, head in enumerate(heads):
        table.add_column(head, overflow="fold", no_wrap=place in kept)
    for row in rows:
        table.add_row(*row)
    console.print(table)
