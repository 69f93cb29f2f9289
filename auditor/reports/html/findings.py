"""Finding cards of the report: outcome, certainty, spent budget and remedy, failed rules first.

A policy's remedy appears only where a measurement calls for it. Table cells that refer to findings
are the same in HTML and Markdown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.policies import MetricLimits, Rule, RuleEffect
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.records import AuditRecord
from auditor.policy.evaluate.limits import LimitComparison, build_figure_range, compare_with_limits
from auditor.policy.evaluate.messages import describe_required_answer
from auditor.reports.doubts import ASTRAY, explain_doubt, suggest_doubt_cure
from auditor.reports.explanation_types import FindingExplanation
from auditor.reports.explanations import build_explanations
from auditor.reports.figures.fairness import name_worst_slice
from auditor.reports.html.control_catalogues import format_control_chip
from auditor.reports.html.coverage import find_suspicion
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import (
    DASH,
    FigureText,
    describe_extreme_groups,
    format_count,
    format_measurement,
    format_scalar,
)
from auditor.reports.plots.intervals import draw_gauge
from auditor.reports.plots.svg import SvgDrawing
from auditor.reports.wording import (
    EFFECTS,
    MEANINGS,
    OUTCOMES,
    REASONS,
    SEVERITIES,
    check_title,
    describe_bound,
    describe_rule,
    explain_bound,
    format_limits,
    gap_name,
    list_limit_values,
)

GOOD = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE})
TERMS = "policy/"
"""Begins the measure of findings about the policy's own terms, which no check answers."""


def suggest_remedy(record: AuditRecord, finding: Finding) -> str:
    """Return what would help a finding, or nothing where there is nothing to mend.

    Where nothing was measured, or too little, there is no fault to mend yet: the cure of the Gap
    stands instead, how to run a check that was left out, what would let a doubted figure be
    believed, or how many rows would decide.
    """
    if finding.outcome in GOOD:
        return ""
    deciding = record.readings[finding.readings[0]] if finding.readings else None
    if isinstance(deciding, Gap):
        return deciding.cure
    if isinstance(deciding, Measurement) and finding.outcome is Outcome.UNKNOWN:
        more = explain_missing_evidence(finding.would_decide)
        return suggest_doubt_cure(record, deciding) or more or finding.remediation
    silent = finding.outcome is Outcome.UNKNOWN and deciding is None
    if silent and not finding.measure.startswith(TERMS):
        return _run_it(record, finding)
    return finding.remediation


def explain_missing_evidence(needed: Mapping[str, Json] | None) -> str:
    """Say what would turn an unknown into an answer."""
    if not needed:
        return ""
    rows = needed.get("rows")
    if isinstance(rows, int | float) and not isinstance(rows, bool):
        return (
            f"About {format_count(round(rows))} rows would decide it, if the figure stays where it "
            "is."
        )
    if "needs" in needed:
        return f"What would decide it: {format_scalar(needed['needs']).rstrip('.')}."
    return "; ".join(
        f"{name.replace('_', ' ')}: {format_scalar(value)}" for name, value in needed.items()
    )


def _run_it(record: AuditRecord, finding: Finding) -> str:
    check, only = finding.measure.partition("/")[0], record.request.only
    if only and check not in only:
        return f"Audit again without --only, or with --only {check} too: the check was not run."
    return ""


EMPTY: tuple[Json, ...] = (None, "", [], (), {})
"""Settings at which a check leaves something to itself."""
SPENT = {"queries": "spent", "passes": "spent", "phantoms": "met"}


def describe_spending(inputs: ReportInputs, finding: Finding, readings: Sequence[Reading]) -> str:
    """Say the budget, the check's settings, and the effort of its deciding reading."""
    check = readings[0].check if readings else finding.measure.split("/", 1)[0]
    seen = next(
        (
            item
            for item in inputs.record.observations
            if item.check == check and item.target == finding.target
        ),
        None,
    )
    budget = f"budget {inputs.record.request.budget.value}"
    if seen is None:
        return budget
    settings = [
        f"{name.replace('_', ' ')} {_listed(value)}"
        for name, value in sorted(seen.params.items())
        if value not in EMPTY
    ]
    return ", ".join([budget, *settings, *_effort(readings)])


