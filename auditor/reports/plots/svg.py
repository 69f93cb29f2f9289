"""Scales, ticks and the frame of a plot."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from auditor.rendering.plots.svg import line, text

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
LETTER = 6.4
"""How wide a letter or a digit of a plot is, at most, in its own units."""


@dataclass(frozen=True, slots=True)
class Axis:
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


def ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return round values between ``low`` and ``high``, about ``about`` of them."""
    rough = (high - low) / max(1, about)
    if rough < sys.float_info.min:
        return (low,)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))


def fitting(
    axis: Axis, words: Callable[[float], str], start: float, end: float, about: int = 4
) -> tuple[tuple[float, str], ...]:
    """Return ticks of a lying axis whose words stand apart from each other, between two edges."""
    for most in range(about, 0, -1):
        named = [(value, words(value)) for value in ticks(axis.low, axis.high, most)]
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
class Frame:
    """The two axes of a plot with their names."""

    x: Axis
    y: Axis
    x_name: str
    y_name: str

    def shapes(
        self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]
    ) -> tuple[Markup, ...]:
        """Draw grid lines, tick labels and names."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        drawn = [
            text(left, top - 10, self.y_name, "axis-name"),
            text(right, bottom + 34, self.x_name, "axis-name", "end"),
        ]
        for value, words in y_ticks:
            height = self.y.at(value)
            drawn.append(line(left, height, right, height, "grid"))
            drawn.append(text(left - 6, height + 4, words, "tick", "end"))
        for value, words in x_ticks:
            place = self.x.at(value)
            drawn.append(line(place, bottom, place, bottom + 4, "axis"))
            drawn.append(text(place, bottom + 17, words, "tick", "middle"))
        drawn.append(line(left, bottom, right, bottom, "axis"))
        return tuple(drawn)


def share_ticks() -> tuple[tuple[float, str], ...]:
    """Return the ticks of a whole share axis."""
    return tuple((value / 4, f"{value * 25} %") for value in range(5))
