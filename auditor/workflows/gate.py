"""The CI question: whether a valid, fresh, passing record exists for exactly these bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.baselines import list_rules_kept_by_baseline
from auditor.domain.evidence_levels import assess_evidence_levels
from auditor.domain.findings import ACCEPTABLE, Finding, Outcome, Verdict
from auditor.domain.isolation import is_isolation_sufficient
from auditor.domain.json import digest_json, parse_json
from auditor.domain.pinned_settings import AuditPins
from auditor.domain.policies import Policy, RuleEffect
from auditor.domain.record_isolation import read_isolation_levels
from auditor.domain.record_scope import find_unbound_targets
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt, AuditRequest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import UsageError
from auditor.policy.evaluate.pin_violations import find_pin_violations
from auditor.reports.html.findings import sort_worst_first
from auditor.reports.wording import OUTCOMES
from auditor.targets.fingerprint import select_platform_facts
from auditor.workflows.verify.sealed_seed import SEED_STEPS

KEPT = ACCEPTABLE | {Outcome.NOT_APPLICABLE}
BASELINE = "baseline"
"""The step that says whether the record counts that limits are taken from."""
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """What a gate asks: which bytes, under which policy, on which target, how fresh.

    ``artifact`` and ``identity`` are digests; ``None`` where the caller does not ask. The identity
    is that of a probe (the place, whatever model is open) or of a whole fingerprint. ``baseline``
    is the digest of the record that the caller lets limits be taken from, and ``named`` how people
    compare the artifact, where the caller has its files.
    """

    artifact: str
    policy: Policy
    target: str | None
    identity: str | None
    max_age: timedelta | None
    now: datetime
    baseline: str | None = None
    named: str = ""

    def asked_of(self, record: AuditRecord) -> tuple[Finding, ...]:
        """Return the findings of a record on the target that is asked for."""
        return tuple(it for it in record.findings if self.target in {None, it.target})

    def unmet_by(self, record: AuditRecord) -> tuple[Finding, ...]:
        """Return the findings that keep the verdict from a pass, worst first."""
        asked = (it for it in self.asked_of(record) if it.effect is RuleEffect.DENY)
        return sort_worst_first([it for it in asked if it.outcome not in KEPT])


def parse_age(text: str) -> timedelta:
    """Read an age such as ``12h``, ``30d`` or ``4w``. Raises ``UsageError``."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.isdecimal() or not 0 < int(number) < 10**5:
        raise UsageError(f"{text!r} is not an age", cure="Write it as 12h, 30d or 4w.")
    return int(number) * UNITS[unit]


def check_gate(
    record: AuditRecord, question: GateQuestion, shown: Sequence[VerificationStep]
) -> tuple[VerificationStep, ...]:
    """Hold a record, whose signature was verified before, against the question.

    ``shown`` are the steps that were taken of it so far: of what the policy asks to be shown, only
    a step that holds shows it.
    """
    audited, asked = record.request.policy, question.policy
    other = f"it was judged by {audited.name} {audited.version} ({audited.digest})"
    cure = "judge the record by it (auditor judge DIR --policy POLICY), or audit again"
    wrong = f"{other}, not by {asked.name} {asked.version} ({asked.digest}): {cure}"
    mistakes = [] if audited.digest == asked.digest else [wrong]
    return (
        _artifact(record, question),
        VerificationStep.of("policy", mistakes, f"judged by {asked.name} {asked.version}"),
        _target(record, question),
        _verdict(record, question),
        VerificationStep.of(
            "assurance", _shortfalls(record, question), f"assurance {record.assurance.name}"
        ),
        *_pins(record, question.policy),
        *check_audit_conditions(record, question, shown),
    )


def check_audit_conditions(
    record: AuditRecord, question: GateQuestion, shown: Sequence[VerificationStep]
) -> tuple[VerificationStep, ...]:
    """Hold a record against what is asked of the audit itself and no finding tells."""
    return (
        _freshness(record, question.policy, question.max_age, question.now),
        *_attempts(record, question.policy, shown),
        *_baseline(record, question, shown),
    )


def _artifact(record: AuditRecord, question: GateQuestion) -> VerificationStep:
    artifact = record.request.artifact
    if artifact is None or artifact.digest != question.artifact:
        audited = "no artifact" if artifact is None else name_artifact(artifact.files)
        here = question.named or question.artifact
        wrong = f"the record audits {audited}, and the artifact here is {here}"
        return VerificationStep("artifact", StepResult.FAILED, wrong)
    mistakes = [
        f"on {name} the record speaks for the endpoint, not for the artifact: {reason}"
        for name, reason in find_unbound_targets(record).items()
        if question.target in {None, name}
    ]
    exact = f"the record audits exactly {name_artifact(artifact.files)}"
    return VerificationStep.of("artifact", mistakes, exact)


