"""SVG plots of values with confidence intervals: dot plots, strips, bars, and limit gauges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.number_text import FigureText, format_number
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.domain.report_panels import IntervalRow, LegendEntry, ShareBar
from auditor.reports.plots.svg import (
    LEGEND_STEP,
    PlotAxis,
    SvgDrawing,
    compute_ticks,
    draw_dot,
    draw_legend,
    draw_line,
    draw_mark,
    draw_path,
    draw_rect,
    draw_text,
    fit_ticks,
    shorten_label,
)
from auditor.reports.wording import format_limits, list_limit_values

WIDTH = 360
LEFT, RIGHT = 12.0, 344.0
BARS_LEFT, BARS_RIGHT = 118.0, 236.0
HEAD, ROW, GAP = 20.0, 34.0, 14.0
FOOT, BAR_ROW = 22.0, 20.0
LONGEST_TITLE, LONGEST_NAME, LONGEST_FEATURE = 54, 56, 16


@dataclass(frozen=True, slots=True)
class StripSpan:
    """A named point with its interval; ``words`` stand instead of one that cannot be drawn."""

    name: str
    value: float
    low: float
    high: float
    series: str = "series-0"
    doubted: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class PlotStrip:
    """Spans on one scale from 0 to ``most``; what lies beyond is drawn as an arrow."""

    title: str
    spans: tuple[StripSpan, ...]
    most: float
    unit: str


def draw_strips(key: str, title: str, strips: Sequence[PlotStrip]) -> SvgDrawing:
    """Draw strips of points with intervals."""
    drawn: list[Markup] = []
    top = 0.0
    for strip in strips:
        drawn += _strip(strip, top)
        top += HEAD + ROW * len(strip.spans) + FOOT + GAP
    spoken = "; ".join(
        f"{strip.title}, {span.name}: {span.words or f'{span.value:.3g} {strip.unit}'}"
        for strip in strips
        for span in strip.spans
    )
    return _drawing(key, title, spoken, top - GAP + 6, drawn)


def draw_bars(key: str, title: str, groups: Sequence[tuple[str, Sequence[ShareBar]]]) -> SvgDrawing:
    """Draw groups of bars of shares, each with its remark."""
    drawn: list[Markup] = []
    top = 0.0
    for name, bars in groups:
        drawn.append(draw_text(0, top + 12, shorten_label(name, LONGEST_TITLE), "strip-title"))
        top += HEAD
        for bar in bars:
            drawn += _bar(bar, top)
            top += BAR_ROW
        top += GAP
    spoken = "; ".join(
        f"{name}: " + ", ".join(f"{bar.name} {bar.share * 100:.0f} %" for bar in bars)
        for name, bars in groups
    )
    return _drawing(key, title, spoken, top - GAP + 6, drawn)


def _drawing(
    key: str, title: str, spoken: str, height: float, shapes: Sequence[Markup]
) -> SvgDrawing:
    return SvgDrawing(
        key=key,
        title=title,
        description=f"{spoken}. The table below holds the figures.",
        width=WIDTH,
        height=round(height),
        shapes=tuple(shapes),
    )


def _strip(strip: PlotStrip, top: float) -> Iterator[Markup]:
    axis = PlotAxis(0.0, strip.most, LEFT, RIGHT)
    first = top + HEAD
    bottom = first + ROW * len(strip.spans)
    yield draw_text(0, top + 12, shorten_label(strip.title, LONGEST_TITLE), "strip-title")
    for value in compute_ticks(0.0, strip.most, 4):
        place = axis.at(value)
        anchor = "end" if place > RIGHT - 12 else "middle"
        yield draw_line(place, first, place, bottom, "grid")
        yield draw_text(place, bottom + 15, f"{value:g}", "tick", anchor)
    yield draw_line(LEFT, bottom, RIGHT, bottom, "axis")
    for index, span in enumerate(strip.spans):
        yield from _span(axis, span, first + ROW * index)


def _span(axis: PlotAxis, span: StripSpan, top: float) -> Iterator[Markup]:
    y = top + 24
    yield draw_text(LEFT, top + 12, shorten_label(span.name, LONGEST_NAME), "label halo")
    if span.words:
        yield draw_text(LEFT, y + 4, span.words, "tick halo")
        return
    low, high = axis.at(span.low), axis.at(span.high)
    yield draw_line(low, y, high, y, f"whisker {span.series}")
    yield draw_line(low, y - 4, low, y + 4, f"whisker {span.series}")
    if span.high > axis.high:
        yield draw_path([(high - 6, y - 4), (high, y), (high - 6, y + 4)], f"beyond {span.series}")
    else:
        yield draw_line(high, y - 4, high, y + 4, f"whisker {span.series}")
    yield draw_dot(
        axis.at(span.value), y, f"mark {'doubted ' if span.doubted else ''}{span.series}"
    )


def _bar(bar: ShareBar, top: float) -> Iterator[Markup]:
    y = top + BAR_ROW / 2
    whole = BARS_RIGHT - BARS_LEFT
    yield draw_text(BARS_LEFT - 8, y + 4, shorten_label(bar.name, LONGEST_FEATURE), "label", "end")
    yield draw_rect(BARS_LEFT, y - 6, whole, 12, "trough")
    yield draw_rect(BARS_LEFT, y - 6, whole * min(1.0, max(0.0, bar.share)), 12, "bar series-0")
    yield draw_text(BARS_RIGHT + 8, y + 4, bar.remark, "tick")


TARGET_LEFT, TARGET_RIGHT = 112.0, 336.0
TARGET_HEAD, TARGET_PLACE, TARGET_ROW, TARGET_FOOT, TARGET_GAP = 20.0, 14.0, 22.0, 22.0, 12.0
TARGET_LONGEST_TITLE, LONGEST_PLACE, TARGET_LONGEST_NAME, LONGEST_WORDS = 56, 56, 16, 42
TARGET_NAMES = TARGET_LEFT - 24.0
"""Where what stands left of a lane ends, below its names."""
NATIVE, PLAYED = 0, 1


@dataclass(frozen=True, slots=True)
class TargetDot:
    """A target's figure with the ends of its interval; ``words`` stand where there is none."""

    name: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    played: bool = False
    doubted: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class TargetLane:
    """One figure on every target, ``place`` says at which coordinates; ``better`` which way."""

    title: str
    place: str
    unit: Unit
    better: str
    dots: tuple[TargetDot, ...]

    @property
    def head(self) -> float:
        """Room above the dots."""
        return TARGET_HEAD + TARGET_PLACE if self.place else TARGET_HEAD

    @property
    def height(self) -> float:
        """Room that the whole takes, with the gap below."""
        return self.head + TARGET_ROW * len(self.dots) + TARGET_FOOT + TARGET_GAP


