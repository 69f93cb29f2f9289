"""What the model does in daily use: how sure it is, and how fast it answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement
from auditor.rendering.figures.panel import Panel, ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, figure, number, scalar
from auditor.rendering.phrases import metric_title
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.plots.reliability import Bin, reliability_plot

QUANTILES = {"p50": "p50 (median)", "p90": "p90", "p99": "p99"}


def reliability_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield how often stated confidence came true."""
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
