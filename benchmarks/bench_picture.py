"""The picture of the first page: its ratios on a logarithmic axis, with a line at 1."""

import math
from collections.abc import Iterator, Sequence

from bench_book import Book
from bench_front import ROWS, TIMES, Row, is_worse
from figures import Figure
from markupsafe import Markup

from auditor.reports.plots.svg import (
    PlotAxis,
    draw_dot,
    draw_line,
    draw_rect,
    draw_text,
    write_element,
)

WIDTH, LEFT, RIGHT, AXIS = 420, 14.0, 406.0, 304.0
TOP, HEAD, STEP, GAP, FOOT = 10.0, 26.0, 38.0, 26.0, 30.0
LETTER = 6.6
SIDES = (
    ("more", "Compared with another tool: further right is better"),
    ("less", "Cost against a tool or a limit: further left is better"),
)
STYLE = """
svg { --card: #fff; --ink: #1f2328; --soft: #59636e; --grid: #d1d9e0; --even: #0969da;
--worse: #bc4c00 }
@media (prefers-color-scheme: dark) {
svg { --card: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --grid: #3d444d; --even: #4493f8;
--worse: #f0883e }
}
.card { fill: var(--card) } .grid { stroke: var(--grid) }
.one { stroke: var(--soft); stroke-width: 1.5 } .goal { stroke: var(--ink); stroke-width: 2 }
.even { stroke: var(--even); fill: var(--even); stroke-width: 2.5 }
.worse { stroke: var(--worse); fill: var(--worse); stroke-width: 2.5 }
text { font: 12px system-ui, sans-serif; fill: var(--ink) }
text { stroke: var(--card) !important; stroke-width: 3 !important; paint-order: stroke }
.head, text.worse { font-weight: 600 } .tick { font-size: 11px; fill: var(--soft) }
"""
Shown = tuple[Row, Figure]


def picture(book: Book, rows: Sequence[Row] = ROWS) -> str:
    """Return the picture as SVG, named for screen readers."""
    shown = [(row, entry[0]) for row in rows if (entry := row.figure(book))]
    shown = [(row, figure) for row, figure in shown if figure.unit == "x" and figure.low > 0]
    least = min((math.log10(figure.low) for _, figure in shown), default=0.0)
    most = max((math.log10(figure.high) for _, figure in shown), default=0.0)
    axis = PlotAxis(min(math.floor(least), -1), max(math.ceil(most), 1), LEFT, AXIS)
    drawn: list[Markup] = []
    top = TOP
    for side, title in SIDES:
        there = [entry for entry in shown if entry[1].better == side]
        drawn += _group(axis, title, there, top)
        top += HEAD + STEP * len(there) + GAP
    key = "Dot: worst case. Line: range. Upright bar: goal. Orange: worse."
    spoken = "; ".join(f"{row.what}: {row.words(it.value, it.unit)}" for row, it in shown)
    height = round(top + FOOT - 10)
    style = Markup(STYLE)  # noqa: S704 -- our own
    return write_element(
        "svg",
        write_element("title", "auditor compared with other tools and with limits", id="title"),
        write_element("desc", f"{spoken}. The table beside it has the ranges.", id="desc"),
        write_element("style", style),
        draw_rect(0, 0, WIDTH, height, "card"),
        *drawn,
        draw_text(LEFT, top + 8, key, "tick"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=round(1.3 * WIDTH),
        height=round(1.3 * height),
        role="img",
        aria_labelledby="title desc",
    )


def _group(axis: PlotAxis, title: str, shown: Sequence[Shown], top: float) -> Iterator[Markup]:
    first, bottom = top + HEAD, top + HEAD + STEP * len(shown)
    yield draw_text(LEFT, top + 12, title, "head")
    for power in range(round(axis.low), round(axis.high) + 1):
        x = axis.at(power)
        yield draw_line(x, first - 6, x, bottom, "grid" if power else "one")
        anchor = "start" if power == axis.low else "middle"
        yield draw_text(x, bottom + 14, f"{10.0**power:,g}{TIMES}", "tick", anchor)
    for index, (row, figure) in enumerate(shown):
        yield from _strip(axis, row, figure, first + STEP * index)


def _strip(axis: PlotAxis, row: Row, figure: Figure, top: float) -> Iterator[Markup]:
    low, value, high = (axis.at(math.log10(it)) for it in (figure.low, figure.value, figure.high))
    y = top + 23
    mark, label = ("worse", "worse") if is_worse(figure) else ("even", "label")
    yield draw_text(LEFT, top + 10, row.what, "name")
    yield draw_text(RIGHT, top + 10, row.against, "tick", "end")
    yield draw_line(low, y, high, y, mark)
    yield draw_dot(value, y, mark)
    goal = value
    if figure.goal is not None:
        goal = axis.at(math.log10(figure.goal))
        yield draw_line(goal, y - 6, goal, y + 6, "goal")
    words = row.words(figure.value, figure.unit) + ", goal missed" * (figure.kept is False)
    right = max(high, goal) + 9
    if right + LETTER * len(words) <= RIGHT:
        yield draw_text(right, y + 4, words, label)
    else:
        yield draw_text(min(low, goal) - 9, y + 4, words, label, "end")
