"""Finding cards of the report: outcome, certainty, spent budget and remedy, failed rules first.

A policy's remedy appears only where a measurement calls for it. Table cells that refer to findings
are the same in HTML and Markdown.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from shlex import quote

from auditor.domain.checks import Check
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import Json
from auditor.domain.number_text import (
    DASH,
    FigureText,
    describe_extreme_groups,
    format_count,
    format_measurement,
    format_number,
    format_percent,
    format_scalar,
)
from auditor.domain.policies import MetricLimits, Rule, RuleEffect
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.records import AuditRecord
from auditor.policy.evaluate.limits import (
    LimitComparison,
    build_figure_range,
    compare_with_limits,
    foretell_outcome,
)
from auditor.policy.evaluate.messages import describe_required_answer
from auditor.reports.declarations import list_switched_off
from auditor.reports.doubts import ASTRAY, explain_doubt, suggest_doubt_cure
from auditor.reports.explanations import FindingExplanation, build_explanations
from auditor.reports.html.control_names import format_control_chip
from auditor.reports.html.coverage import find_suspicion
from auditor.reports.plots.intervals import draw_gauge
from auditor.reports.plots.svg import SvgDrawing
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.signer_text import describe_model_signer, is_self_named
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
from auditor.trust.verification_result import IssueCode

GOOD = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE})
CLEAN = "clean_accuracy"
TERMS = "policy/"
"""Begins the measure of findings about the policy's own terms, which no check answers."""
TERM = re.compile(r"Found: (.+)\. The policy ")
"""What an audit has of such a term, in the finding's message."""


def suggest_remedy(
    record: AuditRecord, finding: Finding, limits: MetricLimits | None = None
) -> str:
    """Return what would help a finding, or nothing where there is nothing to mend.

    With the rule's ``limits`` it says which way more rows would decide.

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
        then = foretell_outcome(deciding, limits)
        more = explain_missing_evidence(finding.would_decide, deciding.n, then)
        return suggest_doubt_cure(record, deciding) or more or finding.remediation
    silent = finding.outcome is Outcome.UNKNOWN and deciding is None
    if silent and not finding.measure.startswith(TERMS):
        check, only = finding.measure.partition("/")[0], record.request.only
        if only and check not in only:
            return f"Audit again without --only, or with --only {check} too: the check was not run."
        return ""
    suspected = "" if deciding is None else find_suspicion(record, deciding)
    return suggest_signing(record, deciding) or f"{suspected} {finding.remediation}".strip()


def find_unmet_term(finding: Finding) -> str:
    """Return what the audit has where a policy's own term is not met; of other findings nothing."""
    found = TERM.search(finding.message) if finding.measure.startswith(TERMS) else None
    return found[1] if found else ""


OTHER_KEY = (
    "The signature is by another key than `model.key`. If you trust the signer, set `model.key` to "
    "its public key (`auditor sign` prints the path of yours); else sign the file again."
)
NO_KEY = (
    "The signature is there, but no key that you trust: set `model.key` (in Python `model_key`) to "
    "the signer's public key, whose path `auditor sign` prints."
)
IN_MEMORY = (
    "Save the model as a file, run `auditor sign model.onnx --out model.sig`, and audit that file "
    'with `signature="model.sig"` and with `model_key` as the path of the public key that is '
    "printed."
)


def suggest_signing(record: AuditRecord, deciding: Measurement | None) -> str:
    """Return what to do about an artifact without a signature, or with that of another key."""
    artifact, found = record.request.artifact, None if deciding is None else deciding.details
    issues = () if found is None else found.get("findings")
    listed = issues if isinstance(issues, Sequence) and not isinstance(issues, str) else ()
    codes = [item.get("code") for item in listed if isinstance(item, Mapping)]
    if codes == [IssueCode.KEY]:
        return OTHER_KEY
    if codes == [IssueCode.NO_KEY]:
        return NO_KEY
    if artifact is None or not artifact.files or codes != [IssueCode.UNSIGNED]:
        return ""
    main = next((it for it in artifact.files if it.name.endswith(".onnx")), artifact.files[0])
    named = (it.path for it in record.request.inputs if it.file.sha256 == main.sha256)
    path = next(named, "")
    if not path:
        return IN_MEMORY
    signature = str(PurePath(path).with_suffix(".sig"))
    return (
        f"Run `auditor sign {quote(path)} --out {quote(signature)}`, set `model.signature: "
        f"{signature}` and `model.key` to the public key in the audit file, and audit again."
    )


