"""What a durable engine carries out, and how a step of it ends: well, or with a failure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from auditor.errors import AuditorError, find_raise_site

P = ParamSpec("P")
T = TypeVar("T")

Plan = tuple[tuple[str, tuple[str, ...]], ...]
"""The targets of a submission, and the checks on each, in order."""


class SubmissionWork(Protocol):
    """What there is to do for a submission. Every step may be called again after a crash.

    So every step gives nothing twice; what one gives, it keeps by itself.
    """

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        ...

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target, and keep it."""
        ...

    def conclude(self, submission: str) -> None:
        """Make of what was seen what the submission is to give."""
        ...

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let the submission end without."""
        ...


@dataclass(frozen=True, slots=True)
class StepFailure:
    """Why a step could not be done, and what to do about it."""

    problem: str
    cure: str


def attempt_step(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | StepFailure:
    """Do a step, and return what it gave, or why it gave nothing: whatever was raised.

    Why is said in words that can be written, whatever names of files stand in them.
    """
    try:
        return step(*args, **kwargs)
    except AuditorError as error:
        return StepFailure(_writable(error.problem), _writable(error.cure))
    except Exception as error:  # noqa: BLE001 -- an engine outlives whatever a step raises
        return _defect(error)


def attempt_step_catching_all(
    step: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | StepFailure:
    """Do a step like ``attempt_step``, for whoever outlives even what is to end a program."""
    try:
        return attempt_step(step, *args, **kwargs)
    except BaseException as error:  # noqa: BLE001 -- this is what it is for
        return _defect(error)


def _defect(error: BaseException) -> StepFailure:
    at = find_raise_site(error)
    place = f" in {at}" if at else ""
    return StepFailure(
        _writable(f"{type(error).__name__}{place}: {error}"),
        "This is a defect of auditor, or of its machine; report it with this line.",
    )


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
