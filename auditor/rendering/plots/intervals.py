"""Figures with their intervals, one row each, on one scale: groups of people, or times."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.readings import Unit
from auditor.rendering.numbers import number
from auditor.rendering.plots.axes import Axis, fitting
from auditor.rendering.plots.legends import LEGEND_STEP, Entry, legend
from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import Drawing, line, shortened, text

WIDTH = 360
LEFT, RIGHT = 118.0, 344.0
TOP, STEP, CLOSE = 12.0, 24.0, 13.0
LONGEST_NAME = 17
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """One figure with the ends of its interval; series tell kinds of figures apart."""

    name: str
    value: float
    low: float
    high: float
    series: int = 0
    doubted: bool = False


def interval_rows(  # noqa: PLR0913 -- rows, and what may be drawn beside them
    key: str,
    title: str,
    rows: Sequence[Row],
    unit: Unit,
    *,
    ideal: float | None = None,
    entries: Sequence[Entry] = (),
) -> Drawing:
    """Draw rows of point and interval: shares on the whole scale, all else from zero or below.

    Shares below 0 or above 1, as their differences may be, are drawn as all else is. A row without
    a name belongs to the one above it, and stands close; a broken line marks the ``ideal``, where
    there is one; ``entries`` are a legend.
    """
    places = _places(rows)
    bottom = places[-1] + STEP / 2
    least, most = _scale(rows, unit, 0.0 if ideal is None else ideal)
    axis = Axis(least, most, LEFT, RIGHT)
    drawn = _grid(axis, bottom, unit)
    if ideal is not None:
        drawn.insert(0, line(axis.at(ideal), TOP - 8, axis.at(ideal), bottom, "ideal"))
    for row, place in zip(rows, places, strict=True):
        drawn += _row(axis, row, place)
    drawn += legend(entries, LEFT, bottom + 36)
    return Drawing(
        key=key,
        title=title,
        description="; ".join(f"{row.name}: {number(row.value, unit)}" for row in rows if row.name)
        + ". The table below holds the intervals.",
        width=WIDTH,
        height=round(bottom + 26 + LEGEND_STEP * len(entries)),
        shapes=tuple(drawn),
    )


def _grid(axis: Axis, bottom: float, unit: Unit) -> list[Markup]:
    drawn: list[Markup] = []
    for value, words in fitting(axis, lambda value: number(value, unit), 0.0, WIDTH):
        place = axis.at(value)
        drawn.append(line(place, TOP - 8, place, bottom, "grid"))
        drawn.append(text(place, bottom + 16, words, "tick", "middle"))
    return drawn


def _scale(rows: Sequence[Row], unit: Unit, ideal: float) -> tuple[float, float]:
    least, most = min(ideal, *(row.low for row in rows)), max(ideal, *(row.high for row in rows))
    if unit is Unit.SHARE and least >= -ROUNDING and most <= 1 + ROUNDING:
        return 0.0, 1.0
    beyond = max(most, 0.0) * 1.08
    return min(least, 0.0) * 1.08, beyond or (0.0 if least < 0 else 1.0)


def _places(rows: Sequence[Row]) -> list[float]:
    places: list[float] = []
    for row in rows:
        step = STEP if row.name else CLOSE
        places.append(places[-1] + step if places else TOP + STEP / 2)
    return places


def _row(axis: Axis, row: Row, y: float) -> list[Markup]:
    low, high, series = axis.at(row.low), axis.at(row.high), f"series-{row.series}"
    return [
        text(LEFT - 10, y + 4, shortened(row.name, LONGEST_NAME), "label", "end"),
        line(low, y, high, y, f"whisker {series}"),
        line(low, y - 4, low, y + 4, f"whisker {series}"),
        line(high, y - 4, high, y + 4, f"whisker {series}"),
        mark(row.series, axis.at(row.value), y, f"mark {'doubted ' * row.doubted}{series}"),
    ]
