"""Wrappers around the work of a job engine: graceful shutdown, delegation to agents, and tracing.

On shutdown the current check finishes and no other check starts.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from auditor._resources import code_digest
from auditor._time import utc_now
from auditor.errors import StoreError
from auditor.service.domain.submissions import ShardKey
from auditor.service.jobs.durable import DurableEngine, EngineConfig
from auditor.service.jobs.work import Plan, SubmissionWork
from auditor.service.leases.offers import offer_shard
from auditor.service.leases.terms import MOST_EVIDENCE, LeaseService
from auditor.service.server.options import ServiceOptions
from auditor.service.store.submissions import ServiceStore
from auditor.service.telemetry import SpanTracer


class DrainableWork:
    """Work of which no step begins any more once it is drained.

    A step that comes later waits for the end of the process: it was not done, and so it is done
    after the next start.
    """

    def __init__(self, work: SubmissionWork) -> None:
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


class DrainableEngine:
    """A durable engine that stops between two steps."""

    def __init__(
        self,
        post: EngineConfig,
        work: SubmissionWork,
        owner: Callable[[str], str],
        beside: Callable[[DrainableWork], SubmissionWork] | None = None,
    ) -> None:
        """Let ``beside`` do some of the work in another way, step by step.

        ``owner`` says whose a submission is.
        """
        self._work = DrainableWork(work)
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


PAUSE = 0.5
"""Seconds between two looks for the result of a shard."""


@dataclass(frozen=True, slots=True)
class AgentWork:
    """Work of which the checks on some targets are offered to agents.

    ``look`` offers where that has to be, and says whether a result is there. A look is short, so
    that a service that stops waits for no agent: it takes their results after the next start.
    """

    work: DrainableWork
    targets: frozenset[str]
    look: Callable[[ShardKey], bool]
    pause: Callable[[float], None] = time.sleep

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        return self.work.plan(submission)

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target, or wait until an agent has seen it."""
        if target not in self.targets:
            self.work.observe(submission, target, check)
            return
        key = ShardKey(submission=submission, target=target, check=check)
        while not self._seen(key):
            self.pause(PAUSE)

    def conclude(self, submission: str) -> None:
        """Make of what was seen what the submission is to give."""
        self.work.conclude(submission)

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let the submission end without."""
        self.work.failed(submission, problem, cure)

    def _seen(self, key: ShardKey) -> bool:
        with self.work.step():
            try:
                return self.look(key)
            except StoreError:
                return False  # it waits for an agent: it can wait for the store as well


def build_lease_service(kept: ServiceStore, choices: ServiceOptions) -> LeaseService:
    """Return what leasing works on in a service of these choices."""
    return LeaseService(
        kept=kept,
        clock=utc_now,
        code=code_digest(),
        targets={name: choices.targets[name] for name in choices.agents},
        terms=choices.terms,
        most=min(choices.most, MOST_EVIDENCE),
    )


def build_agent_work(
    kept: ServiceStore, choices: ServiceOptions
) -> Callable[[DrainableWork], AgentWork]:
    """Return how the work of a service offers what its choices leave to agents."""
    look = partial(offer_shard, build_lease_service(kept, choices))
    return lambda work: AgentWork(work, frozenset(choices.agents), look)


class TracedWork:
    """Work of which every step is spanned, under the audit's id."""

    def __init__(self, work: SubmissionWork, spans: SpanTracer) -> None:
        self._work = work
        self._spans = spans

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        with self._spans.span("plan") as mark:
            mark.say(auditor_audit=submission)
            return self._work.plan(submission)

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target, and keep it."""
        with self._spans.span(f"check {check}") as mark:
            mark.say(auditor_audit=submission, auditor_target=target, auditor_check=check)
            self._work.observe(submission, target, check)

    def conclude(self, submission: str) -> None:
        """Make of what was seen what the submission is to give."""
        with self._spans.span("conclude") as mark:
            mark.say(auditor_audit=submission)
            self._work.conclude(submission)

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let the submission end without."""
        self._work.failed(submission, problem, cure)
