"""Report panels for fairness: gaps between groups of people, and slices with higher error."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.domain.datasets import UNKNOWN
from auditor.domain.json import Json
from auditor.domain.readings import Measurement, Unit
from auditor.reports.figures.panel import FigurePanel, interval_ends
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import (
    DASH,
    format_count,
    format_measurement,
    format_number,
    format_scalar,
)
from auditor.reports.plots.intervals import IntervalRow, draw_interval_rows
from auditor.reports.plots.svg import LegendEntry
from auditor.reports.wording import check_title, metric_title

SEARCHES = ("fairness.slices", "fairness.clusters")
MOST_SLICES, MOST_LABELS = 12, 3
FOUND = (
    "{looked} slices were looked at in one half of the rows. {tried} of them were tried on the "
    "other half, and {confirmed} confirmed to be worse than the rest ({method}). All figures are "
    "of the half that tried them, and their intervals hold jointly."
)
NOTHING = (
    "None was confirmed, which does not prove that there is none: the table of what would have "
    "been confirmed says how bad a slice could be and stay unseen."
)
CURES = (
    "What to do: where one mistake prevails, look for an input that the model lacks and that would "
    "tell these rows apart; check the labels of some of them; and collect more of them to train "
    "on. Until then, let people decide there."
)
POWER = (
    "Of a slice that holds so many of the rows, the least share of wrong decisions that would have "
    "been confirmed in four of five searches, if the search put it forward. Fewer than that can be "
    "wrong in a slice, and nobody would see it here; more rows show more."
)


def slice_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield what each search confirmed, and what it could not have seen."""
    for place, check in enumerate(SEARCHES):
        mine = [m for m in measured if m.check == check]
        errors = [m for m in mine if m.metric == "error"]
        if errors:
            yield _confirmed(inputs, mine, errors, f"{key}-{place}")
            yield from _power(inputs, mine)


def _confirmed(
    inputs: ReportInputs, mine: Sequence[Measurement], errors: Sequence[Measurement], key: str
) -> FigurePanel:
    whole, *found = errors
    slices = sorted(found, key=lambda m: -_excess(m))[:MOST_SLICES]
    names = ["all rows", *(f"slice {place}" for place in range(1, len(slices) + 1))]
    named = list(zip(names, (whole, *slices), strict=True))
    rows = [IntervalRow(name, *of) for name, m in named if (of := interval_ends(m)) is not None]
    title = check_title(inputs, whole.check)
    notes = [_told(m, place, slices[: place - 1]) for place, m in enumerate(slices, 1)]
    hidden = len(found) - len(slices)
    more = [f"{format_count(hidden)} more are in the table of measurements."] if hidden else []
    return FigurePanel(
        title=title,
        target=whole.target,
        caption=" ".join([_counted(mine), *_view(whole)]),
        drawing=draw_interval_rows(key, title, rows, Unit.SHARE),
        header=("", "Slice", "Wrong here", "Interval", "Wrong elsewhere", "Times", "Rows"),
        rows=tuple(_cells(name, m) for name, m in named),
        notes=(*notes, *more, *([CURES] if slices else [NOTHING])),
        wide=bool(slices),
    )


def _counted(mine: Sequence[Measurement]) -> str:
    numbers = {m.metric: m for m in mine if m.metric.startswith("slices_")}
    looked, tried, sure = (
        format_scalar(numbers[name].value) if name in numbers else "?"
        for name in ("slices_looked_at", "slices_tried", "slices_confirmed")
    )
    method = next((m.method.split(", ")[-1] for m in numbers.values()), "")
    return FOUND.format(looked=looked, tried=tried, confirmed=sure, method=method)


def _view(whole: Measurement) -> Iterator[str]:
    """Say what rows were clustered by, where they were."""
    view = whole.details.get("view")
    if not isinstance(view, Mapping):
        return
    width = format_scalar(view.get("width", "?"))
    what = "which are the model's inputs" if view.get("inputs") else "its own view of a row"
    yield (
        f"Rows are clustered by the {width} numbers that the model's last layer "
        f"({format_scalar(view.get('layer', '?'))}) is given, {what}: a cluster is rows that are "
        "alike to the model, and has no other name."
    )


def name_slice(m: Measurement) -> str:
    """Say which rows a slice holds."""
    return _named(m.slice) or "all rows"


