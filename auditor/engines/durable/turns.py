"""Whose turn it is in a queue: owners take turns, and what one has waits in its own order."""

from collections.abc import Sequence
from dataclasses import dataclass

LAST = 2**31 - 1
"""The last turn that the engine's queues know."""


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits or runs, whose it is, and its turn: those with less come first."""

    owner: str
    turn: int
    running: bool


def next_turn(owner: str, queue: Sequence[Queued]) -> int:
    """Return the turn of what an owner adds to a queue.

    It is one after the last that the owner has there, and never before those that others have had:
    the turn of what was taken last, or, where nothing runs, of what is taken next. So each owner
    has one in a turn, whoever brought how much before, and who was not there gains nothing by that.
    """
    running = [it.turn for it in queue if it.running]
    now = max(running) if running else min((it.turn for it in queue), default=1)
    own = [it.turn for it in queue if it.owner == owner]
    return min(max(now, *(it + 1 for it in own), 1), LAST)
