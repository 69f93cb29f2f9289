"""How sure the model is: its reliability, whole, class by class, and for each group of people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TypeVar, cast

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Panel, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, figure, scalar
from auditor.rendering.phrases import metric_title
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.plots.reliability import (
    Beside,
    Bin,
    Point,
    class_plots,
    reliability_plot,
)

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


Drawn = TypeVar("Drawn", Bin, Point)


def reliability_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield how often stated confidence came true, whole and for each of a few classes."""
    mine = [m for m in measured if m.check == CHECK and not m.slice]
    by_name = {m.metric: m for m in mine}
    error = by_name.get("debiased_l2")
    bins = () if error is None else _all_of(Bin, error.details.get("bins"))
    if error is not None and bins:
        smooth = by_name.get("smece")
        curve = () if smooth is None else _all_of(Point, smooth.details.get("curve"))
        beside = None if smooth is None else _beside(smooth)
        yield Panel(
            title="Is it as sure as it should be?",
            target=error.target,
            caption=f"Stated: {scalar(error.details.get('of', 'confidence of the answer'))}. On "
            "the diagonal the model means what it says; below it, things come true less often. "
            f"{metric_title(inputs, CHECK, error.metric)}: {figure(error).whole}."
            + ("" if beside is None else _compared(beside))
            + (" The band around the curve holds point by point." if curve else ""),
            drawing=reliability_plot(key, bins, _histogram(by_name) or bins, curve, beside),
            header=("Stated from", "to", "Stated on average", "Came true", "Interval", "Rows"),
            rows=tuple(map(_bin_row, bins)),
            notes=tuple(_advice(by_name)),
        )
    yield from _classes([m for m in mine if m.metric == "class_l2"], f"{key}-classes")


def group_line_panels(
    _: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield for each column of groups how bold the model is, and how far it is off on average."""
    shown = [m for m in measured if m.check == GROUPS and m.metric in LINES]
    places = {(str(m.params.get("group_column", "")), m.metric): None for m in shown}
    for index, (column, metric) in enumerate(places):
        mine = [
            (str(m.params.get("group", "")), m, of)
            for m in shown
            if (str(m.params.get("group_column", "")), m.metric) == (column, metric)
            if (of := ends(m)) is not None
        ]
        if not mine:
            continue
        said_of, right_at = LINES[metric]
        title = f"{said_of} by {column}"
        rows = [Row(name, *of, doubted=m.doubted) for name, m, of in mine[:MOST_GROUPS]]
        yield Panel(
            title=title,
            target=mine[0][1].target,
            caption=(LINES_APART if index == 0 else "Each group with its own interval.")
            + (f" {len(mine) - len(rows)} more are in the table only." * (len(mine) > len(rows))),
            drawing=interval_rows(f"{key}-{index}", title, rows, Unit.NONE, ideal=right_at),
            header=("", "Figure", "Interval", "How sure"),
            rows=tuple((name, *said(m)) for name, m, _ in mine),
        )


def _classes(measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    named = [
        (str(m.params.get("class", "")), m, bins)
        for m in measured
        if (bins := _all_of(Bin, m.details.get("bins")))
    ]
    if not named:
        return
    drawn = [(name, bins) for name, _, bins in named[:MOST_CLASSES]]
    hidden = len(named) - len(drawn)
    yield Panel(
        title="Is it as sure of each class as it should be?",
        target=named[0][1].target,
        caption="Across: what was stated of the class, from 0 to 100 %; up: how often it came "
        "true. Intervals of the table hold jointly."
        + (f" {hidden} more classes are in the table only." if hidden else ""),
        drawing=class_plots(key, drawn),
        header=("Class", "Debiased L2 error", "Interval", "How sure"),
        rows=tuple((name, *said(m)) for name, m, _ in named),
    )


def _beside(smooth: Measurement) -> Beside | None:
    """Return the smooth error beside the range of calibrated models, where the record has both."""
    null, own = smooth.details.get("if_calibrated"), ends(smooth)
    if not isinstance(null, Mapping) or own is None:
        return None
    low, high = null.get("low"), null.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return Beside(*own, low, high)


def _compared(beside: Beside) -> str:
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
        constants = ", ".join(f"{name} {scalar(m.details.get(name))}" for name in GAINS[m.metric])
        yield (
            f"Advice: {scalar(m.details.get('advice'))} ({constants}). On rows held out that "
            f"saves {figure(m).whole} a row."
        )
    if gains and not advised:
        yield CUT_OFF if any(m.doubted for m in gains) else NO_ADVICE


def _histogram(by_name: Mapping[str, Measurement]) -> tuple[Bin, ...]:
    """Return bins of equal width, which show where stated values lie; equal masses do not."""
    found = by_name.get("ece_15")
    return () if found is None else _all_of(Bin, found.details.get("bins"))


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


def _bin_row(item: Bin) -> tuple[str, ...]:
    return (
        *(_percent(x) for x in (item.low, item.high, item.confidence, item.accuracy)),
        f"{_percent(item.accuracy_low)}{DASH}{_percent(item.accuracy_high)}",
        f"{item.n:,}",
    )


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"
