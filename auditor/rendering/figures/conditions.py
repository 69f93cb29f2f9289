"""Accuracy where nobody attacks by a norm: faulty data by kind and severity, and other budgets."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.doubts import doubts
from auditor.rendering.figures.panel import HOTTEST, Cell, Grid, Panel, coordinate, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure, scalar
from auditor.rendering.phrases import check_title, coordinates, metric_title
from auditor.rendering.plots.intervals import Row, interval_rows

MOST_ROWS = 16
TINTED = (
    "The stronger a cell is tinted, the more is lost against the same rows unchanged. Nobody "
    "chooses these changes against the model: this is an average case, not an attack."
)
BY_BUDGET = (
    "What the worst change within a budget leaves is a bound: a longer search may find a worse one."
)
BOTH = " Squares are the average over random changes within the budget."


def grid_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield a tinted table for each check whose readings go by kind and severity."""
    del key
    cells = [m for m in measured if {"kind", "severity"} <= m.params.keys() and ends(m)]
    for check in dict.fromkeys(m.check for m in cells):
        mine = [m for m in cells if m.check == check]
        whole = [m for m in measured if m.check == check and not m.params and not m.slice]
        yield Panel(
            title=check_title(inputs, check),
            target=mine[0].target,
            caption=TINTED,
            grid=_grid(mine, whole),
            notes=(*_summary(inputs, whole), *doubts(mine), *_not_asked(whole)),
            wide=True,
        )


def _grid(cells: Sequence[Measurement], whole: Sequence[Measurement]) -> Grid:
    severities = sorted({_severity(m) for m in cells})
    kinds = sorted(
        {str(m.params["kind"]) for m in cells}, key=lambda kind: (_mean(cells, kind), kind)
    )
    clean = next((m for m in whole if m.metric == "clean_accuracy"), None)
    best = 1.0 if clean is None else (ends(clean) or (1.0,))[0]
    placed = {(str(m.params["kind"]), _severity(m)): m for m in cells}
    rows = tuple(
        (
            kind.replace("_", " "),
            (
                *(_cell(placed.get((kind, severity)), best) for severity in severities),
                Cell(f"{_mean(cells, kind) * 100:.0f} %", heat=_heat(best - _mean(cells, kind))),
            ),
        )
        for kind in kinds
    )
    header = ("Kind", *(f"severity {scalar(severity)}" for severity in severities), "mean")
    return Grid(header, rows)


def _severity(m: Measurement) -> float:
    return coordinate(m, "severity") or 0.0


def _mean(cells: Sequence[Measurement], kind: str) -> float:
    values = [(ends(m) or (0.0,))[0] for m in cells if m.params["kind"] == kind]
    return sum(values) / len(values)


def _cell(m: Measurement | None, best: float) -> Cell:
    found = None if m is None else ends(m)
    if m is None or found is None:
        return Cell("no figure")
    words = figure(m)
    return Cell(words.value, words.interval.replace(" %", ""), _heat(best - found[0]))


def _heat(lost: float) -> int:
    return min(HOTTEST, max(0, round(lost * 10)))


def _summary(inputs: RenderedInputs, whole: Sequence[Measurement]) -> Iterator[str]:
    for m in whole:
        kind = m.details.get("kind")
        named = f", {kind.replace('_', ' ')}" if isinstance(kind, str) else ""
        words = figure(m)
        interval = f" ({words.interval})" if words.interval else ""
        yield f"{metric_title(inputs, m.check, m.metric)}{named}: {words.value}{interval}."


def _not_asked(whole: Sequence[Measurement]) -> Iterator[str]:
    """Name the kinds that have no meaning for these inputs, by reason."""
    reasons: dict[str, list[str]] = {}
    for m in whole:
        told = m.details.get("not_defined")
        for kind, why in told.items() if isinstance(told, Mapping) else ():
            reasons.setdefault(str(why), []).append(str(kind).replace("_", " "))
    for why, kinds in reasons.items():
        yield f"Not asked: {', '.join(kinds)} ({why})."


def budget_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield rows of accuracy for each attack whose budgets are no sizes in a norm."""
    attacked = [
        m
        for m in measured
        if m.metric == "robust_accuracy" and not m.slice
        if coordinate(m, "eps") is None and ends(m)
    ]
    for index, check in enumerate(dict.fromkeys(m.check for m in attacked)):
        mine = [m for m in measured if m.check == check and m.unit is Unit.SHARE and ends(m)]
        yield _by_budget(inputs, mine, f"{key}-{index}")


def _by_budget(inputs: RenderedInputs, mine: Sequence[Measurement], key: str) -> Panel:
    title = check_title(inputs, mine[0].check)
    clean = [m for m in mine if m.metric == "clean_accuracy"]
    pairs = [(m, _average(mine, m)) for m in mine if m.metric == "robust_accuracy"]
    listed = [m for pair in pairs for m in pair if m is not None]
    rows = [_drawn(m) for m in (*clean[:1], *listed)]
    averaged = any(average is not None for _, average in pairs)
    return Panel(
        title=title,
        target=mine[0].target,
        caption=BY_BUDGET + (BOTH if averaged else ""),
        drawing=interval_rows(key, title, rows[:MOST_ROWS], Unit.SHARE),
        header=("Budget", "Figure", "Accuracy", "Interval", "How sure", "Within"),
        rows=tuple(
            (_name(m), metric_title(inputs, m.check, m.metric), *said(m), _reach(m.details))
            for m in (*clean, *listed)
        ),
        notes=doubts(listed),
    )


def _drawn(m: Measurement) -> Row:
    value, low, high = ends(m) or (0.0, 0.0, 0.0)
    averaged = m.metric == "mean_accuracy"
    name = "on average" if averaged else _name(m)
    return Row(name, value, low, high, series=int(averaged), doubted=m.doubted)


def _average(mine: Sequence[Measurement], of: Measurement) -> Measurement | None:
    found = (m for m in mine if m.metric == "mean_accuracy" and m.params == of.params)
    return next(found, None)


def _name(m: Measurement) -> str:
    if len(m.params) == 1:
        (value,) = m.params.values()
        return scalar(value)
    return coordinates(m.params) or "no change"


def _reach(details: Mapping[str, Json]) -> str:
    reach = details.get("reach")
    if not isinstance(reach, Mapping):
        return ""
    return ", ".join(f"{name.replace('_', ' ')} {scalar(value)}" for name, value in reach.items())