def find_row_growth(needed: Mapping[str, Json] | None, counted: int | None) -> float:
    """Return how many times the rows that a figure ``counted`` would decide; 0 where none would."""
    rows = None if needed is None else needed.get("rows")
    if not isinstance(rows, int | float) or isinstance(rows, bool) or not counted:
        return 0.0
    return rows / counted


def explain_missing_evidence(
    needed: Mapping[str, Json] | None, counted: int | None, then: str = ""
) -> str:
    """Say what would turn an unknown into an answer, and what the rule would ``then`` do.

    A figure may have ``counted`` a part of the rows only, so that it is said of how many.
    """
    if not needed:
        return ""
    rows = needed.get("rows")
    if isinstance(rows, int | float) and not isinstance(rows, bool):
        like = f" like the {format_count(counted)} measured here" if counted else ""
        many = f"about {format_count(round(rows))} rows{like}"
        if then == "fail":
            return (
                "The measured figure does not meet the limit. Improve the model or its data: if "
                f"the figure stays the same, {many} would only confirm that the rule fails."
            )
        said = (
            f"{many.capitalize()} would decide whether the limit is kept, if the figure stays the "
            "same"
        )
        return f"{said}; the rule would then {then}." if then else f"{said}."
    if "needs" in needed:
        return f"What would decide it: {format_scalar(needed['needs']).rstrip('.')}."
    return "; ".join(
        f"{name.replace('_', ' ')}: {format_scalar(value)}" for name, value in needed.items()
    )


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
    deciding = readings[0] if readings else None
    details = deciding.details if isinstance(deciding, Measurement) else {}
    counted = {name: details.get(name) for name in ("queries", "passes", "phantoms")}
    effort = [
        f"{name} {SPENT[name]} {format_scalar(number)}"
        for name, number in counted.items()
        if number
    ]
    return ", ".join([budget, *settings, *effort])


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
DOUBTED = "the figure is doubted, and no worst case of it is known to meet the requirement"
ASTRAY_REASON = "the figure is doubted, and the limit that it breaks lies where it may be astray"

DESPITE_DOUBT = "the figure is doubted, but even its worst case keeps the limit"


def describe_certainty(finding: Finding, rule: Rule | None, deciding: Measurement | None) -> str:
    """Say the outcome and why it is no other one."""
    outcome = finding.outcome
    if outcome is Outcome.UNKNOWN and deciding is None:
        because = SHORT if rule is None else SILENCE
    elif outcome is Outcome.UNKNOWN and deciding is not None and deciding.doubted:
        span, limits = build_figure_range(deciding), None if rule is None else rule.limits
        broken = (
            span is not None
            and limits is not None
            and compare_with_limits(span, limits) is LimitComparison.BREAKS
        )
        because = ASTRAY_REASON if broken else DOUBTED
    elif outcome is Outcome.PASSED and deciding is not None and deciding.doubted:
        because = DESPITE_DOUBT
    elif rule is not None and rule.require is not None:
        because = CONDITION.get(outcome, MEANINGS[outcome])
    elif deciding is not None and deciding.low is None and deciding.high is None:
        because = EXACT.get(outcome, MEANINGS[outcome])
    else:
        because = MEANINGS[outcome]
    return f"{OUTCOMES[finding.outcome]}: {because}."


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
    limit: str
    headline: str
    asked: str
    condition: str
    rationale: str
    found: tuple[str, ...]
    value: str
    interval: str
    drawing: SvgDrawing | None
    would_decide: str
    growth: float
    spent: str
    where: str
    worst_rows: str
    controls: tuple[str, ...]
    evidence: tuple[str, ...]
    story: FindingExplanation | None = None

    @property
    def limit_beside(self) -> str:
        """The limit, where the title does not hold it already."""
        held = re.search(rf"{re.escape(self.limit)}(?![.,]?\d)", self.finding.title)
        return "" if held else self.limit

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
    off = list_switched_off(inputs.record, inputs.policy)
    return tuple(
        replace(_card(inputs, item, place, off.get(item.rule, ())), story=told.get(place))
        for place, item in enumerate(ordered, start=1)
    )


