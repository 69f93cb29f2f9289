"""Verdict section of the report: the deployment decision, open questions, waivers, and attempt.

The attempt number is part of the verdict, so that the last of many audits is not mistaken for the
only one.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from auditor._time import format_moment
from auditor.domain.baselines import list_rules_kept_by_baseline, load_compared_record
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import Json
from auditor.domain.number_text import format_count, format_counted, format_scalar
from auditor.domain.policies import EnforcementMode, RuleEffect
from auditor.domain.readings import Measurement
from auditor.domain.records import FIRST_VERDICT, AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.errors import AuditorError
from auditor.policy.evaluate.engine import WaiverStatus, WaiverUse, evaluate_waivers
from auditor.policy.pack_names import NOT_THE_PACK, explain_pack_name, name_policy
from auditor.reports.declarations import ListedStatement, describe_attack_space
from auditor.reports.html.coverage import list_suspicions
from auditor.reports.html.findings import FindingCard, select_required
from auditor.reports.html.first_screen import (
    describe_declared,
    describe_unasked,
    describe_waivers,
    find_signer_name,
)
from auditor.reports.html.judged_data import (
    BY_AUTHOR,
    GROUPS,
    NO_GROUPS,
    UNCOMPARED,
    UNCOMPARED_BUT_KEPT,
    build_data_facts,
    describe_constant_decisions,
)
from auditor.reports.html.run_details import (
    RunFact,
    describe_answering_model,
    describe_targets,
    format_budget,
    name_places,
    shorten_digest,
)
from auditor.reports.html.unjudged import describe_left_aside
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.scope_wording import (
    build_verdict_headline,
    describe_bytes,
    describe_scope,
    name_verdict_subject,
)
from auditor.reports.signer_text import shorten_key
from auditor.reports.waiver_text import describe_places, fold_rules, list_exceptions
from auditor.reports.wording import ASSURANCE, VERDICTS

MAY: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "is approved for deployment",
        Verdict.FAIL: "is not approved for deployment",
        Verdict.INCONCLUSIVE: "is not yet approved for deployment",
    }
)
BY_EXCEPTION = "is approved by exception"
PREDICTIONS_MAY: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "are approved",
        Verdict.FAIL: "are not approved",
        Verdict.INCONCLUSIVE: "are not yet approved",
    }
)
MOST_QUESTIONS, MOST_NAMED = 40, 12
SILENT = "Nothing in the record says what would decide it; read the finding."


def describe_decision(inputs: ReportInputs, until: str) -> str:
    """Say what is approved, on which targets, by which policy, until when, and who signed it."""
    record, request = inputs.record, inputs.record.request
    subject = name_verdict_subject(record)
    may = BY_EXCEPTION if list_exceptions(record) else MAY[record.verdict]
    decided = f"{subject} {may} on {_targets(inputs)}."
    if request.predictions_only:
        may = PREDICTIONS_MAY[record.verdict]
        decided = f"Recorded predictions of {subject} were judged, not a model: they {may}."
    policy = f"Policy {name_policy(request.policy)}"
    if record.verdict is Verdict.PASS:
        policy += f"; approval valid {f'until {until}' if until else 'without an end date'}"
    # Name the key by its first digits, as far as one compares by eye
    digits = shorten_key(inputs.signer)
    name = find_signer_name(inputs)
    signer = f"{name}, key {digits}" if name else f"key {digits} ({_describe_unnamed_key(record)})"
    signed = f"Report signed by {signer}." if digits else "The record does not name its signer."
    return f"{decided} {policy}. {signed}"


def _describe_unnamed_key(record: AuditRecord) -> str:
    """Say that no trust policy names the owner of a key, and whether it outlives the record."""
    if "ephemeral" in {record.tool.get("key"), record.tool.get("evidence_key")}:
        return "made for one record, names no person"
    return "owner unverified"


def _targets(inputs: ReportInputs) -> str:
    names = name_places(inputs.record)
    if len(names) < 2:  # noqa: PLR2004 -- one alone needs no list
        return "".join(names) or "no target"
    return f"{'; '.join(names[:-1])}; and {names[-1]}, together"


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
    found = []
    for what, of in asked.items():
        question = tuple(card for card in of if card.anchor in there)[:MOST_NAMED]
        found.append(OpenQuestion(what, question, len(of) - len(question)))
    questions = tuple(found)
    shown = tuple(item for item in questions if item.cards)[:MOST_QUESTIONS]
    # Advisory rules do not decide the verdict: rows count for them where no required one is open
    required = [card for card in undecided if card.finding.effect is RuleEffect.DENY]
    counted = required or undecided
    growths = [card.growth for card in counted if card.growth]
    advisory = len(undecided) - len(required)
    kinds = {"required": len(required), "advisory": advisory}
    said = " and ".join(
        f"{count} {kind} rule{'' if count == 1 else 's'}" for kind, count in kinds.items() if count
    )
    said += " is open." if len(undecided) == 1 else " are open."
    those = "the required rules" if required and advisory else "them"
    if not growths:
        lead = f"{said} More rows alone would let none of {those} pass."
    else:
        lead = (
            f"{said} About {_times(max(growths))} as many rows would decide {len(growths)} of "
            f"{those} if the figures stay the same."
        )
    return OpenQuestions(lead, shown, len(questions) - len(shown))


def _times(growth: float) -> str:
    """Write how many times as many, rounded up; tenths where these say something."""
    tenths = math.ceil(growth * 10) / 10
    return f"{tenths:.1f} times" if tenths < 10 else f"{format_count(math.ceil(growth))} times"  # noqa: PLR2004 -- two digits


HEADER = (
    "Waiver",
    "Rule",
    "What came of it",
    "Owner",
    "Approved by (as the signer writes)",
    "Until",
    "Why (as the signer writes)",
    "Instead",
)
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
    files = {item.waiver: item.digest for item in inputs.record.request.waivers}
    people = "1 person" if least == 1 else f"{least} people"
    asked = f"The policy asks that {people} approve this record before it opens a gate."
    return DecisionSection(
        rows=tuple(_row(item, files.get(item.waiver.digest, "")) for item in found),
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


def _row(used: WaiverUse, file: str) -> tuple[str, ...]:
    """Name a waiver by the digest of its file, as commands and the ledger do."""
    waiver = used.waiver
    return (
        f"{waiver.ticket} ({shorten_digest(file)})",
        waiver.name,
        f"{WORDS[used.use]}, {used.detail}",
        waiver.owner,
        waiver.approver,
        format_moment(waiver.expires),
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
    """Say which of seed and rows the requester chose."""
    if request.attempt is None or not request.attempt.sealed:
        return "not sealed: the requester chose the seed"
    drawn = "the seed was drawn after the request was registered"
    if request.sealed:
        return f"sealed: {drawn}"
    return f"seed sealed: {drawn}, and the requester chose the {' and '.join(request.brought)} rows"


UNSEEN = (
    "Only predictions were audited. The model was not seen, and nothing shows that it made them."
)
SILENCE = "No required rule applies to this model, so there is no decision."
MODES = {
    EnforcementMode.OBSERVE: "The policy is in observe mode: this verdict blocks no deployment.",
    EnforcementMode.WARN: "The policy is in warn mode: this verdict blocks no deployment.",
    EnforcementMode.ENFORCE: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictWording:
    """The top of the report: the decision in ``sentences``, and the ``limits`` of it.

    ``declared`` are declarations that ease the verdict, ``unasked`` questions that it leaves open.
    """

    verdict: Verdict
    headline: str
    sentences: tuple[str, ...]
    declared: tuple[ListedStatement, ...]
    limits: tuple[str, ...]
    unasked: tuple[ListedStatement, ...]
    facts: tuple[RunFact, ...]
    by_exception: bool = False

    @property
    def name(self) -> str:
        """The headline without what follows its colon, where it only points at the verdict."""
        return self.headline.partition(":")[0] if self.by_exception else self.headline

    @property
    def look(self) -> str:
        """How the verdict is shown: a pass that rests on waivers not as a pass."""
        return "exception" if self.by_exception else self.verdict.value

    @property
    def reservations(self) -> tuple[str, ...]:
        """All that narrows the verdict, for formats that have one list for it."""
        said, unasked = ((item.text for item in of) for of in (self.declared, self.unasked))
        return (*said, *self.limits, *unasked)


def _list_unasked_reservations(inputs: ReportInputs) -> list[str]:
    """Say what narrows the verdict although the policy does not ask for it."""
    found, paper = [], inputs.dossier.risks
    least, had = inputs.policy.least_budget, inputs.record.request.budget
    if had is Budget.SMOKE and had.covers(least):
        found.append(
            "The budget was smoke, which shows that everything runs; the policy requires no larger "
            "one."
        )
    if inputs.record.request.seconds < had.seconds:
        time = format_budget(inputs.record.request)
        found.append(f"Less time was allowed than the budget gives: {time}.")
    found += _list_shortened_checks(inputs.record)
    left = [] if paper is None else [item for item in paper.risks if item.accepted is None]
    if paper is not None and left:
        verb = "is" if len(left) == 1 else "are"
        risks = format_counted(len(paper.risks), "declared risk")
        found.append(f"{len(left)} of {risks} {verb} not accepted by any person.")
    return found


def _list_shortened_checks(record: AuditRecord) -> list[str]:
    """Say which checks did not look at all their rows, and why."""
    ends = {
        "There was no time for all rows": False,
        "Attacks ended once their rules were decided": True,
    }
    cut = {
        (item.check, item.target): item.details
        for item in record.readings
        if isinstance(item, Measurement)
        and item.details.get("rows_asked", item.details.get("rows")) != item.details.get("rows")
    }
    told = {
        why: [
            f"{check} on {at}: {_write_count(seen['rows'])} of {_write_count(seen['rows_asked'])}"
            for (check, at), seen in cut.items()
            if seen.get("decided_early", False) is early
        ]
        for why, early in ends.items()
    }
    return [f"{why} ({'; '.join(rows)})." for why, rows in told.items() if rows]


def _write_count(value: Json) -> str:
    return format_count(value) if isinstance(value, int) else format_scalar(value)


def _list_reservations(inputs: ReportInputs) -> list[str]:
    """Say what narrows the verdict by the record, the policy, and what the policy requires."""
    request, reduced_said = inputs.record.request, _reservations(inputs.record)
    if mode := MODES[inputs.policy.mode]:
        reduced_said.append(mode)
    if request.predictions_only:
        reduced_said.append(UNSEEN)
    if not request.budget.covers(inputs.policy.least_budget):
        reduced_said.append(
            f"The budget was {request.budget.value}; the policy requires at least "
            f"{inputs.policy.least_budget.value}."
        )
    reduced_said += _list_unasked_reservations(inputs)
    if rests := describe_baseline(inputs):
        reduced_said.append(rests)
    if inputs.policy.require_sealed and not request.sealed:
        drawn = request.attempt is not None and request.attempt.sealed
        rows = f"The auditor did not hold the {' and '.join(request.brought)} rows"
        what = rows if drawn else "The audit was not sealed"
        reduced_said.append(f"{what}; the policy requires a sealed audit.")
    if inputs.record.assurance < inputs.policy.least_assurance:
        reduced_said.append(
            f"Assurance is {inputs.record.assurance.name}; the policy requires at least "
            f"{inputs.policy.least_assurance.name}."
        )
    weak = [item for item in inputs.record.findings if item.rule == "policy.least_evidence"]
    if weak:
        reduced_said.append(
            f"Figures on {', '.join(item.target for item in weak)} are weaker evidence than the "
            f"policy requires ({inputs.policy.least_evidence.value})."
        )
    open_ = [item for item in inputs.record.findings if item.rule == "policy.least_isolation"]
    if open_:
        reduced_said.append(
            f"The model on {', '.join(item.target for item in open_)} is not recorded as isolated "
            f"as the policy requires ({inputs.policy.least_isolation})."
        )
    return [*reduced_said, *list_suspicions(inputs.record)]


def describe_verdict(inputs: ReportInputs) -> VerdictWording:
    """Put the record's verdict into words."""
    record, request = inputs.record, inputs.record.request
    until = find_verdict_expiry(inputs)
    decision, named = describe_decision(inputs, until), explain_pack_name(request.policy)
    again = describe_second_judgement(record)
    # A name that is certainly borrowed is declared; one that may be another version's, a limit
    borrowed, unsure = (named, "") if NOT_THE_PACK in named else ("", named)
    said = (decision, *again, *describe_scope(record), explain_verdict(record))
    said += describe_waivers(inputs)
    declared = describe_declared(inputs)
    sentences = tuple(filter(None, said))
    reduced_said = _list_reservations(inputs)
    return VerdictWording(
        verdict=record.verdict,
        headline=build_verdict_headline(record, inputs.signed_waivers),
        sentences=sentences,
        declared=(
            *map(ListedStatement, filter(None, (borrowed,))),
            *declared,
        ),
        limits=(
            *describe_constant_decisions(inputs),
            *_describe_data(inputs, declared),
            *reduced_said,
            *filter(None, (unsure,)),
        ),
        unasked=(*describe_left_aside(inputs), *describe_unasked(inputs)),
        facts=_facts(inputs, until),
        by_exception=bool(list_exceptions(record)),
    )


