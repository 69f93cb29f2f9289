"""Verification steps: what was checked, with its result."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class StepResult(StrEnum):
    """What came of one step."""

    HOLDS = "holds"
    FAILED = "failed"
    NOT_PRESENT = "not present"
    NOT_CHECKED = "not checked"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class VerificationStep:
    """One step of a verification; ``detail`` names the thing that it is about."""

    name: str
    result: StepResult
    detail: str

    @classmethod
    def of(cls, name: str, mistakes: Iterable[str], detail: str) -> "VerificationStep":
        """Make a step that holds when there are no mistakes, and else lists them."""
        found = tuple(mistakes)
        if found:
            return cls(name, StepResult.FAILED, "; ".join(found))
        return cls(name, StepResult.HOLDS, detail)


def all_hold(steps: Iterable[VerificationStep]) -> bool:
    """Whether something was checked and nothing failed; silence is not success.

    What cannot be checked because rows are withheld does not hold.
    """
    results = {step.result for step in steps}
    return StepResult.HOLDS in results and not results & {StepResult.FAILED, StepResult.WITHHELD}
