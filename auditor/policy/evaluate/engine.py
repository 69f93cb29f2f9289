"""Evaluates policy rules on readings: findings, multiple-testing correction and waivers.

A failure counts only if it holds after correction over all cases that could have failed. Waivers
turn failed or unknown findings into waived ones and change no other finding.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from auditor._time import format_moment
from auditor.domain.findings import Finding, Outcome
from auditor.domain.isolation import is_isolation_sufficient
from auditor.domain.policies import Policy, Rule, RuleEffect, Severity
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import Waiver, WaiverSubject, WaiverValidity
from auditor.policy.evaluate.context import (
    JudgingContext,
    ReadingsAt,
    TargetContext,
    build_target_context,
)
from auditor.policy.evaluate.messages import (
    build_finding_title,
    describe_relaxations,
    format_confidence,
)
from auditor.policy.evaluate.pin_violations import find_pin_violations
from auditor.policy.evaluate.readings_index import Key, ReadingGroup, ReadingIndex, split_readings
from auditor.policy.evaluate.rules import (
    CaseOutcome,
    explain_exemption,
    is_failing,
    judge_reading_group,
)

WAIVABLE = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
WAS = {Outcome.FAILED: "it failed", Outcome.UNKNOWN: "it is undecided"}


class WaiverStatus(StrEnum):
    """What came of a waiver in an audit."""

    USED = "used"
    EXPIRED = "expired"
    EARLY = "not yet valid"
    FOREIGN = "for something else"
    UNNEEDED = "not needed"
    UNMATCHED = "matches nothing"


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver, what came of it, why, and on which targets it waived its rule."""

    waiver: Waiver
    use: WaiverStatus
    detail: str
    targets: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether it waived nothing, which somebody should look into."""
        return self.use is not WaiverStatus.USED


def apply_waivers(
    findings: Iterable[Finding], waivers: Sequence[Waiver], audited: WaiverSubject, now: str
) -> tuple[Finding, ...]:
    """Return the findings with those waived that a waiver covers; all else stays as it is.

    Only what failed or is unknown can be waived. What is judged first stays in the message, and a
    waiver that has run out is told there. Of several, the one that ends last counts.
    """
    fitting = [item for item in waivers if not item.foreign_to(audited)]
    return tuple(_waived(item, fitting, now) for item in findings)


def evaluate_waivers(record: AuditRecord, waivers: Sequence[Waiver]) -> tuple[WaiverUse, ...]:
    """Return what came of every waiver that a record's audit was given."""
    audited = find_waiver_subject(record)
    return tuple(_use(item, record.findings, audited, record.finished) for item in waivers)


def find_waiver_subject(record: AuditRecord) -> WaiverSubject:
    """Return what a record's audit was of, and by which policy, as waivers name them."""
    return build_waiver_subject(record.request)


def build_waiver_subject(request: AuditRequest) -> WaiverSubject:
    """Return what a request is of, and by which policy, as waivers name them."""
    artifact = None if request.artifact is None else request.artifact.digest
    return WaiverSubject(request.name, artifact, request.policy.name, request.policy.digest)


def equals_but_for_waivers(before: Outcome, after: Outcome) -> bool:
    """Whether two outcomes are one, where a waiver may have run out between and moved no figure."""
    return after is before or (before is Outcome.WAIVED and after in WAIVABLE)