def name_worst_slice(m: Measurement) -> str:
    """Say whose figure the worst slice's is, or nothing of other figures."""
    place = m.details.get("slice") if m.metric == "worst_slice_error" else None
    name = _named(place) if isinstance(place, Mapping) else ""
    return f" The slice is {name}." if name else ""


def _named(place: Mapping[str, Json]) -> str:
    return " and ".join(f"{name}: {format_scalar(level)}" for name, level in place.items())


def _told(m: Measurement, place: int, before: Sequence[Measurement]) -> str:
    """Say of a slice what it is, how much worse, for how many rows, and in which way."""
    held, rest = _count(m, "held_out"), _count(m, "rest")
    words = format_measurement(m)
    said = f"{place}. {name_slice(m)}{_part(m, before)}. {words.value} of the decisions are wrong"
    if words.interval:
        said += f" ({words.interval})"
    lift = m.details.get("lift")
    if isinstance(lift, int | float) and rest[1]:
        said += f", {lift:.1f} times the {_percent(rest[0] / rest[1])} of all other rows"
    share = held[1] / max(1, held[1] + rest[1])
    said += (
        f". That is {format_count(held[1])} of {format_count(held[1] + rest[1])} rows "
        f"({_percent(share)})"
    )
    extra = round(_excess(m))
    if extra > 0:
        said += f"; {format_count(extra)} fewer would be wrong if it did as well there as elsewhere"
    return said + "." + _mistakes(m) + _labels(m)


def _part(m: Measurement, before: Sequence[Measurement]) -> str:
    for place, other in enumerate(before, 1):
        if other.slice and other.slice.items() < m.slice.items():
            return f" (a worse part of slice {place})"
    return ""


def _mistakes(m: Measurement) -> str:
    listed = m.details.get("mistakes")
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        return ""
    wrong = _count(m, "held_out")[0]
    told = [
        f"{format_count(n)} say {format_scalar(item.get('decided'))} where "
        f"{format_scalar(item.get('label'))} is right"
        for item in listed
        if isinstance(item, Mapping) and isinstance(n := item.get("n"), int)
    ]
    return f" Of {format_count(wrong)} mistakes, {', '.join(told)}."


def _labels(m: Measurement) -> str:
    """Say how the rows of a cluster are labelled: it has no name that would say so."""
    listed = m.details.get("labels")
    if "view" not in m.details or not isinstance(listed, Sequence) or isinstance(listed, str):
        return ""
    told = [
        f"{format_scalar(item.get('label'))} ({format_count(n)})"
        for item in listed[:MOST_LABELS]
        if isinstance(item, Mapping) and isinstance(n := item.get("n"), int)
    ]
    return f" Most frequent labels there: {', '.join(told)}." if told else ""


def _cells(name: str, m: Measurement) -> tuple[str, ...]:
    words, rest, lift = format_measurement(m), _count(m, "rest"), m.details.get("lift")
    elsewhere = _percent(rest[0] / rest[1]) if m.slice and rest[1] else DASH
    times = f"{lift:.1f}" if isinstance(lift, int | float) else DASH
    return name, name_slice(m), words.value, words.interval, elsewhere, times, format_count(m.n)


def _power(inputs: ReportInputs, mine: Sequence[Measurement]) -> Iterator[FigurePanel]:
    worst = next((m for m in mine if m.metric == "worst_slice_error"), None)
    listed = None if worst is None else worst.details.get("would_be_confirmed")
    if worst is None or not isinstance(listed, Sequence) or isinstance(listed, str):
        return
    yield FigurePanel(
        title=f"{check_title(inputs, worst.check)}: what would have been seen",
        target=worst.target,
        caption=POWER,
        header=("Of the rows", "Rows", "Wrong from", "Times rest"),
        rows=tuple(_seen(row) for row in listed if isinstance(row, Mapping)),
    )


def _seen(row: Mapping[str, Json]) -> tuple[str, ...]:
    share, rows, rate, lift = (row.get(name) for name in ("share", "rows", "rate", "lift"))
    return (
        f"{share * 100:g} %" if isinstance(share, int | float) else DASH,
        format_count(rows) if isinstance(rows, int) else DASH,
        _percent(rate) if isinstance(rate, int | float) else "none would be",
        f"{lift:.2f}" if isinstance(lift, int | float) else DASH,
    )


