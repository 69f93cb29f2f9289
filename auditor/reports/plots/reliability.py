"""Draws reliability diagrams: observed frequency by stated probability."""

from collections.abc import Sequence

from markupsafe import Markup

from auditor.domain.report_panels import DiagramBin, DiagramPoint, LegendEntry, SmoothError
from auditor.reports.plots.svg import (
    PlotAxis,
    PlotFrame,
    SvgDrawing,
    compute_share_ticks,
    compute_ticks,
    draw_dot,
    draw_legend,
    draw_line,
    draw_path,
    draw_rect,
    draw_text,
    shorten_label,
)

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 46.0, 346.0, 34.0, 196.0
COUNTS_TOP, COUNTS_BOTTOM = 252.0, 290.0
STRIP_TOP, STRIP_BOTTOM = 328.0, 352.0
SMALL, SMALL_STEP, SMALL_TALL, ACROSS = 98.0, 122.0, 140.0, 3
LONGEST_NAME = 15


def draw_reliability_diagram(
    key: str,
    bins: Sequence[DiagramBin],
    histogram: Sequence[DiagramBin],
    curve: Sequence[DiagramPoint] = (),
    beside: SmoothError | None = None,
) -> SvgDrawing:
    """Draw how often stated values came true, with intervals, and where they lie.

    The smooth ``curve`` lies in its band; ``beside`` is drawn as a strip below.
    """
    frame = PlotFrame(
        x=PlotAxis(0.0, 1.0, LEFT, RIGHT),
        y=PlotAxis(0.0, 1.0, BOTTOM, TOP),
        x_name="what the model stated",
        y_name="how often it came true",
    )
    drawn = [
        *frame.shapes(compute_share_ticks(), compute_share_ticks()),
        *_curve(frame, curve),
        _ideal(frame),
    ]
    for item in bins:
        drawn += _bin(frame, item)
    strip = [] if beside is None else _strip(beside)
    x = frame.x
    most = max(item.n for item in histogram)
    height = PlotAxis(0.0, float(most), COUNTS_BOTTOM, COUNTS_TOP)
    counts = [
        draw_text(LEFT, COUNTS_TOP - 6, "how many rows", "axis-name"),
        draw_text(LEFT - 6, COUNTS_TOP + 6, f"{most:,}", "tick", "end"),
        draw_line(x.start, COUNTS_BOTTOM, x.end, COUNTS_BOTTOM, "axis"),
    ]
    for item in histogram:
        left, right = x.at(item.low), x.at(item.high)
        top = height.at(item.n)
        counts.append(
            draw_rect(left + 0.5, top, right - left - 1, COUNTS_BOTTOM - top, "bar series-0")
        )
    return SvgDrawing(
        key=key,
        title="Reliability diagram",
        description="Below the diagonal the model is too sure, above it not sure enough: "
        + "; ".join(
            f"stated {item.confidence * 100:.0f} %, true {item.accuracy * 100:.0f} %"
            for item in bins
        )
        + ". The table below holds the figures.",
        width=WIDTH,
        height=round((STRIP_BOTTOM + 48) if strip else (COUNTS_BOTTOM + 20)),
        shapes=(*drawn, *counts, *strip),
    )


def draw_class_diagrams(key: str, named: Sequence[tuple[str, Sequence[DiagramBin]]]) -> SvgDrawing:
    """Draw a small reliability diagram for each class, three in a row, all on the same scales."""
    drawn: list[Markup] = []
    for place, (name, bins) in enumerate(named):
        left = 8 + place % ACROSS * SMALL_STEP
        top = 24 + place // ACROSS * SMALL_TALL
        frame = PlotFrame(
            PlotAxis(0.0, 1.0, left, left + SMALL), PlotAxis(0.0, 1.0, top + SMALL, top), "", ""
        )
        drawn += [
            draw_text(left, top - 7, shorten_label(name, LONGEST_NAME), "strip-title"),
            *(
                draw_line(left, frame.y.at(at), left + SMALL, frame.y.at(at), "grid")
                for at in (0.5, 1)
            ),
            draw_line(left, top + SMALL, left + SMALL, top + SMALL, "axis"),
            draw_line(left, top, left, top + SMALL, "axis"),
            _ideal(frame),
        ]
        for item in bins:
            drawn += _bin(frame, item, 2.5, 0)
    rows = -(-len(named) // ACROSS)
    return SvgDrawing(
        key=key,
        title="Reliability diagram of each class",
        description="Across: what the model stated of the class, from 0 to 100 %; up: how often it "
        "came true. The table below holds the errors.",
        width=WIDTH,
        height=round(24 + rows * SMALL_TALL - 30),
        shapes=tuple(drawn),
    )


def _ideal(frame: PlotFrame) -> Markup:
    ends = [(frame.x.at(end), frame.y.at(end)) for end in (0, 1)]
    return draw_path(ends, "ideal")


def _curve(frame: PlotFrame, points: Sequence[DiagramPoint]) -> list[Markup]:
    if not points:
        return []
    upper = [(frame.x.at(at.stated), frame.y.at(at.high)) for at in points]
    lower = [(frame.x.at(at.stated), frame.y.at(at.low)) for at in reversed(points)]
    middle = [(frame.x.at(at.stated), frame.y.at(at.happened)) for at in points]
    return [
        draw_path([*upper, *lower], "band series-0", closed=True),
        draw_path(middle, "curve series-0"),
    ]


def _bin(frame: PlotFrame, item: DiagramBin, radius: float = 4, cap: float = 3) -> list[Markup]:
    x = frame.x.at(item.confidence)
    low, high = frame.y.at(item.accuracy_low), frame.y.at(item.accuracy_high)
    caps = [draw_line(x - cap, end, x + cap, end, "whisker series-0") for end in (low, high) if cap]
    return [
        draw_line(x, low, x, high, "whisker series-0"),
        *caps,
        draw_dot(x, frame.y.at(item.accuracy), "mark series-0", radius),
    ]


def _strip(found: SmoothError) -> list[Markup]:
    """Draw the smooth error on its own scale, over the range of calibrated models."""
    most = max(found.high, found.null_high) * 1.1 or 1.0
    axis, middle = PlotAxis(0.0, most, LEFT, RIGHT), (STRIP_TOP + STRIP_BOTTOM) / 2
    left, right = axis.at(found.null_low), axis.at(found.null_high)
    low, high = axis.at(found.low), axis.at(found.high)
    drawn = [draw_text(LEFT, STRIP_TOP - 8, "smooth calibration error", "axis-name")]
    for value in compute_ticks(0.0, most, 4):
        place = axis.at(value)
        drawn.append(draw_line(place, STRIP_TOP, place, STRIP_BOTTOM, "grid"))
        drawn.append(draw_text(place, STRIP_BOTTOM + 15, f"{value * 100:g} %", "tick", "middle"))
    return [
        *drawn,
        draw_rect(left, STRIP_TOP, max(2.0, right - left), STRIP_BOTTOM - STRIP_TOP, "zone"),
        draw_line(low, middle, high, middle, "whisker series-0"),
        *(draw_line(end, middle - 4, end, middle + 4, "whisker series-0") for end in (low, high)),
        draw_dot(axis.at(found.value), middle, "mark series-0"),
        *draw_legend([LegendEntry("zone", "where calibrated models lie")], LEFT, STRIP_BOTTOM + 32),
    ]
