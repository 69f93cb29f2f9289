"""Two records side by side as Markdown, for a pull request."""

from collections.abc import Iterator, Sequence

from auditor.moving.values import Way
from auditor.rendering.juxtaposed.lists import apart_lines, beside_lists
from auditor.rendering.juxtaposed.words import (
    WAYS,
    Juxtaposed,
    difference_rows,
    headline,
    moved_rows,
    summary,
    turned_rows,
    verdict_words,
)
from auditor.rendering.summary import escape_markdown
from auditor.rendering.visible import visible

MOST_LINES = 200


def render_juxtaposed_markdown(shown: Juxtaposed) -> str:
    """Render a comparison; what comes from the records is escaped and stays on its line."""
    found = shown.comparison
    lines = [f"# {headline(found)}", ""]
    sentences = (shown.unverified, verdict_words(found), *summary(found))
    lines += [escape_markdown(text) for text in sentences if text]
    lines += _moved(shown)
    turned = turned_rows(found)
    lines += _table(
        "Findings that changed",
        ("Rule", "Where", "Before", "After"),
        [(row.turned.title, row.where, row.before, f"{row.after} {row.note}") for row in turned],
    )
    differs = difference_rows(found)
    lines += _table("What else differs", ("", "Before", "After"), differs)
    for heading, told in _lists(shown):
        lines += ["", f"## {heading}", ""] if told else []
        lines += [f"- {escape_markdown(text)}" for text in told[:MOST_LINES]]
    return visible("\n".join(lines)) + "\n"


def _moved(shown: Juxtaposed) -> list[str]:
    rows = [row for row in moved_rows(shown) if row.moved.way is not Way.SAME]
    return _table(
        "Figures that moved",
        ("Figure", "Measure", "Target", "", "Before", "After", "Change"),
        [
            (
                row.title,
                row.measure,
                row.moved.after.target,
                WAYS[row.moved.way],
                row.before,
                row.after,
                row.change,
            )
            for row in rows
        ],
    )


def _lists(shown: Juxtaposed) -> Iterator[tuple[str, Sequence[str]]]:
    yield "Not compared", apart_lines(shown.comparison)
    yield from beside_lists(shown)
    yield "Taken as signed, not recomputed", shown.taken


def _table(heading: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    written = [_line([escape_markdown(cell) for cell in row]) for row in rows[:MOST_LINES]]
    return ["", f"## {heading}", "", _line(header), "|" + "---|" * len(header), *written]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