def name_artifact(files: tuple[FileDigest, ...]) -> str:
    """Return what people compare: of a single file its name and what `sha256sum` prints of it."""
    return f"{files[0].name} ({files[0].digest})" if len(files) == 1 else digest_files(files)


def _target(record: AuditRecord, question: GateQuestion) -> VerificationStep:
    audited = [target.name for target in record.request.targets]
    wanted = audited if question.target is None else [question.target]
    mistakes = [mistake for name in wanted if (mistake := _strange(record, name, question))]
    return VerificationStep.of("target", mistakes, f"audited on {', '.join(wanted)}")


def _strange(record: AuditRecord, target: str, question: GateQuestion) -> str:
    if target not in {item.name for item in record.request.targets}:
        return f"{target} was not audited"
    found = record.fingerprints.get(target)
    if found is None and record.request.predictions_only:
        return f"no model ran: predictions alone do not show where a model runs ({target})"
    if found is None:
        return f"{target} did not open: there is no fingerprint"
    place = digest_json(select_platform_facts(found.identity_facts))
    if question.identity not in {None, place, found.identity}:
        return f"{target} was at {place}, and the probe here is at {question.identity}"
    return ""


def _verdict(record: AuditRecord, question: GateQuestion) -> VerificationStep:
    asked = [finding for finding in question.asked_of(record) if finding.effect is RuleEffect.DENY]
    verdict = Verdict.of(finding.outcome for finding in asked)
    against = [f"{it.name} {OUTCOMES[it.outcome].lower()}" for it in question.unmet_by(record)]
    mistakes = (
        []
        if verdict is Verdict.PASS
        else [f"the verdict is {verdict}: {', '.join(against) or 'no rule was decided'}"]
    )
    waived = list(dict.fromkeys(it.name for it in asked if it.outcome is Outcome.WAIVED))
    beside = f" or is waived ({len(waived)} waived: {', '.join(waived)})" if waived else ""
    return VerificationStep.of("verdict", mistakes, f"every required rule passed{beside}")


def _shortfalls(record: AuditRecord, question: GateQuestion) -> Iterator[str]:
    policy, request = question.policy, record.request
    levels = assess_evidence_levels(request.targets, record.fingerprints, record.readings)
    if record.assurance < policy.least_assurance:
        yield f"{record.assurance.name} is below {policy.least_assurance.name}"
    if not record.request.budget.covers(policy.least_budget):
        yield f"budget {record.request.budget} is below {policy.least_budget}"
    wanted = levels if question.target is None else {question.target}
    for name, level in levels.items():
        if name in wanted and not policy.least_evidence.accepts(level):
            yield f"{name} is {level.value}, and the policy asks for {policy.least_evidence.value}"
    isolated = read_isolation_levels(request, record.fingerprints)
    for name in levels:
        told = isolated.get(name)
        if name in wanted and not is_isolation_sufficient(told, policy.least_isolation):
            yield (
                f"{name} has the isolation level {told or 'none'}, and the policy asks for "
                f"{policy.least_isolation}"
            )


def _pins(record: AuditRecord, policy: Policy) -> Iterator[VerificationStep]:
    """Hold what was asked against what the policy pins, whatever its findings say."""
    if policy.pins != AuditPins():
        mistakes = [
            f"{pin.what}: {pin.found}; the policy pins {pin.asked}"
            for pin in find_pin_violations(policy.pins, record.request)
        ]
        yield VerificationStep.of(
            "pins", mistakes, "the data and settings are those that the policy pins"
        )


def check_evaluation_data(record: AuditRecord, digest: str) -> VerificationStep:
    """Say whether a record's evaluation data are exactly those of a digest."""
    found = [item.digest for item in record.request.datasets if item.role == "evaluation"]
    if found == [digest]:
        return VerificationStep("data", StepResult.HOLDS, f"the record judges exactly {digest}")
    audited = found[0] if found else "no evaluation data"
    if record.request.disclosure is not None:
        audited = "evaluation data of a hidden digest (the record may withhold rows)"
    wrong = f"the record judges {audited}, and the data here are {digest}"
    return VerificationStep("data", StepResult.FAILED, wrong)


