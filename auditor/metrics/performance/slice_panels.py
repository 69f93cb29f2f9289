"""Report panels of error slices: confirmed slices, and the power to see others."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.json import Json
from auditor.domain.number_text import (
    DASH,
    format_count,
    format_measurement,
    format_scalar,
)
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_panels import BlockPanel, IntervalChart, IntervalRow, interval_ends
from auditor.metrics.performance.error_slices import SliceSearchSettings

MOST_SLICES, MOST_LABELS = 12, 3
FOUND = (
    "{looked} slices were looked at in one half of the rows. The other half tried {tried} of them "
    "and confirmed {confirmed} to be worse than the rest ({method}). All figures are of the half "
    "that tried them, and their intervals hold jointly."
)
NOTHING = "None was confirmed, which does not prove that there is none"
UNSEEN = "the table of detectable differences shows how bad a slice could be and stay unseen"
TOO_SMALL = "the rows are too few to show how bad a slice could be and stay unseen"
CURES = (
    "What to do: where one mistake prevails, look for an input that the model lacks and that would "
    "tell these rows apart; check the labels of some of them; and collect more of them to train "
    "on. Until then, have people check the answers there."
)
OFF = "predictions are off by more than the tolerance"
POWER = (
    "For a slice of this size, the smallest share of wrong answers that four of five searches "
    "would confirm, if they try this slice. A slice with a smaller share may not be found; more "
    "rows find more."
)


def build_slice_panels(
    title: str, measured: Sequence[Measurement], search: SliceSearchSettings
) -> tuple[BlockPanel, ...]:
    """Return what a search confirmed, and what it could not have seen."""
    errors = [m for m in measured if m.metric == "error"]
    if not errors:
        return ()
    power = tuple(_power(title, measured, search))
    nothing = f"{NOTHING}: {UNSEEN if power else TOO_SMALL}."
    return (_confirmed(title, measured, errors, nothing), *power)


def _confirmed(
    title: str, mine: Sequence[Measurement], errors: Sequence[Measurement], nothing: str
) -> BlockPanel:
    whole, *found = errors
    slices = sorted(found, key=lambda m: -_excess(m))[:MOST_SLICES]
    names = ["all rows", *(f"slice {place}" for place in range(1, len(slices) + 1))]
    named = list(zip(names, (whole, *slices), strict=True))
    rows = [IntervalRow(name, *of) for name, m in named if (of := interval_ends(m)) is not None]
    notes = [_told(m, place, slices[: place - 1]) for place, m in enumerate(slices, 1)]
    hidden = len(found) - len(slices)
    more = [f"{format_count(hidden)} more are in the table of measurements."] if hidden else []
    numbers = {m.metric: m for m in mine if m.metric.startswith("slices_")}
    looked, tried, sure = (
        format_scalar(numbers[name].value) if name in numbers else "?"
        for name in ("slices_looked_at", "slices_tried", "slices_confirmed")
    )
    method = next((m.method.split(", ")[-1] for m in numbers.values()), "")
    return BlockPanel(
        title=title,
        caption=" ".join(
            [FOUND.format(looked=looked, tried=tried, confirmed=sure, method=method), *_view(whole)]
        ),
        chart=IntervalChart(tuple(rows), Unit.SHARE),
        header=("", "Slice", "Wrong here", "Interval", "Wrong elsewhere", "Times", "Rows"),
        rows=tuple(_cells(name, m) for name, m in named),
        notes=(*notes, *more, CURES if slices else nothing),
        wide=bool(slices),
    )


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


def _name_slice(m: Measurement) -> str:
    """Say which rows a slice holds."""
    place = m.slice
    return (
        " and ".join(f"{name}: {format_scalar(level)}" for name, level in place.items())
        or "all rows"
    )


def _told(m: Measurement, place: int, before: Sequence[Measurement]) -> str:
    """Say of a slice what it is, how much worse, for how many rows, and in which way."""
    held, rest = _count(m, "held_out"), _count(m, "rest")
    words = format_measurement(m)
    # The mistakes between classes are listed, and a regression has none
    wrong = "decisions are wrong" if "mistakes" in m.details else OFF
    said = f"{place}. {_name_slice(m)}{_part(m, before)}. {words.value} of the {wrong}"
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
    return name, _name_slice(m), words.value, words.interval, elsewhere, times, format_count(m.n)


def _power(
    title: str, mine: Sequence[Measurement], search: SliceSearchSettings
) -> Iterator[BlockPanel]:
    """Yield the table of slices that would have been confirmed, of those that the search admits."""
    worst = next((m for m in mine if m.metric == "worst_slice_error"), None)
    listed = None if worst is None else worst.details.get("would_be_confirmed")
    if worst is None or not isinstance(listed, Sequence) or isinstance(listed, str):
        return
    rows = [row for row in listed if isinstance(row, Mapping) and _admits(search, row)]
    if rows:
        yield BlockPanel(
            title=f"{title}: detectable differences",
            caption=POWER,
            header=("Of the rows", "Rows", "Wrong from", "Times rest"),
            rows=tuple(map(_seen, rows)),
        )


def _admits(search: SliceSearchSettings, row: Mapping[str, Json]) -> bool:
    rows, share = row.get("rows"), row.get("share")
    return isinstance(rows, int) and isinstance(share, int | float) and search.admits(rows, share)


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
