"""SVG primitives for plots: escaped elements, axes, ticks, series markers, and legends.

Every value is escaped and every drawing has an accessible name. Series differ by marker shape, not
only by color; later markers are larger, so that they stay visible behind earlier ones.
"""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from auditor.domain.report_panels import LegendEntry
from auditor.reports.wording import escape_invisible

Attribute = str | int | float


def write_element(name: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """Write one element; ``class_`` becomes ``class``, ``_`` in a name becomes ``-``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
    )
    inside = "".join(
        child if isinstance(child, Markup) else escape(escape_invisible(child))
        for child in children
    )
    # Names of elements and attributes are ours, never the record's; all else was escaped.
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704


@dataclass(frozen=True, slots=True, kw_only=True)
class SvgDrawing:
    """A picture with a name and a description that screen readers read instead of it."""

    key: str
    title: str
    description: str
    width: int
    height: int
    shapes: tuple[Markup, ...]

    def svg(self) -> Markup:
        """Write the whole drawing, named by ``<title>`` and ``<desc>``; ``key`` keeps ids apart."""
        title, description = f"{self.key}-title", f"{self.key}-desc"
        return write_element(
            "svg",
            write_element("title", self.title, id=title),
            write_element("desc", self.description, id=description),
            *self.shapes,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            aria_labelledby=f"{title} {description}",
            class_="plot",
        )


def draw_line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draw a straight line."""
    return write_element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def draw_rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """Draw a rectangle; negative sizes are drawn as nothing."""
    return write_element(
        "rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=class_
    )


def draw_path(
    points: Iterable[tuple[float, float]], class_: str, *, closed: bool = False
) -> Markup:
    """Draw a line through points."""
    steps = " L".join(f"{_value(x)} {_value(y)}" for x, y in points)
    return write_element("path", d=f"M{steps}{' Z' if closed else ''}", class_=class_)


def draw_text(
    x: float, y: float, words: str, class_: str = "label", anchor: str = "start"
) -> Markup:
    """Write words; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return write_element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def draw_dot(x: float, y: float, class_: str, radius: float = 4) -> Markup:
    """Draw a round mark."""
    return write_element("circle", cx=x, cy=y, r=radius, class_=class_)


def draw_square(x: float, y: float, class_: str, half: float = 5.5) -> Markup:
    """Draw a square mark."""
    return draw_rect(x - half, y - half, 2 * half, 2 * half, class_)


def shorten_label(words: str, most: int) -> str:
    """Cut words that would run out of the drawing; the table beside it has them whole."""
    return words if len(words) <= most else words[: most - 1] + "…"


def _value(value: Attribute) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)


_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
LETTER = 6.4
"""How wide a letter or a digit of a plot is, at most, in its own units."""


@dataclass(frozen=True, slots=True)
class PlotAxis:
    """A linear map from ``[low, high]`` to pixels ``[start, end]`` (``end`` may be the smaller)."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value; values beyond the ends are drawn at the ends."""
        if self.high <= self.low:
            return (self.start + self.end) / 2
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def compute_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return round values between ``low`` and ``high``, about ``about`` of them."""
    rough = (high - low) / max(1, about)
    if rough < sys.float_info.min:
        return (low,)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))


def fit_ticks(
    axis: PlotAxis, words: Callable[[float], str], start: float, end: float, about: int = 4
) -> tuple[tuple[float, str], ...]:
    """Return ticks of a lying axis whose words stand apart from each other, between two edges."""
    for most in range(about, 0, -1):
        named = [(value, words(value)) for value in compute_ticks(axis.low, axis.high, most)]
        boxes = [(axis.at(value), LETTER * len(said) / 2) for value, said in named]
        if all(b[0] - a[0] >= a[1] + b[1] + LETTER for a, b in pairwise(boxes)):
            break
    else:
        named, boxes = named[:1], boxes[:1]
    return tuple(
        tick
        for tick, (at, half) in zip(named, boxes, strict=True)
        if at - half >= start - LETTER and at + half <= end + LETTER
    )


@dataclass(frozen=True, slots=True)
class PlotFrame:
    """The two axes of a plot with their names."""

    x: PlotAxis
    y: PlotAxis
    x_name: str
    y_name: str

    def shapes(
        self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]
    ) -> tuple[Markup, ...]:
        """Draw grid lines, tick labels and names."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        drawn = [
            draw_text(left, top - 10, self.y_name, "axis-name"),
            draw_text(right, bottom + 34, self.x_name, "axis-name", "end"),
        ]
        for value, words in y_ticks:
            height = self.y.at(value)
            drawn.append(draw_line(left, height, right, height, "grid"))
            drawn.append(draw_text(left - 6, height + 4, words, "tick", "end"))
        for value, words in x_ticks:
            place = self.x.at(value)
            drawn.append(draw_line(place, bottom, place, bottom + 4, "axis"))
            drawn.append(draw_text(place, bottom + 17, words, "tick", "middle"))
        drawn.append(draw_line(left, bottom, right, bottom, "axis"))
        return tuple(drawn)


def compute_share_ticks() -> tuple[tuple[float, str], ...]:
    """Return the ticks of a whole share axis."""
    return tuple((value / 4, f"{value * 25} %") for value in range(5))


SERIES = 5
"""How many series a plot can tell apart."""


def draw_mark(series: int, x: float, y: float, class_: str) -> Markup:
    """Draw the mark of a series: dot, square, triangle, diamond or cross."""
    if series == 0:
        return draw_dot(x, y, class_)
    if series == 1:
        return draw_square(x, y, class_)
    return draw_path([(x + a, y + b) for a, b in _OUTLINES[series]], class_, closed=True)


_OUTLINES = {
    2: ((0, -8), (7.5, 6), (-7.5, 6)),
    3: ((0, -9), (9, 0), (0, 9), (-9, 0)),
    4: ((-3, -9), (3, -9), (3, -3), (9, -3), (9, 3), (3, 3), (3, 9), (-3, 9), (-3, 3), (-9, 3),
        (-9, -3), (-3, -3)),
}  # fmt: skip


LEGEND_STEP = 18
LONGEST_NAME = 54


def draw_legend(entries: Sequence[LegendEntry], x: float, y: float) -> list[Markup]:
    """Draw a legend whose first line stands at ``y``."""
    drawn: list[Markup] = []
    for place, entry in enumerate(entries):
        at = y + place * LEGEND_STEP
        if entry.kind == "limit":
            sample = [draw_line(x, at, x + 18, at, "limit")]
        elif entry.kind == "clean":
            sample = [draw_dot(x + 9, at, "clean", 5)]
        elif entry.kind == "zone":
            sample = [draw_rect(x, at - 6, 18, 12, "zone")]
        elif entry.kind == "doubted":
            sample = [draw_dot(x + 9, at, "mark doubted series-0")]
        else:
            sample = [
                draw_line(x, at, x + 18, at, f"curve {entry.kind}"),
                draw_mark(entry.shape, x + 9, at, f"mark {entry.kind}"),
            ]
        drawn += sample
        drawn.append(draw_text(x + 26, at + 4, shorten_label(entry.name, LONGEST_NAME), "legend"))
    return drawn