def draw_target_plot(key: str, title: str, lanes: Sequence[TargetLane]) -> SvgDrawing:
    """Draw lanes, each with a dot that is a number at least."""
    drawn: list[Markup] = []
    top = 0.0
    for lane in lanes:
        drawn += _lane(lane, top)
        top += lane.height
    dots = [dot for lane in lanes for dot in lane.dots]
    entries = []
    if any(dot.played for dot in dots):
        entries.append(LegendEntry("series-0", "run on the target", NATIVE))
        entries.append(
            LegendEntry("series-1", "run on an emulator or a simulator of the target", PLAYED)
        )
    if any(dot.doubted for dot in dots):
        entries.append(LegendEntry("doubted", "not to be believed"))
    spoken = "; ".join(f"{lane.title}: {_spoken(lane)}" for lane in lanes)
    return SvgDrawing(
        key=key,
        title=title,
        description=f"{spoken}. The table below holds the intervals.",
        width=WIDTH,
        height=round(top) + LEGEND_STEP * len(entries),
        shapes=(*drawn, *draw_legend(entries, 0, top + 4)),
    )


def compute_axis_range(lane: TargetLane) -> tuple[float, float]:
    """Return the ends of an axis that shows what differs, and zero where it is near."""
    drawn = [dot for dot in lane.dots if not dot.words]
    low, high = min(dot.low for dot in drawn), max(dot.high for dot in drawn)
    room = (high - low or abs(high) or 1.0) * 0.12
    least = 0.0 if 0 <= low <= (high - low) else low - room
    if lane.unit is Unit.SHARE and low >= 0 and high <= 1:
        return max(0.0, least), min(1.0, high + room)
    return least, high + room


