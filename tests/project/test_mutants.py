"""The mutants of the code that decides: what is mutated is there, and what is excused too."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.delitem(sys.modules, "mutants", raising=False)


def test_every_pattern_names_files_that_are_there() -> None:
    import mutants  # noqa: PLC0415 -- found by the fixture

    assert [name for name in mutants.TARGETS if not list(ROOT.glob(name))] == []
    assert [name for name in (*mutants.TESTS, *mutants.SPOKEN) if not (ROOT / name).exists()] == []


def test_a_mutant_that_is_excused_can_still_be_made_and_has_a_reason() -> None:
    import mutants  # noqa: PLC0415 -- found by the fixture

    reasons = mutants.read_reasons()
    assert set(reasons) - {mutant.key for mutant in mutants.find_mutants()} == set()
    assert [key for key, reason in reasons.items() if len(reason) < 20] == []


def test_a_mutant_is_the_module_with_one_change() -> None:
    import mutants  # noqa: PLC0415 -- found by the fixture

    (mutant,) = [
        item
        for item in mutants.find_mutants("domain/verification_steps")
        if item.after == "StepResult.HOLDS not in results"
    ]
    names: dict[str, object] = {"__name__": "auditor.domain.verification_steps"}
    exec(mutants.mutated(mutant), names)  # noqa: S102 -- our own code, with one change
    assert callable(all_hold := names["all_hold"])
    step, held = names["VerificationStep"], names["StepResult"]
    assert callable(step)
    assert not all_hold([step("name", held.HOLDS, "")])  # type: ignore[attr-defined]
