"""The steps of a job that the durable engine runs, and how each ends: a result or a failure."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from auditor.errors import AuditorError, EngineError, find_raise_site

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
        at = find_raise_site(error)
        place = f" in {at}" if at else ""
        return StepFailure(
            _writable(f"{type(error).__name__}{place}: {error}"),
            "This is a defect of auditor or of the machine. Report it with this line.",
        )


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


DEATHS = 3
"""How many processes may die over one step that was alone in them before it fails."""


class StepRunner:
    """Runs the steps of one process until it is drained: then none begins.

    A step that comes later waits for the end of the process: it was not done, and so it is done
    after the next start. ``suspects`` are steps that were in hand when a process died, with how
    often it died over them alone: each runs while no other does, so that none has to answer for
    what another one does. ``note`` hears of each step that begins (``True``) and ends; ``span`` is
    entered for each with its kind, submission, target and check.
    """

    def __init__(
        self,
        span: Callable[..., AbstractContextManager[None]] = lambda *_: nullcontext(),
        suspects: Mapping[str, int] | None = None,
        note: Callable[[str, bool], None] = lambda _step, _begins: None,
    ) -> None:
        self._span = span
        self._suspects = dict(suspects or {})
        self._note = note
        self._changed = threading.Condition()
        self._busy = self._alone = 0
        self._over = False

    def run(self, step: Callable[..., T], submission: str, *where: str) -> T:
        """Do a step for a submission, ``where`` is the target and the check.

        Raises ``EngineError`` for one over which too many processes died, and what it raises.
        """
        kind = step.__name__
        name = " ".join((kind, submission, *where))
        deaths = self._suspects.pop(name, None)
        if deaths is not None and deaths >= DEATHS:
            raise EngineError(
                f"{DEATHS} processes died in the step {kind}",
                cure="Read the log of the service, and use a machine with more memory.",
            )
        with self.turn(alone=deaths is not None), self._span(kind, submission, *where):
            self._note(name, True)  # noqa: FBT003 -- it begins
            try:
                return step(submission, *where)
            finally:
                self._note(name, False)  # noqa: FBT003 -- it ended

    def drain(self, seconds: float) -> bool:
        """Let no step begin, wait for those in hand, and say whether all came to their end."""
        with self._changed:
            self._over = True
            return self._changed.wait_for(lambda: self._busy == 0, seconds)

    @contextmanager
    def turn(self, *, alone: bool = False) -> Iterator[None]:
        """Do something that is let come to its end, and that does not begin any more later.

        Who comes while one is ``alone``, or waits to be, waits until none is and none does.
        """
        with self._changed:
            self._alone += alone
            self._changed.wait_for(
                lambda: not self._over and (self._busy == 0 if alone else self._alone == 0)
            )
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._alone -= alone
                self._changed.notify_all()
