"""Attacks as they run: gradients from the twin or scores from the target, success by the frame."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from auditor.attacks.apgd import Ascent, checkpoints, random_start
from auditor.attacks.frame import Frame, Mask, Rows
from auditor.attacks.losses import LOSSES, softmax
from auditor.attacks.square import Search, propose, share, stripes
from auditor.domain.subjects import Twin
from auditor.domain.tasks import Array, Floats

Tick = Callable[[], None]
"""Called at each iteration; raises ``CancelledError`` when the user stopped the audit."""


class Attack(Protocol):
    """Looks for candidates that break the live rows of a frame."""

    @property
    def ticks(self) -> int:
        """How many iterations one run takes at most."""
        ...

    def run(self, frame: Frame, stretch: float, rng: np.random.Generator, tick: Tick) -> int:
        """Attack, from the strongest candidates so far, their change stretched by ``stretch``.

        ``stretch`` is 0 where there are none. Returns the forward-backward passes spent.
        """
        ...


@dataclass(frozen=True, slots=True)
class TwinAscent:
    """Auto-PGD on the twin. Restarts take turns at the losses; a row that breaks on the target
    drops out at once.
    """

    twin: Twin
    steps: int
    restarts: int
    losses: tuple[str, ...]

    @property
    def ticks(self) -> int:
        """One an iteration, and one for the last look of each restart."""
        return self.restarts * (self.steps + 1)

    def run(self, frame: Frame, stretch: float, rng: np.random.Generator, tick: Tick) -> int:
        """Climb once a restart: first from what is known, then from random points."""
        passes = 0
        for restart in range(self.restarts):
            rows = frame.live
            if not len(rows):
                break
            ball = frame.ball.take(rows)
            warm = restart == 0 and stretch > 0
            random = random_start(ball, frame.threat.radius, rng)
            start = frame.starts(rows, stretch) if warm else random
            passes += self._climb(frame, start, self.losses[restart % len(self.losses)], tick)
        return passes

    def _climb(self, frame: Frame, start: Floats, name: str, tick: Tick) -> int:
        rows, state, passes = frame.live, Ascent.start(start), 0
        ball, checks = frame.ball.take(rows), checkpoints(self.steps)
        for iteration in range(self.steps + 1):
            if not len(rows):
                break
            tick()
            points = ball.settle(state.point)
            logits = self.twin.forward(points)
            loss, cotangent = LOSSES[name](logits, frame.labels[rows])
            alive = ~_confirm(frame, rows, points, logits)
            if iteration < self.steps:
                gradient = np.nan_to_num(self.twin.backward(cotangent))
                passes += len(rows)
                state = state.advance(loss, gradient, ball, frame.threat.radius, checks)
            else:
                state = state.note(loss, np.zeros_like(state.point))
            rows, state, ball = rows[alive], state.take(alive), ball.take(alive)
        if len(rows):
            frame.submit(rows, state.best)
        return passes


def _confirm(frame: Frame, rows: Rows, points: Array, logits: Floats) -> Mask:
    """Return which rows the target confirms as broken, asking only where the twin says so."""
    claimed = frame.claims(rows, softmax(logits))
    broken = np.zeros(len(rows), dtype=np.bool_)
    if claimed.any():
        broken[claimed], _ = frame.submit(rows[claimed], points[claimed].astype(np.float64))
    return broken


@dataclass(frozen=True, slots=True)
class TargetSearch:
    """Square Attack on the target's own scores: one query an iteration for each live row."""

    iterations: int
    restarts: int

    @property
    def ticks(self) -> int:
        """One an iteration."""
        return self.restarts * self.iterations

    def run(self, frame: Frame, stretch: float, rng: np.random.Generator, tick: Tick) -> int:
        """Search once a restart: first from what is known, then from random stripes."""
        for restart in range(self.restarts):
            if not len(frame.live):
                break
            warm = restart == 0 and stretch > 0
            self._search(frame, stretch if warm else 0.0, rng, tick)
        return 0

    def _search(self, frame: Frame, stretch: float, rng: np.random.Generator, tick: Tick) -> None:
        rows, radius = frame.live, frame.threat.radius
        ball = frame.ball.take(rows)
        best = frame.starts(rows, stretch) if stretch else stripes(ball, radius, rng)
        state = Search(best, np.full(len(rows), -np.inf))
        for iteration in range(self.iterations):
            if not len(rows):
                break
            tick()
            part = share(iteration, self.iterations)
            points = propose(state.best, part, ball, radius, rng) if iteration else state.best
            broken, margin = frame.submit(rows, points)
            state = state.hear(points, margin).take(~broken)
            rows, ball = rows[~broken], ball.take(~broken)
