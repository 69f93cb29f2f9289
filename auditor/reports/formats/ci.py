"""Markdown for pull requests and CI: the audit comment, gate summary, and gate annotations.

The comment fits the size limit of code hosts. Text from a record is escaped so that it mentions no
account and sends no notification.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import encode_canonical
from auditor.domain.record_scope import RecordScope, find_record_scope
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.finding_locations import POLICY, SourceLocation
from auditor.reports.formats.github import AnnotationLevel, CiAnnotation
from auditor.reports.formats.markdown import escape_markdown, format_card, format_gaps, format_grid
from auditor.reports.formats.sarif import cut_text
from auditor.reports.html.findings import FindingCard, build_cards
from auditor.reports.html.verdict import describe_verdict
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.scope_wording import build_verdict_headline
from auditor.reports.text_length import count_octets
from auditor.reports.waiver_text import list_exceptions
from auditor.reports.wording import OUTCOMES

MOST_BYTES = 60_000
"""GitHub takes 65,536 characters; the rest is for the program that posts it."""
MOST_ROWS = 40
RECORD = "Record `"
"""Begins the line that says which record this is, which is never left out."""
LONGEST_CELL = 300
LONGEST_LINE = 1_000
MARKS = {
    Verdict.PASS: "\N{WHITE HEAVY CHECK MARK}",
    Verdict.FAIL: "\N{CROSS MARK}",
    Verdict.INCONCLUSIVE: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}",
}
NOT_KEPT = frozenset({Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAIVED})
"""What a reader must see; leave to break a rule keeps it no more than breaking it does."""
NOT_BELIEVED = "not believed; not approved on this record"
CALLS = re.compile(r"([@#!~])(?=\w)")
"""What code hosts turn into a mention of a person, an issue, a merge request or a label."""


@dataclass(frozen=True, slots=True)
class CommentContext:
    """What is to be said beside a record: why it is not believed, and what it is compared with.

    ``base`` is an earlier record; ``because`` says why there is none to compare with.
    """

    mistakes: tuple[str, ...] = ()
    base: AuditRecord | None = None
    because: str = ""


def build_comment_marker(record: AuditRecord) -> str:
    """Return the hidden line by which whoever posted a comment finds it again."""
    named = encode_canonical([record.request.name, record.request.policy.name])
    return f"<!-- auditor:comment:{hashlib.sha256(named).hexdigest()[:16]} -->"


def render_comment(inputs: ReportInputs, standing: CommentContext) -> str:
    """Return the comment; it is green for nothing but a pass that is believed."""
    shown = [card for card in build_cards(inputs) if card.finding.outcome in NOT_KEPT]
    lines = [build_comment_marker(inputs.record), *_head(inputs, standing), ""]
    lines += [*_changes(inputs.record, standing), *_table(inputs.record, shown), ""]
    lines += [f"{RECORD}{inputs.record.digest}`; the whole report is `report.html`.", ""]
    folded = [*_fold("What was found, and what to do", _details(shown))]
    folded += _fold("What could not be measured", format_gaps(inputs))
    # What fits, the first lines first: folded parts are closed all the same
    room = MOST_BYTES
    kept: list[str] = []
    for line in (*lines, *folded):
        if line.startswith(("<", RECORD)) or room > _size(line):
            kept.append(line)
            room -= _size(line)
    lost = len(lines) + len(folded) - len(kept)
    return "\n".join([*kept, *([f"{lost} more lines are in the report."] if lost else [])]) + "\n"


def render_unverified_comment(record: AuditRecord, mistakes: Sequence[str]) -> str:
    """Return the comment for a record that does not verify: of what it says, no more is shown."""
    return "\n".join([build_comment_marker(record), *_disbelief(record, mistakes)]) + "\n"


def _disbelief(record: AuditRecord, mistakes: Sequence[str]) -> Iterator[str]:
    named = _said(f"{record.request.name} {record.request.version}")
    yield f"## {MARKS[Verdict.FAIL]} {named}: {NOT_BELIEVED}"
    yield ""
    yield from (f"- {_said(mistake)}" for mistake in mistakes[:MOST_ROWS])


def _head(inputs: ReportInputs, standing: CommentContext) -> Iterator[str]:
    record, request = inputs.record, inputs.record.request
    if standing.mistakes:
        yield from _disbelief(record, standing.mistakes)
        yield ""
        headline = build_verdict_headline(record, inputs.signed_waivers)
        yield f"It says of itself: {_said(_lower(headline))}."
    else:
        named = _said(f"{request.name} {request.version}")
        # Green is for what a gate would take: the file, where the audit names one.
        file_passes = (
            find_record_scope(record) is not RecordScope.ENDPOINT or request.artifact is None
        )
        green = file_passes and not list_exceptions(record)
        mark = MARKS[record.verdict if green else _not_green(record.verdict)]
        headline = _said(_lower(build_verdict_headline(record, inputs.signed_waivers)))
        yield f"## {mark} {named}: {headline}"
        yield ""
        wording = describe_verdict(inputs)
        yield " ".join(_said(item) for item in (*wording.sentences, *wording.reservations))
    targets = _said(", ".join(target.name for target in request.targets))
    policy = _said(f"{request.policy.name} {request.policy.version}")
    yield ""
    yield (
        f"Under **{policy}** on **{targets}**, budget {request.budget.value}, "
        f"assurance {record.assurance.name}."
    )


def _lower(headline: str) -> str:
    """Return a headline as it stands in a sentence: names keep their capitals."""
    return headline[:1].lower() + headline[1:]


def _not_green(verdict: Verdict) -> Verdict:
    return Verdict.INCONCLUSIVE if verdict is Verdict.PASS else verdict


def _changes(record: AuditRecord, standing: CommentContext) -> Iterator[str]:
    if standing.because:
        yield f"Nothing is compared: {_said(standing.because)}"
        yield ""
    if standing.base is None:
        return
    base = standing.base
    yield "### Since the base"
    yield ""
    if base.verdict is not record.verdict:
        yield f"The verdict was **{base.verdict.value}** and is **{record.verdict.value}**."
        yield ""
    if base.request.policy.digest != record.request.policy.digest:
        policy = base.request.policy
        yield f"The base was judged by another policy: {_said(f'{policy.name} {policy.version}')}."
        yield ""
    rows = [row for row in _moved(base.findings, record.findings) if row[2] != row[3]]
    yield from (
        format_grid(("Rule", "Target", "Was", "Is"), rows[:MOST_ROWS])
        if rows
        else ("No rule came out otherwise.",)
    )
    if len(rows) > MOST_ROWS:
        yield f"\n{len(rows) - MOST_ROWS} more came out otherwise."
    yield ""


def _moved(
    before: Iterable[Finding], after: Iterable[Finding]
) -> Iterator[tuple[str, str, str, str]]:
    was = {(item.name, item.target): OUTCOMES[item.outcome] for item in before}
    now = {(item.name, item.target): OUTCOMES[item.outcome] for item in after}
    for name, target in sorted(was.keys() | now.keys()):
        place = name, target
        yield _said(name), _said(target), was.get(place, "not asked"), now.get(place, "not asked")


def _table(record: AuditRecord, shown: Sequence[FindingCard]) -> Iterator[str]:
    yield f"### Not kept: {len(shown)} of {len(record.findings)}"
    yield ""
    if not shown:
        yield (
            "No rule was judged."
            if not record.findings
            else "No rule failed, was waived or is undecided."
        )
        return
    rows = []
    for card in shown[:MOST_ROWS]:
        found = card.finding
        where = f"{found.target}{found.name.removeprefix(found.rule)}"
        title = _said(found.title or found.name)
        rows.append((f"**{card.word}**", title, card.weight, _said(card.value), _said(where)))
    yield from format_grid(("Outcome", "Rule", "Weight", "Measured", "Target"), rows)
    if len(shown) > MOST_ROWS:
        yield f"\n{len(shown) - MOST_ROWS} more are in the report."


def _details(shown: Sequence[FindingCard]) -> Iterator[str]:
    for card in shown[:MOST_ROWS]:
        yield from ("", *format_card(card))


def _fold(title: str, lines: Iterable[str]) -> list[str]:
    # Cut first: half of a comment would hide all that follows.
    quiet = [_uncalled(cut_text(line, LONGEST_LINE)) for line in lines]
    return ["<details>", f"<summary>{title}</summary>", "", *quiet, "", "</details>", ""]


def _size(line: str) -> int:
    return count_octets(line) + 1


def _said(text: str) -> str:
    return _uncalled(escape_markdown(cut_text(text, LONGEST_CELL)))


def _uncalled(text: str) -> str:
    return CALLS.sub(r"\1<!-- -->", text)


SHUTS = frozenset({StepResult.FAILED, StepResult.WITHHELD})


def render_gate_page(steps: Sequence[VerificationStep], words: str, *, opens: bool) -> str:
    """Return what a gate says, as Markdown; nothing that was looked at opens nothing."""
    rows = [
        (f"**{step.result}**", escape_markdown(step.name), escape_markdown(step.detail))
        for step in steps
    ]
    lines = [f"# Gate: {'open' if opens else 'closed'}", "", *([words, ""] if words else [])]
    return "\n".join([*lines, *format_grid(("Result", "Step", "What was looked at"), rows)]) + "\n"


def build_gate_annotations(
    steps: Iterable[VerificationStep],
    where: SourceLocation | None,
    *,
    opens: bool,
    policy: SourceLocation | None = None,
) -> list[CiAnnotation]:
    """Return an error for each step that keeps the gate closed, and at least one where it is.

    What is wrong with the policy stands at ``policy``, where that is known, and else at ``where``.
    """
    at = {POLICY: policy or where}
    found = [
        CiAnnotation(
            AnnotationLevel.ERROR,
            f"auditor gate: {step.name}",
            step.detail,
            at.get(step.name, where),
        )
        for step in steps
        if step.result in SHUTS
    ]
    if not opens and not found:
        found.append(
            CiAnnotation(AnnotationLevel.ERROR, "auditor gate", "The gate is closed.", where)
        )
    return found
