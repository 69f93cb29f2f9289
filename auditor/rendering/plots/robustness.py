"""Accuracy under attack as the attack's budget grows."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.rendering.numbers import scalar
from auditor.rendering.plots.axes import Axis, Frame, share_ticks
from auditor.rendering.plots.svg import Drawing, dot, line, path, shortened, square, text

WIDTH, LEGEND_STEP = 360, 17
LEFT, RIGHT, TOP, BOTTOM = 46.0, 346.0, 30.0, 196.0
LONGEST_NAME = 44


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accuracy at one budget, with the ends of its interval."""

    eps: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What one attack found, by growing budget."""

    name: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class LimitMark:
    """A limit that a rule sets at one budget."""

    eps: float
    least: float


def robustness_plot(
    key: str, curves: Sequence[Curve], clean: CurvePoint | None, limits: Sequence[LimitMark]
) -> Drawing:
    """Draw up to two curves with interval bands, clean accuracy at 0, and the limits."""
    most = max(point.eps for curve in curves for point in curve.points)
    frame = Frame(
        x=Axis(0.0, most * 1.06, LEFT, RIGHT),
        y=Axis(0.0, 1.0, BOTTOM, TOP),
        x_name="budget of the attack (eps)",
        y_name="still classified correctly",
    )
    budgets = sorted({point.eps for curve in curves for point in curve.points})
    names = [(0.0, "0"), *((eps, scalar(eps)) for eps in _apart(budgets, frame.x))]
    drawn = list(frame.shapes(names, share_ticks()))
    for index, curve in enumerate(curves):
        drawn += _curve(frame, curve, clean, index)
    drawn += [_limit(frame, mark) for mark in limits]
    if clean is not None:
        drawn.append(dot(frame.x.at(0), frame.y.at(clean.value), "clean", 5))
    drawn += _legend(curves, clean, limits=bool(limits))
    spoken = "; ".join(f"{curve.name}: {_spoken(curve)}" for curve in curves)
    return Drawing(
        key=key,
        title="Accuracy under attack",
        description=f"By growing budget, {spoken}. The table below holds the figures.",
        width=WIDTH,
        height=round(BOTTOM) + 48 + LEGEND_STEP * _entries(curves, clean, limits),
        shapes=tuple(drawn),
    )


def _curve(frame: Frame, curve: Curve, clean: CurvePoint | None, index: int) -> list[Markup]:
    points = ([] if clean is None else [clean]) + list(curve.points)
    x = [frame.x.at(point.eps) for point in points]
    upper = [(place, frame.y.at(point.high)) for place, point in zip(x, points, strict=True)]
    lower = [(place, frame.y.at(point.low)) for place, point in zip(x, points, strict=True)]
    middle = [(place, frame.y.at(point.value)) for place, point in zip(x, points, strict=True)]
    mark = dot if index == 0 else square
    return [
        path([*upper, *reversed(lower)], f"band series-{index}", closed=True),
        path(middle, f"curve series-{index}"),
        *(mark(a, b, f"mark series-{index}") for a, b in middle[0 if clean is None else 1 :]),
    ]


def _limit(frame: Frame, mark: LimitMark) -> Markup:
    x, y = frame.x.at(mark.eps), frame.y.at(mark.least)
    return line(x - 12, y, x + 12, y, "limit")


def _legend(curves: Sequence[Curve], clean: CurvePoint | None, *, limits: bool) -> list[Markup]:
    drawn: list[Markup] = []
    entries = [(f"series-{index}", curve.name) for index, curve in enumerate(curves)]
    if clean is not None:
        entries.append(("clean", "no attack"))
    if limits:
        entries.append(("limit", "limit of a rule"))
    for place, (kind, words) in enumerate(entries):
        x, y = LEFT, BOTTOM + 52 + place * LEGEND_STEP
        drawn.append(_sample(kind, x, y))
        drawn.append(text(x + 20, y + 4, shortened(words, LONGEST_NAME), "legend"))
    return drawn


def _entries(curves: Sequence[Curve], clean: CurvePoint | None, limits: Sequence[LimitMark]) -> int:
    return len(curves) + (clean is not None) + bool(limits)


def _sample(kind: str, x: float, y: float) -> Markup:
    if kind == "limit":
        return line(x, y, x + 12, y, "limit")
    if kind == "clean":
        return dot(x + 6, y, "clean", 5)
    mark = dot if kind == "series-0" else square
    return line(x, y, x + 12, y, f"curve {kind}") + mark(x + 6, y, f"mark {kind}")


def _apart(values: Sequence[float], axis: Axis, least: float = 26.0) -> list[float]:
    kept: list[float] = []
    for value in reversed(values):
        nearest = axis.at(kept[-1]) if kept else float("inf")
        if nearest - axis.at(value) >= least and axis.at(value) - axis.start >= least / 2:
            kept.append(value)
    return kept[::-1]


def _spoken(curve: Curve) -> str:
    return ", ".join(f"{point.value * 100:.0f} % at {scalar(point.eps)}" for point in curve.points)
