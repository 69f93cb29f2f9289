"""What targets cost against what they give: one named mark a target, with both intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.readings import Unit
from auditor.rendering.numbers import number
from auditor.rendering.plots.axes import Axis, Frame, ticks
from auditor.rendering.plots.legends import LEGEND_STEP, Entry, legend
from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import Drawing, line, path, shortened, text

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 52.0, 340.0, 26.0, 216.0
LONGEST_NAME, LONGEST_AXIS = 18, 50
Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Spot:
    """A target by cost (less is better) and gain; ``front`` says that no other beats it."""

    name: str
    cost: Ends
    gain: Ends
    front: bool


SHIFTS = (-8.0, 18.0, -22.0, 32.0, -36.0, 46.0)
"""Where the name of a mark may stand, from the mark; the first free place is taken."""
LINE, REACH = 13.0, 110.0
"""How high a name is, and how far to a side it may reach."""


@dataclass(frozen=True, slots=True)
class Scales:
    """Names and units of the two axes."""

    cost: str
    cost_unit: Unit
    gain: str
    gain_unit: Unit


def front_plot(key: str, title: str, scales: Scales, spots: Sequence[Spot]) -> Drawing:
    """Draw at least two spots, those of the front joined by a line."""
    x = Axis(*_span([spot.cost for spot in spots]), LEFT, RIGHT)
    y = Axis(*_span([spot.gain for spot in spots]), BOTTOM, TOP)
    names = (shortened(scales.cost, LONGEST_AXIS), shortened(scales.gain, LONGEST_AXIS))
    frame = Frame(x, y, *names)
    entries = [Entry("series-0", "on the front: none is cheaper without giving less", 0)]
    if not all(spot.front for spot in spots):
        entries.append(Entry("series-1", "beaten by another target", 1))
    said = "; ".join(
        f"{spot.name}: {number(spot.cost[0], scales.cost_unit)}, "
        f"{number(spot.gain[0], scales.gain_unit)}"
        for spot in spots
    )
    return Drawing(
        key=key,
        title=title,
        description=f"{scales.cost} and {scales.gain}, {said}. The table holds the figures.",
        width=WIDTH,
        height=round(BOTTOM) + 50 + LEGEND_STEP * len(entries),
        shapes=(
            *frame.shapes(_ticks(x, scales.cost_unit), _ticks(y, scales.gain_unit)),
            *_spots(frame, spots),
            *legend(entries, 0, BOTTOM + 56),
        ),
    )


def _spots(frame: Frame, spots: Sequence[Spot]) -> Iterator[Markup]:
    best = sorted((spot for spot in spots if spot.front), key=lambda spot: spot.cost[0])
    if len(best) > 1:
        joined = [(frame.x.at(spot.cost[0]), frame.y.at(spot.gain[0])) for spot in best]
        yield path(joined, "curve series-0")
    named: list[tuple[float, float]] = []
    for spot in spots:
        series = 0 if spot.front else 1
        x, y = frame.x.at(spot.cost[0]), frame.y.at(spot.gain[0])
        low, high = (frame.x.at(end) for end in spot.cost[1:])
        yield line(low, y, high, y, f"whisker series-{series}")
        low, high = (frame.y.at(end) for end in spot.gain[1:])
        yield line(x, low, x, high, f"whisker series-{series}")
        yield mark(series, x, y, f"mark series-{series}")
        right = x > (LEFT + RIGHT) / 2
        name = shortened(spot.name, LONGEST_NAME)
        height = _free(x, y, named)
        named.append((x, height))
        at = x + (-8 if right else 8)
        yield text(at, height, name, "label halo", "end" if right else "start")


def _free(x: float, y: float, named: Sequence[tuple[float, float]]) -> float:
    """Return a height near a mark at which no name stands yet: above it, else below, and on."""
    heights = (y + shift for shift in SHIFTS)
    return next(
        (
            height
            for height in heights
            if all(abs(height - other) >= LINE or abs(x - at) > REACH for at, other in named)
        ),
        y + SHIFTS[0],
    )


def _span(values: Sequence[Ends]) -> tuple[float, float]:
    low, high = min(low for _, low, _ in values), max(high for *_, high in values)
    room = (high - low or abs(high) or 1.0) * 0.15
    return (0.0 if 0 <= low <= high - low else low - room), high + room


def _ticks(axis: Axis, unit: Unit) -> list[tuple[float, str]]:
    return [(value, number(value, unit)) for value in ticks(axis.low, axis.high, 4)]