def covers_finding(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is for the rule, the target and the slice that a finding is about."""
    return waiver.covers(finding.rule, finding.target, finding.slice)


def _waived(finding: Finding, waivers: Sequence[Waiver], now: str) -> Finding:
    if finding.outcome not in WAIVABLE:
        return finding
    covering = [item for item in waivers if covers_finding(item, finding)]
    valid = [item for item in covering if item.life(now) is WaiverValidity.VALID]
    if valid:
        chosen = max(valid, key=lambda item: (item.expires, item.digest))
        message = f"{finding.message} {_words(chosen, finding.outcome)}"
        return replace(finding, outcome=Outcome.WAIVED, message=message, waiver=chosen.digest)
    notes = [_no_more(item, now) for item in covering]
    return replace(finding, message=" ".join([finding.message, *notes]))


def _words(waiver: Waiver, was: Outcome) -> str:
    beside = "; ".join(it.rstrip(".") for it in waiver.compensating)
    instead = f" Instead: {beside}." if beside else ""
    reason = waiver.reason.rstrip(".")
    return (
        f"Waived until {format_moment(waiver.expires)}, though {WAS[was]}. The signer of the "
        f"waiver {waiver.ticket} writes: “{reason}”, and names {waiver.approver} as approver and "
        f"{waiver.owner} as the owner of the risk.{instead}"
    )


def _no_more(waiver: Waiver, now: str) -> str:
    name = f"A waiver ({waiver.ticket}, approved by {waiver.approver})"
    if waiver.life(now) is WaiverValidity.EARLY:
        return f"{name} is valid from {format_moment(waiver.created)} on, and does not count yet."
    return f"{name} expired on {format_moment(waiver.expires)}, and does not count any more."


def _use(
    waiver: Waiver, findings: Sequence[Finding], audited: WaiverSubject, now: str
) -> WaiverUse:
    foreign = waiver.foreign_to(audited)
    if foreign:
        return WaiverUse(waiver, WaiverStatus.FOREIGN, foreign)
    covered = [item for item in findings if covers_finding(waiver, item)]
    targets = tuple(_targets(waiver, covered))
    if targets:
        return WaiverUse(waiver, WaiverStatus.USED, f"on {', '.join(targets)}", targets)
    if not covered:
        return WaiverUse(waiver, WaiverStatus.UNMATCHED, f"no finding is of {_asked(waiver)}")
    life = waiver.life(now)
    if life is WaiverValidity.EXPIRED:
        ended = format_moment(waiver.expires)
        return WaiverUse(waiver, WaiverStatus.EXPIRED, f"it expired on {ended}")
    if life is WaiverValidity.EARLY:
        begins = format_moment(waiver.created)
        return WaiverUse(waiver, WaiverStatus.EARLY, f"it is valid from {begins} on")
    said = ", ".join(sorted({_became(item) for item in covered}))
    return WaiverUse(waiver, WaiverStatus.UNNEEDED, f"{waiver.name} {said}")


def _targets(waiver: Waiver, covered: Sequence[Finding]) -> Iterator[str]:
    yield from dict.fromkeys(item.target for item in covered if item.waiver == waiver.digest)


def _asked(waiver: Waiver) -> str:
    target = f" on {waiver.target}" if waiver.target else ""
    return f"{waiver.name}{target}"


def _became(finding: Finding) -> str:
    if finding.outcome is Outcome.WAIVED:
        return "is waived by another waiver"
    return f"came to {finding.outcome.value.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class RuleQuestion:
    """One rule asked of one target."""

    rule: Rule
    asked: TargetContext

    def parts(self, docket: ReadingIndex) -> Mapping[Key, ReadingGroup]:
        """Return what the rule is judged by, at each place that it is asked for."""
        return {part.key: part for part in split_readings(self.rule, self.asked.target, docket)}


@dataclass(frozen=True, slots=True)
class RuleCase:
    """One question at one place, and what came of it at the rule's own level."""

    question: RuleQuestion
    part: ReadingGroup
    judgement: CaseOutcome

    @property
    def required(self) -> bool:
        """Whether a failure of this case would fail the audit."""
        applies = self.judgement.outcome is not Outcome.NOT_APPLICABLE
        return self.question.rule.effect is RuleEffect.DENY and applies


def step_down(
    family: int, alpha: float, failing_at: Callable[[float], AbstractSet[int]]
) -> frozenset[int]:
    """Return which of ``family`` hypotheses fail when at most ``alpha`` of audits may err.

    ``failing_at(level)`` names those that fail at that level each; whoever fails at one level must
    fail at every greater one. Holm's step-down procedure (Holm 1979, Scandinavian Journal of
    Statistics 6), by levels in place of p-values: the next level is alpha over those left.
    """
    rejected: frozenset[int] = frozenset()
    while len(rejected) < family:
        found = frozenset(failing_at(alpha / (family - len(rejected))))
        if found <= rejected:
            break
        rejected |= found
    return rejected


def correct_failures(
    cases: Sequence[RuleCase], readings_at: ReadingsAt, confidence: float
) -> list[CaseOutcome]:
    """Return the judgements of cases, where a failure must hold for the whole family.

    A denying case that fails alone and not after Holm's correction stays undecided.
    """
    family = sum(case.required for case in cases)
    alpha = 1 - confidence
    candidates = {
        index: case
        for index, case in enumerate(cases)
        if case.required and case.judgement.outcome is Outcome.FAILED
    }
    rules = [case.question.rule for case in candidates.values()]
    again = cache(
        lambda level: CaseReevaluation.of(
            candidates, ReadingIndex.of(readings_at(1 - level), rules)
        )
    )

    def failing_at(level: float) -> AbstractSet[int]:
        return candidates.keys() if level == alpha else again(level).failing

    failed = step_down(family, alpha, failing_at) if candidates else frozenset()
    judgements = [case.judgement for case in cases]
    for index in failed:
        judgements[index] = _sure(judgements[index], family)
    for index in candidates.keys() - failed:
        strictest = again(alpha / (family - len(failed))).judgement(index)
        alone = judgements[index]
        why = (
            f" It fails alone at {format_confidence(confidence)}, but not after correction over "
            f"all {family} denying rules (Holm), so that it stays undecided."
        )
        judgements[index] = CaseOutcome(
            Outcome.UNKNOWN,
            alone.message + why,
            alone.readings,
            strictest.would_decide or {"needs": "more rows"},
        )
    return judgements


@dataclass(frozen=True, slots=True)
class CaseReevaluation:
    """Cases to be judged anew by other readings; each has its part of them."""

    cases: Mapping[int, RuleCase]
    docket: ReadingIndex
    parts: Mapping[int, ReadingGroup]

    @classmethod
    def of(cls, cases: Mapping[int, RuleCase], docket: ReadingIndex) -> "CaseReevaluation":
        """Split each question into its places once."""
        split: dict[int, Mapping[Key, ReadingGroup]] = {}
        found: dict[int, ReadingGroup] = {}
        for index, case in cases.items():
            question = id(case.question)
            if question not in split:
                split[question] = case.question.parts(docket)
            # A place at which there is nothing at another confidence is one that stays silent.
            found[index] = split[question].get(case.part.key, ReadingGroup(case.part.place))
        return cls(cases, docket, found)

    @property
    def failing(self) -> frozenset[int]:
        """The cases that fail."""
        return frozenset(
            index
            for index, case in self.cases.items()
            if is_failing(case.question.rule, self.parts[index], case.question.asked)
        )

    def judgement(self, index: int) -> CaseOutcome:
        """Judge one case with all its words."""
        question = self.cases[index].question
        return judge_reading_group(question.rule, self.parts[index], self.docket, question.asked)


def _sure(judgement: CaseOutcome, family: int) -> CaseOutcome:
    if family == 1:
        return judgement
    after = f" It fails after correction over all {family} denying rules (Holm), too."
    return replace(judgement, message=judgement.message + after)


REMEDIES: Mapping[str, str] = {
    "evidence": "Audit on a device of the kind that the target names, with a runtime that reports "
    "where every operator ran. To accept a simulation or an emulation, set `least_evidence: any` "
    "in the policy.",
    "isolation": "Audit on a machine that gives this level; `AUDITOR_REQUIRE_ISOLATION`, or "
    "`--require-isolation` of a service or worker, refuses one that does not. An audit that does "
    "not record the level of a file that it opened is run again, or without that file.",
}
"""What helps where a policy asks more of an audit, and another audit of the same kind does not."""


def judge_readings(
    policy: Policy, readings_at: ReadingsAt, context: JudgingContext
) -> tuple[Finding, ...]:
    """Judge every rule on every target, the policy's own preconditions first.

    ``readings_at(confidence)`` gives the same readings in the same order at any confidence. A
    denying rule fails only if it also fails after correction over all denying rules, targets and
    places (``step_down``); it passes at its own level, since all of them must. Waivers come last,
    and cover no precondition. Raises ``PolicyError`` for a condition that does not compile.
    """
    docket, before = (
        ReadingIndex.of(readings_at(context.confidence), policy.rules),
        context.precedents(),
    )
    targets = [
        build_target_context(context, policy.params, target, before) for target in context.targets
    ]
    cases = [
        case
        for rule in policy.rules
        for asked in targets
        for case in _cases(policy, rule.under(context.claims), docket, asked)
    ]
    judgements = correct_failures(cases, readings_at, context.confidence)
    findings = [_finding(case, told) for case, told in zip(cases, judgements, strict=True)]
    # After the correction: a smaller family would let other rules fail more easily.
    told = apply_waivers(findings, context.waivers, context.audited(policy), context.now)
    # What a policy asks of the audit itself stands outside: no waiver reaches it.
    return (*_preconditions(policy, context), *told)


def _cases(
    policy: Policy, rule: Rule, docket: ReadingIndex, asked: TargetContext
) -> Iterator[RuleCase]:
    question = RuleQuestion(rule, asked)
    excuse = explain_exemption(policy, rule, asked)
    if excuse is not None:
        yield RuleCase(question, ReadingGroup(), excuse)
        return
    for part in split_readings(rule, asked.target, docket):
        yield RuleCase(question, part, judge_reading_group(rule, part, docket, asked))


def _finding(case: RuleCase, judgement: CaseOutcome) -> Finding:
    rule = case.question.rule
    return Finding(
        rule=rule.id,
        title=build_finding_title(rule, case.part.place),
        target=case.question.asked.target,
        measure=rule.measure,
        outcome=judgement.outcome,
        effect=rule.effect,
        severity=rule.severity,
        readings=judgement.readings,
        controls=rule.controls,
        message=judgement.message + describe_relaxations(rule),
        remediation=rule.remediation,
        limits=rule.asks,
        would_decide=judgement.would_decide,
        slice=case.part.place,
    )


def _preconditions(policy: Policy, context: JudgingContext) -> Iterator[Finding]:
    least, had = policy.least_budget, context.budget
    if not had.covers(least):
        yield from _unmet("budget", least.value, had.value, context.targets)
    if context.assurance < policy.least_assurance:
        asked, given = policy.least_assurance.name, context.assurance.name
        yield from _unmet("assurance", asked, given, context.targets)
    for target in context.targets:
        level = context.under.evidence.get(target)
        if not policy.least_evidence.accepts(level):
            found = "none" if level is None else level.value
            yield from _unmet("evidence", policy.least_evidence.value, found, [target])
        told = context.under.isolation.get(target)
        if policy.least_isolation is not None and not is_isolation_sufficient(
            told, policy.least_isolation
        ):
            yield from _unmet("isolation", policy.least_isolation.value, told or "none", [target])
    # What the policy pins and the audit does not have; tests of policies pin nothing
    broken = () if context.request is None else find_pin_violations(policy.pins, context.request)
    for pin in broken:
        for pinned_target in context.targets:
            yield Finding(
                rule="policy.pins",
                title=f"The audit has the {pin.what} that the policy pins",
                target=pinned_target,
                measure="policy/pins",
                outcome=Outcome.UNKNOWN,
                effect=RuleEffect.DENY,
                severity=Severity.HIGH,
                readings=(),
                controls=(),
                message=f"Pinned: {pin.what}: {pin.asked}. Found: {pin.found}. The policy judges "
                "no other audit.",
                remediation=f"Audit again with the {pin.what} that the policy pins.",
                limits=f"{pin.what}: {pin.asked}",
                would_decide={"needs": f"{pin.what}: {pin.asked}"},
            )


def _unmet(what: str, asked: str, given: str, targets: Sequence[str]) -> Iterator[Finding]:
    for target in targets:
        yield Finding(
            rule=f"policy.least_{what}",
            title=f"The audit has the {what} that the policy asks for",
            target=target,
            measure=f"policy/{what}",
            outcome=Outcome.UNKNOWN,
            effect=RuleEffect.DENY,
            severity=Severity.HIGH,
            readings=(),
            controls=(),
            message=f"Required: {what} {asked} or more. Found: {what} {given}. The policy "
            "accepts no such audit.",
            remediation=REMEDIES.get(what, f"Audit again with {what} {asked} or more."),
            limits=f"{what} at least {asked}",
            would_decide={"needs": f"{what} {asked}"},
        )
