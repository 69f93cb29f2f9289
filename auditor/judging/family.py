"""Failing a whole audit: a failure must hold after correction over all that could have failed."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet


def step_down(
    family: int, alpha: float, failing_at: Callable[[float], AbstractSet[int]]
) -> frozenset[int]:
    """Return which of ``family`` hypotheses fail when at most ``alpha`` of audits may err.

    ``failing_at(level)`` names those that fail at that level each; whoever fails at one level must
    fail at every greater one. Holm's step-down procedure (Holm 1979, Scandinavian Journal of
    Statistics 6), by levels in place of p-values: the next level is alpha over those left.
    """
    rejected: frozenset[int] = frozenset()
    while len(rejected) < family:
        found = frozenset(failing_at(alpha / (family - len(rejected))))
        if found <= rejected:
            break
        rejected |= found
    return rejected
