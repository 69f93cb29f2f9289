"""SVG line plots with interval bands, and Pareto plots of cost against a metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.number_text import format_number
from auditor.domain.readings import Unit
from auditor.domain.report_panels import LegendEntry, PeriodPoint
from auditor.reports.plots.svg import (
    LEGEND_STEP,
    LETTER,
    PlotAxis,
    PlotFrame,
    SvgDrawing,
    compute_ticks,
    draw_legend,
    draw_line,
    draw_mark,
    draw_path,
    draw_text,
    fit_ticks,
    shorten_label,
)

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 52.0, 340.0, 26.0, 216.0
LONGEST_NAME, LONGEST_AXIS = 18, 50
Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class FrontPoint:
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
class FrontAxes:
    """Names and units of the two axes."""

    cost: str
    cost_unit: Unit
    gain: str
    gain_unit: Unit


def draw_pareto_front(
    key: str, title: str, scales: FrontAxes, spots: Sequence[FrontPoint]
) -> SvgDrawing:
    """Draw at least two spots, those of the front joined by a line."""
    x = PlotAxis(*_span([spot.cost for spot in spots]), LEFT, RIGHT)
    y = PlotAxis(*_span([spot.gain for spot in spots]), BOTTOM, TOP)
    names = (shorten_label(scales.cost, LONGEST_AXIS), shorten_label(scales.gain, LONGEST_AXIS))
    frame = PlotFrame(x, y, *names)
    entries = [LegendEntry("series-0", "on the front: none is cheaper without giving less", 0)]
    if not all(spot.front for spot in spots):
        entries.append(LegendEntry("series-1", "beaten by another target", 1))
    said = "; ".join(
        f"{spot.name}: {format_number(spot.cost[0], scales.cost_unit)}, "
        f"{format_number(spot.gain[0], scales.gain_unit)}"
        for spot in spots
    )
    return SvgDrawing(
        key=key,
        title=title,
        description=f"{scales.cost} and {scales.gain}, {said}. The table holds the figures.",
        width=WIDTH,
        height=round(BOTTOM) + 50 + LEGEND_STEP * len(entries),
        shapes=(
            *frame.shapes(_ticks(x, scales.cost_unit), _ticks(y, scales.gain_unit)),
            *_spots(frame, spots),
            *draw_legend(entries, 0, BOTTOM + 56),
        ),
    )


def _spots(frame: PlotFrame, spots: Sequence[FrontPoint]) -> Iterator[Markup]:
    best = sorted((spot for spot in spots if spot.front), key=lambda spot: spot.cost[0])
    if len(best) > 1:
        joined = [(frame.x.at(spot.cost[0]), frame.y.at(spot.gain[0])) for spot in best]
        yield draw_path(joined, "curve series-0")
    named: list[tuple[float, float]] = []
    for spot in spots:
        series = 0 if spot.front else 1
        x, y = frame.x.at(spot.cost[0]), frame.y.at(spot.gain[0])
        low, high = (frame.x.at(end) for end in spot.cost[1:])
        yield draw_line(low, y, high, y, f"whisker series-{series}")
        low, high = (frame.y.at(end) for end in spot.gain[1:])
        yield draw_line(x, low, x, high, f"whisker series-{series}")
        yield draw_mark(series, x, y, f"mark series-{series}")
        right = x > (LEFT + RIGHT) / 2
        name = shorten_label(spot.name, LONGEST_NAME)
        # A height near a mark at which no name stands yet: above it, else below, and on
        height = next(
            (
                height
                for height in (y + shift for shift in SHIFTS)
                if all(abs(height - other) >= LINE or abs(x - at) > REACH for at, other in named)
            ),
            y + SHIFTS[0],
        )
        named.append((x, height))
        at = x + (-8 if right else 8)
        yield draw_text(at, height, name, "label halo", "end" if right else "start")


def _span(values: Sequence[Ends]) -> tuple[float, float]:
    low, high = min(low for _, low, _ in values), max(high for *_, high in values)
    room = (high - low or abs(high) or 1.0) * 0.15
    return (0.0 if 0 <= low <= high - low else low - room), high + room


def _ticks(axis: PlotAxis, unit: Unit) -> list[tuple[float, str]]:
    return [(value, format_number(value, unit)) for value in compute_ticks(axis.low, axis.high, 4)]


PERIOD_LEFT, PERIOD_RIGHT, PERIOD_TOP, PERIOD_BOTTOM = 54.0, 340.0, 30.0, 176.0
MOST_NAMES, LONGEST_PERIOD_NAME = 5, 12
MOST_MARKS = 26
"""More marks than this would hide the line."""
PERIOD_PLOT_MARGIN = 0.12


def draw_period_plot(
    key: str, title: str, moments: Sequence[PeriodPoint], unit: Unit, limit: float | None = None
) -> SvgDrawing:
    """Draw at least one period in order; the scale is that of the figures, not from zero."""
    ends = [at for m in moments for at in (m.low, m.high)] + ([] if limit is None else [limit])
    room = (max(ends) - min(ends)) * PERIOD_PLOT_MARGIN or 0.01
    most = 1.0 if unit is Unit.SHARE else float("inf")
    low, high = max(min(ends) - room, min(0.0, *ends)), min(max(ends) + room, max(most, *ends))
    y = PlotAxis(low, high, PERIOD_BOTTOM, PERIOD_TOP)
    x = PlotAxis(-0.5, len(moments) - 0.5, PERIOD_LEFT, PERIOD_RIGHT)
    spoken = "; ".join(f"{m.name}: {format_number(round(m.value, 4), unit)}" for m in moments)
    return SvgDrawing(
        key=key,
        title=title,
        description=f"{spoken}. The table below holds the figures.",
        width=WIDTH,
        height=round(PERIOD_BOTTOM) + 28,
        shapes=tuple(_shapes(PlotFrame(x, y, "", ""), moments, unit, limit)),
    )


def _shapes(
    frame: PlotFrame, moments: Sequence[PeriodPoint], unit: Unit, limit: float | None
) -> Iterator[Markup]:
    for value in compute_ticks(frame.y.low, frame.y.high, 4):
        height = frame.y.at(value)
        yield draw_line(PERIOD_LEFT, height, PERIOD_RIGHT, height, "grid")
        yield draw_text(PERIOD_LEFT - 6, height + 4, format_number(value, unit), "tick", "end")
    yield draw_line(PERIOD_LEFT, PERIOD_BOTTOM, PERIOD_RIGHT, PERIOD_BOTTOM, "axis")
    count = len(moments)
    if count <= MOST_NAMES:
        named = tuple(range(count))
    else:
        step = (count - 1) / (MOST_NAMES - 2)
        named = tuple(round(step * at) for at in range(MOST_NAMES - 1))
    for at in named:
        name = shorten_label(moments[at].name, LONGEST_PERIOD_NAME)
        yield draw_text(frame.x.at(at), PERIOD_BOTTOM + 17, name, "tick", "middle")
    if len(moments) > 1:
        upper = [(frame.x.at(at), frame.y.at(m.high)) for at, m in enumerate(moments)]
        lower = [(frame.x.at(at), frame.y.at(m.low)) for at, m in enumerate(moments)]
        yield draw_path([*upper, *reversed(lower)], "band series-0", closed=True)
    if limit is not None:
        yield draw_line(PERIOD_LEFT, frame.y.at(limit), PERIOD_RIGHT, frame.y.at(limit), "limit")
    places = [(frame.x.at(at), frame.y.at(m.value)) for at, m in enumerate(moments)]
    if len(places) > 1:
        yield draw_path(places, "curve series-0")
    if len(places) > MOST_MARKS:
        return
    for m, (x, y) in zip(moments, places, strict=True):
        yield draw_line(x, frame.y.at(m.low), x, frame.y.at(m.high), "whisker series-0")
        yield draw_mark(0, x, y, f"mark {'doubted ' * m.doubted}series-0")


LEAST_LEFT, LINE_RIGHT, LINE_TOP, LINE_BOTTOM = 46.0, 328.0, 30.0, 190.0
"""More marks than this would hide the line."""
LINE_PLOT_MARGIN = 0.08


@dataclass(frozen=True, slots=True)
class LinePoint:
    """One point of a line with the ends of its interval."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LineAxes:
    """Names and units of the two axes."""

    x: str
    x_unit: Unit
    y: str
    y_unit: Unit


