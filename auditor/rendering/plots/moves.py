"""One figure before and after, small enough for a row of a table: two intervals on one scale."""

from markupsafe import Markup

from auditor.domain.readings import Unit
from auditor.rendering.numbers import number
from auditor.rendering.plots.axes import Axis, ticks
from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import Drawing, line, text

WIDTH, HEIGHT = 200, 52
LEFT, RIGHT = 16.0, 184.0
BEFORE, AFTER, FOOT = 9.0, 24.0, 34.0
TICKS, NEAR = 5, 14.0
Ends = tuple[float, float, float]
"""A value, and the ends of its interval."""


def move_strip(key: str, title: str, before: Ends, after: Ends, unit: Unit) -> Drawing:
    """Draw a figure before (a dot) above the same after (a square), as wide as both reach."""
    low, high = min(*before, *after), max(*before, *after)
    axis = Axis(low, high, LEFT, RIGHT)
    drawn = [line(LEFT, FOOT, RIGHT, FOOT, "axis")]
    for value in _shown(low, high):
        place = axis.at(value)
        anchor = "start" if place < LEFT + NEAR else "end" if place > RIGHT - NEAR else "middle"
        drawn.append(line(place, 2, place, FOOT, "grid"))
        drawn.append(text(place, FOOT + 14, number(value, unit), "tick", anchor))
    for series, (one, y) in enumerate(((before, BEFORE), (after, AFTER))):
        drawn += _interval(axis, one, y, series)
    then, now = number(before[0], unit), number(after[0], unit)
    return Drawing(
        key=key,
        title=title,
        description=f"Before: {then}; after: {now}. The same row holds the intervals.",
        width=WIDTH,
        height=HEIGHT,
        shapes=tuple(drawn),
    )


def _shown(low: float, high: float) -> tuple[float, ...]:
    """Return one round value near each end, so that their labels stand apart."""
    found = ticks(low, high, TICKS)
    return found if len(found) <= 1 else (found[0], found[-1])


def _interval(axis: Axis, one: Ends, y: float, series: int) -> list[Markup]:
    value, low, high = (axis.at(item) for item in one)
    name = f"series-{series}"
    return [
        line(low, y, high, y, f"whisker {name}"),
        line(low, y - 4, low, y + 4, f"whisker {name}"),
        line(high, y - 4, high, y + 4, f"whisker {name}"),
        mark(series, value, y, f"mark {name}"),
    ]
