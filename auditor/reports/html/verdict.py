"""The verdict in words that need no training: may it be deployed, which, where, by whom, when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from auditor.domain.baselines import compared_of, resting
from auditor.domain.findings import Finding
from auditor.domain.policies import Mode
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome, Verdict
from auditor.errors import AuditorError
from auditor.rendering.attempts import attempt_words
from auditor.rendering.cards import required
from auditor.rendering.deciding import decision
from auditor.rendering.decisions import uses
from auditor.rendering.easings import easing_words
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import ASSURANCE
from auditor.rendering.runs import Fact, place_words, short
from auditor.rendering.scopes import bytes_words, headline_of, scope_sentences
from auditor.rendering.suspicions import suspicions

SILENCE = "No required rule applies to this model, so nothing was decided."
MODES = {
    Mode.OBSERVE: "The policy only observes: this verdict stops nothing.",
    Mode.WARN: "The policy only warns: this verdict stops nothing.",
    Mode.ENFORCE: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictWords:
    """What stands at the top of the report."""

    verdict: Verdict
    headline: str
    sentences: tuple[str, ...]
    facts: tuple[Fact, ...]


def verdict_words(inputs: RenderedInputs) -> VerdictWords:
    """Put the record's verdict into words."""
    record = inputs.record
    deciding = required(record.findings)
    until = good_until(inputs)
    said = [decision(inputs, until), *scope_sentences(record)]
    said += [because(record), *_reservations(deciding)]
    said += [words for words in (MODES[inputs.policy.mode], _reduced(inputs)) if words]
    said += suspicions(record)
    return VerdictWords(
        verdict=record.verdict,
        headline=headline_of(record),
        sentences=tuple(said),
        facts=_facts(inputs, until),
    )


def baseline_words(inputs: RenderedInputs) -> str:
    """Say which baseline the verdict rests on; nothing where it rests on none."""
    request, rules = inputs.record.request, resting(inputs.record.findings)
    if not rules:
        return ""
    named = f"{', '.join(rules)} rests on a baseline: the record"
    try:
        before = compared_of(request, inputs.blob)
    except (KeyError, AuditorError):
        before = None
    if before is None:
        return f"{named} {request.baseline}, which is not at hand here."
    return (
        f"{named} of {before.request.name} {before.request.version}, {request.baseline}, decided "
        f"on {moment(before.finished)}. A worse one is easier to match."
    )


def verify_command(record: AuditRecord, folder: str = "DIR", key: str = "signer.pub") -> str:
    """Return the command that verifies a record, with the assurance that it claims.

    A record of a key alone claims A0, of which nothing needs to be said.
    """
    claimed = f" --assurance {record.assurance.name}" if record.assurance else ""
    return f"auditor verify {folder} --key {key}{claimed}"


def decided_by_silence(record: AuditRecord) -> bool:
    """Whether nothing required was judged, so that no finding shows why the verdict is open."""
    unknown = any(item.outcome is Outcome.UNKNOWN for item in required(record.findings))
    return record.verdict is Verdict.INCONCLUSIVE and not unknown


def moment(text: str) -> str:
    """Write a UTC time stamp for people."""
    when = _parsed(text)
    return text if when is None else f"{when.day} {when:%B %Y, %H:%M} UTC"


def because(record: AuditRecord) -> str:
    """Say in a sentence or two how many required rules made the verdict what it is."""
    return because_of(record.findings)


def because_of(findings: Sequence[Finding]) -> str:
    """Say the same of a record's findings alone."""
    outcomes = [item.outcome for item in required(findings)]
    verdict = Verdict.of(outcomes)
    failed, open_ = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.UNKNOWN)
    total = len(outcomes) - outcomes.count(Outcome.NOT_APPLICABLE)
    if total == 0:
        return SILENCE
    if verdict is Verdict.PASS:
        kept = outcomes.count(Outcome.PASSED)
        if kept == total:
            return "The one required rule holds." if total == 1 else f"All {_rules(total)} hold."
        return f"The policy accepts what became of {_rules(total)}: {_accepted(outcomes)}."
    if verdict is Verdict.FAIL:
        more = f" {open_} more could not be decided." if open_ else ""
        return f"{failed} of {_rules(total)} {_is(failed)} broken.{more}"
    return (
        f"{open_} of {_rules(total)} could not be decided, and none is known to be broken. "
        "What is not decided never counts as kept."
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


def _reduced(inputs: RenderedInputs) -> str:
    request = inputs.record.request
    said = []
    if request.only:
        said.append(f"Only some checks were run: {', '.join(request.only)}.")
    if not request.budget.covers(inputs.policy.least_budget):
        said.append(
            f"Run at budget {request.budget.value}; the policy asks for at least "
            f"{inputs.policy.least_budget.value}."
        )
    if eased := easing_words(request):
        said.append(eased)
    if rests := baseline_words(inputs):
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


def _facts(inputs: RenderedInputs, until: str) -> tuple[Fact, ...]:
    record, request = inputs.record, inputs.record.request
    facts = [
        Fact("Model", f"{request.name}, version {request.version}", digest=_files(record)),
        Fact("Runs on", "; ".join(place_words(inputs, item) for item in request.targets)),
        Fact(
            "Under policy",
            f"{request.policy.name} {request.policy.version}",
            digest=short(request.policy.digest),
        ),
        Fact("Decided by key", short(inputs.signer) or "not named", code=bool(inputs.signer)),
        Fact("Decided on", moment(record.finished)),
    ]
    if said := attempt_words(request):
        facts.append(Fact("Attempt", said))
    if until:
        facts.append(Fact("Record counts until", until))
    return (*facts, Fact("Assurance", ASSURANCE[record.assurance.name], wide=True))


def _files(record: AuditRecord) -> str:
    request = record.request
    if request.artifact is not None:
        return bytes_words(record, short(request.artifact.digest))
    if any(target.endpoints for target in request.targets):
        return "a served model, whose file was not seen"
    return "predictions only, the model was not seen"


def good_until(inputs: RenderedInputs) -> str:
    """Return until when a gate takes the verdict, or nothing where nothing says an end.

    That is as long as the policy takes what was measured, and no waiver that it needs runs out.
    """
    days, when = inputs.policy.valid_for_days, _parsed(inputs.record.registered)
    ends = [] if when is None or days is None else [when + timedelta(days=days)]
    needed = [used.waiver.expires for used in uses(inputs) if not used.idle]
    ends += [end for end in map(_parsed, needed) if end is not None]
    return moment(min(ends).isoformat()) if ends else ""


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _rules(count: int) -> str:
    return "1 required rule" if count == 1 else f"{count} required rules"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
