"""Draws robustness plots: accuracy under attack by perturbation budget, and certified accuracy."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from auditor.domain.number_text import format_scalar
from auditor.domain.report_panels import CurvePoint, LegendEntry, RobustnessChart, RobustnessCurve
from auditor.reports.plots.svg import (
    LEGEND_STEP,
    PlotAxis,
    PlotFrame,
    SvgDrawing,
    compute_share_ticks,
    draw_dot,
    draw_legend,
    draw_line,
    draw_mark,
    draw_path,
)

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 46.0, 346.0, 30.0, 196.0
LEGEND_LEFT = 8.0
FLOOR = 0
"""The shape of the first mark serves proofs too: their thick line tells them apart."""


def draw_robustness_plot(key: str, chart: RobustnessChart) -> SvgDrawing:
    """Draw curves with interval bands, clean accuracy at 0, proofs, and the limits.

    Takes as many curves as ``SERIES`` tells apart, each with at least one point.
    """
    frame = PlotFrame(
        x=PlotAxis(0.0, chart.most * 1.06, LEFT, RIGHT),
        y=PlotAxis(0.0, 1.0, BOTTOM, TOP),
        x_name=chart.x_name,
        y_name=chart.y_name,
    )
    entries = [
        LegendEntry(f"series-{index}", curve.name, index)
        for index, curve in enumerate(chart.curves)
    ]
    if chart.proven is not None:
        entries.append(LegendEntry("proven", chart.proven.name, FLOOR))
        if chart.curves:
            entries.append(LegendEntry("zone", "between proof and attack: not known"))
    if chart.starts:
        entries.append(LegendEntry("clean", chart.start_name))
    if any(point.doubted for curve in chart.everything for point in curve.points):
        entries.append(LegendEntry("doubted", "not to be believed", FLOOR))
    if chart.limits:
        entries.append(LegendEntry("limit", "limit of a rule"))
    spoken = "; ".join(f"{curve.name}: {_spoken(curve)}" for curve in chart.everything)
    return SvgDrawing(
        key=key,
        title=chart.title,
        description=f"By growing budget, {spoken}. The table below holds the figures.",
        width=WIDTH,
        height=round(BOTTOM) + 48 + LEGEND_STEP * len(entries),
        shapes=(*_shapes(frame, chart), *draw_legend(entries, LEGEND_LEFT, BOTTOM + 52)),
    )


def _shapes(frame: PlotFrame, chart: RobustnessChart) -> Iterator[Markup]:
    budgets = sorted(
        {p.eps for curve in chart.everything for p in curve.points if p.eps <= chart.most}
    )
    yield from frame.shapes(
        [(0.0, "0"), *((eps, format_scalar(eps)) for eps in _apart(budgets, frame.x))],
        compute_share_ticks(),
    )
    if chart.proven is not None and chart.curves:
        zone = _zone(chart.curves, chart.proven)
        yield draw_path([(frame.x.at(x), frame.y.at(y)) for x, y in zone], "zone", closed=True)
    drawn = [(f"series-{i}", i, curve) for i, curve in enumerate(chart.curves)]
    if chart.proven is not None:
        drawn.append(("proven", FLOOR, chart.proven))
    for class_, _, curve in drawn:
        points = _until(curve.all, chart.most)
        upper = [(frame.x.at(point.eps), frame.y.at(point.high)) for point in points]
        lower = [(frame.x.at(point.eps), frame.y.at(point.low)) for point in points]
        yield draw_path([*upper, *reversed(lower)], f"band {class_}", closed=True)
    for class_, _, curve in drawn:
        yield from _line(frame, _until(curve.all, chart.most), class_)
    for class_, shape, curve in reversed(drawn):
        yield from _marks(frame, _until(curve.points, chart.most), class_, shape)
    for limit in chart.limits:
        x, y = frame.x.at(limit.eps), frame.y.at(limit.least)
        yield draw_line(x - 12, y, x + 12, y, "limit")
    for start in chart.starts:
        yield draw_dot(frame.x.at(0), frame.y.at(start.value), "clean", 5)


def _until(points: Sequence[CurvePoint], most: float) -> list[CurvePoint]:
    return [point for point in points if point.eps <= most]


def _line(frame: PlotFrame, points: Sequence[CurvePoint], class_: str) -> Iterator[Markup]:
    """Draw one line through points that are believed, and each step to or from others apart."""
    believed: list[list[CurvePoint]] = [list(points[:1])]
    for before, after in pairwise(points):
        if before.doubted or after.doubted:
            yield draw_path(_places(frame, (before, after)), f"curve doubted {class_}")
            believed.append([after])
        else:
            believed[-1].append(after)
    for run in believed:
        if len(run) > 1:
            yield draw_path(_places(frame, run), f"curve {class_}")


def _marks(
    frame: PlotFrame, points: Sequence[CurvePoint], class_: str, shape: int
) -> Iterator[Markup]:
    for point, (x, y) in zip(points, _places(frame, points), strict=True):
        yield draw_mark(shape, x, y, f"mark {'doubted ' if point.doubted else ''}{class_}")


def _places(frame: PlotFrame, points: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    return [(frame.x.at(point.eps), frame.y.at(point.value)) for point in points]


def _zone(curves: Sequence[RobustnessCurve], proven: RobustnessCurve) -> list[tuple[float, float]]:
    """Return the outline of what lies between the proof and the strongest attack."""
    lines = [curve.all for curve in curves]
    first = max(proven.all[0].eps, min(points[0].eps for points in lines))
    last = min(proven.all[-1].eps, max(points[-1].eps for points in lines))
    places = {p.eps for points in (proven.all, *lines) for p in points if first <= p.eps <= last}
    grid = sorted(places)
    upper = [min(_between(points, x) for points in lines) for x in grid]
    # Where both looked at other rows, a proof may lie above what attacks found on theirs.
    lower = [min(_between(proven.all, x), high) for x, high in zip(grid, upper, strict=True)]
    return [*zip(grid, upper, strict=True), *zip(grid[::-1], lower[::-1], strict=True)]


def _between(points: Sequence[CurvePoint], x: float) -> float:
    if not points[0].eps <= x <= points[-1].eps:
        return 1.0  # this attack says nothing here
    return float(np.interp(x, [p.eps for p in points], [p.value for p in points]))


def _apart(values: Sequence[float], axis: PlotAxis, least: float = 26.0) -> list[float]:
    kept: list[float] = []
    for value in reversed(values):
        nearest = axis.at(kept[-1]) if kept else float("inf")
        if nearest - axis.at(value) >= least and axis.at(value) - axis.start >= least / 2:
            kept.append(value)
    return kept[::-1]


def _spoken(curve: RobustnessCurve) -> str:
    return ", ".join(
        f"{point.value * 100:.0f} % at {format_scalar(point.eps)}" for point in curve.points
    )
