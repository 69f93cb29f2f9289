"""A verification holds where something was checked and nothing failed or was withheld."""

from itertools import product

from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold


def test_only_what_was_checked_holds() -> None:
    for many in product([False, True], repeat=len(StepResult)):
        there = [result for result, here in zip(StepResult, many, strict=True) if here]
        bad = {StepResult.FAILED, StepResult.WITHHELD} & set(there)
        holds = StepResult.HOLDS in there and not bad
        assert all_hold(VerificationStep("n", result, "d") for result in there) is holds, there


def test_a_step_lists_its_mistakes_and_else_says_what_it_saw() -> None:
    assert VerificationStep.of("files", [], "as signed") == VerificationStep(
        "files", StepResult.HOLDS, "as signed"
    )
    assert VerificationStep.of("files", iter(["a", "b"]), "as signed") == VerificationStep(
        "files", StepResult.FAILED, "a; b"
    )
