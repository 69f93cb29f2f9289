"""One finding as the report shows it, worst first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Limits, Rule
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.verdicts import Outcome
from auditor.judging.words import answer_asked
from auditor.rendering.controls import control_chip
from auditor.rendering.doubting import ASTRAY, why_doubted
from auditor.rendering.extremes import between
from auditor.rendering.figures.slicing import worst_place
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH, Figure, figure, scalar
from auditor.rendering.phrases import (
    EFFECTS,
    OUTCOMES,
    REASONS,
    SEVERITIES,
    asked,
    bound_sentence,
    bound_words,
    check_title,
    gap_name,
    limit_values,
    limits_text,
)
from auditor.rendering.plots.gauge import gauge
from auditor.rendering.plots.svg import Drawing
from auditor.rendering.remedies import remedy, would_decide_text
from auditor.rendering.spending import spent
from auditor.rendering.stories.story import Story
from auditor.rendering.stories.telling import stories
from auditor.rendering.sureness import how_sure
from auditor.rendering.suspicions import suspicion

MOST_CARDS = 120
MOST_READINGS = 6
MOST_WORST_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
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
    drawing: Drawing | None
    would_decide: str
    spent: str
    where: str
    worst_rows: str
    controls: tuple[str, ...]
    evidence: tuple[str, ...]
    story: Story | None = None

    @property
    def bad(self) -> bool:
        """Whether the reader has something to do about it."""
        return self.finding.outcome in {Outcome.FAILED, Outcome.UNKNOWN}


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Order findings: denying failures first, then by outcome, effect, severity and rule."""
    outcomes, effects, severities = list(OUTCOMES), list(EFFECTS), list(SEVERITIES)

    def badness(item: Finding) -> tuple[int, int, int, str, str]:
        bad = {Outcome.FAILED: 0, Outcome.UNKNOWN: 1}.get(item.outcome, 2)
        effect = effects.index(item.effect)
        place = outcomes.index(item.outcome)
        first = effect * 2 + bad if bad < 2 else 100 + place  # noqa: PLR2004 -- after all bad ones
        return first, effect, severities.index(item.severity), item.name, item.target

    return tuple(sorted(findings, key=badness))


def cards(inputs: RenderedInputs) -> tuple[Card, ...]:
    """Return a card for each finding, worst first."""
    ordered = worst_first(inputs.record.findings)
    told = stories(inputs, ordered[:MOST_CARDS])
    return tuple(
        replace(_card(inputs, item, place), story=told.get(place))
        for place, item in enumerate(ordered, start=1)
    )


def outcome_counts(findings: Sequence[Finding]) -> tuple[tuple[Outcome, int], ...]:
    """Count findings by outcome, worst first, leaving out what did not occur."""
    counted = Counter(item.outcome for item in findings)
    return tuple((outcome, counted[outcome]) for outcome in OUTCOMES if counted[outcome])


def _card(inputs: RenderedInputs, finding: Finding, place: int) -> Card:
    rule = inputs.rule(finding.rule)
    limits = None if rule is None else rule.limits
    readings = [inputs.record.readings[index] for index in finding.readings]
    measured = [item for item in readings if isinstance(item, Measurement)]
    deciding = measured[0] if measured else None
    words = None if deciding is None else figure(deciding, limit_values(limits))
    helps = remedy(inputs.record, finding)
    return Card(
        anchor=f"finding-{place}",
        finding=finding,
        word=OUTCOMES[finding.outcome],
        sureness=how_sure(finding, rule, deciding),
        weight=f"{EFFECTS[finding.effect]}, {SEVERITIES[finding.severity]}",
        headline=_headline(inputs, finding, limits, words),
        asked=f"{finding.measure}: {finding.limits}" if rule is None else asked(inputs, rule),
        condition=_condition(rule),
        rationale="" if rule is None else rule.rationale,
        found=_found(inputs, readings, limits),
        value=_short(finding, deciding, words),
        drawing=_drawing(place, deciding, limits, words),
        would_decide=_would_decide(finding, helps),
        spent=spent(inputs, finding, readings),
        where=_where(inputs, finding, rule),
        worst_rows=_worst_rows(deciding),
        controls=tuple(control_chip(control) for control in finding.controls),
        remedy=helps,
        evidence=tuple(sorted({item for m in measured for item in m.evidence})),
    )


