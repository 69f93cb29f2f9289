"""Inputs whose decision holds on where a clean input's would give way: screens for triggers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.poisons.neighbourhoods import Codes

SCALE_UP, STRIP = "scale_up", "strip"
FACTORS = tuple(range(2, 12))
MOST_ASKED = 4096
"""Changed copies that are sent at a time."""
Ask = Callable[[Array], Floats]
Say = Callable[[int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """Whom to ask for ``[n, classes]`` probabilities, how they decide, and where inputs live.

    ``say`` is told of rows when they have been asked, and may raise ``CancelledError``.
    """

    ask: Ask
    decide: Callable[[Floats], Codes]
    space: InputSpace
    say: Say

    def scale_up(self, rows: Array) -> Floats:
        """Return ``[n]``: the share of ten brighter copies that are decided as the row itself is.

        Each coordinate less its least value is multiplied by 2 to 11, and cut off at its greatest
        (Guo, Li, Chen, Guo, Sun and Liu 2023, ICLR, "SCALE-UP", equation 2, without data). A
        trigger outlives that; what a clean picture shows does not. Only decisions are used.
        """
        first = self.decide(self.ask(rows))
        same = np.zeros(len(rows))
        for part in self._parts(len(rows), len(FACTORS)):
            copies = np.concatenate([self._scaled(rows[part], factor) for factor in FACTORS])
            decided = self.decide(self.ask(copies)).reshape(len(FACTORS), -1)
            same[part] = (decided == first[part]).mean(axis=0)
        return same

    def strip(self, rows: Array, overlays: Array) -> Floats:
        """Return ``[n]``: minus the mean entropy (nat) of a row's copies, one under each overlay.

        A copy is the sum of both above the least value, cut off at the greatest (Gao, Xu, Wang,
        Chen, Ranasinghe and Nepal 2019, ACSAC, "STRIP", equations 3 and 4). A decision that no
        overlay makes unsure is a trigger's.
        """
        low = self.space.low
        found = np.zeros(len(rows))
        for part in self._parts(len(rows), len(overlays)):
            mine = rows[part].astype(np.float64)
            copies = np.concatenate([self._kept(mine + one - low, rows) for one in overlays])
            chances = np.clip(self.ask(copies), 1e-12, 1.0)
            entropy = -(chances * np.log(chances)).sum(axis=1)
            found[part] = -entropy.reshape(len(overlays), -1).mean(axis=0)
        return found

    def _parts(self, rows: int, copies: int) -> Iterator[slice]:
        """Yield parts of the rows, and say of each that it is done once the next is wanted."""
        step = max(1, MOST_ASKED // max(1, copies))
        for at in range(0, rows, step):
            yield slice(at, at + step)
            self.say(min(at + step, rows) - at)

    def _scaled(self, rows: Array, factor: int) -> Array:
        low = self.space.low
        return self._kept(low + factor * (rows.astype(np.float64) - low), rows)

    def _kept(self, copies: Floats, like: Array) -> Array:
        """Cut copies off at the edges, and put them on the steps in which inputs come."""
        low, high, quantum = self.space.low, self.space.high, self.space.quantum
        steps = np.where(quantum > 0, quantum, 1.0)
        placed = np.where(quantum > 0, low + np.round((copies - low) / steps) * steps, copies)
        return np.clip(placed, low, high).astype(like.dtype)
