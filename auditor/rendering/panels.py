"""The plots of a record: which readings are drawn, and the same figures as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, figure, number, scalar
from auditor.rendering.phrases import BOUNDS, metric_title
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.plots.reliability import Bin, reliability_plot
from auditor.rendering.plots.robustness import Curve, CurvePoint, LimitMark, robustness_plot
from auditor.rendering.plots.svg import Drawing

ATTACKS = {
    "evasion.linf": "attacker who knows the model",
    "evasion.linf_query": "attacker who only asks it",
}
GROUP_METRICS = ("selection_rate", "tpr", "fpr", "ppv")
QUANTILES = {"p50": "p50 (median)", "p90": "p90", "p99": "p99"}
GROUPS_APART = (
    "Each group with its own interval. Groups whose intervals overlap widely cannot be told apart "
    "with these rows; rules judge gaps, whose intervals hold jointly."
)
MOST_GROUPS = 14
MOST_PANELS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A drawing, what it says in words, and its figures as a table."""

    title: str
    target: str
    caption: str
    drawing: Drawing
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def panels(inputs: RenderedInputs) -> tuple[Panel, ...]:
    """Return every plot that the record's readings give, target by target."""
    found: list[Panel] = []
    for spec in inputs.record.request.targets:
        measured = [
            item
            for item in inputs.record.readings
            if isinstance(item, Measurement) and item.target == spec.name
        ]
        for draw in (_robustness, _reliability, _groups, _latency):
            found.extend(draw(inputs, measured, f"plot-{len(found) + 1}"))
    return tuple(found[:MOST_PANELS])


