"""evasion.textattack: a Gap that says why, and figures of claims that the judge confirmed."""

import importlib.util
import sys
from typing import Any

import pytest
from test_evasion_text import measured, observed, read, reader

from auditor.attacks.text.textattack import NOT_HERE, OFFLINE, RECIPES
from auditor.checks.evasion.textattack import CHECK, TextAttackCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.errors import MissingExtraError, PolicyError

INSTALLED = importlib.util.find_spec("textattack") is not None
needs_library = pytest.mark.skipif(
    not INSTALLED, reason="TextAttack is not installed: it is auditor's extra `text`"
)


def test_without_the_library_the_check_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textattack", None)  # as Python marks what is not there
    with pytest.raises(MissingExtraError, match="not installed") as missing:
        TextAttackCheck().observe(reader(), CheckShard())
    assert "auditor's extra `text`" in missing.value.cure


@pytest.mark.parametrize("name", sorted(NOT_HERE))
def test_a_recipe_that_would_fetch_something_is_a_gap_without_a_query(name: str) -> None:
    seen = reader()
    check = TextAttackCheck(attacks=(name,))
    (gap,) = check.figures(observed(check, seen), 0.95)  # type: ignore[arg-type]
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.params) == (GapReason.UNSUPPORTED, {"attack": name})
    assert NOT_HERE[name] in gap.detail
    assert seen.model.queries == 0  # type: ignore[union-attr]  # a model, no Gap
    assert check.cost(AuditSize(rows=40, classes=2)).queries == 40


def test_where_no_recipe_is_named_that_is_said() -> None:
    check = CHECK(**CHECK.presets[Budget.SMOKE])
    (gap,) = check.figures(observed(check, reader()), 0.95)  # type: ignore[arg-type]
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.OVER_BUDGET


@pytest.mark.parametrize(
    "wrong", [{"attacks": ("Unheard2031",)}, {"words": ()}, {"words": (0,)}, {"queries": 0}]
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        TextAttackCheck(**wrong)


def test_a_recipe_that_broke_down_is_a_gap_beside_the_figures_of_others() -> None:
    check = TextAttackCheck(attacks=("DeepWordBugGao2018", "PWWSRen2019"))
    evidence = {"runs": {"DeepWordBugGao2018": {"failure": "KeyError: 'x'"}}, "library": "0"}
    found = check.figures(evidence, 0.95)
    assert [type(item) for item in found] == [Gap, Gap]
    assert "failed: KeyError: 'x'" in found[0].detail  # type: ignore[union-attr]


@needs_library
def test_every_recipe_of_the_library_is_known() -> None:
    import textattack.attack_recipes as recipes  # noqa: PLC0415 -- an optional library

    kinds = {item for item in vars(recipes).values() if isinstance(item, type)}
    named = {item.__name__ for item in kinds if issubclass(item, recipes.AttackRecipe)}
    assert named - {"AttackRecipe"} == set(RECIPES)


@needs_library
@pytest.mark.parametrize("name", OFFLINE)
def test_a_recipe_breaks_a_model_of_words_and_the_judge_confirms_it(name: str) -> None:
    check = TextAttackCheck(attacks=(name,), queries=2000, rows=12)
    first, second = (observed(check, reader()) for _ in range(2))  # type: ignore[arg-type]
    found = read(check, first)  # type: ignore[arg-type]
    assert found == read(check, second)  # type: ignore[arg-type]
    item = measured(found, "robust_accuracy", words=4)
    claims: Any = item.details["claims"]
    assert claims["confirmed"] == claims["claimed"] == item.details["broken"] > 0
    assert isinstance(item.value, float)
    assert item.value < 1.0
    assert {reading.params.get("attack") for reading in found[1:]} == {name}
    assert all(isinstance(reading, Measurement) for reading in found)
