"""Verdict section of the report: the deployment decision, open questions, waivers, and attempt.

The attempt number is part of the verdict, so that the last of many audits is not mistaken for the
only one.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from auditor.domain.baselines import list_rules_kept_by_baseline, load_compared_record
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import Json
from auditor.domain.policies import EnforcementMode
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.errors import AuditorError
from auditor.policy.evaluate.engine import WaiverStatus, WaiverUse, evaluate_waivers
from auditor.reports.html.coverage import list_suspicions
from auditor.reports.html.findings import FindingCard, select_required
from auditor.reports.html.run_details import SHORT, RunFact, describe_target, shorten_digest
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import format_count
from auditor.reports.scope_wording import (
    build_verdict_headline,
    describe_bytes,
    describe_scope,
    name_verdict_subject,
)
from auditor.reports.wording import ASSURANCE, describe_eased_settings

MAY: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "may be deployed",
        Verdict.FAIL: "may not be deployed",
        Verdict.INCONCLUSIVE: "may not be deployed yet",
    }
)
MOST_QUESTIONS, MOST_NAMED = 40, 12
SILENT = "Nothing in the record says what would decide it; read the finding."


def describe_decision(inputs: ReportInputs, until: str) -> str:
    """Say what may be deployed, on what, under which policy, until when, and who says so."""
    record, request = inputs.record, inputs.record.request
    words = f"{name_verdict_subject(record)} {MAY[record.verdict]} on {_targets(inputs)}"
    words += f" under {request.policy.name} {request.policy.version}"
    if record.verdict is Verdict.PASS:
        words += f" until {until}" if until else ", which sets no end to it"
    return f"{words}, says {_signer(inputs)}."


def _targets(inputs: ReportInputs) -> str:
    names = [target.name for target in inputs.record.request.targets]
    if len(names) < 2:  # noqa: PLR2004 -- one alone needs no list
        return "".join(names) or "no target"
    return f"{', '.join(names[:-1])} and {names[-1]} together"


def _signer(inputs: ReportInputs) -> str:
    """Name the key by its first digits, as far as one compares by eye."""
    digits = inputs.signer.removeprefix("sha256:")[:SHORT]
    return f"key {digits}" if digits else "a signer whom the record does not name"


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One thing that would decide rules, the cards of these rules, and how many more there are."""

    what: str
    cards: tuple[FindingCard, ...]
    more: int


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """What would decide what is open, ``more`` not shown; ``lead`` sums up what rows would do."""

    lead: str
    questions: tuple[OpenQuestion, ...]
    more: int


def gather_open_questions(cards: Sequence[FindingCard], most: int) -> OpenQuestions | None:
    """Gather what would decide the rules that are open, or nothing where none is.

    Only the first ``most`` cards are in the page, so only they are pointed at.
    """
    undecided = [card for card in cards if card.finding.outcome is Outcome.UNKNOWN]
    if not undecided:
        return None
    there = frozenset(card.anchor for card in cards[:most])
    asked: dict[str, list[FindingCard]] = {}
    for card in undecided:
        asked.setdefault(card.remedy or card.would_decide or SILENT, []).append(card)
    questions = tuple(_question(what, of, there) for what, of in asked.items())
    shown = tuple(item for item in questions if item.cards)[:MOST_QUESTIONS]
    return OpenQuestions(_lead(undecided), shown, len(questions) - len(shown))


def _question(what: str, of: Sequence[FindingCard], there: Container[str]) -> OpenQuestion:
    shown = tuple(card for card in of if card.anchor in there)[:MOST_NAMED]
    return OpenQuestion(what, shown, len(of) - len(shown))


def _lead(undecided: Sequence[FindingCard]) -> str:
    rows = [found for card in undecided if (found := _rows(card.finding.would_decide))]
    said = f"{_rules(len(undecided))} open."
    if not rows:
        return f"{said} More rows alone would decide none of them."
    return (
        f"{said} About {format_count(max(rows))} rows would decide {len(rows)} of them, if the "
        "figures stay where they are."
    )


def _rules(number: int) -> str:
    return "1 rule is" if number == 1 else f"{number} rules are"


