"""What too few rows cannot carry is said before anything runs, and how many would do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.privacy.membership_pool import count_held_back, evaluation_rows_needed
from auditor.checks.privacy.membership import MembershipInferenceCheck
from auditor.checks.privacy.obfuscation import ObfuscationCheck
from auditor.domain.budgets import AuditSize

CI = MembershipInferenceCheck(rows=10_000, retrained=4)
SIZE = AuditSize(rows=1079, classes=2, beside={"training": 4000}, recipe=True)
RATE, RARE = "tpr_at_fpr_0_01", "tpr_at_fpr_0_001"


def test_rows_that_a_recipe_takes_are_told_and_so_is_what_the_rest_cannot_carry() -> None:
    told = CI.foretell(SIZE)
    (note,) = told.notes
    assert note.startswith("215 of 1,079 evaluation rows are set aside: retrained models are held ")
    assert note.endswith("and 864 are left as non-members")
    assert {name: short.rows for name, short in told.shortages.items()} == {
        RATE: 1250, RARE: 10_500
    }  # fmt: skip
    assert told.shortages[RATE].why.startswith("864 non-members cannot carry it")


@pytest.mark.parametrize(
    ("check", "size"),
    [(CI, replace(SIZE, recipe=False)), (replace(CI, retrained=0), SIZE)],
)
def test_nothing_is_set_aside_where_nothing_is_trained_again(
    check: MembershipInferenceCheck, size: AuditSize
) -> None:
    told = check.foretell(size)
    assert told.notes == ()
    assert set(told.shortages) == {RARE}


def test_rows_beyond_what_a_budget_looks_at_help_nothing() -> None:
    short = MembershipInferenceCheck().foretell(replace(SIZE, rows=10**6)).shortages[RARE]
    assert short.rows is None
    assert "2,000 rows at most" in short.why
    assert short.cure == "Audit with a larger budget."


@pytest.mark.parametrize("check", [CI, ObfuscationCheck()])
def test_too_few_rows_of_a_kind_carry_nothing(
    check: MembershipInferenceCheck | ObfuscationCheck,
) -> None:
    few = replace(SIZE, beside={"training": 29})
    assert set(check.foretell(few).shortages) == set(check.emits)


@given(others=st.integers(1, 20_000), hold=st.booleans())
def test_the_rows_that_are_asked_for_are_enough(others: int, hold: bool) -> None:  # noqa: FBT001 -- drawn
    rows = evaluation_rows_needed(others, hold=hold)
    assert rows - hold * count_held_back(rows) >= others
    assert rows - 2 - hold * count_held_back(rows - 2) < others, "and hardly one is too many"
