"""How sure a finding is, in words that fit what it rests on."""

from auditor.domain.findings import Finding
from auditor.domain.policies import Rule
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.judging.standing import Standing, span_of, stand
from auditor.rendering.phrases import MEANINGS, OUTCOMES

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
DOUBTED = "the figure is doubted, and a doubted figure never keeps a rule"
ASTRAY = "the figure is doubted, and the limit that it breaks lies where it may be astray"


def how_sure(finding: Finding, rule: Rule | None, deciding: Measurement | None) -> str:
    """Say the outcome and why it is no other one."""
    return f"{OUTCOMES[finding.outcome]}: {_because(finding.outcome, rule, deciding)}."


def _because(outcome: Outcome, rule: Rule | None, deciding: Measurement | None) -> str:
    if outcome is Outcome.UNKNOWN and deciding is None:
        return SHORT if rule is None else SILENCE
    if outcome is Outcome.UNKNOWN and deciding is not None and deciding.doubted:
        return _of_doubt(rule, deciding)
    if rule is not None and rule.require is not None:
        return CONDITION.get(outcome, MEANINGS[outcome])
    if deciding is not None and deciding.low is None and deciding.high is None:
        return EXACT.get(outcome, MEANINGS[outcome])
    return MEANINGS[outcome]


def _of_doubt(rule: Rule | None, deciding: Measurement) -> str:
    span, limits = span_of(deciding), None if rule is None else rule.limits
    broken = span is not None and limits is not None and stand(span, limits) is Standing.BREAKS
    return ASTRAY if broken else DOUBTED
