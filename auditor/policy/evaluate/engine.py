"""From readings to findings: every rule of a policy on every target."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.findings import Finding
from auditor.domain.isolation import suffices
from auditor.domain.policies import Effect, Policy, Rule, Severity
from auditor.domain.verdicts import Outcome
from auditor.judging.asking import Asked, ask
from auditor.judging.cases import Case, Question
from auditor.judging.context import JudgingContext, ReadingsAt
from auditor.judging.correcting import corrected
from auditor.judging.docket import Docket
from auditor.judging.parts import Part, parts
from auditor.judging.pinned import unmet
from auditor.judging.rules import Judgement, excused, judge_part
from auditor.judging.waiving import waived
from auditor.judging.words import loosened, titled

REMEDIES: Mapping[str, str] = {
    "evidence": "Audit on a device of the kind that the target names, with a runtime that reports "
    "where every operator ran. To accept a simulation or an emulation, set `least_evidence: any` "
    "in the policy.",
    "isolation": "Audit on a machine that gives this level; `AUDITOR_REQUIRE_ISOLATION`, or "
    "`--require-isolation` of a service or worker, refuses one that does not. An audit that does "
    "not record the level of a file that it opened is run again, or without that file.",
}
"""What helps where a policy asks more of an audit, and another audit of the same kind does not."""


def judge(policy: Policy, readings_at: ReadingsAt, context: JudgingContext) -> tuple[Finding, ...]:
    """Judge every rule on every target, the policy's own preconditions first.

    ``readings_at(confidence)`` gives the same readings in the same order at any confidence. A
    denying rule fails only if it also fails after correction over all denying rules, targets and
    places (``step_down``); it passes at its own level, since all of them must. Waivers come last,
    and cover no precondition. Raises ``PolicyError`` for a condition that does not compile.
    """
    docket, before = Docket.of(readings_at(context.confidence), policy.rules), context.precedents()
    targets = [ask(context, policy.params, target, before) for target in context.targets]
    cases = [
        case
        for rule in policy.rules
        for asked in targets
        for case in _cases(policy, rule.under(context.claims), docket, asked)
    ]
    judgements = corrected(cases, readings_at, context.confidence)
    findings = [_finding(case, told) for case, told in zip(cases, judgements, strict=True)]
    # After the correction: a smaller family would let other rules fail more easily.
    told = waived(findings, context.waivers, context.audited(policy), context.now)
    # What a policy asks of the audit itself stands outside: no waiver reaches it.
    return (*_preconditions(policy, context), *told)


def _cases(policy: Policy, rule: Rule, docket: Docket, asked: Asked) -> Iterator[Case]:
    question = Question(rule, asked)
    excuse = excused(policy, rule, asked)
    if excuse is not None:
        yield Case(question, Part(), excuse)
        return
    for part in parts(rule, asked.target, docket):
        yield Case(question, part, judge_part(rule, part, docket, asked))


def _finding(case: Case, judgement: Judgement) -> Finding:
    rule = case.question.rule
    return Finding(
        rule=rule.id,
        title=titled(rule, case.part.place),
        target=case.question.asked.target,
        measure=rule.measure,
        outcome=judgement.outcome,
        effect=rule.effect,
        severity=rule.severity,
        readings=judgement.readings,
        controls=rule.controls,
        message=judgement.message + loosened(rule),
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
        if policy.least_isolation is not None and not suffices(told, policy.least_isolation):
            yield from _unmet("isolation", policy.least_isolation.value, told or "none", [target])
    yield from _pinned(policy, context)


def _pinned(policy: Policy, context: JudgingContext) -> Iterator[Finding]:
    """Yield what the policy pins and the audit does not have; tests of policies pin nothing."""
    broken = () if context.request is None else unmet(policy.pins, context.request)
    for pin in broken:
        for target in context.targets:
            yield Finding(
                rule="policy.pins",
                title=f"The audit has the {pin.what} that the policy pins",
                target=target,
                measure="policy/pins",
                outcome=Outcome.UNKNOWN,
                effect=Effect.DENY,
                severity=Severity.HIGH,
                readings=(),
                controls=(),
                message=f"Pinned: {pin.what}: {pin.asked}. Found: {pin.found}. The policy judges "
                "no other audit, whatever it saw.",
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
            effect=Effect.DENY,
            severity=Severity.HIGH,
            readings=(),
            controls=(),
            message=f"Asked: {what} {asked} at least. Found: {what} {given}. What this audit saw "
            "is not enough for the policy, whatever it saw.",
            remediation=REMEDIES.get(what, f"Audit again with {what} {asked} or more."),
            limits=f"{what} at least {asked}",
            would_decide={"needs": f"{what} {asked}"},
        )
