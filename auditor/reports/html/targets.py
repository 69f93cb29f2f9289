"""Which target to choose: what each costs, how late it answers, and what it withstands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.readings import Measurement
from auditor.domain.targets import EvidenceLevel
from auditor.domain.verdicts import Verdict
from auditor.rendering.figures.panel import Panel, Row, ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import bound_words
from auditor.rendering.placements import untimed_targets
from auditor.rendering.plots.fronts import Scales, Spot, front_plot
from auditor.rendering.targets.cheapest import cheapest
from auditor.rendering.targets.compared import Compared, plain, robust, worst_gap
from auditor.rendering.targets.matrix import WORDS, verdicts

TWO = 2
HALF = "only the edge of a cascade is timed"
MONEY = "in the currency of the declared price"
TITLE = "Cost against what it gives"
YES, NO, NEITHER = "on it", "beaten", "cannot be compared"


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer in a sentence, the figures that it weighs, and their drawing if there is one."""

    sentence: str
    lead: str
    places: str
    header: Row
    rows: tuple[Row, ...]
    panel: Panel | None


def choice(inputs: RenderedInputs, key: str) -> Choice:
    """Weigh the targets of a record against each other."""
    names = [spec.name for spec in inputs.record.request.targets]
    told = verdicts(inputs)
    halves = {spec.name for spec in inputs.record.request.targets if spec.cascade is not None}
    price = plain(
        inputs, "hardware.cost", "price_per_million_rows", "Price of a million rows", MONEY
    )
    median = plain(inputs, "hardware.latency", "p50", "Median time a row (p50)")
    tail = plain(inputs, "hardware.latency", "p99", "Time that 99 of 100 rows keep (p99)")
    price, median, tail = (_of_wholes(item, halves) for item in (price, median, tail))
    cost = _cost(price, median)
    gains = [item for item in (robust(inputs), worst_gap(inputs)) if item is not None]
    weighed = [item for item in (cost, tail, *gains) if item is not None]
    front = _front(names, cost, [item for item in weighed if item is not cost])
    untimed = untimed_targets(inputs)
    passing = [name for name in names if told[name] is Verdict.PASS]
    return Choice(
        sentence=cheapest(passing, cost, untimed),
        lead=_lead(front, weighed),
        places="; ".join(f"{item.title}: {item.place}" for item in weighed if item.place),
        header=("Target", "Verdict", "Pareto front", *(item.title for item in weighed)),
        rows=tuple(_row(name, told, weighed, front, untimed) for name in names),
        panel=_panel(inputs, key, cost, gains, front),
    )


def _of_wholes(item: Compared | None, halves: set[str]) -> Compared | None:
    """Leave out what was timed of one half of a cascade: it is not what the whole costs."""
    if item is None:
        return None
    found = {name: m for name, m in item.found.items() if name not in halves}
    lost = dict.fromkeys(item.found.keys() & halves, HALF)
    return replace(item, found=found, missing={**item.missing, **lost}) if found else None


def _cost(price: Compared | None, median: Compared | None) -> Compared | None:
    """Take the price where as many targets have one as have times, else the median time."""
    if price is None or median is None:
        return price or median
    return price if len(price.found) >= len(median.found) else median


def _front(
    names: Sequence[str], cost: Compared | None, others: Sequence[Compared]
) -> Mapping[str, bool]:
    """Say of each target that has every figure whether none beats it; the rest stay out.

    By the figures themselves, not their intervals. A figure counts where two targets with a cost
    have it; doubted figures are none.
    """
    priced = [name for name in names if cost is not None and cost.sure(name)]
    axes = [item for item in others if sum(item.sure(name) is not None for name in priced) >= TWO]
    found: dict[str, tuple[float, ...]] = {}
    for name in priced:
        values = [_value(item, name) for item in (cost, *axes) if item is not None]
        if all(value is not None for value in values):
            found[name] = tuple(value for value in values if value is not None)
    if len(found) < TWO:
        return {}
    return {
        name: not any(_beats(other, mine) for at, other in found.items() if at != name)
        for name, mine in found.items()
    }


def _value(item: Compared, name: str) -> float | None:
    """Return a figure so that less is better."""
    m = item.sure(name)
    found = None if m is None else ends(m)
    return None if found is None else -found[0] if item.higher else found[0]


def _beats(other: Sequence[float], mine: Sequence[float]) -> bool:
    pairs = list(zip(other, mine, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _lead(front: Mapping[str, bool], weighed: Sequence[Compared]) -> str:
    if not front:
        return (
            "There is no Pareto front: fewer than two targets have figures of cost and time that "
            "can be believed."
        )
    told = ", ".join(item.title[0].lower() + item.title[1:] for item in weighed)
    return (
        "A target is on the Pareto front if no other is at least as good in every figure and "
        f"better in one. Weighed are, by their values: {told}."
    )


def _row(
    name: str,
    told: Mapping[str, Verdict],
    weighed: Sequence[Compared],
    front: Mapping[str, bool],
    untimed: Mapping[str, EvidenceLevel],
) -> Row:
    place = NEITHER if name not in front else YES if front[name] else NO
    cells = (_cell(item, name, untimed.get(name)) for item in weighed)
    return name, WORDS[told[name]], place, *cells


def _cell(item: Compared, name: str, level: EvidenceLevel | None) -> str:
    m = item.found.get(name)
    if m is None:
        timed = item.title.startswith(("Price", "Median time", "Time that"))
        never = f"never timed ({level.value})" if timed and level is not None else ""
        return never or f"no figure: {item.missing[name]}"
    words = figure(m)
    interval = f" ({words.interval})" if words.interval else ""
    return f"{bound_words(m)}{words.value}{interval}{' (doubted)' * m.doubted}"


def _panel(
    inputs: RenderedInputs,
    key: str,
    cost: Compared | None,
    gains: Sequence[Compared],
    front: Mapping[str, bool],
) -> Panel | None:
    accuracy = plain(inputs, "quality.accuracy", "accuracy", "Accuracy")
    for gain in (*(item for item in gains if item.higher), accuracy):
        spots = list(_spots(cost, gain, front))
        if cost is not None and gain is not None and len(spots) >= TWO:
            scales = Scales(cost.title, cost.unit, gain.title, gain.unit)
            return Panel(
                title=TITLE,
                target="",
                caption="Cheaper lies to the left, better lies above. The front is taken over "
                "every figure of the table, not over these two alone.",
                drawing=front_plot(key, TITLE, scales, spots),
            )
    return None


def _spots(
    cost: Compared | None, gain: Compared | None, front: Mapping[str, bool]
) -> Iterator[Spot]:
    for name, best in front.items():
        paid, got = (None if item is None else item.sure(name) for item in (cost, gain))
        if isinstance(paid, Measurement) and isinstance(got, Measurement):
            a, b = ends(paid), ends(got)
            if a is not None and b is not None:
                yield Spot(name, a, b, best)
