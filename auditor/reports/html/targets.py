"""Comparison of targets in the report: rule matrix, cost, latency, and metrics by chip."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.findings import Outcome, Verdict
from auditor.domain.number_text import format_measurement
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Measurement, Unit
from auditor.domain.record_scope import find_unbound_targets
from auditor.domain.report_blocks import HeadlineKind
from auditor.domain.report_panels import (
    BOUNDS,
    Row,
    format_figure_cells,
    interval_ends,
    list_doubts,
)
from auditor.domain.targets import EvidenceLevel
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.html.findings import FindingCard
from auditor.reports.html.run_details import list_untimed_targets, name_evidence_level
from auditor.reports.html.target_readings import (
    TargetComparison,
    find_headline,
    find_robust_accuracy,
    find_worst_gap,
    list_target_comparisons,
)
from auditor.reports.plots.intervals import TargetDot, TargetLane, draw_target_plot
from auditor.reports.plots.line_plots import FrontAxes, FrontPoint, draw_pareto_front
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.waiver_text import describe_target_exception, select_exceptions
from auditor.reports.wording import EFFECTS, describe_bound

MOST_RULES = 100
WORDS: Mapping[Verdict, str] = {
    Verdict.PASS: "approved",
    Verdict.FAIL: "not approved",
    Verdict.INCONCLUSIVE: "undecided",
}
AS_OUTCOMES: Mapping[Verdict, Outcome] = {
    Verdict.PASS: Outcome.PASSED,
    Verdict.FAIL: Outcome.FAILED,
    Verdict.INCONCLUSIVE: Outcome.UNKNOWN,
}
"""The tone in which a verdict is shown."""


@dataclass(frozen=True, slots=True)
class MatrixColumn:
    """A target with what its own required rules come to, and how far its figures speak of it.

    Where it is not ``bound``, they speak for an endpoint, and not for the artifact.
    """

    name: str
    verdict: Verdict
    level: str
    bound: bool = True
    exception: str = ""

    @property
    def word(self) -> str:
        """The verdict in words: of the file, or of the endpoint that answered in its place."""
        endpoint = self.verdict is Verdict.PASS and not self.bound
        only = "endpoint only" if endpoint else ""
        return "; ".join(filter(None, (only, self.exception))) or WORDS[self.verdict]

    @property
    def outcome(self) -> Outcome:
        """The outcome whose tone the verdict takes: a pass that rests on waivers not a pass's."""
        return Outcome.UNKNOWN if self.exception else AS_OUTCOMES[self.verdict]

    @property
    def icon(self) -> str:
        """The icon of the verdict."""
        return (Outcome.WAIVED if self.exception else self.outcome).value


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One rule: its title, its weight, and a card for each column, or none where it is missing."""

    title: str
    weight: str
    cells: tuple[FindingCard | None, ...]


@dataclass(frozen=True, slots=True)
class RuleMatrix:
    """The whole; ``hidden`` rules are not shown, none of them worse than what is."""

    columns: tuple[MatrixColumn, ...]
    lines: tuple[MatrixRow, ...]
    hidden: int


def fold_target_verdicts(inputs: ReportInputs) -> Mapping[str, Verdict]:
    """Fold the required rules of each target by itself, as the record's verdict folds them all."""
    return {
        spec.name: Verdict.of(
            item.outcome
            for item in inputs.record.findings
            if item.effect is RuleEffect.DENY and item.target == spec.name
        )
        for spec in inputs.record.request.targets
    }


def list_target_exceptions(inputs: ReportInputs) -> Mapping[str, str]:
    """Return the targets whose own pass rests on waivers, with the words for that."""
    found = {
        name: describe_target_exception(
            select_exceptions(verdict, (it for it in inputs.record.findings if it.target == name))
        )
        for name, verdict in fold_target_verdicts(inputs).items()
    }
    return {name: words for name, words in found.items() if words}


def build_matrix(inputs: ReportInputs, shown: Sequence[FindingCard]) -> RuleMatrix | None:
    """Arrange cards, which come worst first; nothing where there is but one target or no rule."""
    specs = {spec.name: spec for spec in inputs.record.request.targets}
    if len(specs) < 2 or not shown:  # noqa: PLR2004 -- one target needs no comparison
        return None
    told = fold_target_verdicts(inputs)
    names = sorted(specs, key=lambda name: _badness(told[name], shown, name))
    unbound = frozenset[str]()
    if inputs.record.request.artifact is not None:
        unbound = frozenset(find_unbound_targets(inputs.record))
    waived = list_target_exceptions(inputs)
    columns = tuple(
        MatrixColumn(
            n,
            told[n],
            name_evidence_level(inputs, specs[n]),
            n not in unbound,
            waived.get(n, ""),
        )
        for n in names
    )
    by_rule: dict[str, dict[str, FindingCard]] = {}
    for card in shown:
        by_rule.setdefault(card.finding.name, {}).setdefault(card.finding.target, card)
    lines = [_line(next(iter(cells.values())), cells, names) for cells in by_rule.values()]
    return RuleMatrix(columns, tuple(lines[:MOST_RULES]), len(lines[MOST_RULES:]))