def _describe_data(inputs: ReportInputs, declared: Iterable[ListedStatement]) -> Iterator[str]:
    """Say on which rows and groups a verdict rests, and who chose them."""
    told = any(item.lead == UNCOMPARED_BUT_KEPT for item in declared)
    for fact in build_data_facts(inputs):
        if told and fact.name == UNCOMPARED:
            continue
        chosen = fact.name == GROUPS and fact.text != NO_GROUPS
        by = BY_AUTHOR if chosen else ""
        yield f"{fact.name}: {fact.text}{by}."


def describe_second_judgement(record: AuditRecord) -> tuple[str, ...]:
    """Say where a record judges figures that were known before, and from which record they are."""
    if record.derived_from is None:
        return ()
    first = record.tool.get(FIRST_VERDICT)
    verdict = next((f": {words}" for it, words in VERDICTS.items() if it.value == first), "")
    text = (
        f"Judged again on {format_moment(record.finished)}, when the figures were known: they are "
        f"those of the record {shorten_digest(record.derived_from)}, registered on "
        f"{format_moment(record.registered)}. This policy, or a waiver, may have been chosen by "
        f"them; read the verdict of that record too{verdict.lower()}."
    )
    return (text,)


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


def explain_verdict(record: AuditRecord) -> str:
    """Say in a sentence or two how many required rules made the verdict what it is."""
    return explain_findings(record.findings)