def _excess(m: Measurement) -> float:
    """Return how many decisions fewer would be wrong if the slice did as well as all others."""
    (wrong, rows), (others, rest) = _count(m, "held_out"), _count(m, "rest")
    return wrong - rows * others / rest if rest else 0.0


def _count(m: Measurement, name: str) -> tuple[int, int]:
    held = m.details.get(name)
    wrong, rows = (held.get("k"), held.get("n")) if isinstance(held, Mapping) else (0, 0)
    return (wrong, rows) if isinstance(wrong, int) and isinstance(rows, int) else (0, 0)


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


RATES = {
    "fairness.groups": ("selection_rate", "tpr", "fpr", "ppv", "accuracy"),
    "fairness.errors": ("within_tolerance",),
}
"""The rates that are drawn group by group; what else there is stands in the list of readings."""
RATIOS = ("impact_ratio",)
SHORT = {
    "selection_rate_gap": "selected",
    "tpr_gap": "true positives",
    "fpr_gap": "false positives",
    "ppv_gap": "predicted yes",
    "npv_gap": "predicted no",
    "accuracy_gap": "accuracy",
    "equalised_odds_gap": "equalised odds",
    "within_tolerance_gap": "in tolerance",
}
"""What fits beside a bar; the table below it has whole titles."""
APART = (
    "Each bar is where the largest difference between any two groups lies; all bars "
    "of all groupings hold at once. A bar that reaches zero leaves open whether there is any."
)
GROUPS_APART = (
    "Each group with its own interval. Groups whose intervals overlap widely cannot be told apart "
    "with these rows; rules judge gaps, whose intervals hold jointly."
)
SHRUNK = (
    " Squares are what all groups together say of each, which is nearer to the truth where a group "
    "is small; it is shown beside, and decides nothing."
)
FOUR_FIFTHS = "Selected less than four fifths as often as the group selected most, as counted: "
SCREENS = "The rule of thumb screens; it proves nothing by itself."
SMALL = "small"
MOST_GROUPS = 14
LEGEND = (
    LegendEntry("series-0", "as counted"),
    LegendEntry("series-1", "drawn towards all groups", 1),
)


