"""Checks on targets that agents work for: offered, and waited for, instead of carried out here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from auditor.clock import now
from auditor.domain.submissions import ShardKey
from auditor.engines.durable.work import Plan
from auditor.errors import StoreError
from auditor.leasing.offering import offered
from auditor.leasing.terms import MOST_EVIDENCE, Leasehold
from auditor.serving.choosing import Choices
from auditor.serving.draining import Draining
from auditor.shipped import code_digest
from auditor.store.service.store import ServiceStore

PAUSE = 0.5
"""Seconds between two looks for the result of a shard."""


@dataclass(frozen=True, slots=True)
class Offering:
    """Work of which the checks on some targets are offered to agents.

    ``look`` offers where that has to be, and says whether a result is there. A look is short, so
    that a service that stops waits for no agent: it takes their results after the next start.
    """

    work: Draining
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


def leasehold(kept: ServiceStore, choices: Choices) -> Leasehold:
    """Return what leasing works on in a service of these choices."""
    return Leasehold(
        kept=kept,
        clock=now,
        code=code_digest(),
        targets={name: choices.targets[name] for name in choices.agents},
        terms=choices.terms,
        most=min(choices.most, MOST_EVIDENCE),
    )


def offering(kept: ServiceStore, choices: Choices) -> Callable[[Draining], Offering]:
    """Return how the work of a service offers what its choices leave to agents."""
    look = partial(offered, leasehold(kept, choices))
    return lambda work: Offering(work, frozenset(choices.agents), look)
