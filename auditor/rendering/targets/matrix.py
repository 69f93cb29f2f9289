"""Every rule on every target at a glance: rules are rows, targets are columns, the worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.policies import Effect
from auditor.domain.record_scopes import find_unbound_targets
from auditor.domain.verdicts import Outcome, Verdict
from auditor.rendering.cards import Card
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import EFFECTS
from auditor.rendering.placements import level_words

MOST_RULES = 100
WORDS: Mapping[Verdict, str] = {
    Verdict.PASS: "may be deployed",
    Verdict.FAIL: "may not be deployed",
    Verdict.INCONCLUSIVE: "not decided",
}
AS_OUTCOMES: Mapping[Verdict, Outcome] = {
    Verdict.PASS: Outcome.PASSED,
    Verdict.FAIL: Outcome.FAILED,
    Verdict.INCONCLUSIVE: Outcome.UNKNOWN,
}
"""The tone in which a verdict is shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """A target with what its own required rules come to, and how far its figures speak of it.

    Where it is not ``bound``, they speak for an endpoint, and not for the artifact.
    """

    name: str
    verdict: Verdict
    level: str
    bound: bool = True

    @property
    def word(self) -> str:
        """The verdict in words: of the file, or of the endpoint that answered in its place."""
        endpoint = self.verdict is Verdict.PASS and not self.bound
        return "endpoint only" if endpoint else WORDS[self.verdict]

    @property
    def outcome(self) -> Outcome:
        """The outcome whose icon and tone the verdict takes."""
        return AS_OUTCOMES[self.verdict]


@dataclass(frozen=True, slots=True)
class Line:
    """One rule: its title, its weight, and a card for each column, or none where it is missing."""

    title: str
    weight: str
    cells: tuple[Card | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole; ``hidden`` rules are not shown, none of them worse than what is."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    hidden: int


def verdicts(inputs: RenderedInputs) -> Mapping[str, Verdict]:
    """Fold the required rules of each target by itself, as the record's verdict folds them all."""
    return {
        spec.name: Verdict.of(
            item.outcome
            for item in inputs.record.findings
            if item.effect is Effect.DENY and item.target == spec.name
        )
        for spec in inputs.record.request.targets
    }


def matrix(inputs: RenderedInputs, shown: Sequence[Card]) -> Matrix | None:
    """Arrange cards, which come worst first; nothing where there is but one target or no rule."""
    specs = {spec.name: spec for spec in inputs.record.request.targets}
    if len(specs) < 2 or not shown:  # noqa: PLR2004 -- one target needs no comparison
        return None
    told = verdicts(inputs)
    names = sorted(specs, key=lambda name: _badness(told[name], shown, name))
    unbound = frozenset[str]()
    if inputs.record.request.artifact is not None:
        unbound = frozenset(find_unbound_targets(inputs.record))
    columns = tuple(
        Column(n, told[n], level_words(inputs, specs[n]), n not in unbound) for n in names
    )
    by_rule: dict[str, dict[str, Card]] = {}
    for card in shown:
        by_rule.setdefault(card.finding.name, {}).setdefault(card.finding.target, card)
    lines = [_line(next(iter(cells.values())), cells, names) for cells in by_rule.values()]
    return Matrix(columns, tuple(lines[:MOST_RULES]), len(lines[MOST_RULES:]))


def _line(worst: Card, cells: Mapping[str, Card], names: Sequence[str]) -> Line:
    weight = EFFECTS[worst.finding.effect].lower()
    return Line(worst.finding.title, weight, tuple(cells.get(name) for name in names))


def _badness(verdict: Verdict, shown: Sequence[Card], name: str) -> tuple[int, int, int]:
    outcomes = [card.finding.outcome for card in shown if card.finding.target == name]
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    failed, unknown = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.UNKNOWN)
    return order.index(verdict), -failed, -unknown