def _line(worst: FindingCard, cells: Mapping[str, FindingCard], names: Sequence[str]) -> MatrixRow:
    weight = EFFECTS[worst.finding.effect].lower()
    return MatrixRow(worst.finding.title, weight, tuple(cells.get(name) for name in names))


def _badness(verdict: Verdict, shown: Sequence[FindingCard], name: str) -> tuple[int, int, int]:
    outcomes = [card.finding.outcome for card in shown if card.finding.target == name]
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    failed, unknown = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.UNKNOWN)
    return order.index(verdict), -failed, -unknown


NONE = "No target can be named as the cheapest that passes:"


def name_cheapest_target(
    passing: Sequence[str], cost: TargetComparison | None, untimed: Mapping[str, EvidenceLevel]
) -> str:
    """Name the cheapest of the targets that pass; those without a cost to compare are named too."""
    if not passing:
        return f"{NONE} none passes every required rule of the policy."
    paid = {name: m for name in passing if cost is not None and (m := cost.sure(name)) is not None}
    left = [name for name in passing if name not in paid]
    if cost is None or not paid:
        return f"{NONE} {_listed(passing)} {_passes(passing)}, but {_why(passing, cost, untimed)}."
    answer = _answer(paid, cost, alone=len(passing) == 1)
    if not left:
        return answer
    return f"{answer} {_listed(left)} {_passes(left)} too, but {_why(left, cost, untimed)}."


def _answer(paid: Mapping[str, Measurement], cost: TargetComparison, *, alone: bool) -> str:
    first = min(paid, key=lambda name: ((interval_ends(paid[name]) or (float("inf"),))[0], name))
    words = format_measurement(paid[first])
    interval = f" ({words.interval})" if words.interval else ""
    place = f" {cost.place}" if cost.place else ""
    said = f"{cost.title[:1].lower()}{cost.title[1:]} {words.value}{interval}{place}"
    if alone:
        return f"{first} is the only target that passes, and so the cheapest: {said}."
    level = [name for name in paid if name != first and _overlap(paid[name], paid[first])]
    if not level:
        return f"The cheapest target that passes is {first}: {said}."
    return (
        f"The cheapest targets that pass are {_listed([first, *level])}: their costs cannot be "
        f"told apart (on {first}, {said})."
    )


def _why(
    names: Sequence[str], cost: TargetComparison | None, untimed: Mapping[str, EvidenceLevel]
) -> str:
    played = [name for name in names if name in untimed]
    doubted = [n for n in names if cost is not None and (m := cost.found.get(n)) and m.doubted]
    rest = [name for name in names if name not in played and name not in doubted]
    said = []
    for level in dict.fromkeys(untimed[name] for name in played):
        alike = [name for name in played if untimed[name] is level]
        article = "an" if level is EvidenceLevel.EMULATED else "a"
        said.append(
            f"{_listed(alike)} {_is(alike)} {level.value}, and {article} {level.value} target has "
            "no times"
        )
    if doubted:
        said.append(f"the times of {_listed(doubted)} are doubted")
    if rest:
        said.append(f"nothing tells what {_listed(rest)} {'costs' if len(rest) == 1 else 'cost'}")
    return ", and ".join(said)


def _overlap(one: Measurement, other: Measurement) -> bool:
    a, b = interval_ends(one), interval_ends(other)
    return a is not None and b is not None and a[1] <= b[2] and b[1] <= a[2]


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _passes(names: Sequence[str]) -> str:
    return "passes" if len(names) == 1 else "pass"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


TWO = 2
HALF = "only the edge of a cascade is timed"
CHOICE_TITLE = "Cost against what it gives"
YES, NO, NEITHER = "yes", "no: another is better", "cannot be compared"


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """The answer in a sentence, the figures that it weighs, and their drawing if there is one."""

    sentence: str
    lead: str
    places: str
    header: Row
    rows: tuple[Row, ...]
    panel: FigurePanel | None