def _attempts(
    record: AuditRecord, policy: Policy, shown: Sequence[VerificationStep]
) -> Iterator[VerificationStep]:
    """Ask for a sealed audit, and how many attempts it took, where the policy does."""
    attempt = record.request.attempt
    number = "no service counted it" if attempt is None else f"it is {_number(attempt)}"
    if policy.require_sealed:
        mistakes = _not_sealed(record.request, number, shown)
        yield VerificationStep.of(
            "sealed", mistakes, "the requester chose neither the seed nor the rows"
        )
    if policy.most_attempts is not None:
        yield VerificationStep.of(
            "attempts", _too_many(attempt, policy, policy.most_attempts), number
        )


def _not_sealed(
    request: AuditRequest, number: str, shown: Sequence[VerificationStep]
) -> Iterator[str]:
    if request.attempt is None or not request.attempt.sealed:
        yield f"the policy requires a sealed audit; {number}, not sealed"
    elif not any(it.name in SEED_STEPS and it.result is StepResult.HOLDS for it in shown):
        yield (
            "the policy requires a sealed audit, and there is no proof that the service's ledger "
            "drew the seed: add its public key (--ledger-key)"
        )
    if request.brought:
        yield (
            "the policy requires a sealed audit, and the requester chose the "
            f"{' and '.join(request.brought)} rows: audit rows of the auditor "
            "(--sealed --sealed-set NAME)"
        )


def _too_many(attempt: AuditAttempt | None, policy: Policy, most: int) -> Iterator[str]:
    if attempt is None:
        yield f"the policy allows at most {most} attempts, and no service counted this one"
        return
    if attempt.number > most:
        yield f"it is {_number(attempt)}; the policy allows at most {most}"
    if attempt.policy is not None and attempt.policy.name != policy.name:
        yield f"its attempts were counted under {attempt.policy.name}, not {policy.name}"


def _number(attempt: AuditAttempt) -> str:
    on = " on its data, whatever the model" if attempt.by_data else ""
    return f"attempt {attempt.number}{on}"


def _baseline(
    record: AuditRecord, question: GateQuestion, shown: Sequence[VerificationStep]
) -> Iterator[VerificationStep]:
    """Ask whether what limits are taken from is named by who asks, not by who is judged.

    A service has its own step for that, which is ``shown``.
    """
    named, against = question.baseline, record.request.baseline
    rules = ", ".join(list_rules_kept_by_baseline(question.asked_of(record)))
    if any(it.name == BASELINE for it in shown) or not (rules or named):
        return
    mistakes = [] if named is None else list(check_baseline_identity(named, against))
    if named is None:
        mistakes.append(
            f"{rules} depends on the baseline {against or 'that the record hides'}, which the "
            "requester of the audit chose: review that record, and name it if you accept its "
            "limits (--baseline DIR, or its digest)"
        )
    yield VerificationStep.of(BASELINE, mistakes, f"compared with {against}, as named here")


def check_baseline_identity(named: str, against: str | None) -> Iterator[str]:
    """Say that a record was held against another baseline than a gate names, if it was."""
    if named != against:
        held = "no baseline" if against is None else f"the baseline {against}"
        yield f"it was compared with {held}, but {named} is named here"


def _freshness(
    record: AuditRecord, policy: Policy, max_age: timedelta | None, now: datetime
) -> VerificationStep:
    """Count the age from when the measurements were asked for: judging again renews nothing."""
    days = policy.valid_for_days
    limits = [] if days is None else [timedelta(days=days)]
    if max_age is not None:
        limits.append(max_age)
    try:
        measured = datetime.fromisoformat(record.registered).astimezone(UTC)
        finished = datetime.fromisoformat(record.finished).astimezone(UTC)
    except ValueError:
        mistake = f"{record.registered!r} or {record.finished!r} is not a time"
        return VerificationStep.of("freshness", [mistake], "")
    mistakes = [
        f"it was measured at {measured:%Y-%m-%dT%H:%M:%SZ}, and that counts until "
        f"{measured + limit:%Y-%m-%dT%H:%M:%SZ}"
        for limit in limits
        if now - measured > limit
    ]
    if finished > now or measured > finished:
        mistakes.append(f"it was measured at {record.registered} and finished at {record.finished}")
    return VerificationStep.of("freshness", mistakes, f"measured at {record.registered}")


def read_probe(path: Path) -> str:
    """Read the identity digest of a probed fingerprint from a JSON file. Raises ``UsageError``."""
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", cure="Name a probe's JSON file."
        ) from None
    identity = found.get("identity") if isinstance(found, Mapping) else None
    if not isinstance(identity, str) or not identity.startswith("sha256:"):
        raise UsageError(
            f"{path} names no identity",
            cure="Make it on the target: auditor targets probe NAME --out FILE.",
        )
    return identity
