"""Exit codes: one table from verdicts and error slugs."""

from collections.abc import Iterable
from enum import IntEnum

from auditor.domain.policies import Mode
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError, InvalidInputError, MissingExtraError, RuntimeMissingError


class Exit(IntEnum):
    """What the command's exit code says."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    INCONCLUSIVE = 3
    INTERNAL = 4


BY_VERDICT = {
    Verdict.PASS: Exit.DONE,
    Verdict.FAIL: Exit.FAILED,
    Verdict.INCONCLUSIVE: Exit.INCONCLUSIVE,
}


def exit_for(verdict: Verdict, mode: Mode) -> Exit:
    """Return the exit code of a verdict: a policy that only observes or warns fails no command."""
    return BY_VERDICT[verdict] if mode is Mode.ENFORCE else Exit.DONE


def exit_after(steps: Iterable[Step]) -> Exit:
    """Return the exit code of a verification: rows that are withheld leave it inconclusive."""
    found = tuple(steps)
    failed = any(step.result is StepResult.FAILED for step in found)
    if not failed and any(step.result is StepResult.WITHHELD for step in found):
        return Exit.INCONCLUSIVE
    return Exit.DONE if all_hold(found) else Exit.FAILED


def exit_of(error: AuditorError) -> Exit:
    """Return the exit code of an error: 2 where the user can mend the input, else 4."""
    usable = InvalidInputError | MissingExtraError | RuntimeMissingError
    return Exit.INVALID if isinstance(error, usable) else Exit.INTERNAL