def draw_line_plot(
    key: str, title: str, scales: LineAxes, spots: Sequence[LinePoint]
) -> SvgDrawing:
    """Draw at least one spot, those that have an interval with a band; ``x`` must rise."""
    least, most = _reach([end for spot in spots for end in (spot.y, spot.low, spot.high)])
    marks = [
        (value, format_number(value, scales.y_unit)) for value in compute_ticks(least, most, 4)
    ]
    left = max(LEAST_LEFT, LETTER * max(len(words) for _, words in marks) + 12)
    x, y = (
        PlotAxis(*_reach([spot.x for spot in spots], 0), left, LINE_RIGHT),
        PlotAxis(least, most, LINE_BOTTOM, LINE_TOP),
    )
    room = int((WIDTH - left) / LETTER)
    frame = PlotFrame(x, y, shorten_label(scales.x, room), shorten_label(scales.y, room))
    below = fit_ticks(x, lambda value: format_number(value, scales.x_unit), 0.0, WIDTH)
    ends = [spots[0], spots[-1]] if len(spots) > 1 else spots
    said = "; ".join(
        f"{format_number(spot.x, scales.x_unit)}: {format_number(spot.y, scales.y_unit)}"
        for spot in ends
    )
    return SvgDrawing(
        key=key,
        title=title,
        description=f"{scales.y} by {scales.x}, first and last {said}. The table has every point.",
        width=WIDTH,
        height=round(LINE_BOTTOM) + 42,
        shapes=(*frame.shapes(below, marks), *_spots_lines(frame, spots)),
    )


def _spots_lines(frame: PlotFrame, spots: Sequence[LinePoint]) -> Iterator[Markup]:
    places = [(frame.x.at(spot.x), frame.y.at(spot.y)) for spot in spots]
    if len(places) > 1:
        upper = [(frame.x.at(spot.x), frame.y.at(spot.high)) for spot in spots]
        lower = [(frame.x.at(spot.x), frame.y.at(spot.low)) for spot in spots]
        if upper != lower:
            yield draw_path([*upper, *reversed(lower)], "band series-0", closed=True)
        yield draw_path(places, "curve series-0")
    if len(places) > MOST_MARKS:
        return
    for spot, (x, y) in zip(spots, places, strict=True):
        yield draw_line(x, frame.y.at(spot.low), x, frame.y.at(spot.high), "whisker series-0")
        yield draw_mark(0, x, y, "mark series-0")


def _reach(values: Sequence[float], room: float = LINE_PLOT_MARGIN) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        more = abs(low) * 0.1 or 1.0
        return low - more, high + more
    return low - (high - low) * room, high + (high - low) * room
