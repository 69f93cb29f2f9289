"""Sparse-RS for L0 (Croce et al. 2022, arXiv 2006.12834): a few places at extremes, from scores."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Places,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.norms import where_rows
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.domain.tasks import Floats

FIRST_SHARE = 0.3
FALLS = (
    *((0.0, 2), (0.005, 4), (0.02, 5), (0.05, 6), (0.1, 8)),
    *((0.2, 10), (0.4, 12), (0.6, 15), (0.8, 20)),
)
"""After which part of the budget the share of exchanged places is which part of the first one
(the authors' code, ``rs_attacks.py``)."""


def exchange_count(iteration: int, budget: int, places: int) -> int:
    """Return how many of ``places`` iteration ``iteration`` of ``budget`` exchanges."""
    divisor = next((part for after, part in FALLS[::-1] if iteration > after * budget), 1)
    return min(max(int(FIRST_SHARE * places / divisor), 1), places)


@dataclass(frozen=True, slots=True, eq=False)
class SparseRsState:
    """Which places each row changes, ``[n, places]``, and to which extremes: ``best``.

    ``tried`` and ``asked`` are what was proposed last.
    """

    ball: PerturbationBall
    chosen: Mask
    best: Floats
    loss: Floats
    tried: Mask
    asked: Floats
    iteration: int
    budget: int
    rng: np.random.Generator

    def ask(self) -> Query:
        """Ask about the last proposal."""
        return query_each_row(self.asked)

    def tell(self, answer: QueryResult) -> "SparseRsState":
        """Keep the better one of each row, and exchange some of its places."""
        better = answer.margin > self.loss
        places = where_rows(better, self.tried, self.chosen)
        best = where_rows(better, self.asked, self.best)
        count = exchange_count(self.iteration + 1, self.budget, int(places[:1].sum()))
        # Turn `count` changed places of each row back, and change as many others. Where all places
        # are changed, the same ones get other values.
        ball = self.ball
        clean = ball.clean.astype(np.float64)
        back = _some(places, count, self.rng)
        others = _free(ball) & ~places
        fresh = _some(others if others.any() else back, count, self.rng)
        tried = (places & ~back) | fresh
        kept = np.where(_spread(back, ball), clean, best)
        asked = np.where(_spread(fresh, ball), random_extremes(ball, self.rng), kept)
        return replace(
            self,
            chosen=places,
            best=best,
            loss=np.where(better, answer.margin, self.loss),
            tried=tried,
            asked=asked,
            iteration=self.iteration + 1,
        )

    def take(self, keep: Mask) -> "SparseRsState":
        """Return the search of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            chosen=self.chosen[keep],
            best=self.best[keep],
            loss=self.loss[keep],
            tried=self.tried[keep],
            asked=self.asked[keep],
        )


@dataclass(frozen=True, slots=True)
class SparseRs:
    """Exchanges changed places at random, and keeps what helps: one query an iteration and row."""

    iterations: int

    source = AttackFeedback.SCORES
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its iterations."""
        return f"sparse-rs, {self.iterations} queries"

    @property
    def rounds(self) -> int:
        """One an iteration."""
        return self.iterations

    @property
    def queries(self) -> int:
        """One an iteration."""
        return self.iterations

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> SparseRsState:
        """Begin with the places that the start changes, and random ones up to the budget."""
        ball, rows = ground.ball, len(ground.labels)
        clean = ball.clean.astype(np.float64)
        start = clean if ground.start is None else ground.start
        free = np.broadcast_to(_free(ball), (rows, _free(ball).size))
        # Which places differ from the clean row: `[n, places]`
        moved = ball.change(start) != 0
        places = moved if ball.channels is None else moved.any(axis=1 + ball.channels)
        known = np.asarray(places.reshape(len(start), int(np.prod(places.shape[1:]))))
        count = min(int(ball.eps), int(_free(ball).sum()))
        tried = known | _some(free & ~known, count, rng, known.sum(axis=1))
        fresh = np.where(_spread(tried & ~known, ball), random_extremes(ball, rng), clean)
        asked = np.where(_spread(known, ball), start, fresh)
        never = np.full(rows, -np.inf)
        return SparseRsState(ball, tried, asked, never, tried, asked, 0, self.iterations, rng)


def random_extremes(ball: PerturbationBall, rng: np.random.Generator) -> Floats:
    """Return rows of which every coordinate is at one end of what it can reach, at random.

    A place that would look as in the clean row goes to the other ends: it must not be lost.
    """
    high = rng.random(ball.clean.shape) < 1 / 2
    ends = np.where(high, ball.upper, ball.lower)
    still = (ends == ball.clean) | (ball.upper <= ball.lower)
    if ball.channels is not None:
        still = still.all(axis=1 + ball.channels, keepdims=True)
    return np.where(still, np.where(high, ball.lower, ball.upper), ends)


def _some(among: Mask, count: int, rng: np.random.Generator, less: Places | None = None) -> Mask:
    """Return ``count`` of the places ``among`` which each row may choose, or all where fewer.

    ``less`` says how many fewer each row takes.
    """
    order = np.where(among, rng.random(among.shape), 2.0)
    found = np.zeros(among.shape, dtype=np.bool_)
    if count:
        places: Places = np.argsort(order, axis=1)[:, :count]
        limit = count - (np.zeros(len(among), dtype=np.int64) if less is None else less)
        np.put_along_axis(found, places, np.arange(count) < limit[:, None], axis=1)
    return found & among


def _free(ball: PerturbationBall) -> Mask:
    """Return which places of a row may change: a pixel where any of its channels may."""
    movable = np.broadcast_to(ball.scale > 0, ball.clean.shape[1:])
    places = movable if ball.channels is None else movable.any(axis=ball.channels)
    return np.asarray(places.reshape(-1))


def _spread(places: Mask, ball: PerturbationBall) -> Mask:
    """Return places in the shape of rows: a pixel stands for all of its channels."""
    shape = list(ball.clean.shape)
    if ball.channels is not None:
        shape[1 + ball.channels] = 1
    return places.reshape(shape)
