"""How often the model is right when it says that it is sure."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.rendering.plots.axes import Axis, Frame, share_ticks
from auditor.rendering.plots.svg import Drawing, dot, line, path, rect, text

WIDTH, HEIGHT = 360, 310
LEFT, RIGHT, TOP, BOTTOM = 46.0, 346.0, 34.0, 196.0
COUNTS_TOP, COUNTS_BOTTOM = 252.0, 290.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose confidence lies in ``[low, high]``: what the model said, and what was true."""

    low: float
    high: float
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    n: int


def reliability_plot(key: str, bins: Sequence[Bin], histogram: Sequence[Bin]) -> Drawing:
    """Draw how often stated values came true, with intervals, and where they lie."""
    frame = Frame(
        x=Axis(0.0, 1.0, LEFT, RIGHT),
        y=Axis(0.0, 1.0, BOTTOM, TOP),
        x_name="what the model stated",
        y_name="how often it came true",
    )
    corner = (frame.x.at(1), frame.y.at(1))
    drawn = [
        *frame.shapes(share_ticks(), share_ticks()),
        path([(frame.x.at(0), frame.y.at(0)), corner], "ideal"),
    ]
    for item in bins:
        drawn += _bin(frame, item)
    return Drawing(
        key=key,
        title="Reliability diagram",
        description="Marks below the diagonal are too sure of themselves, marks above it too shy: "
        + "; ".join(
            f"stated {item.confidence * 100:.0f} %, true {item.accuracy * 100:.0f} %"
            for item in bins
        )
        + ". The table below holds the figures.",
        width=WIDTH,
        height=HEIGHT,
        shapes=(*drawn, *_counts(frame.x, histogram)),
    )


def _bin(frame: Frame, item: Bin) -> list[Markup]:
    x = frame.x.at(item.confidence)
    low, high = frame.y.at(item.accuracy_low), frame.y.at(item.accuracy_high)
    return [
        line(x, low, x, high, "whisker series-0"),
        line(x - 3, low, x + 3, low, "whisker series-0"),
        line(x - 3, high, x + 3, high, "whisker series-0"),
        dot(x, frame.y.at(item.accuracy), "mark series-0"),
    ]


def _counts(x: Axis, bins: Sequence[Bin]) -> list[Markup]:
    most = max(item.n for item in bins)
    height = Axis(0.0, float(most), COUNTS_BOTTOM, COUNTS_TOP)
    drawn = [
        text(LEFT, COUNTS_TOP - 6, "how many rows", "axis-name"),
        text(LEFT - 6, COUNTS_TOP + 6, f"{most:,}", "tick", "end"),
        line(x.start, COUNTS_BOTTOM, x.end, COUNTS_BOTTOM, "axis"),
    ]
    for item in bins:
        left, right = x.at(item.low), x.at(item.high)
        top = height.at(item.n)
        drawn.append(rect(left + 0.5, top, right - left - 1, COUNTS_BOTTOM - top, "bar series-0"))
    return drawn