def explain_findings(findings: Sequence[Finding]) -> str:
    """Say the same of a record's findings alone."""
    verdict = Verdict.of(item.outcome for item in select_required(findings))
    outcomes = list(fold_rules(findings).values())
    failed, open_ = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.UNKNOWN)
    total, waived = len(outcomes), outcomes.count(Outcome.WAIVED)
    if total == 0:
        return SILENCE
    if verdict is Verdict.PASS:
        where = describe_places(findings, Outcome.PASSED)
        if outcomes.count(Outcome.PASSED) == total:
            if total == 1:
                return f"The one required rule passed{where}."
            return f"All {_rules_verdicts(total)} passed{where}."
        return f"{_rules_verdicts(total)}: {_accepted(outcomes)}."
    besides = f" {waived} more {_is(waived)} waived." if waived else ""
    if verdict is Verdict.FAIL:
        more = f" {open_} more {_is(open_)} undecided." if open_ else ""
        where = describe_places(findings, Outcome.FAILED)
        return f"{failed} of {_rules_verdicts(total)} failed{where}.{more}{besides}"
    where = describe_places(findings, Outcome.UNKNOWN)
    return (
        f"{open_} of {_rules_verdicts(total)} {_is(open_)} undecided{where}; none failed.{besides} "
        "Undecided rules do not count as passed."
    )


