"""What a clean twin's unknown rule is worth: whether it could have failed at all."""

from dataclasses import replace

import pytest

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import BiasDirection, Gap, GapReason, Measurement, Reading
from auditor.selftest.run import is_vacuous_rule

STRADDLES = Measurement(metric="accuracy", value=0.6, low=0.5, high=0.7, method="exact", n=90)
GAP = Gap(reason=GapReason.UNSUPPORTED, detail="It cannot be run.", cure="Nothing.")
RULE = Rule(
    id="accurate",
    title="It is right often enough",
    severity=Severity.HIGH,
    effect=RuleEffect.DENY,
    check="quality.accuracy",
    metric="accuracy",
    limits=MetricLimits(least=0.6),
)
ASKED = replace(RULE, limits=None, require="reading.value >= 0.6")


def finding(outcome: Outcome, rule: Rule = RULE, readings: tuple[int, ...] = (0,)) -> Finding:
    return Finding(
        rule=rule.id,
        title=rule.title,
        target="cpu",
        measure=rule.measure,
        outcome=outcome,
        effect=rule.effect,
        severity=rule.severity,
        readings=readings,
        controls=(),
        message="",
        remediation="",
        limits=rule.asks,
    )


UNKNOWN = finding(Outcome.UNKNOWN)
ASTRAY = replace(STRADDLES, doubted=True, astray=BiasDirection.TOO_HIGH)


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        (UNKNOWN, GAP),
        (finding(Outcome.UNKNOWN, readings=()), STRADDLES),
        (finding(Outcome.NOT_APPLICABLE), STRADDLES),
        (UNKNOWN, ASTRAY),
        (UNKNOWN, replace(STRADDLES, value="shown", low=None, high=None)),
        (finding(Outcome.UNKNOWN, ASKED), GAP),
    ],
)
def test_a_rule_is_asked_in_vain_where_nothing_was_read_or_no_figure_could_break_it(
    asked: Finding, read: Reading
) -> None:
    assert is_vacuous_rule(asked, (read,))


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        (UNKNOWN, STRADDLES),
        (UNKNOWN, replace(STRADDLES, doubted=True)),
        (finding(Outcome.UNKNOWN, ASKED), ASTRAY),
        (finding(Outcome.PASSED), STRADDLES),
        (finding(Outcome.WITHSTOOD), STRADDLES),
        (finding(Outcome.FAILED), STRADDLES),
    ],
)
def test_an_interval_that_leaves_both_possible_is_a_measurement(
    asked: Finding, read: Reading
) -> None:
    assert not is_vacuous_rule(asked, (read,))
