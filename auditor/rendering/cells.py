"""Cells of tables that name findings: the same in the page, and in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.findings import Finding
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.cards import MOST_CARDS, Card
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, figure
from auditor.rendering.phrases import OUTCOMES, limit_values


@dataclass(frozen=True, slots=True)
class Cell:
    """A text; with an outcome it is shown as a badge, with an anchor it leads to that finding."""

    text: str
    anchor: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first cells name their rows; ``more`` rows are in the record alone."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A finding as others point at it; without an anchor its card is not in the page."""

    finding: Finding
    word: str
    where: str
    value: str
    interval: str
    asked: str
    anchor: str

    @property
    def name(self) -> str:
        """The rule's title, with the target where there are several."""
        return f"{self.finding.title}{self.where}"


def spoken(
    inputs: RenderedInputs, shown: Sequence[Card], most: int = MOST_CARDS
) -> tuple[Spoken, ...]:
    """Return every finding of the cards, worst first; only the first ``most`` cards are shown."""
    several = len(inputs.record.request.targets) > 1
    return tuple(
        Spoken(
            finding=card.finding,
            word=OUTCOMES[card.finding.outcome],
            where=f", on {card.finding.target}" if several else "",
            value=card.value,
            interval=_interval(inputs, card.finding),
            asked=card.asked,
            anchor=card.anchor if place < most else "",
        )
        for place, card in enumerate(shown)
    )


def _interval(inputs: RenderedInputs, finding: Finding) -> str:
    """Return the interval of the deciding figure, where it is one."""
    readings = inputs.record.readings
    deciding = readings[finding.readings[0]] if finding.readings else None
    rule = inputs.rule(finding.rule)
    limits = limit_values(None if rule is None else rule.limits)
    return figure(deciding, limits).interval if isinstance(deciding, Measurement) else ""


def by_rule(found: Sequence[Spoken]) -> Mapping[str, tuple[Spoken, ...]]:
    """Return the findings of each rule, in their order."""
    grouped: dict[str, list[Spoken]] = {}
    for item in found:
        grouped.setdefault(item.finding.rule, []).append(item)
    return {rule: tuple(items) for rule, items in grouped.items()}


def findings_table(found: Sequence[Spoken], most: int) -> Table | None:
    """Return findings as a table of outcome, figure and what was asked, or nothing without any."""
    if not found:
        return None
    rows = tuple(
        (
            Cell(item.name, item.anchor),
            Cell(item.word, outcome=item.finding.outcome),
            Cell(item.value),
            Cell(item.interval or DASH),
            Cell(item.asked),
        )
        for item in found[:most]
    )
    return Table(("Rule", "Outcome", "Measured", "Interval", "Asked"), rows, len(found) - len(rows))