def _rows(needed: Mapping[str, Json] | None) -> int:
    rows = None if needed is None else needed.get("rows")
    return round(rows) if isinstance(rows, int | float) and not isinstance(rows, bool) else 0


HEADER = ("Waiver", "Rule", "What came of it", "Owner", "Approved by", "Until", "Why", "Instead")
AFTER = (
    "Approvals and rejections are signed after this page, over the record's digest: they lie in "
    "the folder approvals/ beside it, and `auditor verify` lists them."
)
WORDS: Mapping[WaiverStatus, str] = {
    WaiverStatus.USED: "Used",
    WaiverStatus.EXPIRED: "Unused: expired",
    WaiverStatus.EARLY: "Unused: not valid yet",
    WaiverStatus.FOREIGN: "Unused: for something else",
    WaiverStatus.UNNEEDED: "Unused: not needed",
    WaiverStatus.UNMATCHED: "Unused: matches nothing",
}


@dataclass(frozen=True, slots=True)
class DecisionSection:
    """The part of a report that is about people's decisions."""

    rows: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]
    asked: str
    after: str = AFTER
    header: tuple[str, ...] = HEADER


def build_decision_section(inputs: ReportInputs) -> DecisionSection | None:
    """Return what to show; nothing where nobody waived and the policy asks for no approval."""
    found, least = list_waiver_uses(inputs), inputs.policy.approvals
    if not found and not least:
        return None
    people = "1 person" if least == 1 else f"{least} people"
    asked = f"The policy asks that {people} approve this record before it opens a gate."
    return DecisionSection(
        rows=tuple(_row(item) for item in found),
        warnings=tuple(describe_unused_waiver(item) for item in found if item.idle),
        asked=asked if least else "",
    )


def list_waiver_uses(inputs: ReportInputs) -> tuple[WaiverUse, ...]:
    """Return what came of each waiver of the record."""
    return evaluate_waivers(inputs.record, inputs.waivers)


def describe_unused_waiver(used: WaiverUse) -> str:
    """Say that a waiver waived nothing, and why."""
    waiver = used.waiver
    return f"The waiver {waiver.ticket} of {waiver.name} waived nothing: {used.detail}."


def build_sarif_suppression(inputs: ReportInputs, finding: Finding) -> dict[str, Json]:
    """Return a waived finding's suppression in SARIF (2.1.0, 3.35): accepted elsewhere, by whom."""
    found: dict[str, Json] = {
        "kind": "external",
        "status": "accepted",
        "justification": finding.message,
    }
    waiver = next((it for it in inputs.waivers if it.digest == finding.waiver), None)
    if waiver is not None:
        found["properties"] = {
            "ticket": waiver.ticket,
            "expires": waiver.expires,
            "owner": waiver.owner,
            "approver": waiver.approver,
            "waiver": waiver.digest,
        }
    return found


def _row(used: WaiverUse) -> tuple[str, ...]:
    waiver = used.waiver
    return (
        f"{waiver.ticket} ({shorten_digest(waiver.digest)})",
        waiver.name,
        f"{WORDS[used.use]}, {used.detail}",
        waiver.owner,
        waiver.approver,
        waiver.expires,
        waiver.reason,
        "; ".join(waiver.compensating) or "nothing named",
    )


def describe_attempt(request: AuditRequest) -> str:
    """Say which audit of its line it is, and who chose the seed; nothing where nobody counted."""
    attempt = request.attempt
    if attempt is None:
        return ""
    policy = (attempt.policy or request.policy).name
    held = f"; the auditor held the data {', '.join(attempt.sets)}" if attempt.sets else ""
    line = f"on the data of {request.name}" if attempt.by_data else f"of {request.name}"
    return f"number {attempt.number} {line} under {policy}; {_sealing(request)}{held}"


def _sealing(request: AuditRequest) -> str:
    """Say which of seed and rows whoever asked chose."""
    if request.attempt is None or not request.attempt.sealed:
        return "not sealed: whoever asked chose the seed"
    drawn = "the seed was drawn after the request was registered"
    if request.sealed:
        return f"sealed: {drawn}"
    return f"seed sealed: {drawn}, and whoever asked chose the {' and '.join(request.brought)} rows"