def weigh_targets(inputs: ReportInputs, key: str) -> TargetChoice:
    """Weigh the targets of a record against each other."""
    names = [spec.name for spec in inputs.record.request.targets]
    told = fold_target_verdicts(inputs)
    halves = {spec.name for spec in inputs.record.request.targets if spec.cascade is not None}
    timed = (HeadlineKind.PRICE, HeadlineKind.TIME, HeadlineKind.TAIL)
    price, median, tail = (_of_wholes(find_headline(inputs, kind), halves) for kind in timed)
    if price is None or median is None:
        cost = price or median
    else:
        cost = price if len(price.found) >= len(median.found) else median
    gains = [
        item for item in (find_robust_accuracy(inputs), find_worst_gap(inputs)) if item is not None
    ]
    weighed = [item for item in (cost, tail, *gains) if item is not None]
    front = _front(names, cost, [item for item in weighed if item is not cost])
    untimed = list_untimed_targets(inputs)
    passing = [name for name in names if told[name] is Verdict.PASS]
    waived = list_target_exceptions(inputs)
    excepted = "".join(f" {name} is {words}." for name, words in waived.items())
    return TargetChoice(
        sentence=name_cheapest_target(passing, cost, untimed) + excepted,
        lead=_lead(front, weighed),
        places="; ".join(f"{item.title}: {item.place}" for item in weighed if item.place),
        header=("Target", "Verdict", "Best trade-off", *(item.title for item in weighed)),
        rows=tuple(
            _row(name, waived.get(name) or WORDS[told[name]], weighed, front, untimed)
            for name in names
        ),
        panel=_panel(inputs, key, cost, gains, front),
    )


def _of_wholes(item: TargetComparison | None, halves: set[str]) -> TargetComparison | None:
    """Leave out what was timed of one half of a cascade: it is not what the whole costs."""
    if item is None:
        return None
    found = {name: m for name, m in item.found.items() if name not in halves}
    lost = dict.fromkeys(item.found.keys() & halves, HALF)
    return replace(item, found=found, missing={**item.missing, **lost}) if found else None


def _front(
    names: Sequence[str], cost: TargetComparison | None, others: Sequence[TargetComparison]
) -> Mapping[str, bool]:
    """Say of each target that has every figure whether none beats it; the rest stay out.

    By the figures themselves, not their intervals. A figure counts where two targets with a cost
    have it; doubted figures are none.
    """
    priced = [name for name in names if cost is not None and cost.sure(name)]
    axes = [item for item in others if sum(item.sure(name) is not None for name in priced) >= TWO]
    found: dict[str, tuple[float, ...]] = {}
    for name in priced:
        values = [_value_choosing(item, name) for item in (cost, *axes) if item is not None]
        if all(value is not None for value in values):
            found[name] = tuple(value for value in values if value is not None)
    if len(found) < TWO:
        return {}
    return {
        name: not any(_beats(other, mine) for at, other in found.items() if at != name)
        for name, mine in found.items()
    }


def _value_choosing(item: TargetComparison, name: str) -> float | None:
    """Return a figure so that less is better."""
    m = item.sure(name)
    found = None if m is None else interval_ends(m)
    return None if found is None else -found[0] if item.higher else found[0]


