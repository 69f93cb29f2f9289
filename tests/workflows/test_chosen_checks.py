"""Naming checks leaves none out that examines the figures which rules rest on."""

import pytest

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import Budget
from auditor.domain.policies import Policy
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.load import find_policy_bytes, load_policy
from auditor.workflows.prepare import choose_checks


@pytest.fixture(scope="module")
def baseline() -> Policy:
    folder = find_shipped_folder("policies")
    raw, source = find_policy_bytes("baseline", folder, folder)
    return load_policy(raw, source, discover_checks(), load_catalogues(folder))


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (("evasion.linf",), {"evasion.linf", "evasion.masking"}),
        (("evasion.linf", "evasion.masking"), {"evasion.linf", "evasion.masking"}),
        # No rule of the policy rests on it, and the other climbs no gradient
        (("evasion.l1",), {"evasion.l1"}),
        (("evasion.linf_query",), {"evasion.linf_query"}),
        (("quality.accuracy",), {"quality.accuracy"}),
    ],
)
def test_an_attack_that_a_rule_rests_on_is_examined(
    baseline: Policy, only: tuple[str, ...], chosen: set[str]
) -> None:
    found = choose_checks(discover_checks(), baseline, Budget.CI, only)
    assert {it.id for it in found} == chosen


def test_all_checks_run_where_none_is_named(baseline: Policy) -> None:
    known = discover_checks()
    found = choose_checks(known, baseline, Budget.CI, ())
    assert [it.id for it in found] == list(known)