SILENCE = "No required rule applies to this model, so nothing was decided."
MODES = {
    EnforcementMode.OBSERVE: "The policy only observes: this verdict stops nothing.",
    EnforcementMode.WARN: "The policy only warns: this verdict stops nothing.",
    EnforcementMode.ENFORCE: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictWording:
    """What stands at the top of the report."""

    verdict: Verdict
    headline: str
    sentences: tuple[str, ...]
    facts: tuple[RunFact, ...]


def describe_verdict(inputs: ReportInputs) -> VerdictWording:
    """Put the record's verdict into words."""
    record = inputs.record
    deciding = select_required(record.findings)
    until = find_verdict_expiry(inputs)
    said = [describe_decision(inputs, until), *describe_scope(record)]
    said += [explain_verdict(record), *_reservations(deciding)]
    said += [words for words in (MODES[inputs.policy.mode], _reduced(inputs)) if words]
    said += list_suspicions(record)
    return VerdictWording(
        verdict=record.verdict,
        headline=build_verdict_headline(record),
        sentences=tuple(said),
        facts=_facts(inputs, until),
    )


def describe_baseline(inputs: ReportInputs) -> str:
    """Say which baseline the verdict rests on; nothing where it rests on none."""
    request, rules = inputs.record.request, list_rules_kept_by_baseline(inputs.record.findings)
    if not rules:
        return ""
    named = f"{', '.join(rules)} rests on a baseline: the record"
    try:
        before = load_compared_record(request, inputs.blob)
    except (KeyError, AuditorError):
        before = None
    if before is None:
        return f"{named} {request.baseline}, which is not at hand here."
    return (
        f"{named} of {before.request.name} {before.request.version}, {request.baseline}, decided "
        f"on {format_moment(before.finished)}. A worse one is easier to match."
    )


def build_verify_command(record: AuditRecord, folder: str = "DIR", key: str = "signer.pub") -> str:
    """Return the command that verifies a record, with the assurance that it claims.

    A record of a key alone claims A0, of which nothing needs to be said.
    """
    claimed = f" --assurance {record.assurance.name}" if record.assurance else ""
    return f"auditor verify {folder} --key {key}{claimed}"


def is_decided_by_silence(record: AuditRecord) -> bool:
    """Whether nothing required was judged, so that no finding shows why the verdict is open."""
    unknown = any(item.outcome is Outcome.UNKNOWN for item in select_required(record.findings))
    return record.verdict is Verdict.INCONCLUSIVE and not unknown


def format_moment(text: str) -> str:
    """Write a UTC time stamp for people."""
    when = _parsed(text)
    return text if when is None else f"{when.day} {when:%B %Y, %H:%M} UTC"


def explain_verdict(record: AuditRecord) -> str:
    """Say in a sentence or two how many required rules made the verdict what it is."""
    return explain_findings(record.findings)


def explain_findings(findings: Sequence[Finding]) -> str:
    """Say the same of a record's findings alone."""
    outcomes = [item.outcome for item in select_required(findings)]
    verdict = Verdict.of(outcomes)
    failed, open_ = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.UNKNOWN)
    total = len(outcomes) - outcomes.count(Outcome.NOT_APPLICABLE)
    if total == 0:
        return SILENCE
    if verdict is Verdict.PASS:
        kept = outcomes.count(Outcome.PASSED)
        if kept == total:
            return (
                "The one required rule holds."
                if total == 1
                else f"All {_rules_verdicts(total)} hold."
            )
        return f"The policy accepts what became of {_rules_verdicts(total)}: {_accepted(outcomes)}."
    if verdict is Verdict.FAIL:
        more = f" {open_} more could not be decided." if open_ else ""
        return f"{failed} of {_rules_verdicts(total)} {_is(failed)} broken.{more}"
    return (
        f"{open_} of {_rules_verdicts(total)} could not be decided, and none is known to be "
        "broken. What is not decided never counts as kept."
    )


def _accepted(outcomes: Sequence[Outcome]) -> str:
    good = (Outcome.PASSED, Outcome.WITHSTOOD, Outcome.WAIVED)
    return ", ".join(f"{outcomes.count(item)} {item.value}" for item in good if item in outcomes)


