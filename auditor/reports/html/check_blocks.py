"""A block's parts as what our templates show: paragraphs, panels and pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.blocks import Bar, Bars, Block, Line, Number, Paragraph, Picture, Point, Table
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.blocks.images import png_uri
from auditor.rendering.figures.panel import Panel
from auditor.rendering.numbers import figure, number
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.plots.lines import Scales, Spot, line_plot
from auditor.rendering.visible import visible

WITHOUT_LEAVE = (
    "A picture that stands here is not shown: the audit file does not give leave "
    "(show_examples: true)."
)
WIDE_FROM = 4
"""Columns of a table that takes the whole width."""
Cells: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a block, as a data URI, with its alternative text and what stands below it."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbours of one kind: a paragraph, panels that stand beside each other, or a picture."""

    text: str = ""
    panels: tuple[Panel, ...] = ()
    picture: Shown | None = None


def stretches(block: Block, target: str, key: str, *, leave: bool) -> tuple[Stretch, ...]:
    """Return the parts in order; pictures only with the owner's ``leave``.

    Raises ``BrokenCheckError`` for a picture that cannot be read.
    """
    found: list[Stretch] = []
    panels: list[Panel] = []
    for at, part in enumerate(block.parts):
        if isinstance(part, Table | Bars | Line):
            panels.append(_panel(part, target, f"{key}-{at}"))
            continue
        found += _beside(panels)
        panels = []
        found.append(Stretch(part.text) if isinstance(part, Paragraph) else _picture(part, leave))
    return (*found, *_beside(panels))


def _beside(panels: list[Panel]) -> list[Stretch]:
    return [Stretch(panels=tuple(panels))] if panels else []


def _picture(part: Picture, leave: bool) -> Stretch:  # noqa: FBT001 -- the owner's word, handed on
    if not leave:
        return Stretch(WITHOUT_LEAVE)
    return Stretch(picture=Shown(png_uri(part.png), part.alt, part.caption))


def _panel(part: Table | Bars | Line, target: str, key: str) -> Panel:
    match part:
        case Table():
            return _table(part, target)
        case Bars():
            return _bars(part, target, key)
        case Line():
            return _line(part, target, key)


def _table(table: Table, target: str) -> Panel:
    return Panel(
        title=table.caption,
        target=target,
        caption="",
        header=table.columns,
        rows=tuple(tuple(map(_cell, row)) for row in table.rows),
        wide=len(table.columns) >= WIDE_FROM,
    )


def _cell(cell: str | Number) -> str:
    if isinstance(cell, str):
        return cell
    value, interval = _words(cell, cell.value, cell.unit)
    return f"{value} ({interval})" if interval else value


def _bars(bars: Bars, target: str, key: str) -> Panel:
    drawn = [Row(visible(bar.label), bar.value, *_reach(bar, bar.value)) for bar in bars.bars]
    # "per second" at each tick would leave room for one of them; the caption says it once.
    unit = Unit.NONE if bars.unit is Unit.PER_SECOND else bars.unit
    rows = [(bar.label, *_words(bar, bar.value, bars.unit)) for bar in bars.bars]
    return Panel(
        title=bars.title,
        target=target,
        caption="".join(_reference(bars)),
        drawing=interval_rows(key, bars.title, drawn, unit, ideal=bars.reference),
        header=_known(("", bars.name, "Interval"), rows),
        rows=tuple(_known(row, rows) for row in rows),
    )


def _reference(bars: Bars) -> Iterator[str]:
    yield f"{bars.name}{', per second' if bars.unit is Unit.PER_SECOND else ''}."
    if bars.reference is not None:
        at = number(bars.reference, bars.unit)
        yield f" The broken line: {bars.reference_name or 'reference'}, {at}."


def _line(line: Line, target: str, key: str) -> Panel:
    spots = [Spot(point.x, point.y, *_reach(point, point.y)) for point in line.points]
    scales = Scales(visible(line.x_name), line.x_unit, visible(line.y_name), line.y_unit)
    banded = any(point.low is not None for point in line.points)
    rows = [
        (number(point.x, line.x_unit), *_words(point, point.y, line.y_unit))
        for point in line.points
    ]
    return Panel(
        title=line.title,
        target=target,
        caption="The band is the interval of each point." if banded else "",
        drawing=line_plot(key, line.title, scales, spots),
        header=_known((line.x_name, line.y_name, "Interval"), rows),
        rows=tuple(_known(row, rows) for row in rows),
    )


def _known(row: Cells, rows: Sequence[Cells]) -> tuple[str, ...]:
    """Leave out the column of intervals where nothing has one."""
    return row if any(interval for *_, interval in rows) else row[:-1]


def _reach(of: Bar | Point, value: float) -> tuple[float, float]:
    return (value if of.low is None else of.low, value if of.high is None else of.high)


def _words(of: Number | Bar | Point, value: float, unit: Unit) -> tuple[str, str]:
    """Write a number and its interval as every figure is written."""
    said = figure(
        Measurement(metric="", value=value, low=of.low, high=of.high, method="", n=0, unit=unit)
    )
    return said.value, said.interval