def _condition(rule: Rule | None) -> str:
    if rule is None or rule.require is None or answer_asked(rule.require):
        return ""
    return rule.require


def _would_decide(finding: Finding, helps: str) -> str:
    # What a Gap says would help, or how many rows, may be the card's remedy already.
    needed = finding.would_decide
    text = would_decide_text(needed)
    told = needed is not None and helps and needed.get("needs") == helps.rstrip(".")
    return "" if told or text == helps else text


def _headline(
    inputs: RenderedInputs, finding: Finding, limits: Limits | None, words: Figure | None
) -> str:
    deciding = inputs.record.readings[finding.readings[0]] if finding.readings else None
    told = finding.outcome in {Outcome.WAIVED, Outcome.NOT_APPLICABLE}
    if told or words is None or not isinstance(deciding, Measurement):
        return finding.message
    said = bound_sentence(inputs, deciding, words.value)
    if limits is None:
        return f"{said}."
    asked = limits_text(limits, deciding.unit)
    return f"{said}; the rule asks for {asked}.{between(deciding)}"


def _drawing(
    place: int, deciding: Measurement | None, limits: Limits | None, words: Figure | None
) -> Drawing | None:
    if place > MOST_CARDS or deciding is None or limits is None or words is None:
        return None
    return gauge(f"gauge-{place}", deciding, limits, words)


def _found(
    inputs: RenderedInputs, readings: Sequence[Reading], limits: Limits | None
) -> tuple[str, ...]:
    said = [reading_sentence(inputs, item, limits) for item in readings[:MOST_READINGS]]
    hidden = len(readings) - len(said)
    return (
        (*said, f"{hidden} more readings are in the table of measurements.")
        if hidden
        else (tuple(said))
    )


def reading_sentence(inputs: RenderedInputs, reading: Reading, limits: Limits | None = None) -> str:
    """Say one reading in a sentence, bound, doubts and suspicions included."""
    if isinstance(reading, Gap):
        return f"No figure: {gap_name(inputs, reading)} {_because(reading)}"
    words = figure(reading, limit_values(limits))
    said = bound_sentence(inputs, reading, words.whole) + "." + worst_place(reading)
    said += between(reading)
    if reading.doubted:
        doubt = why_doubted(inputs.record, reading)
        where = ASTRAY[reading.astray] if reading.astray else ""
        said += f" It is doubted{where} and cannot keep a rule{f': {doubt}' if doubt else ''}."
    return f"{said} {suspicion(inputs.record, reading)}".rstrip()


def _because(gap: Gap) -> str:
    detail = f" ({gap.detail.rstrip('.')})" if gap.detail else ""
    return f"{DASH} {REASONS[gap.reason]}{detail}."


def _short(finding: Finding, deciding: Measurement | None, words: Figure | None) -> str:
    if deciding is None or words is None:
        return "not asked" if finding.outcome is Outcome.NOT_APPLICABLE else "no figure"
    return bound_words(deciding) + words.value


def _where(inputs: RenderedInputs, finding: Finding, rule: Rule | None) -> str:
    check = finding.measure.split("/", 1)[0] if rule is None else rule.check
    return f"{check_title(inputs, check)}, on target {finding.target}"


def _worst_rows(deciding: Measurement | None) -> str:
    rows = None if deciding is None else deciding.details.get("worst_rows")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return ""
    return ", ".join(_row_name(row) for row in rows[:MOST_WORST_ROWS])


def _row_name(row: Json) -> str:
    if not isinstance(row, Mapping):
        return scalar(row)
    return f"{row.get('id', '?')} ({row.get('before', '?')} became {row.get('after', '?')})"


def required(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that decide the verdict."""
    return tuple(item for item in findings if item.effect is Effect.DENY)
