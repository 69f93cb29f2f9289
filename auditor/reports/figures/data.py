"""What the data are like: whom they hold, which rows stand twice, which labels are doubtful."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.domain.readings import Measurement, Unit
from auditor.reports.figures.panel import FigurePanel, format_figure_cells, interval_ends
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import (
    DASH,
    format_count,
    format_measurement,
    format_number,
    format_scalar,
)
from auditor.reports.plots.intervals import IntervalRow, draw_interval_rows

MOST = 12
SAMPLES = {"evaluation": "evaluation data", "training": "training data"}
POPULATION = (
    "Dots are shares of the rows with their intervals, which hold jointly; squares are the shares "
    "of the population that the audit declares."
)
AREAS = (
    "How well each column alone tells the label: half is chance, 100 % is a column that stands for "
    "the label. Chosen on one half of the rows and measured on the other; the intervals hold "
    "jointly."
)
SUSPECTS = (
    "The model contradicts these labels and is sure of it. Either the label is wrong or the model "
    "is: look at the rows. The margin is the probability of the label less that of the likeliest "
    "other class."
)


def population_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield, for each column of the population, the data's shares beside the population's."""
    mine = _once(inputs, measured, "data.representativeness", "representation_ratio")
    places = dict.fromkeys((_data(m), str(m.params.get("column", ""))) for m in mine)
    for index, (data, column) in enumerate(places):
        part = [m for m in mine if (_data(m), str(m.params.get("column", ""))) == (data, column)]
        levels = [found for m in part if (found := _level(m)) is not None]
        if not levels:
            continue
        title = f"Who is in the {_sample(data)}, by {column}"
        rows = [row for level in levels[:MOST] for row in level[:2]]
        hidden = len(levels) - MOST
        more = f" {hidden} more levels are in the table only." if hidden > 0 else ""
        yield FigurePanel(
            title=title,
            target=part[0].target,
            caption=(POPULATION if index == 0 else "The same of other rows or levels.") + more,
            drawing=draw_interval_rows(f"{key}-{index}", title, rows, Unit.SHARE),
            header=("Level", "Share of rows", "Interval", "Of the population", "Rows"),
            rows=tuple(level[2] for level in levels),
        )


def _level(m: Measurement) -> tuple[IntervalRow, IntervalRow, tuple[str, ...]] | None:
    aim, hits, of = m.details.get("population"), m.details.get("k"), interval_ends(m)
    if of is None or not isinstance(aim, int | float) or not isinstance(hits, int):
        return None
    if not 0 < aim <= 1:
        return None
    name = str(m.params.get("level", ""))
    share, low, high = (min(1.0, max(0.0, end * aim)) for end in of)
    shown = [format_number(value, Unit.SHARE) for value in (share, low, high, aim)]
    table = (name, shown[0], f"{shown[1]}{DASH}{shown[2]}", shown[3], format_count(hits))
    return (
        IntervalRow(name, share, low, high, 0, m.doubted),
        IntervalRow("population", aim, aim, aim, 1),
        table,
    )


def area_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield how well single columns tell the label."""
    mine = _once(inputs, measured, "data.balance", "column_auc")
    for index, data in enumerate(dict.fromkeys(_data(m) for m in mine)):
        part = [(m, of) for m in mine if _data(m) == data and (of := interval_ends(m)) is not None]
        if not part:
            continue
        part.sort(key=lambda item: -item[1][0])
        title = f"What single columns tell of the label, {_sample(data)}"
        drawn = [
            IntervalRow(str(m.params.get("column", "")), *of, 0, m.doubted) for m, of in part[:MOST]
        ]
        yield FigurePanel(
            title=title,
            target=part[0][0].target,
            caption=AREAS if index == 0 else "The same of other rows.",
            drawing=draw_interval_rows(f"{key}-{index}", title, drawn, Unit.SHARE),
            header=("Column", "Area under the ROC curve", "Interval", "How sure"),
            rows=tuple((str(m.params.get("column", "")), *format_figure_cells(m)) for m, _ in part),
        )


def suspect_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield the rows whose labels are the most doubtful."""
    del inputs, key
    for m in measured:
        rows = _listed(m.details.get("suspects"), ("id", "label", "suggested", "margin"))
        if m.check != "data.labels" or not rows:
            continue
        yield FigurePanel(
            title=f"Labels to look at, {_sample(_data(m))}",
            target=m.target,
            caption=f"{SUSPECTS} Estimated share of wrong labels: {format_measurement(m).whole}.",
            header=("Row", "Label", "The model says", "Margin"),
            rows=rows[:MOST],
            notes=_more(len(rows)),
        )


