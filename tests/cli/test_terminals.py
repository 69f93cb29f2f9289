"""Whatever a name holds, a terminal shows it as it is written, and obeys nothing of it."""

import ast
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table

from auditor.cli.console import show_rows
from auditor.reports.terminal import create_console
from auditor.reports.terminal_text import escape_markup, make_printable
from auditor.reports.wording import escape_invisible

CHECK, GREEN = ":white_check_mark:", "[green]passed[/]"
WORDS = st.text(st.sampled_from("ab1:[]/\\#@= _+-.😀\x1b\u202e\u3164é"), max_size=12)
CLI = Path(__file__).parents[2] / "auditor" / "cli"


def printed(*parts: str) -> str:
    out = StringIO()
    create_console(file=out).print(*parts, highlight=False, soft_wrap=True)
    return out.getvalue().removesuffix("\n")


def as_written(text: str) -> str:
    return escape_invisible(make_printable(text))


@given(WORDS, WORDS)
@example(CHECK, GREEN)
@example("[red", "x]")
@example("\\", "[bold]")
@example("", "\\[")
@example("\\[a", "b]")
@example("\\\\[1]", "[/b]\\")
@example("[link=https://example.org]", "a[/link]")
def test_two_names_among_marks_of_ours_are_shown_as_they_are_written(one: str, two: str) -> None:
    shown = printed(f"[bold red]failed[/] {escape_markup(one)}{escape_markup(two)}[dim]![/]")
    assert shown == f"failed {as_written(one)}{as_written(two)}!"


@pytest.mark.parametrize("said", [CHECK, "\x1b[2J", "\u202egnp", "a\u3164b", "\x07", "\x9b31m"])
def test_what_is_printed_without_marks_is_shown_and_not_obeyed(said: str) -> None:
    out = StringIO()
    console = create_console(file=out)
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    table = Table(title=said)
    table.add_column(said)
    console.print(table)
    assert "\x1b" not in out.getvalue()
    assert "\N{WHITE HEAVY CHECK MARK}" not in out.getvalue()
    assert all(sign.isprintable() or sign == "\n" for sign in out.getvalue())


def test_a_table_shows_pictograms_by_their_codes() -> None:
    out = StringIO()
    show_rows(create_console(file=out), ("model",), [(CHECK,), (GREEN,)])
    assert CHECK in out.getvalue()
    assert GREEN in out.getvalue()


def test_there_is_no_other_way_to_a_terminal() -> None:
    for path in CLI.rglob("*.py"):
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        made = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        assert "escape" not in made, f"{path.name}: take escape_markup of terminal_text"
        assert "Console" not in made or path.name == "terminal.py", f"{path.name}: take terminal"
