"""Parameters of checks: presets, settings of the policy, and the grid of its rules."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pack_cases import HEAD, Accuracy, Attack, changed, loaded, written

from auditor.checks.measure import instantiate_check
from auditor.domain.budgets import Budget
from auditor.domain.policies import Policy
from auditor.errors import PolicyError
from auditor.policy.check_parameters import merge_parameter_values, resolve_check_parameters


def policy(*where: dict[str, object], checks: str = "") -> Policy:
    rules = [
        changed(
            id=f"rule-{index}",
            measure="evasion.linf/robust_accuracy",
            accept="withstood",
            where=place,
        )
        for index, place in enumerate(where)
    ]
    head = HEAD + (f"checks: {{evasion.linf: {checks}}}\n" if checks else "")
    return loaded(written(*rules, head=head))


def test_what_nobody_sets_is_left_to_the_check() -> None:
    assert resolve_check_parameters(Accuracy, policy({}), Budget.SMOKE) == {}
    assert resolve_check_parameters(Attack, policy({}), Budget.SMOKE) == {}


def test_the_policy_overrides_the_budget() -> None:
    found = resolve_check_parameters(Attack, policy({}, checks="{steps: 7}"), Budget.FULL)
    assert found == {"eps": [0.01, 0.02, 0.05], "steps": 7}


def test_values_at_which_rules_ask_join_the_grid_in_order() -> None:
    asking = policy({"eps": 0.05}, {"eps": 0.1 + 1e-16}, {"eps": 1})
    assert resolve_check_parameters(Attack, asking, Budget.SMOKE)["eps"] == [0.02, 0.05, 0.1, 1.0]
    both = policy({"eps": 0.05}, checks="{eps: [0.3]}")
    assert resolve_check_parameters(Attack, both, Budget.FULL)["eps"] == [0.05, 0.3]


def test_the_parameters_make_the_check() -> None:
    found = resolve_check_parameters(Attack, policy({"eps": 0.05}), Budget.FULL)
    check = instantiate_check(Attack, found)
    assert check == Attack(eps=(0.01, 0.02, 0.05), steps=100)


def test_a_policy_that_was_never_linted_is_still_refused() -> None:
    wrong = replace(policy({}), checks={"evasion.linf": {"steps": 1.5}})
    with pytest.raises(PolicyError, match=r"evasion\.linf: steps: 1\.5 is not allowed"):
        resolve_check_parameters(Attack, wrong, Budget.SMOKE)


@given(st.lists(st.floats(0, 1)))
def test_joined_values_are_sorted_and_each_stands_once(values: list[float]) -> None:
    kept = [float(str(item)) for item in merge_parameter_values(list(values))]
    assert kept == sorted(set(kept))
    assert all(any(abs(value - item) <= 1e-12 for item in kept) for value in values)
