"""What the model does in daily use: how it treats groups, how fast it answers."""

from collections.abc import Iterator, Sequence

from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Panel, ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure, number
from auditor.rendering.phrases import metric_title
from auditor.rendering.plots.intervals import Row, interval_rows

GROUP_METRICS = ("selection_rate", "tpr", "fpr", "ppv")
QUANTILES = {"p50": "p50 (median)", "p90": "p90", "p99": "p99"}
GROUPS_APART = (
    "Each group with its own interval. Groups whose intervals overlap widely cannot be told apart "
    "with these rows; rules judge gaps, whose intervals hold jointly."
)
MOST_GROUPS = 14


def group_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield the rates of each group of people."""
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


def latency_panels(_: RenderedInputs, measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    """Yield how long an answer takes."""
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
    drawn = [(name, m, of) for name, m in named if (of := ends(m)) is not None]
    if not drawn:
        return
    rows = [Row(name, *of) for name, _, of in drawn[:MOST_GROUPS]]
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
            (name, words.value, words.interval or number(of[0], unit), words.sure)
            for name, m, of in drawn
            for words in [figure(m)]
        ),
    )