def group_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield, grouping by grouping, the gaps between groups and the rates of each."""
    shown = [m for m in measured if m.check in RATES and "group_column" in m.params]
    columns = dict.fromkeys(str(m.params["group_column"]) for m in shown)
    for index, column in enumerate(columns):
        mine = [m for m in shown if m.params["group_column"] == column]
        yield from _gaps(inputs, mine, column, f"{key}-{index}")
        for check, metrics in RATES.items():
            for place, metric in enumerate(metrics):
                rows = [m for m in mine if (m.check, m.metric) == (check, metric)]
                title = f"{metric_title(inputs, check, metric)} by {column}"
                yield from _rates(rows, title, f"{key}-{index}-{place}", first=not index + place)


def _gaps(
    inputs: ReportInputs, mine: Sequence[Measurement], column: str, key: str
) -> Iterator[FigurePanel]:
    """Yield how far groups are apart, and what a reader must know of it."""
    gaps = [
        m for m in mine if m.metric.endswith("_gap") and m.unit is Unit.SHARE and interval_ends(m)
    ]
    if not gaps:
        return
    ratios = [m for m in mine if m.metric in RATIOS and interval_ends(m)]
    title = f"How far groups are apart: {column}"
    names = {m.metric: metric_title(inputs, m.check, m.metric) for m in (*gaps, *ratios)}
    rows = [
        IntervalRow(SHORT.get(m.metric, names[m.metric]), *of, doubted=m.doubted)
        for m in gaps
        if (of := interval_ends(m))
    ]
    yield FigurePanel(
        title=title,
        target=gaps[0].target,
        caption=APART,
        drawing=draw_interval_rows(key, title, rows, Unit.SHARE),
        header=("", "Figure", "Interval", "Highest", "Lowest", "Groups too small for it"),
        rows=tuple(_apart(names[m.metric], m) for m in (*gaps, *ratios)),
        notes=tuple(_notes(names, gaps, ratios)),
    )


def _apart(name: str, m: Measurement) -> tuple[str, ...]:
    words, small = format_measurement(m), "; ".join(_mapping(m, "undecided_by"))
    return (
        name,
        words.value,
        words.interval,
        _told_groups(m, "highest"),
        _told_groups(m, "lowest"),
        small or DASH,
    )


def _notes(
    names: Mapping[str, str], gaps: Sequence[Measurement], ratios: Sequence[Measurement]
) -> Iterator[str]:
    """Yield who is too small and by how many rows, who is left out, and what cannot be had."""
    for m in gaps:
        small = tuple(_mappings(_mapping(m, "undecided_by")))
        if small:
            named = "; ".join(f"{group} {_enough(told)}" for group, told in small)
            yield f"{names[m.metric]}, {format_scalar(small[0][1].get('of'))}: {named}."
    for m in ratios:
        below = m.details.get("below_four_fifths")
        if isinstance(below, Sequence) and below:
            yield FOUR_FIFTHS + "; ".join(str(name) for name in below) + ". " + SCREENS
        for group, told in _mappings(_mapping(m, "left_out")):
            rows = f"{format_scalar(told.get('k'))} of {format_scalar(told.get('n'))} rows selected"
            yield f"Not compared, but shown: {group}, {rows}."
    notes = (_mapping(m, "base_rates").get("note") for m in gaps)
    yield from [note for note in notes if isinstance(note, str)][:1]


def _rates(
    rows: Sequence[Measurement], title: str, key: str, *, first: bool
) -> Iterator[FigurePanel]:
    """Yield one rate of each group: as counted, and drawn towards all where some are small."""
    drawn = [(m, of) for m in rows if (of := interval_ends(m)) is not None]
    if not drawn:
        return
    points: list[IntervalRow] = []
    for m, of in drawn[:MOST_GROUPS]:
        points.append(IntervalRow(_named_groups(m), *of, doubted=m.doubted))
        shrunk = _shrunk(m)
        if shrunk is not None:
            points.append(IntervalRow("", *shrunk, series=1))
    both = any(point.series for point in points)
    hidden = len(drawn) - MOST_GROUPS
    more = f" {hidden} more are in the table only." if hidden > 0 else ""
    caption = GROUPS_APART if first else "Each group with its own interval."
    yield FigurePanel(
        title=title,
        target=drawn[0][0].target,
        caption=caption + SHRUNK * both + more,
        drawing=draw_interval_rows(
            key, title, points, drawn[0][0].unit, entries=LEGEND if both else ()
        ),
        header=("", "Figure", "Interval", *(("Drawn towards all",) if both else ()), "How sure"),
        rows=tuple(_row(m, of[0], both=both) for m, of in drawn),
    )


def _row(m: Measurement, value: float, *, both: bool) -> tuple[str, ...]:
    words, shrunk = format_measurement(m), _shrunk(m)
    beside = DASH if shrunk is None else _with_interval(shrunk, m.unit)
    return (
        _named_groups(m),
        words.value,
        words.interval or format_number(value, m.unit),
        *((beside,) if both else ()),
        words.sure,
    )


def _named_groups(m: Measurement) -> str:
    """Name a group, and say what is special about it."""
    group = str(m.params.get("group", ""))
    return f"{group} ({SMALL})" if m.details.get(SMALL) and group != UNKNOWN else group


def _shrunk(m: Measurement) -> tuple[float, float, float] | None:
    told = _mapping(m, "shrunk")
    values = [told.get(end) for end in ("value", "low", "high")]
    if not all(isinstance(value, int | float) for value in values):
        return None
    value, low, high = cast("list[float]", values)
    return value, low, high


def _with_interval(of: tuple[float, float, float], unit: Unit) -> str:
    value, low, high = (format_number(round(end, 3), unit) for end in of)
    return f"{value} ({low}{DASH}{high})"


def _told_groups(m: Measurement, name: str) -> str:
    return str(m.details.get(name, DASH))


def _mapping(m: Measurement, name: str) -> Mapping[str, Json]:
    found = m.details.get(name)
    return found if isinstance(found, Mapping) else {}


def _mappings(found: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for name, told in found.items():
        if isinstance(told, Mapping):
            yield name, told


def _enough(told: Mapping[str, Json]) -> str:
    enough = told.get("would_decide")
    more = (
        f"about {format_count(enough)} would decide"
        if isinstance(enough, int)
        else "no number decides"
    )
    return f"has {format_scalar(told.get('n'))} ({more})"
