"""Strips of rows one below the other, each strip on a scale of its own: points, or bars."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.rendering.plots.axes import Axis, ticks
from auditor.rendering.plots.svg import Drawing, dot, line, path, rect, shortened, text

WIDTH = 360
LEFT, RIGHT = 12.0, 344.0
BARS_LEFT, BARS_RIGHT = 118.0, 236.0
HEAD, ROW, GAP = 20.0, 34.0, 14.0
FOOT, BAR_ROW = 22.0, 20.0
LONGEST_TITLE, LONGEST_NAME, LONGEST_FEATURE = 54, 56, 16


@dataclass(frozen=True, slots=True)
class Span:
    """A named point with its interval; ``words`` stand instead of one that cannot be drawn."""

    name: str
    value: float
    low: float
    high: float
    series: str = "series-0"
    doubted: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """Spans on one scale from 0 to ``most``; what lies beyond is drawn as an arrow."""

    title: str
    spans: tuple[Span, ...]
    most: float
    unit: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A named share, and a remark that stands beside its bar."""

    name: str
    share: float
    remark: str


def strip_plot(key: str, title: str, strips: Sequence[Strip]) -> Drawing:
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


def bar_plot(key: str, title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> Drawing:
    """Draw groups of bars of shares, each with its remark."""
    drawn: list[Markup] = []
    top = 0.0
    for name, bars in groups:
        drawn.append(text(0, top + 12, shortened(name, LONGEST_TITLE), "strip-title"))
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


def _drawing(key: str, title: str, spoken: str, height: float, shapes: Sequence[Markup]) -> Drawing:
    return Drawing(
        key=key,
        title=title,
        description=f"{spoken}. The table below holds the figures.",
        width=WIDTH,
        height=round(height),
        shapes=tuple(shapes),
    )


def _strip(strip: Strip, top: float) -> Iterator[Markup]:
    axis = Axis(0.0, strip.most, LEFT, RIGHT)
    first = top + HEAD
    bottom = first + ROW * len(strip.spans)
    yield text(0, top + 12, shortened(strip.title, LONGEST_TITLE), "strip-title")
    for value in ticks(0.0, strip.most, 4):
        place = axis.at(value)
        anchor = "end" if place > RIGHT - 12 else "middle"
        yield line(place, first, place, bottom, "grid")
        yield text(place, bottom + 15, f"{value:g}", "tick", anchor)
    yield line(LEFT, bottom, RIGHT, bottom, "axis")
    for index, span in enumerate(strip.spans):
        yield from _span(axis, span, first + ROW * index)


def _span(axis: Axis, span: Span, top: float) -> Iterator[Markup]:
    y = top + 24
    yield text(LEFT, top + 12, shortened(span.name, LONGEST_NAME), "label halo")
    if span.words:
        yield text(LEFT, y + 4, span.words, "tick halo")
        return
    low, high = axis.at(span.low), axis.at(span.high)
    yield line(low, y, high, y, f"whisker {span.series}")
    yield line(low, y - 4, low, y + 4, f"whisker {span.series}")
    if span.high > axis.high:
        yield path([(high - 6, y - 4), (high, y), (high - 6, y + 4)], f"beyond {span.series}")
    else:
        yield line(high, y - 4, high, y + 4, f"whisker {span.series}")
    yield dot(axis.at(span.value), y, f"mark {'doubted ' if span.doubted else ''}{span.series}")


def _bar(bar: Bar, top: float) -> Iterator[Markup]:
    y = top + BAR_ROW / 2
    whole = BARS_RIGHT - BARS_LEFT
    yield text(BARS_LEFT - 8, y + 4, shortened(bar.name, LONGEST_FEATURE), "label", "end")
    yield rect(BARS_LEFT, y - 6, whole, 12, "trough")
    yield rect(BARS_LEFT, y - 6, whole * min(1.0, max(0.0, bar.share)), 12, "bar series-0")
    yield text(BARS_RIGHT + 8, y + 4, bar.remark, "tick")
