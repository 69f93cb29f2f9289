"""How often the model is right when it says that it is sure."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.rendering.plots.axes import Axis, Frame, share_ticks, ticks
from auditor.rendering.plots.legends import Entry, legend
from auditor.rendering.plots.svg import Drawing, dot, line, path, rect, shortened, text

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 46.0, 346.0, 34.0, 196.0
COUNTS_TOP, COUNTS_BOTTOM = 252.0, 290.0
STRIP_TOP, STRIP_BOTTOM = 328.0, 352.0
SMALL, SMALL_STEP, SMALL_TALL, ACROSS = 98.0, 122.0, 140.0, 3
LONGEST_NAME = 15


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


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the smooth curve: what was stated, how often it came true, and its limits."""

    stated: float
    happened: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Beside:
    """The smooth error with its interval, and between what a calibrated model's would lie."""

    value: float
    low: float
    high: float
    null_low: float
    null_high: float


def reliability_plot(
    key: str,
    bins: Sequence[Bin],
    histogram: Sequence[Bin],
    curve: Sequence[Point] = (),
    beside: Beside | None = None,
) -> Drawing:
    """Draw how often stated values came true, with intervals, and where they lie.

    The smooth ``curve`` lies in its band; ``beside`` is drawn as a strip below.
    """
    frame = Frame(
        x=Axis(0.0, 1.0, LEFT, RIGHT),
        y=Axis(0.0, 1.0, BOTTOM, TOP),
        x_name="what the model stated",
        y_name="how often it came true",
    )
    drawn = [*frame.shapes(share_ticks(), share_ticks()), *_curve(frame, curve), _ideal(frame)]
    for item in bins:
        drawn += _bin(frame, item)
    strip = [] if beside is None else _strip(beside)
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
        height=round((STRIP_BOTTOM + 48) if strip else (COUNTS_BOTTOM + 20)),
        shapes=(*drawn, *_counts(frame.x, histogram), *strip),
    )


def class_plots(key: str, named: Sequence[tuple[str, Sequence[Bin]]]) -> Drawing:
    """Draw a small reliability diagram for each class, three in a row, all on the same scales."""
    drawn: list[Markup] = []
    for place, (name, bins) in enumerate(named):
        left = 8 + place % ACROSS * SMALL_STEP
        top = 24 + place // ACROSS * SMALL_TALL
        frame = Frame(Axis(0.0, 1.0, left, left + SMALL), Axis(0.0, 1.0, top + SMALL, top), "", "")
        drawn += [
            text(left, top - 7, shortened(name, LONGEST_NAME), "strip-title"),
            *(line(left, frame.y.at(at), left + SMALL, frame.y.at(at), "grid") for at in (0.5, 1)),
            line(left, top + SMALL, left + SMALL, top + SMALL, "axis"),
            line(left, top, left, top + SMALL, "axis"),
            _ideal(frame),
        ]
        for item in bins:
            drawn += _bin(frame, item, 2.5, 0)
    rows = -(-len(named) // ACROSS)
    return Drawing(
        key=key,
        title="Reliability diagram of each class",
        description="Across: what the model stated of the class, from 0 to 100 %; up: how often it "
        "came true. The table below holds the errors.",
        width=WIDTH,
        height=round(24 + rows * SMALL_TALL - 30),
        shapes=tuple(drawn),
    )


def _ideal(frame: Frame) -> Markup:
    ends = [(frame.x.at(end), frame.y.at(end)) for end in (0, 1)]
    return path(ends, "ideal")


def _curve(frame: Frame, points: Sequence[Point]) -> list[Markup]:
    if not points:
        return []
    upper = [(frame.x.at(at.stated), frame.y.at(at.high)) for at in points]
    lower = [(frame.x.at(at.stated), frame.y.at(at.low)) for at in reversed(points)]
    middle = [(frame.x.at(at.stated), frame.y.at(at.happened)) for at in points]
    return [
        path([*upper, *lower], "band series-0", closed=True),
        path(middle, "curve series-0"),
    ]


def _bin(frame: Frame, item: Bin, radius: float = 4, cap: float = 3) -> list[Markup]:
    x = frame.x.at(item.confidence)
    low, high = frame.y.at(item.accuracy_low), frame.y.at(item.accuracy_high)
    caps = [line(x - cap, end, x + cap, end, "whisker series-0") for end in (low, high) if cap]
    return [
        line(x, low, x, high, "whisker series-0"),
        *caps,
        dot(x, frame.y.at(item.accuracy), "mark series-0", radius),
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


def _strip(found: Beside) -> list[Markup]:
    """Draw the smooth error on its own scale, over the range of calibrated models."""
    most = max(found.high, found.null_high) * 1.1 or 1.0
    axis, middle = Axis(0.0, most, LEFT, RIGHT), (STRIP_TOP + STRIP_BOTTOM) / 2
    left, right = axis.at(found.null_low), axis.at(found.null_high)
    low, high = axis.at(found.low), axis.at(found.high)
    drawn = [text(LEFT, STRIP_TOP - 8, "smooth calibration error", "axis-name")]
    for value in ticks(0.0, most, 4):
        place = axis.at(value)
        drawn.append(line(place, STRIP_TOP, place, STRIP_BOTTOM, "grid"))
        drawn.append(text(place, STRIP_BOTTOM + 15, f"{value * 100:g} %", "tick", "middle"))
    return [
        *drawn,
        rect(left, STRIP_TOP, max(2.0, right - left), STRIP_BOTTOM - STRIP_TOP, "zone"),
        line(low, middle, high, middle, "whisker series-0"),
        *(line(end, middle - 4, end, middle + 4, "whisker series-0") for end in (low, high)),
        dot(axis.at(found.value), middle, "mark series-0"),
        *legend([Entry("zone", "where calibrated models lie")], LEFT, STRIP_BOTTOM + 32),
    ]
