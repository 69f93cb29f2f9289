"""Elementwise operators between two lines, over the interval that their input lies in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.normalising import STANDARD

BLUR = 1e-6
"""How far runtimes' rational approximations of sigmoid and tanh may lie from the truth."""
NARROW = 1e-9
"""Intervals narrower than this are taken for points: a chord through them has no safe slope."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """``low_slope * x + low`` is nowhere above a curve in an interval, the other nowhere below."""

    low_slope: Tensor
    low: Tensor
    high_slope: Tensor
    high: Tensor


Relax: TypeAlias = Callable[[Attributes, list[float | None], Tensor, Tensor], Lines]


@dataclass(frozen=True, slots=True)
class Curve:
    """A growing function: ``relax`` puts lines around it, ``blur`` is how far a target may stray.

    Where ``relative``, that is a share of the value's size. ``grows`` says whether the curve does,
    given its attributes.
    """

    relax: Relax
    blur: float = 0.0
    relative: float = 0.0
    grows: Callable[[Attributes], bool] = lambda _: True


def relu(_: Attributes, __: list[float | None], low: Tensor, high: Tensor) -> Lines:
    """Return the lines of Zhang et al. (2018, arXiv 1811.00866), table 2, slopes chosen by area."""
    return _bent(0.0, low, high)


def leaky_relu(said: Attributes, _: list[float | None], low: Tensor, high: Tensor) -> Lines:
    """Return the lines of a convex curve with one bend."""
    return _bent(said.number("alpha", 0.01), low, high)


def clip(said: Attributes, limits: list[float | None], low: Tensor, high: Tensor) -> Lines:
    """Return the lines of a straight middle between two level ends."""
    least = limits[0] if limits else None
    most = limits[1] if len(limits) > 1 else None
    least = said.number("min", -torch.inf) if least is None else least
    most = said.number("max", torch.inf) if most is None else most
    return _clipped(low, high, least, most)


def hard_sigmoid(said: Attributes, _: list[float | None], low: Tensor, high: Tensor) -> Lines:
    """Return the lines of ``alpha * x + beta``, clipped to 0..1; ``alpha`` is above 0."""
    slope, shift = said.number("alpha", 0.2), said.number("beta", 0.5)
    of = _clipped(slope * low + shift, slope * high + shift, 0.0, 1.0)
    return Lines(
        of.low_slope * slope,
        of.low + of.low_slope * shift,
        of.high_slope * slope,
        of.high + of.high_slope * shift,
    )


def sigmoid(_: Attributes, __: list[float | None], low: Tensor, high: Tensor) -> Lines:
    """Return the lines of the logistic function."""
    return _bell(torch.sigmoid, lambda y: y * (1 - y), low, high)


def tanh(_: Attributes, __: list[float | None], low: Tensor, high: Tensor) -> Lines:
    """Return the lines of the hyperbolic tangent."""
    return _bell(torch.tanh, lambda y: 1 - y * y, low, high)


def _bent(alpha: float, low: Tensor, high: Tensor) -> Lines:
    span = (high - low).clamp(min=NARROW)
    chord = (high - alpha * low) / span
    straight = (low >= 0) | (high <= 0)
    same = torch.where(low >= 0, 1.0, alpha)
    near = torch.where(high >= -low, 1.0, alpha)
    zero = torch.zeros_like(low)
    return Lines(
        torch.where(straight, same, near),
        zero,
        torch.where(straight, same, chord),
        torch.where(straight, zero, (alpha - chord) * low),
    )


def _clipped(low: Tensor, high: Tensor, least: float, most: float) -> Lines:
    """Lower: level, or the line from the first bend to the far end; upper: mirrored."""
    one, zero = torch.ones_like(low), torch.zeros_like(low)
    below, above = high <= least, low >= most
    inside = (low >= least) & (high <= most)
    bottom, top = low.clamp(least, most), high.clamp(least, most)
    start, end = low.clamp(min=least), high.clamp(max=most)
    up = ((top - start) / (high - start).clamp(min=NARROW)).clamp(0, 1)
    down = ((end - bottom) / (end - low).clamp(min=NARROW)).clamp(0, 1)
    level = below | above
    # the lower line may as well be level where the first bend takes the larger part
    up = torch.where((start - low > high - start) & (low < least), zero, up)
    down = torch.where((high - end > end - low) & (high > most), zero, down)
    low_slope = torch.where(inside, one, torch.where(level, zero, up))
    high_slope = torch.where(inside, one, torch.where(level, zero, down))
    return Lines(
        low_slope,
        torch.where(inside, zero, torch.where(level, bottom, bottom - low_slope * start)),
        high_slope,
        torch.where(inside, zero, torch.where(level, top, top - high_slope * end)),
    )


def _bell(
    curve: Callable[[Tensor], Tensor], steepness: Callable[[Tensor], Tensor], low: Tensor,
    high: Tensor,
) -> Lines:  # fmt: skip
    """Lines around a curve that is convex up to 0 and concave beyond (its slope is a bell).

    On one side of 0 a chord and a tangent; across 0 two lines through the ends with the smaller
    slope of both: the curve less such a line still grows (Singh et al. 2018, DeepZ, theorem 3.2).
    """
    bottom, top = curve(low), curve(high)
    least = torch.minimum(steepness(bottom), steepness(top))
    middle = curve((low + high) / 2)
    tangent = steepness(middle)
    at = middle - tangent * (low + high) / 2
    span = high - low
    chord = torch.where(span > NARROW, (top - bottom) / span.clamp(min=NARROW), least)
    across = (low < 0) & (high > 0) | (span <= NARROW)
    concave = low >= 0
    return Lines(
        torch.where(across, least, torch.where(concave, chord, tangent)),
        torch.where(across, bottom - least * low, torch.where(concave, bottom - chord * low, at)),
        torch.where(across, least, torch.where(concave, tangent, chord)),
        torch.where(across, top - least * high, torch.where(concave, at, bottom - chord * low)),
    )


CURVES: Mapping[tuple[str, str], Curve] = {
    (STANDARD, "Relu"): Curve(relu),
    (STANDARD, "LeakyRelu"): Curve(
        leaky_relu, relative=2**-22, grows=lambda said: 0 <= said.number("alpha", 0.01) <= 1
    ),
    (STANDARD, "Clip"): Curve(clip),
    (STANDARD, "HardSigmoid"): Curve(
        hard_sigmoid, blur=BLUR, grows=lambda said: said.number("alpha", 0.2) > 0
    ),
    (STANDARD, "Sigmoid"): Curve(sigmoid, blur=BLUR),
    (STANDARD, "Tanh"): Curve(tanh, blur=BLUR),
}
"""Every elementwise operator that lines can be put around, by domain and name."""