def _effort(readings: Sequence[Reading]) -> list[str]:
    deciding = readings[0] if readings else None
    details = deciding.details if isinstance(deciding, Measurement) else {}
    counted = {name: details.get(name) for name in ("queries", "passes", "phantoms")}
    return [
        f"{name} {SPENT[name]} {format_scalar(number)}"
        for name, number in counted.items()
        if number
    ]


def _listed(value: Json) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " / ".join(format_scalar(item) for item in value)
    return format_scalar(value)


CONDITION = {
    Outcome.PASSED: "the condition holds",
    Outcome.FAILED: "the condition does not hold",
}
EXACT = {
    Outcome.PASSED: "the figure is exact, and it keeps the limit",
    Outcome.FAILED: "the figure is exact, and it breaks the limit",
}
SILENCE = "there is no figure, and silence proves nothing"
SHORT = "the audit itself falls short of what the policy asks"
"""Said of findings about the policy's own terms, which no rule of its list stands for."""
DOUBTED = "the figure is doubted, and a doubted figure never keeps a rule"
ASTRAY_REASON = "the figure is doubted, and the limit that it breaks lies where it may be astray"


def describe_certainty(finding: Finding, rule: Rule | None, deciding: Measurement | None) -> str:
    """Say the outcome and why it is no other one."""
    return f"{OUTCOMES[finding.outcome]}: {_because(finding.outcome, rule, deciding)}."


def _because(outcome: Outcome, rule: Rule | None, deciding: Measurement | None) -> str:
    if outcome is Outcome.UNKNOWN and deciding is None:
        return SHORT if rule is None else SILENCE
    if outcome is Outcome.UNKNOWN and deciding is not None and deciding.doubted:
        return _of_doubt(rule, deciding)
    if rule is not None and rule.require is not None:
        return CONDITION.get(outcome, MEANINGS[outcome])
    if deciding is not None and deciding.low is None and deciding.high is None:
        return EXACT.get(outcome, MEANINGS[outcome])
    return MEANINGS[outcome]


def _of_doubt(rule: Rule | None, deciding: Measurement) -> str:
    span, limits = build_figure_range(deciding), None if rule is None else rule.limits
    broken = (
        span is not None
        and limits is not None
        and compare_with_limits(span, limits) is LimitComparison.BREAKS
    )
    return ASTRAY_REASON if broken else DOUBTED


MOST_CARDS = 120
MOST_READINGS = 6
MOST_WORST_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingCard:
    """A finding in words, with the drawing of its deciding figure."""

    anchor: str
    finding: Finding
    remedy: str
    word: str
    sureness: str
    weight: str
    headline: str
    asked: str
    condition: str
    rationale: str
    found: tuple[str, ...]
    value: str
    drawing: SvgDrawing | None
    would_decide: str
    spent: str
    where: str
    worst_rows: str
    controls: tuple[str, ...]
    evidence: tuple[str, ...]
    story: FindingExplanation | None = None

    @property
    def bad(self) -> bool:
        """Whether the reader has something to do about it."""
        return self.finding.outcome in {Outcome.FAILED, Outcome.UNKNOWN}


