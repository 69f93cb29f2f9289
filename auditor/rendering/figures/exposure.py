"""What a model gives away of the rows that it was trained on, and what hiding it costs."""

from collections.abc import Callable, Iterator, Sequence

from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Panel, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.plots.svg import Drawing

MEMBERSHIP, OBFUSCATION = "privacy.membership", "privacy.obfuscation"
CHANCE = 0.5
MOST = 14
MEMBERS = (
    "How often a row that was trained on looks more like one than a row that was not. Half is "
    "chance; each figure is what this attack found, and a better one may find more."
)
HIDDEN = (
    "The same attack after the answers were altered. Half is chance. The table says what altering "
    "costs on rows that the model did not learn from."
)
COSTS = ("auc_change", "smece_change", "brier_change", "accuracy_change")


def membership_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield, for each target, the area of every attack and of every group."""
    del inputs
    mine = [m for m in measured if m.check == MEMBERSHIP and m.metric == "auc" and _plain(m)]
    for index, target in enumerate(dict.fromkeys(m.target for m in mine)):
        part = [m for m in mine if m.target == target]
        said_of_all = [
            str(m.value)
            for m in measured
            if (m.check, m.metric, m.target) == (MEMBERSHIP, "verdict", target)
            and m.params.get("attack") == "all"
        ]
        yield Panel(
            title="Telling which rows were trained on",
            target=target,
            caption=" ".join((MEMBERS, *(f"All together: {it}." for it in said_of_all))),
            drawing=_drawn(f"{key}-{index}", "Telling which rows were trained on", part, _attack),
            header=("Attack", "Area under the ROC curve", "Interval", "How sure"),
            rows=tuple((_attack(m), *said(m)) for m in part),
        )


def obfuscation_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield, for each target, what is left of the attack after each way of altering."""
    del inputs
    mine = [m for m in measured if m.check == OBFUSCATION]
    for index, target in enumerate(dict.fromkeys(m.target for m in mine)):
        here = [m for m in mine if m.target == target]
        part = [m for m in here if m.metric == "auc"]
        yield Panel(
            title="What altering answers hides",
            target=target,
            caption=HIDDEN,
            drawing=_drawn(f"{key}-{index}", "What altering answers hides", part, _way),
            header=("Altered by", "Attack", "Change", "Calibration", "Brier", "Accuracy"),
            rows=tuple((_way(m), said(m)[0], *_changes(m, here)) for m in part),
        )


def _plain(m: Measurement) -> bool:
    return m.params.get("rounding") == "none"


def _attack(m: Measurement) -> str:
    group, shadows = (str(m.params.get(name, "")) for name in ("group", "shadows"))
    name = str(m.params.get("attack", ""))
    parts = [name] if shadows == "none" else [name, shadows]
    return ", ".join(parts if group == "all" else [*parts, group])


def _way(m: Measurement) -> str:
    name, strength = str(m.params.get("mitigation", "")), m.params.get("strength", 0.0)
    return f"{name} {scalar(strength)}" if strength else name


def _changes(m: Measurement, here: Sequence[Measurement]) -> tuple[str, ...]:
    found = {it.metric: said(it)[0] for it in here if it.params == m.params}
    return tuple(found.get(name, "") for name in COSTS)


def _drawn(
    key: str, title: str, part: Sequence[Measurement], named: Callable[[Measurement], str]
) -> Drawing:
    rows = [Row(named(m), *of, 0, m.doubted) for m in part[:MOST] if (of := ends(m)) is not None]
    return interval_rows(key, title, rows, Unit.SHARE, ideal=CHANCE)