def leak_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield the evaluation rows that stand in the training data."""
    del key
    for m in _once(inputs, measured, "data.leakage", None):
        rows = _listed(m.details.get("leaked"), ("id", "training"))
        if not rows:
            continue
        way = m.metric.removesuffix("_share")
        gaps = [
            "Accuracy on these rows less that on rows that do not leak: "
            f"{format_measurement(it).whole}."
            for it in measured
            if it.check == m.check and it.params.get("leak") == way
        ]
        yield FigurePanel(
            title=LEAKS.get(way, way),
            target=m.target,
            caption=f"{format_figure_cells(m)[0]} of {format_count(m.n)} evaluation rows.",
            header=("Evaluation row", "Training row"),
            rows=rows[:MOST],
            notes=(*gaps, *_chance(m), *_more(len(rows))),
        )


LEAKS = {
    "exact": "Evaluation rows that stand in the training data",
    "near": "Evaluation rows that nearly stand in the training data",
    "entity": "Evaluation rows whose entity is in the training data",
}
COPIES = {
    "exact_share": "Rows that stand twice",
    "near_share": "Rows that nearly stand twice",
    "conflicting_share": "Equal rows with other labels",
    "near_conflicting_share": "Nearly equal rows with other labels",
}


def copy_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield the groups of rows that are alike."""
    del key
    for m in _once(inputs, measured, "data.duplicates", None):
        groups = m.details.get("groups")
        if m.metric not in COPIES or not isinstance(groups, Sequence) or isinstance(groups, str):
            continue
        rows = tuple(
            (str(place), ", ".join(format_scalar(name) for name in group))
            for place, group in enumerate(groups, start=1)
            if isinstance(group, Sequence) and not isinstance(group, str)
        )
        if rows:
            yield FigurePanel(
                title=f"{COPIES[m.metric]}, {_sample(_data(m))}",
                target=m.target,
                caption=f"{format_figure_cells(m)[0]} of {format_count(m.n)} rows.",
                header=("Group", "Rows that are alike"),
                rows=rows[:MOST],
                notes=(*_chance(m), *_more(len(rows))),
            )


def _once(
    inputs: ReportInputs, measured: Sequence[Measurement], check: str, metric: str | None
) -> list[Measurement]:
    """Return readings of a check of the data; the same on every target, they are shown on one."""
    first = next(
        (it for it in inputs.record.readings if isinstance(it, Measurement) and it.check == check),
        None,
    )
    return [
        m
        for m in measured
        if m.check == check
        and metric in {None, m.metric}
        and first is not None
        and m.target == first.target
    ]


def _listed(items: object, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        return ()
    told = [item for item in items if isinstance(item, Mapping)]
    return tuple(tuple(_cell(item.get(name)) for name in names) for item in told)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
    return format_scalar(cast("str", value))


def _chance(m: Measurement) -> tuple[str, ...]:
    chance = m.details.get("by_chance")
    if not isinstance(chance, int | float) or not 0 < chance <= 1:
        return ()
    return (f"By chance alone, columns shuffled, it were {format_number(chance, Unit.SHARE)}.",)


def _more(rows: int) -> tuple[str, ...]:
    return (f"{rows - MOST} more are in the record.",) if rows > MOST else ()


def _data(m: Measurement) -> str:
    return str(m.params.get("data", "evaluation"))


def _sample(data: str) -> str:
    return SAMPLES.get(data, data)
