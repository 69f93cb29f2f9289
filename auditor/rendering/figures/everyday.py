"""What the model does in daily use: how fast it answers."""

from collections.abc import Iterator, Sequence

from auditor.domain.readings import Measurement
from auditor.rendering.figures.panel import Panel, ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure, number
from auditor.rendering.plots.intervals import Row, interval_rows

QUANTILES = {"p50": "p50 (median)", "p90": "p90", "p99": "p99"}


def latency_panels(_: RenderedInputs, measured: Sequence[Measurement], key: str) -> Iterator[Panel]:
    """Yield how long an answer takes."""
    drawn = [
        (QUANTILES[m.metric], m, of)
        for m in measured
        if m.check == "hardware.latency" and m.metric in QUANTILES and (of := ends(m)) is not None
    ]
    if not drawn:
        return
    title, unit = "Time to answer one row on the target", drawn[0][1].unit
    yield Panel(
        title=title,
        target=drawn[0][1].target,
        caption="Half of the calls are faster than p50, nine in ten than p90, 99 in 100 than p99. "
        "Measured inside the process that runs the model, on the machine described below.",
        drawing=interval_rows(key, title, [Row(name, *of) for name, _, of in drawn], unit),
        header=("", "Figure", "Interval", "How sure"),
        rows=tuple(
            (name, words.value, words.interval or number(of[0], unit), words.sure)
            for name, m, of in drawn
            for words in [figure(m)]
        ),
    )
