"""Failing at the family level: Holm's procedure by confidence levels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, POLICY, RULE, measured
from scipy.stats import beta, binom

from auditor.domain.findings import Outcome, Verdict
from auditor.domain.policies import MetricLimits, Policy, RuleEffect
from auditor.domain.readings import Measurement
from auditor.policy.evaluate.engine import judge_readings, step_down

ALPHA = 0.05
N = 200
LIMIT = 0.8


def clopper_pearson(hits: int, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, N - hits + 1))
    high = 1.0 if hits == N else float(beta.ppf(1 - tail, hits + 1, N - hits))
    return low, high


def at(hits: Sequence[int], confidence: float) -> list[Measurement]:
    return [
        measured(k / N, *clopper_pearson(k, confidence), n=N, params={"part": index})
        for index, k in enumerate(hits)
    ]


def policy_over(count: int, effect: RuleEffect = RuleEffect.DENY) -> Policy:
    rules = [
        replace(RULE, id=f"part-{index}", where={"part": index}, effect=effect)
        for index in range(count)
    ]
    return replace(POLICY, rules=tuple(rules))


def outcomes(hits: Sequence[int], policy: Policy) -> list[Outcome]:
    return [item.outcome for item in judge_readings(policy, lambda level: at(hits, level), CONTEXT)]


def textbook_holm(p_values: Sequence[float], alpha: float) -> set[int]:
    rejected: set[int] = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] >= alpha / (len(p_values) - step):
            break
        rejected.add(index)
    return rejected


@given(st.lists(st.integers(120, 180), min_size=1, max_size=8))
def test_levels_reject_what_the_textbook_rejects_by_p_values(hits: list[int]) -> None:
    # The interval lies below the limit exactly when twice the lower tail at the limit is smaller
    # than the level: Clopper-Pearson inverts that test.
    p_values = [2 * float(binom.cdf(k, N, LIMIT)) for k in hits]
    found = outcomes(hits, policy_over(len(hits)))
    failed = {index for index, item in enumerate(found) if item is Outcome.FAILED}
    assert failed == textbook_holm(p_values, ALPHA)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=12))
def test_step_down_is_holm(p_values: list[float]) -> None:
    def failing_at(level: float) -> set[int]:
        return {index for index, p in enumerate(p_values) if p < level}

    assert step_down(len(p_values), ALPHA, failing_at) == textbook_holm(p_values, ALPHA)


@pytest.mark.parametrize(
    ("failing", "levels"),
    [
        ([set()], [0.02]),
        ([{0}, {0}], [0.02, 0.03]),
        ([{0}, {0, 1}, {0, 1}], [0.02, 0.03, 0.06]),
        ([{0}, {0, 1}, {0, 1, 2}], [0.02, 0.03, 0.06]),
        ([{0, 1, 2}], [0.02]),
    ],
)
def test_each_step_errs_by_a_share_of_those_left_and_the_last_one_brings_nothing_new(
    failing: list[set[int]], levels: list[float]
) -> None:
    steps = iter(failing)
    asked: list[float] = []

    def failing_at(level: float) -> set[int]:
        asked.append(level)
        return next(steps)

    assert step_down(3, 0.06, failing_at) == failing[-1]
    assert asked == levels


def test_what_fails_alone_but_not_in_the_family_is_unknown_and_says_so() -> None:
    hits = [148, *[180] * 9]
    (alone,) = outcomes(hits[:1], policy_over(1))
    findings = judge_readings(policy_over(10), lambda level: at(hits, level), CONTEXT)
    assert alone is Outcome.FAILED
    assert findings[0].outcome is Outcome.UNKNOWN
    assert "fails alone at 95 %, but not after correction over all 10" in findings[0].message
    assert findings[0].would_decide is not None
    assert int(str(findings[0].would_decide["rows"])) > N


def test_one_sure_failure_makes_room_for_the_next() -> None:
    hits = [100, 146, 180]
    assert outcomes([180, 146, 180], policy_over(3))[1] is Outcome.UNKNOWN
    assert outcomes(hits, policy_over(3))[:2] == [Outcome.FAILED, Outcome.FAILED]


def test_an_exact_figure_fails_at_any_level() -> None:
    rules = (
        *policy_over(9).rules,
        replace(RULE, id="unsafe", metric="unsafe_constructs", limits=MetricLimits(most=0)),
    )
    policy = replace(POLICY, rules=rules)
    exact = measured(1.0, metric="unsafe_constructs")
    findings = judge_readings(policy, lambda level: [*at([180] * 9, level), exact], CONTEXT)
    assert findings[-1].outcome is Outcome.FAILED
    assert "after correction over all 10 denying rules" in findings[-1].message


def test_warnings_are_judged_at_their_own_level_and_widen_no_family() -> None:
    hits = [148, *[180] * 9]
    assert outcomes(hits, policy_over(10, RuleEffect.WARN))[0] is Outcome.FAILED
    mixed = replace(
        POLICY,
        rules=(policy_over(1).rules[0], *policy_over(10, RuleEffect.WARN).rules[1:]),
    )
    assert outcomes(hits, mixed)[0] is Outcome.FAILED


def test_rules_that_do_not_apply_widen_no_family() -> None:
    first, *others = policy_over(10).rules
    policy = replace(
        POLICY, rules=(first, *[replace(item, when='target == "gpu"') for item in others])
    )
    assert outcomes([148, *[180] * 9], policy)[0] is Outcome.FAILED


def test_a_model_that_keeps_every_rule_is_failed_in_at_most_one_audit_of_twenty() -> None:
    generator = np.random.default_rng(7)
    audits = generator.binomial(N, LIMIT, size=(300, 10))
    policy = policy_over(10)
    verdicts = [Verdict.of(outcomes([int(k) for k in hits], policy)) for hits in audits]
    alone = sum(any(clopper_pearson(int(k), 0.95)[1] < LIMIT for k in hits) for hits in audits)
    assert verdicts.count(Verdict.FAIL) <= ALPHA * len(audits)
    assert alone > ALPHA * len(audits)  # without correction the same audits fail far too often