def sort_worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Order findings: denying failures first, then by outcome, effect, severity and rule."""
    outcomes, effects, severities = list(OUTCOMES), list(EFFECTS), list(SEVERITIES)

    def badness(item: Finding) -> tuple[int, int, int, str, str]:
        bad = {Outcome.FAILED: 0, Outcome.UNKNOWN: 1}.get(item.outcome, 2)
        effect = effects.index(item.effect)
        place = outcomes.index(item.outcome)
        first = effect * 2 + bad if bad < 2 else 100 + place  # noqa: PLR2004 -- after all bad ones
        return first, effect, severities.index(item.severity), item.name, item.target

    return tuple(sorted(findings, key=badness))


def build_cards(inputs: ReportInputs) -> tuple[FindingCard, ...]:
    """Return a card for each finding, worst first."""
    ordered = sort_worst_first(inputs.record.findings)
    told = build_explanations(inputs, ordered[:MOST_CARDS])
    return tuple(
        replace(_card(inputs, item, place), story=told.get(place))
        for place, item in enumerate(ordered, start=1)
    )


def count_outcomes(findings: Sequence[Finding]) -> tuple[tuple[Outcome, int], ...]:
    """Count findings by outcome, worst first, leaving out what did not occur."""
    counted = Counter(item.outcome for item in findings)
    return tuple((outcome, counted[outcome]) for outcome in OUTCOMES if counted[outcome])


def _card(inputs: ReportInputs, finding: Finding, place: int) -> FindingCard:
    rule = inputs.rule(finding.rule)
    limits = None if rule is None else rule.limits
    readings = [inputs.record.readings[index] for index in finding.readings]
    measured = [item for item in readings if isinstance(item, Measurement)]
    deciding = measured[0] if measured else None
    words = None if deciding is None else format_measurement(deciding, list_limit_values(limits))
    helps = suggest_remedy(inputs.record, finding)
    return FindingCard(
        anchor=f"finding-{place}",
        finding=finding,
        word=OUTCOMES[finding.outcome],
        sureness=describe_certainty(finding, rule, deciding),
        weight=f"{EFFECTS[finding.effect]}, {SEVERITIES[finding.severity]}",
        headline=_headline(inputs, finding, limits, words),
        asked=f"{finding.measure}: {finding.limits}"
        if rule is None
        else describe_rule(inputs, rule),
        condition=_condition(rule),
        rationale="" if rule is None else rule.rationale,
        found=_found(inputs, readings, limits),
        value=_short(finding, deciding, words),
        drawing=_drawing(place, deciding, limits, words),
        would_decide=_would_decide(finding, helps),
        spent=describe_spending(inputs, finding, readings),
        where=_where(inputs, finding, rule),
        worst_rows=_worst_rows(deciding),
        controls=tuple(format_control_chip(control) for control in finding.controls),
        remedy=helps,
        evidence=tuple(sorted({item for m in measured for item in m.evidence})),
    )


def _condition(rule: Rule | None) -> str:
    if rule is None or rule.require is None or describe_required_answer(rule.require):
        return ""
    return rule.require


def _would_decide(finding: Finding, helps: str) -> str:
    # What a Gap says would help, or how many rows, may be the card's remedy already.
    needed = finding.would_decide
    text = explain_missing_evidence(needed)
    told = needed is not None and helps and needed.get("needs") == helps.rstrip(".")
    return "" if told or text == helps else text


def _headline(
    inputs: ReportInputs, finding: Finding, limits: MetricLimits | None, words: FigureText | None
) -> str:
    deciding = inputs.record.readings[finding.readings[0]] if finding.readings else None
    told = finding.outcome in {Outcome.WAIVED, Outcome.NOT_APPLICABLE}
    if told or words is None or not isinstance(deciding, Measurement):
        return finding.message
    said = explain_bound(inputs, deciding, words.value)
    if limits is None:
        return f"{said}."
    asked = format_limits(limits, deciding.unit)
    return f"{said}; the rule asks for {asked}.{describe_extreme_groups(deciding)}"


def _drawing(
    place: int, deciding: Measurement | None, limits: MetricLimits | None, words: FigureText | None
) -> SvgDrawing | None:
    if place > MOST_CARDS or deciding is None or limits is None or words is None:
        return None
    return draw_gauge(f"gauge-{place}", deciding, limits, words)


def _found(
    inputs: ReportInputs, readings: Sequence[Reading], limits: MetricLimits | None
) -> tuple[str, ...]:
    said = [describe_reading(inputs, item, limits) for item in readings[:MOST_READINGS]]
    hidden = len(readings) - len(said)
    return (
        (*said, f"{hidden} more readings are in the table of measurements.")
        if hidden
        else (tuple(said))
    )


def describe_reading(
    inputs: ReportInputs, reading: Reading, limits: MetricLimits | None = None
) -> str:
    """Say one reading in a sentence, bound, doubts and suspicions included."""
    if isinstance(reading, Gap):
        return f"No figure: {gap_name(inputs, reading)} {_because_cards(reading)}"
    words = format_measurement(reading, list_limit_values(limits))
    said = explain_bound(inputs, reading, words.whole) + "." + name_worst_slice(reading)
    said += describe_extreme_groups(reading)
    if reading.doubted:
        doubt = explain_doubt(inputs.record, reading)
        where = ASTRAY[reading.astray] if reading.astray else ""
        said += f" It is doubted{where} and cannot keep a rule{f': {doubt}' if doubt else ''}."
    return f"{said} {find_suspicion(inputs.record, reading)}".rstrip()


def _because_cards(gap: Gap) -> str:
    detail = f" ({gap.detail.rstrip('.')})" if gap.detail else ""
    return f"{DASH} {REASONS[gap.reason]}{detail}."


def _short(finding: Finding, deciding: Measurement | None, words: FigureText | None) -> str:
    if deciding is None or words is None:
        return "not asked" if finding.outcome is Outcome.NOT_APPLICABLE else "no figure"
    return describe_bound(deciding) + words.value


def _where(inputs: ReportInputs, finding: Finding, rule: Rule | None) -> str:
    check = finding.measure.split("/", 1)[0] if rule is None else rule.check
    return f"{check_title(inputs, check)}, on target {finding.target}"


def _worst_rows(deciding: Measurement | None) -> str:
    rows = None if deciding is None else deciding.details.get("worst_rows")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return ""
    return ", ".join(_row_name(row) for row in rows[:MOST_WORST_ROWS])


def _row_name(row: Json) -> str:
    if not isinstance(row, Mapping):
        return format_scalar(row)
    return f"{row.get('id', '?')} ({row.get('before', '?')} became {row.get('after', '?')})"


def select_required(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that decide the verdict."""
    return tuple(item for item in findings if item.effect is RuleEffect.DENY)


