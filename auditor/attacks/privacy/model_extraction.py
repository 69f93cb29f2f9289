"""Model extraction: a stand-in that is taught by the target's answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.subjects import Progress, silent
from auditor.domain.tasks import Array, Feature, FeatureKind, Floats
from auditor.shadows.stacks import Stack
from auditor.shadows.training import Settings, train_stack

KNOCKOFF, MIXUP = "knockoff", "mixup"
STRATEGIES = (KNOCKOFF, MIXUP)
WIDEST, NARROWEST = 64, 8
MOST_WEIGHTS = 4_000_000
MOST_VALUES = 30_000_000
"""Input values that all queries together may have, so that they fit into memory."""
AT_ONCE = 2_000_000
UPDATES, RATE = 1500, 0.01
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What the attacker asks: ``rows`` ``[n, ...]``, made of ``parents`` ``[n, 2]`` of his own.

    ``share`` ``[n]`` is the first parent's share, 1 for a row as it is. ``of`` maps a strategy to
    the places of its queries, in the order in which they are asked.
    """

    rows: Array
    parents: Places
    share: Floats
    of: dict[str, Places]

    def labels(self, labels: Places, classes: int) -> Floats:
        """Return ``[n, classes]``: the labels of the attacker's own rows, mixed as the rows are."""
        told = np.eye(classes)[labels]
        share = self.share[:, None]
        mixed: Floats = share * told[self.parents[:, 0]] + (1 - share) * told[self.parents[:, 1]]
        return mixed

    def ask(self, score: Callable[[Array], Floats]) -> Floats:
        """Return what the target answers, ``[n, classes]``, a bounded number of rows at once."""
        width = max(1, int(np.prod(self.rows.shape[1:])))
        size = max(1, AT_ONCE // width)
        parts = range(0, len(self.rows), size)
        return np.concatenate([score(self.rows[at : at + size]) for at in parts])


def queries(
    pool: Array,
    most: int,
    strategies: Sequence[str],
    features: Sequence[Feature],
    rng: np.random.Generator,
) -> Queries:
    """Return at most ``most`` queries a strategy, from a ``pool`` ``[n, ...]`` of natural rows.

    ``knockoff`` asks about the rows themselves (Orekondy, Schiele and Fritz 2019, CVPR, Knockoff
    Nets, with random choice) and ends with them; ``mixup`` asks about a natural row and a mixture
    of two in turn, and about mixtures alone when the rows have run out (Zhang et al. 2018, ICLR).
    Coded columns of a table all come from one of the two parents.
    """
    natural = np.arange(min(most, len(pool)))
    mixed = most if MIXUP in strategies else 0
    parents = rng.integers(0, len(pool), (mixed, 2))
    share = rng.random(mixed)
    made = _mixed(pool, parents, share, features, rng)
    places = len(natural) + np.arange(mixed)
    turns = np.full((most, 2), -1)
    turns[: len(natural), 0] = natural
    turns[:mixed, 1] = places
    order = turns.ravel()
    return Queries(
        np.concatenate([pool[natural], made]),
        np.concatenate([np.stack([natural, natural], axis=1), parents]),
        np.concatenate([np.ones(len(natural)), share]),
        {KNOCKOFF: natural, MIXUP: order[order >= 0][:mixed]},
    )


def _mixed(
    pool: Array,
    parents: Places,
    share: Floats,
    features: Sequence[Feature],
    rng: np.random.Generator,
) -> Array:
    one, other = (pool[parents[:, at]].astype(np.float64) for at in (0, 1))
    weight = share.reshape(-1, *[1] * (pool.ndim - 1))
    mixed = weight * one + (1 - weight) * other
    coded = [at for at, it in enumerate(features) if it.kind is not FeatureKind.NUMERIC]
    if coded:
        first = (rng.random(len(share)) < share)[:, None]
        mixed[:, coded] = np.where(first, one[:, coded], other[:, coded])
    if np.issubdtype(pool.dtype, np.integer):
        mixed = np.rint(mixed)
    made: Array = mixed.astype(pool.dtype)
    return made


@dataclass(frozen=True, slots=True)
class Plan:
    """Which stand-ins are taught: a strategy and a number of queries each."""

    cells: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, asked: Queries, strategies: Sequence[str], budgets: Sequence[int]) -> "Plan":
        """Return what there are queries for, and one of all natural rows where more are asked for:
        labels of these are what an answer has to beat.
        """
        natural = len(asked.of[KNOCKOFF])
        cells = [
            (name, count)
            for name in strategies
            for count in budgets
            if count <= len(asked.of[name])
        ]
        return cls(tuple(cells) + ((KNOCKOFF, natural),) * (bool(cells) and natural < max(budgets)))

    def include(self, asked: Queries) -> NDArray[np.bool_]:
        """Return ``[cells, n]``: the queries that each stand-in learns from."""
        found = np.zeros((len(self.cells), len(asked.rows)), dtype=np.bool_)
        for at, (name, count) in enumerate(self.cells):
            found[at, asked.of[name][:count]] = True
        return found

    def to_json(self) -> list[Json]:
        """Return the evidence form."""
        return [{"strategy": name, "queries": count} for name, count in self.cells]


def taught(
    asked: Queries,
    answers: Floats,
    include: NDArray[np.bool_],
    seed: int,
    progress: Progress = silent,
) -> Stack:
    """Teach one stand-in a row of ``include``, a network of one hidden layer.

    ``answers`` are ``[n, classes]`` probabilities. Stand-ins of one seed begin alike and see their
    rows in one order, so that two stacks differ by what they were told alone.
    """
    width = int(np.prod(asked.rows.shape[1:]))
    hidden = int(np.clip(MOST_WEIGHTS // max(width, 1), NARROWEST, WIDEST))
    settings = Settings((hidden,), updates=UPDATES, rate=RATE)
    classes = answers.shape[1]
    return train_stack(
        asked.rows, answers, classes, include, settings, seed=seed, progress=progress
    )


def decisions(
    stack: Stack, rows: Array, decide: Callable[[Floats], NDArray[np.int64]]
) -> NDArray[np.int16]:
    """Return ``[models, n]``: how ``decide`` reads each stand-in's ``[n, classes]`` chances."""
    size = max(1, AT_ONCE // max(1, int(np.prod(rows.shape[1:]))))
    said = []
    for at in range(0, len(rows), size):
        chances = stack.probabilities(rows[at : at + size]).astype(np.float64)
        said.append(np.stack([decide(one) for one in chances]))
    return np.concatenate(said, axis=1).astype(np.int16)


def most_queries(row: tuple[int, ...]) -> int:
    """Return how many queries of a shape fit into memory at once."""
    return MOST_VALUES // max(1, int(np.prod(row)))