def _lane(lane: TargetLane, top: float) -> Iterator[Markup]:
    axis = PlotAxis(*compute_axis_range(lane), TARGET_LEFT, TARGET_RIGHT)
    first = top + lane.head
    bottom = first + TARGET_ROW * len(lane.dots)
    yield draw_text(0, top + 12, shorten_label(lane.title, TARGET_LONGEST_TITLE), "strip-title")
    if lane.place:
        yield draw_text(
            0, top + 12 + TARGET_PLACE, shorten_label(lane.place, LONGEST_PLACE), "tick"
        )
    ticks = fit_ticks(axis, lambda value: format_number(value, lane.unit), TARGET_NAMES, WIDTH)
    for value, words in ticks:
        yield draw_line(axis.at(value), first, axis.at(value), bottom, "grid")
        yield draw_text(axis.at(value), bottom + 15, words, "tick", "middle")
    yield draw_line(TARGET_LEFT, bottom, TARGET_RIGHT, bottom, "axis")
    yield draw_text(0, bottom + 15, lane.better, "tick")
    for index, dot in enumerate(lane.dots):
        yield from _dot(axis, dot, first + TARGET_ROW * (index + 0.5))


def _dot(axis: PlotAxis, dot: TargetDot, y: float) -> Iterator[Markup]:
    yield draw_text(
        TARGET_LEFT - 10, y + 4, shorten_label(dot.name, TARGET_LONGEST_NAME), "label", "end"
    )
    if dot.words:
        yield draw_text(
            TARGET_LEFT + 4, y + 4, shorten_label(dot.words, LONGEST_WORDS), "tick halo"
        )
        return
    kind = PLAYED if dot.played else NATIVE
    series = f"series-{kind}"
    yield draw_line(axis.at(dot.low), y, axis.at(dot.high), y, f"whisker {series}")
    for end in (dot.low, dot.high):
        yield draw_line(axis.at(end), y - 4, axis.at(end), y + 4, f"whisker {series}")
    yield draw_mark(kind, axis.at(dot.value), y, f"mark {'doubted ' * dot.doubted}{series}")


def _spoken(lane: TargetLane) -> str:
    return ", ".join(
        f"{dot.name} {dot.words or format_number(dot.value, lane.unit)}" for dot in lane.dots
    )


GAUGE_WIDTH, GAUGE_HEIGHT = 360, 72
GAUGE_LEFT, GAUGE_RIGHT = 14.0, GAUGE_WIDTH - 14.0
TRACK, THICK = 26.0, 16.0
WHOLE_RANGE = 0.4
"""A share that spans more than this is shown from 0 to 1, where the eye knows its way."""


def draw_gauge(
    key: str, measurement: Measurement, limits: MetricLimits, words: FigureText
) -> SvgDrawing | None:
    """Draw a numeric figure against its limit; ``None`` for a yes, a no or a text."""
    value = measurement.value
    if isinstance(value, bool | str) or value is None or not list_limit_values(limits):
        return None
    low = value if measurement.low is None else measurement.low
    high = value if measurement.high is None else measurement.high
    axis = PlotAxis(
        *_domain(measurement.unit, [low, high, value, *list_limit_values(limits)]),
        GAUGE_LEFT,
        GAUGE_RIGHT,
    )
    asked = format_limits(limits, measurement.unit)
    kept_from = axis.start if limits.least is None else axis.at(limits.least)
    kept_to = axis.end if limits.most is None else axis.at(limits.most)
    zones = (
        draw_rect(axis.start, TRACK, kept_from - axis.start, THICK, "broken"),
        draw_rect(kept_from, TRACK, kept_to - kept_from, THICK, "kept"),
        draw_rect(kept_to, TRACK, axis.end - kept_to, THICK, "broken"),
    )
    bound = measurement.bound
    middle = TRACK + THICK / 2
    first, last, place = axis.at(low), axis.at(high), axis.at(value)
    drawn = [draw_line(first, middle, last, middle, "interval")]
    drawn += [draw_line(x, middle - 5, x, middle + 5, "interval") for x in (first, last)]
    if bound is BoundKind.AT_MOST:
        drawn.append(_arrow(first, middle, -1, axis))
    elif bound is BoundKind.AT_LEAST:
        drawn.append(_arrow(last, middle, 1, axis))
    drawn.append(draw_dot(place, middle, "point", 4.5))
    return SvgDrawing(
        key=key,
        title="Figure and limit",
        description=f"The figure is {words.whole}. Required: {asked}.",
        width=GAUGE_WIDTH,
        height=GAUGE_HEIGHT,
        shapes=(
            *zones,
            *_marks(axis, limits, measurement.unit),
            *drawn,
            *_ticks(axis, measurement.unit),
        ),
    )


