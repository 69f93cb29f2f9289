"""What one more input would unlock, derived from what the checks say that they need and want."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plans import POLICY, Known

from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize
from auditor.domain.checks import Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.gaps import ABSENT
from auditor.policy.plan import (
    FAMILIES,
    INPUTS,
    InputTier,
    PlanningContext,
    list_input_tiers,
    plan_target,
)

NEEDS = st.frozensets(st.sampled_from(Need))


def check(name: str, needs: set[Need], wants: set[Need] | None = None) -> type[Known]:
    named = {"id": name, "needs": frozenset(needs), "wants": frozenset(wants or ())}
    return type("Made", (Known,), named)


LOSS = check("privacy.membership", {Need.MODEL, Need.TRAINING}, {Need.RECIPE})
GUESS = check("privacy.inversion", {Need.MODEL})
SPOIL = check("poisoning.susceptibility", {Need.MODEL, Need.TRAINING, Need.RECIPE})
OTHER = check("quality.accuracy", {Need.MODEL, Need.LABELS})
ALL = (LOSS, GUESS, SPOIL, OTHER)


def found(lacking: set[Need]) -> Mapping[str, InputTier]:
    missing = {
        item.id: frozenset((item.needs | item.wants) & lacking)  # type: ignore[attr-defined]  # made above
        for item in ALL
    }
    return {tier.input: tier for tier in list_input_tiers(ALL, missing)}


def test_what_is_here_names_the_checks_that_it_answers() -> None:
    rows = found(set())
    assert list(rows) == ["model", "training set", "recipe"]
    assert all(tier.here and not tier.adds for tier in rows.values())
    assert rows["model"].answers == (LOSS.id, GUESS.id, SPOIL.id)
    assert (rows["recipe"].answers, rows["recipe"].deepens) == ((SPOIL.id,), (LOSS.id,))


def test_one_more_input_adds_what_lacks_nothing_else_and_deepens_what_can_run() -> None:
    recipe = found({Need.RECIPE})["recipe"]
    assert not recipe.here
    assert (recipe.answers, recipe.adds, recipe.deepens) == ((), (SPOIL.id,), (LOSS.id,))


def test_an_input_beside_which_another_is_missing_promises_nothing_alone() -> None:
    rows = found({Need.RECIPE, Need.TRAINING})
    assert rows["training set"].adds == (LOSS.id,)
    assert rows["recipe"].adds == ()
    assert rows["recipe"].deepens == ()
    assert rows["model"].answers == (GUESS.id,)


def test_an_input_beside_which_another_is_missing_says_which() -> None:
    rows = found({Need.RECIPE, Need.TRAINING})
    assert rows["recipe"].waits == {SPOIL.id: ("training set",), LOSS.id: ("training set",)}
    assert rows["training set"].waits == {SPOIL.id: ("recipe",)}
    assert rows["model"].waits == {LOSS.id: ("training set",), SPOIL.id: ("recipe", "training set")}


def test_no_input_waits_for_what_nobody_can_hand_over() -> None:
    made = check("privacy.attribute", {Need.CLASSIFICATION, Need.MODEL})
    (tier,) = list_input_tiers([made], {made.id: frozenset({Need.CLASSIFICATION})})
    assert tier.waits == {}


def test_checks_of_other_families_are_not_spoken_of() -> None:
    assert list_input_tiers([OTHER], {OTHER.id: frozenset({Need.LABELS})}) == ()


def test_what_no_owner_can_hand_over_is_no_input() -> None:
    classes = check("privacy.attribute", {Need.CLASSIFICATION, Need.MODEL})
    lacking = {classes.id: frozenset({Need.CLASSIFICATION, Need.MODEL})}
    (tier,) = list_input_tiers([classes], lacking)
    assert (tier.input, tier.adds) == ("model", ())


@given(needs=NEEDS, wants=NEEDS, missing=NEEDS)
def test_what_an_input_is_said_to_add_can_run_once_it_is_there(
    needs: frozenset[Need], wants: frozenset[Need], missing: frozenset[Need]
) -> None:
    made = check("privacy.made", set(needs), set(wants))
    lacking = (needs | wants) & missing
    for tier in list_input_tiers([made], {made.id: lacking}):
        met = {
            need for need in Need if INPUTS.get(need, need.value.replace("_", " ")) == tier.input
        }
        after = list_input_tiers([made], {made.id: lacking - met})
        answers = {name for row in after if row.input == tier.input for name in row.answers}
        assert set(tier.adds) <= answers
        assert not (tier.here and tier.adds)


def test_a_plan_says_what_each_input_unlocks() -> None:
    outlook = PlanningContext(
        size=AuditSize(rows=10, classes=2),
        target="cpu",
        lacking={LOSS.id: frozenset({Need.TRAINING})},
    )
    outlook = replace(outlook, absent={Need.TRAINING: ABSENT[DatasetRole.TRAINING]})
    said = plan_target(POLICY, {LOSS.id: LOSS()}, outlook).to_json()["tiers"]
    assert isinstance(said, list)
    why = f"{ABSENT[DatasetRole.TRAINING].detail} {ABSENT[DatasetRole.TRAINING].cure}"
    assert said[1] == {
        "input": "training set", "here": False, "answers": [], "adds": [LOSS.id], "deepens": [],
        "waits": {}, "why": why,
    }  # fmt: skip
    assert said[0]["waits"] == {LOSS.id: ["training set"]}  # type: ignore[index,call-overload]  # JSON
    assert not said[0]["why"]  # type: ignore[index,call-overload]  # JSON


def test_a_check_that_cannot_run_for_another_reason_answers_nothing() -> None:
    rows = {tier.input: tier for tier in list_input_tiers(ALL, {}, missing={LOSS.id})}
    assert rows["model"].answers == (GUESS.id, SPOIL.id)
    assert rows["recipe"].deepens == ()
    assert found(set())["recipe"].deepens == (LOSS.id,)


def test_models_that_are_handed_over_deepen_what_can_use_them() -> None:
    checks = [item for item in discover_checks().values() if item.id.partition(".")[0] in FAMILIES]
    without = {item.id: frozenset({Need.SHADOWS, Need.GENERATOR}) for item in checks}
    for lacking, here in (({}, True), (without, False)):
        rows = {tier.input: tier for tier in list_input_tiers(checks, lacking)}
        assert rows["shadow models"].here is rows["generator"].here is here
        assert rows["shadow models"].deepens == ("poisoning.backdoor", "privacy.membership")
        assert rows["generator"].deepens == ("privacy.inversion",)
        assert rows["shadow models"].adds == rows["generator"].adds == ()


def test_every_check_of_these_families_hangs_on_an_input() -> None:
    checks = [item for item in discover_checks().values() if item.id.partition(".")[0] in FAMILIES]
    rows = list_input_tiers(checks, {})
    assert {item.id for item in checks} == {name for tier in rows for name in tier.answers}


@pytest.mark.parametrize("name", ["model", "recipe"])
def test_inputs_are_named_as_an_owner_calls_them(name: str) -> None:
    assert name in found(set())
