"""Report panels for calibration, drift over time, and latency."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TypeVar, cast

from auditor.domain.json import Json
from auditor.domain.readings import Measurement, Unit
from auditor.reports.figures.panel import Ends, FigurePanel, format_figure_cells, interval_ends
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import DASH, format_measurement, format_number, format_scalar
from auditor.reports.plots.intervals import IntervalRow, draw_interval_rows
from auditor.reports.plots.line_plots import PeriodPoint, draw_period_plot
from auditor.reports.plots.reliability import (
    DiagramBin,
    DiagramPoint,
    SmoothError,
    draw_class_diagrams,
    draw_reliability_diagram,
)
from auditor.reports.wording import metric_title

CHECK, GROUPS = "quality.calibration", "fairness.calibration"
GAINS = {"temperature_gain": ("temperature",), "platt_gain": ("slope", "intercept")}
LINES = {
    "slope": ("Recalibration slope (1 is right)", 1.0),
    "in_the_large": ("Came true, less stated (0 is right)", 0.0),
}
"""What is drawn of groups: its title, and where a calibrated model lies."""
MOST_CLASSES, MOST_GROUPS = 12, 14
LINES_APART = (
    "Each group with its own interval; the broken line is where a calibrated model lies. Rules "
    "judge gaps, whose intervals hold jointly."
)
CUT_OFF = (
    "No correction is advised: the model's probabilities are cut off near 0 and 1, and what a "
    "correction would save is unknown. Export the model with its logits."
)
NO_ADVICE = "No correction is advised: on rows held out none saved more log loss than chance does."


Drawn = TypeVar("Drawn", DiagramBin, DiagramPoint)


def reliability_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield how often stated confidence came true, whole and for each of a few classes."""
    mine = [m for m in measured if m.check == CHECK and not m.slice]
    by_name = {m.metric: m for m in mine}
    error = by_name.get("debiased_l2")
    bins = () if error is None else _all_of(DiagramBin, error.details.get("bins"))
    if error is not None and bins:
        smooth = by_name.get("smece")
        curve = () if smooth is None else _all_of(DiagramPoint, smooth.details.get("curve"))
        beside = None if smooth is None else _beside(smooth)
        yield FigurePanel(
            title="Is it as sure as it should be?",
            target=error.target,
            caption="Stated: "
            f"{format_scalar(error.details.get('of', 'confidence of the answer'))}. On the "
            "diagonal the model means what it says; below it, things come true less often. "
            f"{metric_title(inputs, CHECK, error.metric)}: {format_measurement(error).whole}."
            + ("" if beside is None else _compared(beside))
            + (" The band around the curve holds point by point." if curve else ""),
            drawing=draw_reliability_diagram(key, bins, _histogram(by_name) or bins, curve, beside),
            header=("Stated from", "to", "Stated on average", "Came true", "Interval", "Rows"),
            rows=tuple(map(_bin_row, bins)),
            notes=tuple(_advice(by_name)),
        )
    yield from _classes([m for m in mine if m.metric == "class_l2"], f"{key}-classes")