def _reservations(deciding: Sequence[Finding]) -> list[str]:
    outcomes = [item.outcome for item in deciding]
    held, waived = outcomes.count(Outcome.WITHSTOOD), outcomes.count(Outcome.WAIVED)
    said = []
    if held:
        said.append(
            "Withstood is no proof: the attacks that were tried, with this budget, did not break "
            "the limit; stronger ones may."
        )
    if waived:
        said.append("Waived by a signed exception, which expires; the finding stays below.")
    return said


def _reduced(inputs: ReportInputs) -> str:
    request = inputs.record.request
    said = []
    if request.only:
        said.append(f"Only some checks were run: {', '.join(request.only)}.")
    if not request.budget.covers(inputs.policy.least_budget):
        said.append(
            f"Run at budget {request.budget.value}; the policy asks for at least "
            f"{inputs.policy.least_budget.value}."
        )
    if eased := describe_eased_settings(request):
        said.append(eased)
    if rests := describe_baseline(inputs):
        said.append(rests)
    if inputs.policy.require_sealed and not request.sealed:
        drawn = request.attempt is not None and request.attempt.sealed
        rows = f"The auditor did not hold the {' and '.join(request.brought)} rows"
        what = rows if drawn else "The audit was not sealed"
        said.append(f"{what}; the policy asks for an audit that is sealed.")
    if inputs.record.assurance < inputs.policy.least_assurance:
        said.append(
            f"Assurance is {inputs.record.assurance.name}; the policy asks for at least "
            f"{inputs.policy.least_assurance.name}."
        )
    weak = [item for item in inputs.record.findings if item.rule == "policy.least_evidence"]
    if weak:
        said.append(
            f"Figures on {', '.join(item.target for item in weak)} do not speak of the target as "
            f"the policy asks ({inputs.policy.least_evidence.value})."
        )
    open_ = [item for item in inputs.record.findings if item.rule == "policy.least_isolation"]
    if open_:
        said.append(
            f"The model on {', '.join(item.target for item in open_)} is not recorded as isolated "
            f"as the policy asks ({inputs.policy.least_isolation})."
        )
    return " ".join(said)


def _facts(inputs: ReportInputs, until: str) -> tuple[RunFact, ...]:
    record, request = inputs.record, inputs.record.request
    facts = [
        RunFact("Model", f"{request.name}, version {request.version}", digest=_files(record)),
        RunFact("Runs on", "; ".join(describe_target(inputs, item) for item in request.targets)),
        RunFact(
            "Under policy",
            f"{request.policy.name} {request.policy.version}",
            digest=shorten_digest(request.policy.digest),
        ),
        RunFact(
            "Decided by key", shorten_digest(inputs.signer) or "not named", code=bool(inputs.signer)
        ),
        RunFact("Decided on", format_moment(record.finished)),
    ]
    if said := describe_attempt(request):
        facts.append(RunFact("Attempt", said))
    if until:
        facts.append(RunFact("Record counts until", until))
    return (*facts, RunFact("Assurance", ASSURANCE[record.assurance.name], wide=True))


def _files(record: AuditRecord) -> str:
    request = record.request
    if request.artifact is not None:
        return describe_bytes(record, shorten_digest(request.artifact.digest))
    if any(target.endpoints for target in request.targets):
        return "a served model, whose file was not seen"
    return "predictions only, the model was not seen"


def find_verdict_expiry(inputs: ReportInputs) -> str:
    """Return until when a gate takes the verdict, or nothing where nothing says an end.

    That is as long as the policy takes what was measured, and no waiver that it needs runs out.
    """
    days, when = inputs.policy.valid_for_days, _parsed(inputs.record.registered)
    ends = [] if when is None or days is None else [when + timedelta(days=days)]
    needed = [used.waiver.expires for used in list_waiver_uses(inputs) if not used.idle]
    ends += [end for end in map(_parsed, needed) if end is not None]
    return format_moment(min(ends).isoformat()) if ends else ""


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _rules_verdicts(count: int) -> str:
    return "1 required rule" if count == 1 else f"{count} required rules"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
