"""Who is broken first: accuracy under attack by class and by group of people."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.readings import Measurement, Unit
from auditor.rendering.changes import change_words, ordered
from auditor.rendering.figures.doubts import doubts, series_name
from auditor.rendering.figures.panel import Panel, coordinate, ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, count
from auditor.rendering.phrases import coordinates
from auditor.rendering.plots.intervals import Row, interval_rows

MOST_PARTS = 14
LEAST, MOST = 0.05, 0.95
"""Between these, a budget breaks some rows and not all, so that it can tell who is broken."""
HEADER = ("", "Accuracy under attack", "Interval", "Rows")
Part = Mapping[str, object]


def victim_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield a panel for the classes, and one for each group column, at a telling budget.

    One attack speaks for each norm that a rule bounds (or for the first norm): the strongest.
    """
    index = 0
    for m in _speakers(inputs, measured):
        for about, parts in _breakdowns(m):
            yield _panel(inputs, m, (about, parts), f"{key}-{index}")
            index += 1


def telling(readings: Sequence[Measurement]) -> Measurement:
    """Return the largest budget that breaks some rows and not all, or else the middle one."""
    grown = sorted(readings, key=lambda m: coordinate(m, "eps", "words") or 0.0)
    between = [m for m in grown if LEAST < (ends(m) or (0.0,))[0] < MOST]
    return between[-1] if between else grown[len(grown) // 2]


def _speakers(inputs: RenderedInputs, measured: Sequence[Measurement]) -> Iterator[Measurement]:
    curves: dict[tuple[str, str], list[Measurement]] = {}
    for m in measured:
        if m.metric == "robust_accuracy" and not m.slice and list(_breakdowns(m)):
            curves.setdefault((str(m.params.get("norm", "")), m.check), []).append(m)
    bounded = {rule.check for rule in inputs.policy.rules if rule.metric == "robust_accuracy"}
    norms = ordered(norm for norm, check in curves if check in bounded)
    for norm in norms or ordered(norm for norm, _ in curves)[:1]:
        mine = [readings for (of, _), readings in curves.items() if of == norm]
        yield telling(min(mine, key=_strength))


def _strength(readings: Sequence[Measurement]) -> float:
    return sum((ends(m) or (1.0,))[0] for m in readings) / len(readings)


def _breakdowns(m: Measurement) -> Iterator[tuple[str, list[Part]]]:
    by_group = m.details.get("by_group")
    columns = dict(by_group) if isinstance(by_group, Mapping) else {}
    for about, listed in {"class": m.details.get("by_class"), **columns}.items():
        parts = _parts(listed)
        if len(parts) > 1:
            yield about, parts


def _parts(listed: object) -> list[Part]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    numbers = ("value", "low", "high", "rows")
    return [
        part
        for part in listed
        if isinstance(part, Mapping)
        if all(isinstance(part.get(name), int | float) for name in numbers)
    ]


def _panel(
    inputs: RenderedInputs, m: Measurement, breakdown: tuple[str, list[Part]], key: str
) -> Panel:
    about, parts = breakdown
    eps = coordinate(m, "eps")
    norm = str(m.params.get("norm", ""))
    budget = coordinates(m.params) if eps is None else change_words(norm, eps)
    title = f"Who is broken: by {about}"
    shown = parts[:MOST_PARTS]
    rows = [Row(str(part.get("name", "")), *_numbers(part), doubted=m.doubted) for part in shown]
    hidden = len(parts) - len(shown)
    more = f" {hidden} more, none less robust, are in the table only." if hidden else ""
    return Panel(
        title=title,
        target=m.target,
        caption=f"Accuracy under {series_name(inputs, m.check)}, at a budget of {budget}, the "
        f"least robust first. Each interval holds for that {_one(about)} alone.{more}",
        drawing=interval_rows(key, title, rows, Unit.SHARE),
        header=HEADER,
        rows=tuple(_row(part) for part in parts),
        notes=doubts([m]),
    )


def _one(about: str) -> str:
    return "class" if about == "class" else "group"


def _numbers(part: Part) -> tuple[float, float, float]:
    value, low, high = (float(str(part[name])) for name in ("value", "low", "high"))
    return value, low, high


def _row(part: Part) -> tuple[str, ...]:
    value, low, high = (f"{number * 100:.1f} %" for number in _numbers(part))
    return str(part.get("name", "")), value, f"{low}{DASH}{high}", count(int(str(part["rows"])))
