"""What has changed over time: accuracy and calibration, the evidence of decay, the columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Ends, Panel, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, figure, number, scalar
from auditor.rendering.phrases import metric_title
from auditor.rendering.plots.courses import Moment, course_plot
from auditor.rendering.plots.intervals import Row, interval_rows

PERIODS, DECAY, DRIFT = "quality.periods", "data.decay", "data.drift"
COURSES = {
    "accuracy": "Accuracy from period to period",
    "debiased_l2": "Calibration error from period to period",
}
MOST_COLUMNS = 14
BANDS = "Bands are intervals of each period alone."
WATCHED = (
    "The error so far after each look; the band holds at every look at once, however often one "
    "looks."
)
BOTH = (
    "How much the chance of some threshold, or of some set of values, has changed; intervals hold "
    "for all columns together. With many rows small changes have small p-values, and with few "
    "rows large changes have large ones: neither is a verdict alone."
)
UNKNOWN = "unknown"


def course_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield accuracy and calibration error by period."""
    for index, (metric, title) in enumerate(COURSES.items()):
        drawn = [
            (m, Moment(str(m.params.get("period", "")), *of, m.doubted))
            for m in measured
            if (m.check, m.metric) == (PERIODS, metric) and (of := ends(m)) is not None
        ]
        if not drawn:
            continue
        moments = [moment for _, moment in drawn]
        yield Panel(
            title=title,
            target=drawn[0][0].target,
            caption=f"{BANDS}{_changes(inputs, measured, metric)}",
            drawing=course_plot(f"{key}-{index}", title, moments, Unit.SHARE),
            header=("Period", metric_title(inputs, PERIODS, metric), "Interval", "How sure"),
            rows=tuple((moment.name, *said(m)) for m, moment in drawn),
        )


def _changes(inputs: RenderedInputs, measured: Sequence[Measurement], metric: str) -> str:
    name = "accuracy_change" if metric == "accuracy" else "calibration_change"
    found = [m for m in measured if (m.check, m.metric) == (PERIODS, name)]
    return "".join(f" {metric_title(inputs, PERIODS, name)}: {figure(m).whole}." for m in found)


def watch_panels(_: RenderedInputs, measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    """Yield the confidence sequence of the error, and the limit that it is watched against."""
    for m in measured:
        looks = _looks(m.details.get("looks"))
        if (m.check, m.metric) != (DECAY, "error") or not looks:
            continue
        limit, enough = (m.details.get(name) for name in ("limit", "alarm_at"))
        against = scalar(m.details.get("against", "the limit"))
        moments = [
            Moment(str(at["at"]), value, low, high)
            for at in looks
            for value, low, high in [_error(at)]
        ]
        line = float(limit) if isinstance(limit, int | float) else None
        title = "Errors on labelled rows, look by look"
        yield Panel(
            title=title,
            target=m.target,
            caption=f"{WATCHED} {_alarm(measured, enough)} The line is the limit: {against}.",
            drawing=course_plot(key, title, moments, Unit.SHARE, line),
            header=("Until", "Rows", "Error so far", "At every look", "Log evidence"),
            rows=tuple(_look(at) for at in looks),
        )
        return


def _alarm(measured: Sequence[Measurement], enough: Json) -> str:
    found = next((m for m in measured if (m.check, m.metric) == (DECAY, "alarm")), None)
    if found is None:
        return ""
    least = f" of {float(enough):.1f}" if isinstance(enough, int | float) else ""
    if found.value is True:
        return (
            f"Evidence{least} was reached at {scalar(found.details.get('first_at'))}: "
            "the error is above the limit."
        )
    return f"Evidence{least} was not reached, which proves nothing."


def _error(at: Mapping[str, Json]) -> Ends:
    error, low, high = (float(cast("float", at[name])) for name in ("error", "low", "high"))
    return error, low, high


def _look(at: Mapping[str, Json]) -> tuple[str, ...]:
    error, low, high = _error(at)
    log = float(cast("float", at["log_evidence"]))
    interval = f"{low * 100:.1f}{DASH}{high * 100:.1f} %"
    return str(at["at"]), f"{at['n']:,}", f"{error * 100:.1f} %", interval, f"{log:.2f}"


def _looks(listed: Json) -> list[Mapping[str, Json]]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    wanted = {"at", "n", "error", "low", "high", "log_evidence"}
    return [item for item in listed if isinstance(item, Mapping) and wanted <= item.keys()]


def drift_panels(_: RenderedInputs, measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    """Yield the columns that have changed most, with how much and how surely."""
    mine = [m for m in measured if m.check == DRIFT and "column" in m.params]
    drawn = [
        (m, Row(str(m.params["column"]), *of, doubted=m.doubted))
        for m in mine
        if m.metric == "distance" and (of := ends(m)) is not None
    ]
    if not drawn:
        return
    beside = {(str(m.params["column"]), m.metric): m for m in mine}
    rows = [row for _, row in drawn]
    title = "Columns whose distribution has changed most"
    yield Panel(
        title=title,
        target=drawn[0][0].target,
        caption=BOTH,
        drawing=interval_rows(key, title, rows[:MOST_COLUMNS], Unit.NONE),
        header=("Column", "Change", "Interval", "Deviations moved", "Adjusted p-value"),
        rows=tuple(
            (
                str(m.params["column"]),
                *said(m)[:2],
                _beside(beside.get((str(m.params["column"]), "moved"))),
                _p_value(m.details.get("adjusted_p_value")),
            )
            for m, _ in drawn
        ),
    )


def _beside(m: Measurement | None) -> str:
    if m is None:
        return "no number"
    words = figure(m)
    return f"{words.value} ({words.interval})" if words.interval else words.value


def _p_value(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNKNOWN
    return "below 0.0001" if value < 1e-4 else number(round(value, 4))  # noqa: PLR2004 -- four digits