def _robustness(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    curves = [
        curve
        for check, name in ATTACKS.items()
        if (curve := _curve([m for m in measured if m.check == check], name)).points
    ]
    if not curves:
        return
    readings = [m for m in measured if m.check in ATTACKS and m.metric == "robust_accuracy"]
    clean = next((m for m in measured if m.check in ATTACKS and m.metric == "clean_accuracy"), None)
    start = None if clean is None else _point(clean, 0.0)
    yield Panel(
        title="Accuracy under attack",
        target=readings[0].target,
        caption="Each mark is the most accuracy that the model can have against inputs changed by "
        "up to that budget: the attack found so many wrong answers, a stronger attack may find "
        "more. The band is the interval.",
        drawing=robustness_plot(key, curves, start, _limit_marks(inputs)),
        header=("Attack", "Budget (eps)", "Accuracy", "Interval", "How sure"),
        rows=tuple(_attack_row(m) for m in readings),
    )


def _attack_row(m: Measurement) -> tuple[str, ...]:
    words = figure(m)
    budget = scalar(m.params.get("eps"))
    value = BOUNDS[m.bound] + words.value
    return ATTACKS[m.check], budget, value, words.interval, words.sure


def _curve(measured: Sequence[Measurement], name: str) -> Curve:
    points = [
        point
        for m in measured
        if m.metric == "robust_accuracy" and not m.slice
        if isinstance(eps := m.params.get("eps"), int | float)
        if (point := _point(m, float(eps))) is not None
    ]
    return Curve(name, tuple(sorted(points, key=lambda point: point.eps)))


def _point(m: Measurement, eps: float) -> CurvePoint | None:
    ends = _ends(m)
    return None if ends is None else CurvePoint(eps, *ends)


def _ends(m: Measurement) -> tuple[float, float, float] | None:
    if isinstance(m.value, bool | str) or m.value is None:
        return None
    low = m.value if m.low is None else m.low
    return m.value, low, m.value if m.high is None else m.high


def _limit_marks(inputs: RenderedInputs) -> list[LimitMark]:
    marks = {
        (float(eps), rule.limits.least)
        for rule in inputs.policy.rules
        if rule.check in ATTACKS and rule.metric == "robust_accuracy"
        if rule.limits is not None and rule.limits.least is not None
        if isinstance(eps := rule.where.get("eps"), int | float)
    }
    return [LimitMark(eps, least) for eps, least in sorted(marks)]


def _reliability(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    for m in measured:
        if m.check != "quality.calibration" or m.metric != "debiased_l2" or m.slice:
            continue
        bins = _bins(m.details.get("bins"))
        if not bins:
            continue
        yield Panel(
            title="Is it as sure as it should be?",
            target=m.target,
            caption=f"Stated: {scalar(m.details.get('of', 'confidence of the answer'))}. On the "
            "diagonal the model means what it says; below it, it is too sure. "
            f"{metric_title(inputs, m.check, m.metric)}: {figure(m).whole}.",
            drawing=reliability_plot(key, bins, _histogram(measured) or bins),
            header=("Stated from", "to", "Stated on average", "Came true", "Interval", "Rows"),
            rows=tuple(
                (
                    *(_percent(x) for x in (b.low, b.high, b.confidence, b.accuracy)),
                    f"{_percent(b.accuracy_low)}{DASH}{_percent(b.accuracy_high)}",
                    f"{b.n:,}",
                )
                for b in bins
            ),
        )
        return


def _histogram(measured: Sequence[Measurement]) -> tuple[Bin, ...]:
    """Return bins of equal width, which show where stated values lie; equal masses do not."""
    found = (m.details.get("bins") for m in measured if m.metric == "ece_15" and not m.slice)
    return _bins(next(found, None))


def _bins(listed: Json) -> tuple[Bin, ...]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    found = []
    for item in listed:
        if not isinstance(item, Mapping):
            return ()
        values = {name: item.get(name) for name in Bin.__dataclass_fields__}
        if all(isinstance(value, int | float) for value in values.values()) and values["n"]:
            found.append(Bin(**cast("dict[str, int]", values)))
    return tuple(found)


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _groups(inputs: RenderedInputs, measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    shown = [m for m in measured if m.check == "fairness.groups" and m.metric in GROUP_METRICS]
    places = {(str(m.params.get("group_column", "")), m.metric): None for m in shown}
    for index, (column, metric) in enumerate(places):
        mine = [
            m
            for m in shown
            if m.metric == metric and str(m.params.get("group_column", "")) == column
        ]
        title = metric_title(inputs, "fairness.groups", metric)
        yield from _rows_panel(
            f"{key}-{index}",
            f"{title} by {column}",
            GROUPS_APART if index == 0 else "Each group with its own interval.",
            [(str(m.params.get("group", "")), m) for m in mine],
        )


def _latency(_: RenderedInputs, measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    mine = [
        (QUANTILES[m.metric], m)
        for m in measured
        if m.check == "hardware.latency" and m.metric in QUANTILES
    ]
    yield from _rows_panel(
        key,
        "Time to answer one row on the target",
        "Half of the calls are faster than p50, nine in ten than p90, 99 in 100 than p99. "
        "Measured inside the process that runs the model, on the machine described below.",
        mine,
    )


def _rows_panel(
    key: str, title: str, caption: str, named: Sequence[tuple[str, Measurement]]
) -> Iterator[Panel]:
    drawn = [(name, m, ends) for name, m in named if (ends := _ends(m)) is not None]
    if not drawn:
        return
    rows = [Row(name, *ends) for name, _, ends in drawn[:MOST_GROUPS]]
    hidden = len(drawn) - len(rows)
    more = f" {hidden} more are in the table only." if hidden else ""
    unit: Unit = drawn[0][1].unit
    yield Panel(
        title=title,
        target=drawn[0][1].target,
        caption=caption + more,
        drawing=interval_rows(key, title, rows, unit),
        header=("", "Figure", "Interval", "How sure"),
        rows=tuple(
            (name, words.value, words.interval or number(ends[0], unit), words.sure)
            for name, m, ends in drawn
            for words in [figure(m)]
        ),
    )