def _beats(other: Sequence[float], mine: Sequence[float]) -> bool:
    pairs = list(zip(other, mine, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _lead(front: Mapping[str, bool], weighed: Sequence[TargetComparison]) -> str:
    if not front:
        return (
            "No trade-off can be weighed: fewer than two targets have figures of cost and time "
            "that can be believed."
        )
    told = ", ".join(item.title[0].lower() + item.title[1:] for item in weighed)
    return (
        "A target is a best trade-off if no other is at least as good in every figure and "
        f"better in one. Weighed are, by their values: {told}."
    )


def _row(
    name: str,
    verdict: str,
    weighed: Sequence[TargetComparison],
    front: Mapping[str, bool],
    untimed: Mapping[str, EvidenceLevel],
) -> Row:
    place = NEITHER if name not in front else YES if front[name] else NO
    cells = (_cell(item, name, untimed.get(name)) for item in weighed)
    return name, verdict, place, *cells


def _cell(item: TargetComparison, name: str, level: EvidenceLevel | None) -> str:
    m = item.found.get(name)
    if m is None:
        timed = item.unit is Unit.SECOND or item.title.startswith("Price")
        never = f"never timed ({level.value})" if timed and level is not None else ""
        return never or f"no figure: {item.missing[name]}"
    words = format_measurement(m)
    interval = f" ({words.interval})" if words.interval else ""
    return f"{describe_bound(m)}{words.value}{interval}{' (doubted)' * m.doubted}"


def _panel(
    inputs: ReportInputs,
    key: str,
    cost: TargetComparison | None,
    gains: Sequence[TargetComparison],
    front: Mapping[str, bool],
) -> FigurePanel | None:
    accuracy = find_headline(inputs, HeadlineKind.QUALITY)
    for gain in (*(item for item in gains if item.higher), accuracy):
        spots = []
        for name, best in front.items():
            paid, got = (None if item is None else item.sure(name) for item in (cost, gain))
            if isinstance(paid, Measurement) and isinstance(got, Measurement):
                a, b = interval_ends(paid), interval_ends(got)
                if a is not None and b is not None:
                    spots.append(FrontPoint(name, a, b, best))
        if cost is not None and gain is not None and len(spots) >= TWO:
            scales = FrontAxes(cost.title, cost.unit, gain.title, gain.unit)
            return FigurePanel(
                title=CHOICE_TITLE,
                target="",
                caption="Cheaper lies to the left, better lies above. The front is taken over "
                "every figure of the table, not over these two alone.",
                drawing=draw_pareto_front(key, CHOICE_TITLE, scales, spots),
            )
    return None


MOST_TARGETS = 12
CHIP_TITLE = "What a change of chip does"
HEADER = ("Figure", "Target", "Value", "Interval", "How sure")
CAPTION = (
    "The same file, the same rows, another target. Where the whiskers of two targets lie apart, "
    "the chip made the difference; where they overlap, these rows alone do not tell."
)
PAIRED = (
    "Decisions that differ are counted row by row, so that they show a change which accuracy hides "
    "when as many turn right as wrong."
)


def build_chip_panel(inputs: ReportInputs, key: str) -> FigurePanel | None:
    """Return one panel with a strip a figure, or nothing where no target has any of them."""
    found = tuple(list_target_comparisons(inputs))
    if not found:
        return None
    names = [spec.name for spec in inputs.record.request.targets]
    played = list_untimed_targets(inputs)
    shown = names[:MOST_TARGETS]
    hidden = len(names) - len(shown)
    more = (f"{hidden} more targets are in the table only.",) if hidden else ()
    flips = any(item.title.startswith("Decisions") for item in found)
    drawn = [item for item in found if any(name in item.found for name in shown)]
    return FigurePanel(
        title=CHIP_TITLE,
        target="",
        caption=CAPTION,
        drawing=draw_target_plot(key, CHIP_TITLE, [_lane(item, shown, played) for item in drawn]),
        header=HEADER,
        rows=tuple(_row_chips(item, name) for item in found for name in names),
        notes=(
            *([PAIRED] if flips else []),
            *list_doubts([m for item in found for m in item.found.values()]),
            *more,
        ),
    )


def _lane(item: TargetComparison, names: Sequence[str], played: Collection[str]) -> TargetLane:
    better = "more is better" if item.higher else "less is better"
    made = []
    for name in names:
        m = item.found.get(name)
        found = None if m is None else interval_ends(m)
        if m is None or found is None:
            made.append(TargetDot(name, words=item.missing.get(name) or "no figure"))
        else:
            made.append(TargetDot(name, *found, played=name in played, doubted=m.doubted))
    dots = tuple(made)
    bounds = {BOUNDS[m.bound].strip() for m in item.found.values()} - {""}
    return TargetLane(", ".join([item.title, *bounds]), item.place, item.unit, better, dots)


def _row_chips(item: TargetComparison, name: str) -> Row:
    m = item.found.get(name)
    if m is None:
        return item.name, name, "no figure", "", item.missing.get(name, "")
    return item.name, name, *format_figure_cells(m)


@dataclass(frozen=True, slots=True)
class TargetOverview:
    """The matrix of rules and targets, what a change of chip does, and which target to choose."""

    matrix: RuleMatrix | None
    chips: FigurePanel | None
    choice: TargetChoice

    @property
    def panels(self) -> tuple[FigurePanel, ...]:
        """Return the drawings, those that there are."""
        return tuple(panel for panel in (self.chips, self.choice.panel) if panel is not None)


def build_target_overview(
    inputs: ReportInputs, shown: Sequence[FindingCard]
) -> TargetOverview | None:
    """Return nothing where the record has but one target."""
    if len({spec.name for spec in inputs.record.request.targets}) < 2:  # noqa: PLR2004 -- one alone
        return None
    return TargetOverview(
        matrix=build_matrix(inputs, shown),
        chips=build_chip_panel(inputs, "chips"),
        choice=weigh_targets(inputs, "choice"),
    )