def count_outcomes(findings: Sequence[Finding]) -> tuple[tuple[Outcome, int], ...]:
    """Count findings by outcome, worst first, leaving out what did not occur."""
    counted = Counter(item.outcome for item in findings)
    return tuple((outcome, counted[outcome]) for outcome in OUTCOMES if counted[outcome])


def _card(inputs: ReportInputs, finding: Finding, place: int, causes: Sequence[str]) -> FindingCard:
    rule = inputs.rule(finding.rule)
    limits = None if rule is None else rule.limits
    readings = [inputs.record.readings[index] for index in finding.readings]
    measured = [item for item in readings if isinstance(item, Measurement)]
    deciding = measured[0] if measured else None
    words = None if deciding is None else format_measurement(deciding, list_limit_values(limits))
    helps = suggest_remedy(inputs.record, finding, limits)
    check = finding.measure.split("/", 1)[0] if rule is None else rule.check
    needed = finding.would_decide
    then = "" if deciding is None else foretell_outcome(deciding, limits)
    counted = None if deciding is None else deciding.n
    text = explain_missing_evidence(needed, counted, then)
    told = needed is not None and helps and needed.get("needs") == helps.rstrip(".")
    said = [describe_reading(inputs, item, limits) for item in readings[:MOST_READINGS]]
    hidden = len(readings) - len(said)
    if term := find_unmet_term(finding):
        said.append(f"{term[0].upper()}{term[1:]}.")
    return FindingCard(
        anchor=f"finding-{place}",
        finding=finding,
        word=OUTCOMES[finding.outcome],
        sureness=describe_certainty(finding, rule, deciding),
        weight=f"{EFFECTS[finding.effect]}, {SEVERITIES[finding.severity]}",
        limit=describe_limit(finding, rule, inputs.checks),
        headline=_idle(causes)
        if finding.outcome is Outcome.NOT_APPLICABLE
        else _headline(inputs, finding, limits, words),
        asked=f"{finding.measure}: {finding.limits}"
        if rule is None
        else describe_rule(inputs, rule),
        condition=_condition(rule),
        rationale="" if rule is None else rule.rationale,
        found=(
            (*said, f"{hidden} more readings are in the table of measurements.")
            if hidden
            else tuple(said)
        ),
        value=_short(inputs, finding, deciding, words),
        interval="" if words is None else words.interval,
        drawing=_drawing(place, deciding, limits, words),
        would_decide="" if told or text == helps else text,
        growth=0.0 if then == "fail" else find_row_growth(needed, counted),
        spent=describe_spending(inputs, finding, readings),
        where=f"{check_title(inputs, check)}, on target {finding.target}",
        worst_rows=_worst_rows(deciding),
        controls=tuple(format_control_chip(control) for control in finding.controls),
        remedy=helps,
        evidence=tuple(sorted({item for m in measured for item in m.evidence})),
    )


def describe_limit(finding: Finding, rule: Rule | None, checks: Mapping[str, type[Check]]) -> str:
    """Say what a rule asks in the unit that the check declares, whatever the rule's title says."""
    if rule is None or rule.limits is None:
        return describe_required_answer(None if rule is None else rule.require) or finding.limits
    check = checks.get(rule.check)
    metric = None if check is None else check.emits.get(rule.metric)
    return finding.limits if metric is None else format_limits(rule.limits, metric.unit)


def describe_intervals(record: AuditRecord, findings: Iterable[Finding]) -> str:
    """Name the confidence of the intervals that decide findings; nothing where none has one."""
    deciding = (record.readings[item.readings[0]] for item in findings if item.readings)
    measured = (item for item in deciding if isinstance(item, Measurement) and item.low is not None)
    levels = sorted({item.confidence for item in measured if item.confidence is not None})
    named = " and ".join(map(format_percent, levels))
    return f"{named} intervals" if named else ""


def _condition(rule: Rule | None) -> str:
    if rule is None or rule.require is None or describe_required_answer(rule.require):
        return ""
    return rule.require


