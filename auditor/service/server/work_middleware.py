"""Stop well: a check in hand comes to its end, and no other begins."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from auditor.engines.durable.engine import DurableEngine
from auditor.engines.durable.posts import Post
from auditor.engines.durable.work import Plan, Work


class Draining:
    """Work of which no step begins any more once it is drained.

    A step that comes later waits for the end of the process: it was not done, and so it is done
    after the next start.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._busy = 0
        self._over = False

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        with self.step():
            return self._work.plan(submission)

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target, and keep it."""
        with self.step():
            self._work.observe(submission, target, check)

    def conclude(self, submission: str) -> None:
        """Make of what was seen what the submission is to give."""
        with self.step():
            self._work.conclude(submission)

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let the submission end without."""
        with self.step():
            self._work.failed(submission, problem, cure)

    def drain(self, seconds: float) -> bool:
        """Let no step begin, wait for those in hand, and say whether all came to their end."""
        with self._changed:
            self._over = True
            return self._changed.wait_for(lambda: self._busy == 0, seconds)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Do something that is let come to its end, and that does not begin any more later."""
        with self._changed:
            self._changed.wait_for(lambda: not self._over)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()


class DrainedEngine:
    """A durable engine that stops between two steps."""

    def __init__(
        self,
        post: Post,
        work: Work,
        owner: Callable[[str], str],
        beside: Callable[[Draining], Work] | None = None,
    ) -> None:
        """Let ``beside`` do some of the work in another way, step by step.

        ``owner`` says whose a submission is.
        """
        self._work = Draining(work)
        self._engine = DurableEngine(post, beside(self._work) if beside else self._work, owner)

    def launch(self) -> None:
        """Begin to work."""
        self._engine.launch()

    def stop(self, drain_seconds: int) -> None:
        """Begin nothing more, wait so long for steps in hand, and leave the rest for later."""
        self._work.drain(drain_seconds)
        self._engine.stop(0)

    def submit(self, submission: str) -> None:
        """Queue a submission, once."""
        self._engine.submit(submission)

    def cancel(self, submission: str) -> None:
        """Stop a submission before its next check."""
        self._engine.cancel(submission)

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Return those of ``targets`` that a live worker works for."""
        return self._engine.live(targets)