def group_line_panels(
    _: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield for each column of groups how bold the model is, and how far it is off on average."""
    shown = [m for m in measured if m.check == GROUPS and m.metric in LINES]
    places = {(str(m.params.get("group_column", "")), m.metric): None for m in shown}
    for index, (column, metric) in enumerate(places):
        mine = [
            (str(m.params.get("group", "")), m, of)
            for m in shown
            if (str(m.params.get("group_column", "")), m.metric) == (column, metric)
            if (of := interval_ends(m)) is not None
        ]
        if not mine:
            continue
        said_of, right_at = LINES[metric]
        title = f"{said_of} by {column}"
        rows = [IntervalRow(name, *of, doubted=m.doubted) for name, m, of in mine[:MOST_GROUPS]]
        yield FigurePanel(
            title=title,
            target=mine[0][1].target,
            caption=(LINES_APART if index == 0 else "Each group with its own interval.")
            + (f" {len(mine) - len(rows)} more are in the table only." * (len(mine) > len(rows))),
            drawing=draw_interval_rows(f"{key}-{index}", title, rows, Unit.NONE, ideal=right_at),
            header=("", "Figure", "Interval", "How sure"),
            rows=tuple((name, *format_figure_cells(m)) for name, m, _ in mine),
        )


def _classes(measured: Sequence[Measurement], key: str) -> Iterator[FigurePanel]:
    named = [
        (str(m.params.get("class", "")), m, bins)
        for m in measured
        if (bins := _all_of(DiagramBin, m.details.get("bins")))
    ]
    if not named:
        return
    drawn = [(name, bins) for name, _, bins in named[:MOST_CLASSES]]
    hidden = len(named) - len(drawn)
    yield FigurePanel(
        title="Is it as sure of each class as it should be?",
        target=named[0][1].target,
        caption="Across: what was stated of the class, from 0 to 100 %; up: how often it came "
        "true. Intervals of the table hold jointly."
        + (f" {hidden} more classes are in the table only." if hidden else ""),
        drawing=draw_class_diagrams(key, drawn),
        header=("Class", "Debiased L2 error", "Interval", "How sure"),
        rows=tuple((name, *format_figure_cells(m)) for name, m, _ in named),
    )


def _beside(smooth: Measurement) -> SmoothError | None:
    """Return the smooth error beside the range of calibrated models, where the record has both."""
    null, own = smooth.details.get("if_calibrated"), interval_ends(smooth)
    if not isinstance(null, Mapping) or own is None:
        return None
    low, high = null.get("low"), null.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return SmoothError(*own, low, high)


def _compared(beside: SmoothError) -> str:
    null = f"{_percent(beside.null_low)}{DASH}{_percent(beside.null_high)}"
    whole = f"{_percent(beside.low)}{DASH}{_percent(beside.high)}"
    return (
        f" Smooth calibration error: {_percent(beside.value)} ({whole}); calibrated models that "
        f"state the same show {null}."
    )


def _advice(by_name: Mapping[str, Measurement]) -> Iterator[str]:
    gains = [by_name[metric] for metric in GAINS if metric in by_name]
    advised = [m for m in gains if m.low is not None and m.low > 0 and not m.doubted]
    for m in advised:
        constants = ", ".join(
            f"{name} {format_scalar(m.details.get(name))}" for name in GAINS[m.metric]
        )
        yield (
            f"Advice: {format_scalar(m.details.get('advice'))} ({constants}). On rows held out "
            f"that saves {format_measurement(m).whole} a row."
        )
    if gains and not advised:
        yield CUT_OFF if any(m.doubted for m in gains) else NO_ADVICE


def _histogram(by_name: Mapping[str, Measurement]) -> tuple[DiagramBin, ...]:
    """Return bins of equal width, which show where stated values lie; equal masses do not."""
    found = by_name.get("ece_15")
    return () if found is None else _all_of(DiagramBin, found.details.get("bins"))


def _all_of(kind: type[Drawn], listed: Json) -> tuple[Drawn, ...]:
    """Read what is to be drawn from details, or nothing where one of it is malformed."""
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    found = []
    for item in listed:
        if not isinstance(item, Mapping):
            return ()
        values = {at.name: item.get(at.name) for at in fields(kind)}
        if all(isinstance(value, int | float) for value in values.values()) and values.get("n", 1):
            found.append(kind(**cast("dict[str, int]", values)))
    return tuple(found)


def _bin_row(item: DiagramBin) -> tuple[str, ...]:
    return (
        *(_percent(x) for x in (item.low, item.high, item.confidence, item.accuracy)),
        f"{_percent(item.accuracy_low)}{DASH}{_percent(item.accuracy_high)}",
        f"{item.n:,}",
    )


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


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


def period_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield accuracy and calibration error by period."""
    for index, (metric, title) in enumerate(COURSES.items()):
        drawn = [
            (m, PeriodPoint(str(m.params.get("period", "")), *of, m.doubted))
            for m in measured
            if (m.check, m.metric) == (PERIODS, metric) and (of := interval_ends(m)) is not None
        ]
        if not drawn:
            continue
        moments = [moment for _, moment in drawn]
        yield FigurePanel(
            title=title,
            target=drawn[0][0].target,
            caption=f"{BANDS}{_changes(inputs, measured, metric)}",
            drawing=draw_period_plot(f"{key}-{index}", title, moments, Unit.SHARE),
            header=("Period", metric_title(inputs, PERIODS, metric), "Interval", "How sure"),
            rows=tuple((moment.name, *format_figure_cells(m)) for m, moment in drawn),
        )


def _changes(inputs: ReportInputs, measured: Sequence[Measurement], metric: str) -> str:
    name = "accuracy_change" if metric == "accuracy" else "calibration_change"
    found = [m for m in measured if (m.check, m.metric) == (PERIODS, name)]
    return "".join(
        f" {metric_title(inputs, PERIODS, name)}: {format_measurement(m).whole}." for m in found
    )


def confidence_sequence_panels(
    _: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield the confidence sequence of the error, and the limit that it is watched against."""
    for m in measured:
        looks = _looks(m.details.get("looks"))
        if (m.check, m.metric) != (DECAY, "error") or not looks:
            continue
        limit, enough = (m.details.get(name) for name in ("limit", "alarm_at"))
        against = format_scalar(m.details.get("against", "the limit"))
        moments = [
            PeriodPoint(str(at["at"]), value, low, high)
            for at in looks
            for value, low, high in [_error(at)]
        ]
        line = float(limit) if isinstance(limit, int | float) else None
        title = "Errors on labelled rows, look by look"
        yield FigurePanel(
            title=title,
            target=m.target,
            caption=f"{WATCHED} {_alarm(measured, enough)} The line is the limit: {against}.",
            drawing=draw_period_plot(key, title, moments, Unit.SHARE, line),
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
            f"Evidence{least} was reached at {format_scalar(found.details.get('first_at'))}: "
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


def drift_panels(
    _: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield the columns that have changed most, with how much and how surely."""
    mine = [m for m in measured if m.check == DRIFT and "column" in m.params]
    drawn = [
        (m, IntervalRow(str(m.params["column"]), *of, doubted=m.doubted))
        for m in mine
        if m.metric == "distance" and (of := interval_ends(m)) is not None
    ]
    if not drawn:
        return
    beside = {(str(m.params["column"]), m.metric): m for m in mine}
    rows = [row for _, row in drawn]
    title = "Columns whose distribution has changed most"
    yield FigurePanel(
        title=title,
        target=drawn[0][0].target,
        caption=BOTH,
        drawing=draw_interval_rows(key, title, rows[:MOST_COLUMNS], Unit.NONE),
        header=("Column", "Change", "Interval", "Deviations moved", "Adjusted p-value"),
        rows=tuple(
            (
                str(m.params["column"]),
                *format_figure_cells(m)[:2],
                _beside_courses(beside.get((str(m.params["column"]), "moved"))),
                _p_value(m.details.get("adjusted_p_value")),
            )
            for m, _ in drawn
        ),
    )


def _beside_courses(m: Measurement | None) -> str:
    if m is None:
        return "no number"
    words = format_measurement(m)
    return f"{words.value} ({words.interval})" if words.interval else words.value


def _p_value(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNKNOWN
    return "below 0.0001" if value < 1e-4 else format_number(round(value, 4))  # noqa: PLR2004 -- four digits


QUANTILES = {"p50": "p50 (median)", "p90": "p90", "p99": "p99"}


def latency_panels(
    _: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield how long an answer takes."""
    drawn = [
        (QUANTILES[m.metric], m, of)
        for m in measured
        if m.check == "hardware.latency"
        and m.metric in QUANTILES
        and (of := interval_ends(m)) is not None
    ]
    if not drawn:
        return
    title, unit = "Time to answer one row on the target", drawn[0][1].unit
    yield FigurePanel(
        title=title,
        target=drawn[0][1].target,
        caption="Half of the calls are faster than p50, nine in ten than p90, 99 in 100 than p99. "
        "Measured inside the process that runs the model, on the machine described below.",
        drawing=draw_interval_rows(
            key, title, [IntervalRow(name, *of) for name, _, of in drawn], unit
        ),
        header=("", "Figure", "Interval", "How sure"),
        rows=tuple(
            (name, words.value, words.interval or format_number(of[0], unit), words.sure)
            for name, m, of in drawn
            for words in [format_measurement(m)]
        ),
    )