def _accepted(outcomes: Sequence[Outcome]) -> str:
    good = (Outcome.PASSED, Outcome.WITHSTOOD, Outcome.WAIVED)
    return ", ".join(f"{outcomes.count(item)} {item.value}" for item in good if item in outcomes)


def _reservations(record: AuditRecord) -> list[str]:
    outcomes = [item.outcome for item in select_required(record.findings)]
    held, waived = outcomes.count(Outcome.WITHSTOOD), outcomes.count(Outcome.WAIVED)
    said = []
    if held:
        said.append(
            "Withstood is not proof: the attacks that ran, within this budget, did not break the "
            "limit; stronger attacks may."
        )
        said += describe_attack_space(record)
    if waived:
        said.append(
            "A signed waiver, which expires, covers a rule that did not pass; its finding is below."
        )
    return said


def _facts(inputs: ReportInputs, until: str) -> tuple[RunFact, ...]:
    record, request = inputs.record, inputs.record.request
    owner = inputs.policy.owner
    stated = f"; owner: {owner}" if owner else ""
    facts = [
        RunFact("Model", f"{request.name}, version {request.version}", digest=_files(record)),
        RunFact("Runs on", describe_targets(inputs)),
        RunFact(
            "Policy",
            f"{name_policy(request.policy)}{stated}",
            digest=f"auditor digest {shorten_digest(request.policy.digest).partition(':')[2]}",
            wide=True,
        ),
        RunFact("Decided on", format_moment(record.finished)),
    ]
    # Both days stand side by side on a phone
    if until and record.verdict is Verdict.PASS:
        facts.append(RunFact("Valid until", until))
    facts.append(_describe_signer(inputs))
    if said := describe_attempt(request):
        facts.append(RunFact("Attempt", said))
    return (*facts, RunFact("Assurance", ASSURANCE[record.assurance.name], wide=True))


def _describe_signer(inputs: ReportInputs) -> RunFact:
    """Say who signed; a key that was made for this record says nothing of who made it."""
    key = shorten_digest(inputs.signer) or "not named"
    if name := find_signer_name(inputs):
        return RunFact("Report signed by", name, digest=key)
    if inputs.record.tool.get("key") == "ephemeral":
        return RunFact("Report signed by key", f"{key} (ephemeral: made for this record alone)")
    if inputs.record.tool.get("evidence_key") == "ephemeral":
        return RunFact(
            "Report signed by key", f"{key} (judged again from a record of an ephemeral key)"
        )
    return RunFact("Report signed by key", key, code=bool(inputs.signer))


def _files(record: AuditRecord) -> str:
    request = record.request
    if request.artifact is not None:
        files = request.artifact.files
        if len(files) == 1:
            return describe_bytes(record, shorten_digest(files[0].digest))
        digest = f"auditor digest of {len(files)} files {shorten_digest(request.artifact.digest)}"
        return describe_bytes(record, digest)
    if request.predictions_only:
        return "predictions only, the model was not seen"
    return f"{describe_answering_model(request)}, whose file was not seen"


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
