"""Limits that are taken from what is claimed of the model."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_cases import RULE, judge_one, measured

from auditor.domain.findings import Outcome
from auditor.domain.policies import AnchoredLimits, LimitAnchor, MetricLimits
from auditor.domain.readings import Unit

AS_CLAIMED = replace(
    RULE, limits=None, anchored=AnchoredLimits(least=LimitAnchor("accuracy", -0.02))
)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.94, 0.97, Outcome.PASSED),
        (0.9, 0.92, Outcome.FAILED),
        (0.92, 0.95, Outcome.UNKNOWN),
    ],
)
def test_a_figure_is_held_against_what_is_claimed(
    low: float, high: float, outcome: Outcome
) -> None:
    reading = measured((low + high) / 2, low, high)
    finding = judge_one(AS_CLAIMED, reading, claims={"accuracy": 0.95})
    assert finding.outcome is outcome
    assert finding.limits == "at least 0.93 (claims.accuracy - 0.02)"
    assert "of at least 0.93 (claims.accuracy - 0.02)" in finding.message


@pytest.mark.parametrize("claims", [{}, {"accuracy": "high"}, {"accuracy": True}, {"auc": 0.9}])
def test_a_claim_that_is_not_made_leaves_the_rule_unknown(claims: dict[str, Any]) -> None:
    finding = judge_one(AS_CLAIMED, measured(0.99, 0.98, 1.0), claims=claims)
    assert finding.outcome is Outcome.UNKNOWN
    assert "The audit file claims no accuracy" in finding.message
    assert finding.would_decide is not None
    assert "claims in the audit file" in str(finding.would_decide["needs"])


@given(st.floats(0, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_claim_is_judged_as_the_number_that_it_comes_to(
    claim: float, margin: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    reading = measured(low, low, high, unit=Unit.SHARE)
    rule = replace(AS_CLAIMED, anchored=AnchoredLimits(0.0, LimitAnchor("accuracy", margin)))
    number = replace(RULE, limits=MetricLimits(0.0, claim + margin))
    claimed = judge_one(rule, reading, claims={"accuracy": claim}).outcome
    assert claimed is (
        judge_one(number, reading).outcome if claim + margin < 1 else Outcome.UNKNOWN
    )


@pytest.mark.parametrize("claim", [-5, 0, 0.02])
def test_a_claim_that_leaves_nothing_to_break_passes_nothing(claim: float) -> None:
    reading = measured(0.99, 0.98, 1.0, unit=Unit.SHARE)
    finding = judge_one(AS_CLAIMED, reading, claims={"accuracy": claim})
    assert finding.outcome is Outcome.UNKNOWN
    assert "a limit that no value can break" in finding.message
    held = judge_one(AS_CLAIMED, measured(0.99, 0.98, 1.0), claims={"accuracy": 0.03})
    assert held.outcome is Outcome.PASSED


def test_a_whole_claim_reads_as_the_same_limit_after_a_reload() -> None:
    whole, real = ({"accuracy": value} for value in (1, 1.0))
    reading = measured(0.99, 0.98, 1.0)
    assert judge_one(AS_CLAIMED, reading, claims=whole) == judge_one(
        AS_CLAIMED, reading, claims=real
    )