def _domain(unit: Unit, values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if unit is Unit.SHARE and low >= 0 and high <= 1 and high - low > WHOLE_RANGE:
        return 0.0, 1.0
    room = (high - low or abs(high) or 1.0) * 0.35
    low, high = (0.0 if 0 <= low <= room * 2 else low - room), high + room
    if unit is Unit.SHARE and min(values) >= 0 and max(values) <= 1:
        return max(0.0, low), min(1.0, high)
    return low, high


def _marks(axis: PlotAxis, limits: MetricLimits, unit: Unit) -> tuple[Markup, ...]:
    drawn: list[Markup] = []
    for end, words in ((limits.least, "at least"), (limits.most, "at most")):
        if end is None:
            continue
        place = axis.at(end)
        anchor = "end" if place > GAUGE_WIDTH * 0.6 else "start"
        shift = -5 if anchor == "end" else 5
        drawn.append(draw_line(place, 8, place, TRACK + THICK + 5, "limit"))
        drawn.append(
            draw_text(
                place + shift, 17, f"{words} {format_number(end, unit)}", "limit-name", anchor
            )
        )
    return tuple(drawn)


def _arrow(x: float, y: float, way: int, axis: PlotAxis) -> Markup:
    tip = min(max(x + way * 16, axis.start - 10), axis.end + 10)
    head = [(tip - way * 5, y - 4), (tip, y), (tip - way * 5, y + 4)]
    return draw_path([(x, y), (tip, y)], "open-end") + draw_path(head, "open-end-head")


def _ticks(axis: PlotAxis, unit: Unit) -> tuple[Markup, ...]:
    bottom = TRACK + THICK
    drawn = [draw_line(axis.start, bottom, axis.end, bottom, "axis")]
    for value in compute_ticks(axis.low, axis.high, 4):
        place = axis.at(value)
        anchor = (
            "start" if place < GAUGE_LEFT + 8 else "end" if place > GAUGE_RIGHT - 8 else "middle"
        )
        drawn.append(draw_line(place, bottom, place, bottom + 4, "axis"))
        drawn.append(draw_text(place, bottom + 17, format_number(value, unit), "tick", anchor))
    return tuple(drawn)


INTERVAL_LEFT, INTERVAL_RIGHT = 118.0, 344.0
TOP, STEP, CLOSE = 12.0, 24.0, 13.0
LONGEST_ROW_NAME = 17
ROUNDING = 1e-9


def draw_interval_rows(  # noqa: PLR0913 -- rows, and what may be drawn beside them
    key: str,
    title: str,
    rows: Sequence[IntervalRow],
    unit: Unit,
    *,
    ideal: float | None = None,
    entries: Sequence[LegendEntry] = (),
) -> SvgDrawing:
    """Draw rows of point and interval: shares on the whole scale, all else from zero or below.

    Shares below 0 or above 1, as their differences may be, are drawn as all else is. A row without
    a name belongs to the one above it, and stands close; a broken line marks the ``ideal``, where
    there is one; ``entries`` are a legend.
    """
    places: list[float] = []
    for places_row in rows:
        step = STEP if places_row.name else CLOSE
        places.append(places[-1] + step if places else TOP + STEP / 2)
    bottom = places[-1] + STEP / 2
    least, most = _scale(rows, unit, 0.0 if ideal is None else ideal)
    axis = PlotAxis(least, most, INTERVAL_LEFT, INTERVAL_RIGHT)
    drawn = _grid(axis, bottom, unit)
    if ideal is not None:
        drawn.insert(0, draw_line(axis.at(ideal), TOP - 8, axis.at(ideal), bottom, "ideal"))
    for row, place in zip(rows, places, strict=True):
        drawn += _row(axis, row, place)
    drawn += draw_legend(entries, INTERVAL_LEFT, bottom + 36)
    return SvgDrawing(
        key=key,
        title=title,
        description="; ".join(
            f"{row.name}: {format_number(row.value, unit)}" for row in rows if row.name
        )
        + ". The table below holds the intervals.",
        width=WIDTH,
        height=round(bottom + 26 + LEGEND_STEP * len(entries)),
        shapes=tuple(drawn),
    )


def _grid(axis: PlotAxis, bottom: float, unit: Unit) -> list[Markup]:
    drawn: list[Markup] = []
    for value, words in fit_ticks(axis, lambda value: format_number(value, unit), 0.0, WIDTH):
        place = axis.at(value)
        drawn.append(draw_line(place, TOP - 8, place, bottom, "grid"))
        drawn.append(draw_text(place, bottom + 16, words, "tick", "middle"))
    return drawn


def _scale(rows: Sequence[IntervalRow], unit: Unit, ideal: float) -> tuple[float, float]:
    least, most = min(ideal, *(row.low for row in rows)), max(ideal, *(row.high for row in rows))
    if unit is Unit.SHARE and least >= -ROUNDING and most <= 1 + ROUNDING:
        return 0.0, 1.0
    beyond = max(most, 0.0) * 1.08
    return min(least, 0.0) * 1.08, beyond or (0.0 if least < 0 else 1.0)


def _row(axis: PlotAxis, row: IntervalRow, y: float) -> list[Markup]:
    low, high, series = axis.at(row.low), axis.at(row.high), f"series-{row.series}"
    return [
        draw_text(
            INTERVAL_LEFT - 10,
            y + 4,
            shorten_label(row.name, LONGEST_ROW_NAME),
            "label",
            "end",
        ),
        draw_line(low, y, high, y, f"whisker {series}"),
        draw_line(low, y - 4, low, y + 4, f"whisker {series}"),
        draw_line(high, y - 4, high, y + 4, f"whisker {series}"),
        draw_mark(row.series, axis.at(row.value), y, f"mark {'doubted ' * row.doubted}{series}"),
    ]


CHANGE_WIDTH, CHANGE_HEIGHT = 200, 52
CHANGE_LEFT, CHANGE_RIGHT = 16.0, 184.0
BEFORE, AFTER, CHANGE_FOOT = 9.0, 24.0, 34.0
TICKS, NEAR = 5, 14.0
Ends = tuple[float, float, float]
"""A value, and the ends of its interval."""


def draw_change_strip(key: str, title: str, before: Ends, after: Ends, unit: Unit) -> SvgDrawing:
    """Draw a figure before (a dot) above the same after (a square), as wide as both reach."""
    low, high = min(*before, *after), max(*before, *after)
    axis = PlotAxis(low, high, CHANGE_LEFT, CHANGE_RIGHT)
    drawn = [draw_line(CHANGE_LEFT, CHANGE_FOOT, CHANGE_RIGHT, CHANGE_FOOT, "axis")]
    # One round value near each end, so that their labels stand apart
    found = compute_ticks(low, high, TICKS)
    shown = found if len(found) <= 1 else (found[0], found[-1])
    for value in shown:
        place = axis.at(value)
        anchor = (
            "start"
            if place < CHANGE_LEFT + NEAR
            else "end"
            if place > CHANGE_RIGHT - NEAR
            else "middle"
        )
        drawn.append(draw_line(place, 2, place, CHANGE_FOOT, "grid"))
        drawn.append(draw_text(place, CHANGE_FOOT + 14, format_number(value, unit), "tick", anchor))
    for series, (one, y) in enumerate(((before, BEFORE), (after, AFTER))):
        moves_value, moves_low, moves_high = (axis.at(item) for item in one)
        name = f"series-{series}"
        drawn += [
            draw_line(moves_low, y, moves_high, y, f"whisker {name}"),
            draw_line(moves_low, y - 4, moves_low, y + 4, f"whisker {name}"),
            draw_line(moves_high, y - 4, moves_high, y + 4, f"whisker {name}"),
            draw_mark(series, moves_value, y, f"mark {name}"),
        ]
    then, now = format_number(before[0], unit), format_number(after[0], unit)
    return SvgDrawing(
        key=key,
        title=title,
        description=f"Before: {then}; after: {now}. The same row holds the intervals.",
        width=CHANGE_WIDTH,
        height=CHANGE_HEIGHT,
        shapes=tuple(drawn),
    )