def _headline(
    inputs: ReportInputs, finding: Finding, limits: MetricLimits | None, words: FigureText | None
) -> str:
    deciding = inputs.record.readings[finding.readings[0]] if finding.readings else None
    waived = finding.outcome is Outcome.WAIVED
    if waived or words is None or not isinstance(deciding, Measurement):
        return finding.message
    interval = f" ({words.interval})" if words.interval else ""
    said = explain_bound(inputs, deciding, f"{words.value}{interval}")
    if limits is None:
        return f"{said}.{_signer(inputs, deciding)}"
    required = format_limits(limits, deciding.unit)
    more = f"{_describe_attacked_rows(inputs, deciding)}{describe_extreme_groups(deciding)}"
    return f"{said}; required: {required}.{more}{_describe_open_doubt(inputs, finding, deciding)}"


def _describe_attacked_rows(inputs: ReportInputs, found: Measurement) -> str:
    """Say of how many rows a figure under attack is, and how many were right without it."""
    for other in inputs.record.readings:
        if (
            isinstance(other, Measurement)
            and found.metric == "robust_accuracy"
            and (other.check, other.target, other.metric) == (found.check, found.target, CLEAN)
            and other.n == found.n
            and other.slice == found.slice
        ):
            right = format_measurement(other).value
            return f" Without an attack, {right} of these {found.n:,} rows are right."
    return ""


def _describe_open_doubt(inputs: ReportInputs, finding: Finding, found: Measurement) -> str:
    """Say why a figure that may lie within the limit decides nothing; empty of other figures."""
    if finding.outcome is not Outcome.UNKNOWN or not found.doubted:
        return ""
    doubt = explain_doubt(inputs.record, found).rstrip(".")
    return f" Undecided, because the figure is doubted{f': {doubt}' if doubt else ''}."


def _signer(inputs: ReportInputs, found: Measurement) -> str:
    said = describe_model_signer(inputs.record, inputs.policy, found)
    return f" {said}." if said else ""


def _idle(causes: Sequence[str]) -> str:
    declared = " and ".join(causes)
    because = f": the audit file declares {declared}" if declared else " to this model or its data"
    return f"The rule does not apply{because}."


def _drawing(
    place: int, deciding: Measurement | None, limits: MetricLimits | None, words: FigureText | None
) -> SvgDrawing | None:
    if place > MOST_CARDS or deciding is None or limits is None or words is None:
        return None
    return draw_gauge(f"gauge-{place}", deciding, limits, words)


def describe_reading(
    inputs: ReportInputs, reading: Reading, limits: MetricLimits | None = None
) -> str:
    """Say one reading in a sentence, bound, doubts and suspicions included."""
    if isinstance(reading, Gap):
        return f"No figure: {gap_name(inputs, reading)} {_because_cards(reading)}"
    words = format_measurement(reading, list_limit_values(limits))
    # Say whose figure the worst slice's is, or nothing of other figures
    place = reading.details.get("slice") if reading.metric == "worst_slice_error" else None
    told = place.items() if isinstance(place, Mapping) else ()
    name = " and ".join(f"{name}: {format_scalar(level)}" for name, level in told)
    said = (
        explain_bound(inputs, reading, words.whole)
        + "."
        + (f" The slice is {name}." if name else "")
    )
    said += describe_extreme_groups(reading) + _signer(inputs, reading)
    if reading.doubted:
        doubt = explain_doubt(inputs.record, reading)
        where = ASTRAY[reading.astray] if reading.astray else ""
        worst = reading.worst_case
        only = "" if worst is None else f" unless the limit lies beyond {_worst(reading, worst)}"
        said += (
            f" It is doubted{where} and cannot keep a rule{only}{f': {doubt}' if doubt else ''}."
        )
    return f"{said} {find_suspicion(inputs.record, reading)}".rstrip()


def _worst(reading: Measurement, worst: float) -> str:
    return f"{format_number(worst, reading.unit)}, its worst case"


def _because_cards(gap: Gap) -> str:
    detail = f" ({gap.detail.rstrip('.')})" if gap.detail else ""
    return f"{DASH} {REASONS[gap.reason]}{detail}."


