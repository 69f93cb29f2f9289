"""From readings to findings: every rule of a policy on every target."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Policy, Rule, Severity
from auditor.domain.readings import Reading
from auditor.domain.verdicts import Outcome
from auditor.judging.context import JudgingContext
from auditor.judging.docket import Docket
from auditor.judging.family import step_down
from auditor.judging.rules import Bindings, Judgement, excused, judge_rule
from auditor.judging.words import percent

ReadingsAt = Callable[[float], Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class Case:
    """One rule on one target, and what came of it at the rule's own level."""

    rule: Rule
    target: str
    bindings: Bindings
    judgement: Judgement

    @property
    def asked(self) -> bool:
        """Whether a failure of this case would fail the audit."""
        applies = self.judgement.outcome is not Outcome.NOT_APPLICABLE
        return self.rule.effect is Effect.DENY and applies

    def at(self, docket: Docket) -> Judgement:
        """Judge the case anew by other readings."""
        return judge_rule(self.rule, self.target, docket, self.bindings)


def judge(policy: Policy, readings_at: ReadingsAt, context: JudgingContext) -> tuple[Finding, ...]:
    """Judge every rule on every target, the policy's own preconditions first.

    ``readings_at(confidence)`` gives the same readings in the same order at any confidence. A
    denying rule fails only if it also fails after correction over all denying rules and targets
    (``step_down``); it passes at its own level, since all of them must. Raises ``PolicyError`` for
    a condition that does not compile.
    """
    docket = Docket.of(readings_at(context.confidence))
    cases = [
        _case(policy, rule, target, docket, context)
        for rule in policy.rules
        for target in context.targets
    ]
    judgements = _corrected(cases, readings_at, docket, context)
    findings = [_finding(case, told) for case, told in zip(cases, judgements, strict=True)]
    return (*_preconditions(policy, context), *findings)


def _case(policy: Policy, rule: Rule, target: str, docket: Docket, context: JudgingContext) -> Case:
    bindings = context.bindings(policy.params, target)
    judgement = excused(policy, rule, target, context)
    if judgement is None:
        judgement = judge_rule(rule, target, docket, bindings)
    return Case(rule, target, bindings, judgement)


def _corrected(
    cases: Sequence[Case], readings_at: ReadingsAt, docket: Docket, context: JudgingContext
) -> list[Judgement]:
    family = sum(case.asked for case in cases)
    candidates = {
        index
        for index, case in enumerate(cases)
        if case.asked and case.judgement.outcome is Outcome.FAILED
    }
    alpha = 1 - context.confidence
    dockets = {alpha: docket}

    def failing_at(level: float) -> set[int]:
        if level not in dockets:
            dockets[level] = Docket.of(readings_at(1 - level))
        there = dockets[level]
        return {at for at in candidates if cases[at].at(there).outcome is Outcome.FAILED}

    failed = step_down(family, alpha, failing_at) if candidates else frozenset()
    strictest = alpha / max(1, family - len(failed))
    return [
        _doubtful(case, dockets[strictest], family, context.confidence)
        if index in candidates - failed
        else _sure(case.judgement, family)
        if index in failed
        else case.judgement
        for index, case in enumerate(cases)
    ]


def _sure(judgement: Judgement, family: int) -> Judgement:
    if family == 1:
        return judgement
    after = f" It fails after correction over all {family} denying rules (Holm), too."
    return replace(judgement, message=judgement.message + after)


def _doubtful(case: Case, docket: Docket, family: int, confidence: float) -> Judgement:
    alone = (
        f" It fails alone at {percent(confidence)}, but not after correction over all {family} "
        "denying rules (Holm), so that it stays unknown."
    )
    corrected = case.at(docket)
    return Judgement(
        Outcome.UNKNOWN,
        case.judgement.message + alone,
        case.judgement.readings,
        corrected.would_decide or {"needs": "more rows"},
    )


def _finding(case: Case, judgement: Judgement) -> Finding:
    rule = case.rule
    asked = f"`{rule.require}`" if rule.limits is None else rule.limits.words()
    return Finding(
        rule=rule.id,
        title=rule.title,
        target=case.target,
        measure=rule.measure,
        outcome=judgement.outcome,
        effect=rule.effect,
        severity=rule.severity,
        readings=judgement.readings,
        controls=rule.controls,
        message=judgement.message,
        remediation=rule.remediation,
        limits=asked,
        would_decide=judgement.would_decide,
    )


def _preconditions(policy: Policy, context: JudgingContext) -> Iterator[Finding]:
    least, had = policy.least_budget, context.budget
    if not had.covers(least):
        yield from _unmet("budget", least.value, had.value, context.targets)
    if context.assurance < policy.least_assurance:
        asked, given = policy.least_assurance.name, context.assurance.name
        yield from _unmet("assurance", asked, given, context.targets)


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
            remediation=f"Audit again with {what} {asked} or more.",
            limits=f"{what} at least {asked}",
            would_decide={"needs": f"{what} {asked}"},
        )
