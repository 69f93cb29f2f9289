"""Slices on which the model is worse: what they are, how much worse, and what to do."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Panel, ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, count, figure, scalar
from auditor.rendering.phrases import check_title
from auditor.rendering.plots.intervals import Row, interval_rows

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
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield what each search confirmed, and what it could not have seen."""
    for place, check in enumerate(SEARCHES):
        mine = [m for m in measured if m.check == check]
        errors = [m for m in mine if m.metric == "error"]
        if errors:
            yield _confirmed(inputs, mine, errors, f"{key}-{place}")
            yield from _power(inputs, mine)


def _confirmed(
    inputs: RenderedInputs, mine: Sequence[Measurement], errors: Sequence[Measurement], key: str
) -> Panel:
    whole, *found = errors
    slices = sorted(found, key=lambda m: -_excess(m))[:MOST_SLICES]
    names = ["all rows", *(f"slice {place}" for place in range(1, len(slices) + 1))]
    named = list(zip(names, (whole, *slices), strict=True))
    rows = [Row(name, *of) for name, m in named if (of := ends(m)) is not None]
    title = check_title(inputs, whole.check)
    notes = [_told(m, place, slices[: place - 1]) for place, m in enumerate(slices, 1)]
    hidden = len(found) - len(slices)
    more = [f"{count(hidden)} more are in the table of measurements."] if hidden else []
    return Panel(
        title=title,
        target=whole.target,
        caption=" ".join([_counted(mine), *_view(whole)]),
        drawing=interval_rows(key, title, rows, Unit.SHARE),
        header=("", "Slice", "Wrong here", "Interval", "Wrong elsewhere", "Times", "Rows"),
        rows=tuple(_cells(name, m) for name, m in named),
        notes=(*notes, *more, *([CURES] if slices else [NOTHING])),
        wide=bool(slices),
    )


def _counted(mine: Sequence[Measurement]) -> str:
    numbers = {m.metric: m for m in mine if m.metric.startswith("slices_")}
    looked, tried, sure = (
        scalar(numbers[name].value) if name in numbers else "?"
        for name in ("slices_looked_at", "slices_tried", "slices_confirmed")
    )
    method = next((m.method.split(", ")[-1] for m in numbers.values()), "")
    return FOUND.format(looked=looked, tried=tried, confirmed=sure, method=method)


def _view(whole: Measurement) -> Iterator[str]:
    """Say what rows were clustered by, where they were."""
    view = whole.details.get("view")
    if not isinstance(view, Mapping):
        return
    width = scalar(view.get("width", "?"))
    what = "which are the model's inputs" if view.get("inputs") else "its own view of a row"
    yield (
        f"Rows are clustered by the {width} numbers that the model's last layer "
        f"({scalar(view.get('layer', '?'))}) is given, {what}: a cluster is rows that are alike "
        "to the model, and has no other name."
    )


def slice_name(m: Measurement) -> str:
    """Say which rows a slice holds."""
    return _named(m.slice) or "all rows"


def worst_place(m: Measurement) -> str:
    """Say whose figure the worst slice's is, or nothing of other figures."""
    place = m.details.get("slice") if m.metric == "worst_slice_error" else None
    name = _named(place) if isinstance(place, Mapping) else ""
    return f" The slice is {name}." if name else ""


def _named(place: Mapping[str, Json]) -> str:
    return " and ".join(f"{name}: {scalar(level)}" for name, level in place.items())


def _told(m: Measurement, place: int, before: Sequence[Measurement]) -> str:
    """Say of a slice what it is, how much worse, for how many rows, and in which way."""
    held, rest = _count(m, "held_out"), _count(m, "rest")
    words = figure(m)
    said = f"{place}. {slice_name(m)}{_part(m, before)}. {words.value} of the decisions are wrong"
    if words.interval:
        said += f" ({words.interval})"
    lift = m.details.get("lift")
    if isinstance(lift, int | float) and rest[1]:
        said += f", {lift:.1f} times the {_percent(rest[0] / rest[1])} of all other rows"
    share = held[1] / max(1, held[1] + rest[1])
    said += f". That is {count(held[1])} of {count(held[1] + rest[1])} rows ({_percent(share)})"
    extra = round(_excess(m))
    if extra > 0:
        said += f"; {count(extra)} fewer would be wrong if it did as well there as elsewhere"
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
        f"{count(n)} say {scalar(item.get('decided'))} where {scalar(item.get('label'))} is right"
        for item in listed
        if isinstance(item, Mapping) and isinstance(n := item.get("n"), int)
    ]
    return f" Of {count(wrong)} mistakes, {', '.join(told)}."


def _labels(m: Measurement) -> str:
    """Say how the rows of a cluster are labelled: it has no name that would say so."""
    listed = m.details.get("labels")
    if "view" not in m.details or not isinstance(listed, Sequence) or isinstance(listed, str):
        return ""
    told = [
        f"{scalar(item.get('label'))} ({count(n)})"
        for item in listed[:MOST_LABELS]
        if isinstance(item, Mapping) and isinstance(n := item.get("n"), int)
    ]
    return f" Most frequent labels there: {', '.join(told)}." if told else ""


def _cells(name: str, m: Measurement) -> tuple[str, ...]:
    words, rest, lift = figure(m), _count(m, "rest"), m.details.get("lift")
    elsewhere = _percent(rest[0] / rest[1]) if m.slice and rest[1] else DASH
    times = f"{lift:.1f}" if isinstance(lift, int | float) else DASH
    return name, slice_name(m), words.value, words.interval, elsewhere, times, count(m.n)


def _power(inputs: RenderedInputs, mine: Sequence[Measurement]) -> Iterator[Panel]:
    worst = next((m for m in mine if m.metric == "worst_slice_error"), None)
    listed = None if worst is None else worst.details.get("would_be_confirmed")
    if worst is None or not isinstance(listed, Sequence) or isinstance(listed, str):
        return
    yield Panel(
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
        count(rows) if isinstance(rows, int) else DASH,
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