@dataclass(frozen=True, slots=True)
class TableCell:
    """A text; with an outcome it is shown as a badge, with an anchor it leads to that finding."""

    text: str
    anchor: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table whose first cells name their rows; ``more`` rows are in the record alone."""

    header: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class FindingReference:
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


def build_finding_references(
    inputs: ReportInputs, shown: Sequence[FindingCard], most: int = MOST_CARDS
) -> tuple[FindingReference, ...]:
    """Return every finding of the cards, worst first; only the first ``most`` cards are shown."""
    several = len(inputs.record.request.targets) > 1
    return tuple(
        FindingReference(
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


def _interval(inputs: ReportInputs, finding: Finding) -> str:
    """Return the interval of the deciding figure, where it is one."""
    readings = inputs.record.readings
    deciding = readings[finding.readings[0]] if finding.readings else None
    rule = inputs.rule(finding.rule)
    limits = list_limit_values(None if rule is None else rule.limits)
    return (
        format_measurement(deciding, limits).interval if isinstance(deciding, Measurement) else ""
    )


def group_by_rule(found: Sequence[FindingReference]) -> Mapping[str, tuple[FindingReference, ...]]:
    """Return the findings of each rule, in their order."""
    grouped: dict[str, list[FindingReference]] = {}
    for item in found:
        grouped.setdefault(item.finding.rule, []).append(item)
    return {rule: tuple(items) for rule, items in grouped.items()}


def build_findings_table(found: Sequence[FindingReference], most: int) -> ReportTable | None:
    """Return findings as a table of outcome, figure and what was asked, or nothing without any."""
    if not found:
        return None
    rows = tuple(
        (
            TableCell(item.name, item.anchor),
            TableCell(item.word, outcome=item.finding.outcome),
            TableCell(item.value),
            TableCell(item.interval or DASH),
            TableCell(item.asked),
        )
        for item in found[:most]
    )
    return ReportTable(
        ("Rule", "Outcome", "Measured", "Interval", "Asked"), rows, len(found) - len(rows)
    )
