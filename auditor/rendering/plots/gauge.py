"""One figure with its interval, drawn against the limit that a rule sets."""

from collections.abc import Sequence

from markupsafe import Markup

from auditor.domain.policies import Limits
from auditor.domain.readings import Bound, Measurement, Unit
from auditor.rendering.numbers import Figure, number
from auditor.rendering.phrases import limit_values, limits_text
from auditor.rendering.plots.axes import Axis, ticks
from auditor.rendering.plots.svg import Drawing, dot, line, path, rect, text

WIDTH, HEIGHT = 360, 72
LEFT, RIGHT = 14.0, WIDTH - 14.0
TRACK, THICK = 26.0, 16.0
WHOLE_RANGE = 0.4
"""A share that spans more than this is shown from 0 to 1, where the eye knows its way."""


def gauge(key: str, measurement: Measurement, limits: Limits, words: Figure) -> Drawing | None:
    """Draw a numeric figure against its limit; ``None`` for a yes, a no or a text."""
    value = measurement.value
    if isinstance(value, bool | str) or value is None or not limit_values(limits):
        return None
    low = value if measurement.low is None else measurement.low
    high = value if measurement.high is None else measurement.high
    axis = Axis(*_domain(measurement.unit, [low, high, value, *limit_values(limits)]), LEFT, RIGHT)
    asked = limits_text(limits, measurement.unit)
    return Drawing(
        key=key,
        title="Figure and limit",
        description=f"The figure is {words.whole}. The rule asks for {asked}.",
        width=WIDTH,
        height=HEIGHT,
        shapes=(
            *_zones(axis, limits),
            *_marks(axis, limits, measurement.unit),
            *_interval(axis, low, value, high, measurement.bound),
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


def _zones(axis: Axis, limits: Limits) -> tuple[Markup, ...]:
    kept_from = axis.start if limits.least is None else axis.at(limits.least)
    kept_to = axis.end if limits.most is None else axis.at(limits.most)
    return (
        rect(axis.start, TRACK, kept_from - axis.start, THICK, "broken"),
        rect(kept_from, TRACK, kept_to - kept_from, THICK, "kept"),
        rect(kept_to, TRACK, axis.end - kept_to, THICK, "broken"),
    )


def _marks(axis: Axis, limits: Limits, unit: Unit) -> tuple[Markup, ...]:
    drawn: list[Markup] = []
    for end, words in ((limits.least, "at least"), (limits.most, "at most")):
        if end is None:
            continue
        place = axis.at(end)
        anchor = "end" if place > WIDTH * 0.6 else "start"
        shift = -5 if anchor == "end" else 5
        drawn.append(line(place, 8, place, TRACK + THICK + 5, "limit"))
        drawn.append(text(place + shift, 17, f"{words} {number(end, unit)}", "limit-name", anchor))
    return tuple(drawn)


def _interval(
    axis: Axis, low: float, value: float, high: float, bound: Bound
) -> tuple[Markup, ...]:
    middle = TRACK + THICK / 2
    first, last, place = axis.at(low), axis.at(high), axis.at(value)
    drawn = [line(first, middle, last, middle, "interval")]
    drawn += [line(x, middle - 5, x, middle + 5, "interval") for x in (first, last)]
    if bound is Bound.AT_MOST:
        drawn.append(_arrow(first, middle, -1, axis))
    elif bound is Bound.AT_LEAST:
        drawn.append(_arrow(last, middle, 1, axis))
    drawn.append(dot(place, middle, "point", 4.5))
    return tuple(drawn)


def _arrow(x: float, y: float, way: int, axis: Axis) -> Markup:
    tip = min(max(x + way * 16, axis.start - 10), axis.end + 10)
    head = [(tip - way * 5, y - 4), (tip, y), (tip - way * 5, y + 4)]
    return path([(x, y), (tip, y)], "open-end") + path(head, "open-end-head")


def _ticks(axis: Axis, unit: Unit) -> tuple[Markup, ...]:
    bottom = TRACK + THICK
    drawn = [line(axis.start, bottom, axis.end, bottom, "axis")]
    for value in ticks(axis.low, axis.high, 4):
        place = axis.at(value)
        anchor = "start" if place < LEFT + 8 else "end" if place > RIGHT - 8 else "middle"
        drawn.append(line(place, bottom, place, bottom + 4, "axis"))
        drawn.append(text(place, bottom + 17, number(value, unit), "tick", anchor))
    return tuple(drawn)
