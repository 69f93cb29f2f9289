"""Figures from period to period, with their intervals as bands, and a limit that they must keep."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.readings import Unit
from auditor.rendering.numbers import number
from auditor.rendering.plots.axes import Axis, Frame, ticks
from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import Drawing, line, path, shortened, text

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 54.0, 340.0, 30.0, 176.0
MOST_NAMES, LONGEST_NAME = 5, 12
MOST_MARKS = 26
"""More marks than this would hide the line."""
ROOM = 0.12


@dataclass(frozen=True, slots=True)
class Moment:
    """A figure of one period with the ends of its interval."""

    name: str
    value: float
    low: float
    high: float
    doubted: bool = False


def course_plot(
    key: str, title: str, moments: Sequence[Moment], unit: Unit, limit: float | None = None
) -> Drawing:
    """Draw at least one period in order; the scale is that of the figures, not from zero."""
    ends = [at for m in moments for at in (m.low, m.high)] + ([] if limit is None else [limit])
    room = (max(ends) - min(ends)) * ROOM or 0.01
    most = 1.0 if unit is Unit.SHARE else float("inf")
    low, high = max(min(ends) - room, min(0.0, *ends)), min(max(ends) + room, max(most, *ends))
    y = Axis(low, high, BOTTOM, TOP)
    x = Axis(-0.5, len(moments) - 0.5, LEFT, RIGHT)
    spoken = "; ".join(f"{m.name}: {number(round(m.value, 4), unit)}" for m in moments)
    return Drawing(
        key=key,
        title=title,
        description=f"{spoken}. The table below holds the figures.",
        width=WIDTH,
        height=round(BOTTOM) + 28,
        shapes=tuple(_shapes(Frame(x, y, "", ""), moments, unit, limit)),
    )


def _shapes(
    frame: Frame, moments: Sequence[Moment], unit: Unit, limit: float | None
) -> Iterator[Markup]:
    for value in ticks(frame.y.low, frame.y.high, 4):
        height = frame.y.at(value)
        yield line(LEFT, height, RIGHT, height, "grid")
        yield text(LEFT - 6, height + 4, number(value, unit), "tick", "end")
    yield line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis")
    for at in _named(len(moments)):
        name = shortened(moments[at].name, LONGEST_NAME)
        yield text(frame.x.at(at), BOTTOM + 17, name, "tick", "middle")
    yield from _band(frame, moments)
    if limit is not None:
        yield line(LEFT, frame.y.at(limit), RIGHT, frame.y.at(limit), "limit")
    yield from _line(frame, moments)


def _band(frame: Frame, moments: Sequence[Moment]) -> Iterator[Markup]:
    if len(moments) > 1:
        upper = [(frame.x.at(at), frame.y.at(m.high)) for at, m in enumerate(moments)]
        lower = [(frame.x.at(at), frame.y.at(m.low)) for at, m in enumerate(moments)]
        yield path([*upper, *reversed(lower)], "band series-0", closed=True)


def _line(frame: Frame, moments: Sequence[Moment]) -> Iterator[Markup]:
    places = [(frame.x.at(at), frame.y.at(m.value)) for at, m in enumerate(moments)]
    if len(places) > 1:
        yield path(places, "curve series-0")
    if len(places) > MOST_MARKS:
        return
    for m, (x, y) in zip(moments, places, strict=True):
        yield line(x, frame.y.at(m.low), x, frame.y.at(m.high), "whisker series-0")
        yield mark(0, x, y, f"mark {'doubted ' * m.doubted}series-0")


def _named(count: int) -> tuple[int, ...]:
    """Return which periods have room for their names, the first and the last among them."""
    if count <= MOST_NAMES:
        return tuple(range(count))
    step = (count - 1) / (MOST_NAMES - 2)
    return tuple(round(step * at) for at in range(MOST_NAMES - 1))
