"""Report panels of groups of people: their rates, and the gaps between them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.domain.checks import Check, title_metric
from auditor.domain.confusable_names import quote_name
from auditor.domain.datasets import UNKNOWN
from auditor.domain.json import Json
from auditor.domain.number_text import (
    DASH,
    format_count,
    format_measurement,
    format_number,
    format_scalar,
    join_interval,
)
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_panels import (
    BlockPanel,
    IntervalChart,
    IntervalRow,
    LegendEntry,
    interval_ends,
)
from auditor.domain.tasks import FAVOURABLE

RATIOS = ("impact_ratio",)
SHORT = {
    "selection_rate_gap": "selected",
    "tpr_gap": "true positives",
    "fpr_gap": "false positives",
    "ppv_gap": "PPV",
    "npv_gap": "NPV",
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


def build_group_panels(
    check: type[Check], rates: Sequence[str], measured: Sequence[Measurement]
) -> tuple[BlockPanel, ...]:
    """Return, grouping by grouping, the gaps between groups and the ``rates`` of each."""
    shown = [m for m in measured if "group_column" in m.params]
    panels: list[BlockPanel] = []
    for index, column in enumerate(dict.fromkeys(str(m.params["group_column"]) for m in shown)):
        mine = [m for m in shown if m.params["group_column"] == column]
        panels += _gaps(check, mine, column)
        for place, metric in enumerate(rates):
            rows = [m for m in mine if m.metric == metric]
            title = f"{title_metric(check, metric)} by {column}"
            panels += _rates(rows, title, first=not index + place)
    return tuple(panels)


def _gaps(check: type[Check], mine: Sequence[Measurement], column: str) -> Iterator[BlockPanel]:
    """Yield how far groups are apart, and what a reader must know of it."""
    gaps = [
        m for m in mine if m.metric.endswith("_gap") and m.unit is Unit.SHARE and interval_ends(m)
    ]
    if not gaps:
        return
    ratios = [m for m in mine if m.metric in RATIOS and interval_ends(m)]
    title = f"Gaps between groups: {column}"
    names = {m.metric: title_metric(check, m.metric) for m in (*gaps, *ratios)}
    rows = [
        IntervalRow(SHORT.get(m.metric, names[m.metric]), *of, doubted=m.doubted)
        for m in gaps
        if (of := interval_ends(m))
    ]
    yield BlockPanel(
        title=title,
        caption=APART,
        chart=IntervalChart(tuple(rows), Unit.SHARE),
        header=("", "Figure", "Interval", "Highest", "Lowest", "Groups too small to show a gap"),
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
    favourable = next((m.details[FAVOURABLE] for m in gaps if FAVOURABLE in m.details), None)
    if isinstance(favourable, str):
        yield f"Favourable class, as declared: {quote_name(favourable)}."
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


def _rates(rows: Sequence[Measurement], title: str, *, first: bool) -> Iterator[BlockPanel]:
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
    yield BlockPanel(
        title=title,
        caption=caption + SHRUNK * both + more,
        chart=IntervalChart(tuple(points), drawn[0][0].unit, entries=LEGEND if both else ()),
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
    return f"{value} ({join_interval(low, high)})"


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
        f"about {format_count(enough)} would show whether there is a gap"
        if isinstance(enough, int)
        else "no number would show whether there is a gap"
    )
    return f"has {format_scalar(told.get('n'))} ({more})"