def _short(
    inputs: ReportInputs, finding: Finding, deciding: Measurement | None, words: FigureText | None
) -> str:
    if deciding is None or words is None:
        idle = DASH if finding.outcome is Outcome.NOT_APPLICABLE else "no figure"
        return find_unmet_term(finding) or idle
    alone = is_self_named(inputs.record, inputs.policy, deciding)
    by = " (by a key that only the audit file names)" if alone else ""
    return f"{describe_bound(deciding)}{words.value}{by}"


def _worst_rows(deciding: Measurement | None) -> str:
    rows = None if deciding is None else deciding.details.get("worst_rows")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return ""
    return ", ".join(_row_name(row) for row in rows[:MOST_WORST_ROWS])


def _row_name(row: Json) -> str:
    if not isinstance(row, Mapping):
        return format_scalar(row)
    return f"{row.get('id', '?')} ({row.get('before', '?')} became {row.get('after', '?')})"


DECIDING = {Verdict.FAIL: Outcome.FAILED, Verdict.INCONCLUSIVE: Outcome.UNKNOWN}
MOST_DECIDING, MOST_KEPT = 3, 8
"""Rules that stand beside a verdict, and beside a pass; all others are in its table."""


def is_deciding(finding: Finding, verdict: Verdict) -> bool:
    """Whether it is of a required rule that kept the verdict from being a pass."""
    return finding.effect is RuleEffect.DENY and finding.outcome is DECIDING.get(verdict)


def list_deciding_cards(cards: Sequence[FindingCard], verdict: Verdict) -> list[FindingCard]:
    """Return the cards of the rules that decided: all that a pass rests on, the weakest first."""
    if verdict is Verdict.PASS:
        required = (card for card in cards if card.finding.effect is RuleEffect.DENY)
        return [card for card in required if card.finding.outcome is not Outcome.NOT_APPLICABLE]
    return [card for card in cards if is_deciding(card.finding, verdict)]


def sort_by_slack(inputs: ReportInputs, cards: Sequence[FindingCard]) -> list[FindingCard]:
    """Order the rules of a pass: waived ones, then the nearest to their limit, relative to it."""

    def key(card: FindingCard) -> tuple[bool, float]:
        return card.finding.outcome is not Outcome.WAIVED, _find_slack(inputs, card.finding)

    return sorted(cards, key=key)


def _find_slack(inputs: ReportInputs, finding: Finding) -> float:
    """Return how far an interval is from the limit of its rule, as a share of the limit."""
    rule = inputs.rule(finding.rule)
    reading = inputs.record.readings[finding.readings[0]] if finding.readings else None
    span = build_figure_range(reading) if isinstance(reading, Measurement) else None
    if span is None or rule is None or rule.limits is None:
        return math.inf
    least, most = rule.limits.least, rule.limits.most
    ends = [(span.low - least) / abs(least)] if least else []
    ends += [(most - span.high) / abs(most)] if most else []
    return min(ends, default=math.inf)


def merge_targets(cards: Sequence[FindingCard]) -> list[tuple[FindingCard, tuple[str, ...]]]:
    """Return one card of each rule that reads alike on several targets, with these targets."""
    alike: dict[tuple[str, str, str, Outcome], list[FindingCard]] = {}
    for card in cards:
        of = card.finding
        alike.setdefault((of.name, card.headline, card.remedy, of.outcome), []).append(card)
    return [(same[0], tuple(card.finding.target for card in same)) for same in alike.values()]


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
    found = []
    for place, card in enumerate(shown):
        found.append(
            FindingReference(
                finding=card.finding,
                word=OUTCOMES[card.finding.outcome],
                where=f", on {card.finding.target}" if several else "",
                value=card.value,
                interval=card.interval,
                asked=card.asked,
                anchor=card.anchor if place < most else "",
            )
        )
    return tuple(found)


def group_by_rule(found: Sequence[FindingReference]) -> Mapping[str, tuple[FindingReference, ...]]:
    """Return the findings of each rule, in their order."""
    grouped: dict[str, list[FindingReference]] = {}
    for item in found:
        grouped.setdefault(item.finding.rule, []).append(item)
    return {rule: tuple(items) for rule, items in grouped.items()}


def build_findings_table(found: Sequence[FindingReference], most: int) -> ReportTable | None:
    """Return findings as a table of outcome, figure and requirement, or nothing without any."""
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
        ("Rule", "Outcome", "Measured", "Interval", "Required"), rows, len(found) - len(rows)
    )
