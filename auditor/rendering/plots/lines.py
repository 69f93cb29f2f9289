"""A line through points on two numeric axes, with its intervals as a band."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.readings import Unit
from auditor.rendering.numbers import number
from auditor.rendering.plots.axes import LETTER, Axis, Frame, fitting, ticks
from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import Drawing, line, path, shortened

WIDTH = 360
LEAST_LEFT, RIGHT, TOP, BOTTOM = 46.0, 328.0, 30.0, 190.0
MOST_MARKS = 26
"""More marks than this would hide the line."""
ROOM = 0.08


@dataclass(frozen=True, slots=True)
class Spot:
    """One point of a line with the ends of its interval."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scales:
    """Names and units of the two axes."""

    x: str
    x_unit: Unit
    y: str
    y_unit: Unit


def line_plot(key: str, title: str, scales: Scales, spots: Sequence[Spot]) -> Drawing:
    """Draw at least one spot, those that have an interval with a band; ``x`` must rise."""
    least, most = _reach([end for spot in spots for end in (spot.y, spot.low, spot.high)])
    marks = [(value, number(value, scales.y_unit)) for value in ticks(least, most, 4)]
    left = max(LEAST_LEFT, LETTER * max(len(words) for _, words in marks) + 12)
    x, y = Axis(*_reach([spot.x for spot in spots], 0), left, RIGHT), Axis(least, most, BOTTOM, TOP)
    room = int((WIDTH - left) / LETTER)
    frame = Frame(x, y, shortened(scales.x, room), shortened(scales.y, room))
    below = fitting(x, lambda value: number(value, scales.x_unit), 0.0, WIDTH)
    ends = [spots[0], spots[-1]] if len(spots) > 1 else spots
    said = "; ".join(
        f"{number(spot.x, scales.x_unit)}: {number(spot.y, scales.y_unit)}" for spot in ends
    )
    return Drawing(
        key=key,
        title=title,
        description=f"{scales.y} by {scales.x}, first and last {said}. The table has every point.",
        width=WIDTH,
        height=round(BOTTOM) + 42,
        shapes=(*frame.shapes(below, marks), *_spots(frame, spots)),
    )


def _spots(frame: Frame, spots: Sequence[Spot]) -> Iterator[Markup]:
    places = [(frame.x.at(spot.x), frame.y.at(spot.y)) for spot in spots]
    if len(places) > 1:
        upper = [(frame.x.at(spot.x), frame.y.at(spot.high)) for spot in spots]
        lower = [(frame.x.at(spot.x), frame.y.at(spot.low)) for spot in spots]
        if upper != lower:
            yield path([*upper, *reversed(lower)], "band series-0", closed=True)
        yield path(places, "curve series-0")
    if len(places) > MOST_MARKS:
        return
    for spot, (x, y) in zip(spots, places, strict=True):
        yield line(x, frame.y.at(spot.low), x, frame.y.at(spot.high), "whisker series-0")
        yield mark(0, x, y, "mark series-0")


def _reach(values: Sequence[float], room: float = ROOM) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        more = abs(low) * 0.1 or 1.0
        return low - more, high + more
    return low - (high - low) * room, high + (high - low) * room
