"""Class-level model inversion: making up a row that the model takes for a member of a class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from auditor.domain.generators import DifferentiableGenerator, Generator
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, Floats
from auditor.exposing.inversion_ground import Ground

GRADIENT, SCORES, LABELS = "gradient", "scores", "labels"
ATTACKS = (GRADIENT, SCORES, LABELS)
RATE, FIRST, SECOND, TINY = 0.2, 0.9, 0.999, 1e-12
UNLIKELY = 0.2
"""What an unlikely latent point costs: this share of its own log likelihood."""
WIDE, NARROW = 1.0, 0.1
"""Deviations of the first and the last generation of a search, in latent units."""
COPIES, NEARBY = 4, 0.5
"""Neighbours that speak for a point where only labels are had, and how far they lie."""
LEAST_CHANCE = 1e-12
AT_ONCE = 4_000_000
"""Latent coordinates that a generation draws at once."""
Aims = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long attacks go on: steps up the slope, generations of a search, points in each."""

    steps: int
    generations: int
    population: int

    def queries(self, attack: str) -> int:
        """Return the rows that one reconstruction asks the target about."""
        if attack == GRADIENT:
            return 1
        asked = self.generations * self.population
        return 1 + asked * (1 + COPIES if attack == LABELS else 1)


@dataclass(frozen=True, slots=True, eq=False)
class Victim:
    """The model as attackers have it: what it answers, how it decides, and its twin, if any.

    ``aims`` ``[n]`` are the classes of the rows that they want to make up; ``report`` is called
    where long work goes on without asking the target. The twin's logits are divided by a
    ``temperature``, as what is scored already is.
    """

    score: Callable[[Array], Floats]
    decide: Callable[[Floats], NDArray[np.int64]]
    twin: Twin | None
    ground: Ground
    aims: Aims
    report: Callable[[], None] = lambda: None
    temperature: float = 1.0


def ascend(victim: Victim, generator: DifferentiableGenerator, start: Floats, steps: int) -> Floats:
    """Climb from latent points ``[n, size]`` to where the twin is sure of the classes aimed at.

    Gradient ascent on the log odds of the class (after Fredrikson, Jha and Ristenpart 2015, CCS, MI
    Face, algorithm 1, whose chance has no slope where the model is sure), with Adam's steps, less
    what an unlikely point costs. Returns the points.
    """
    twin, aims = victim.twin, victim.aims
    if twin is None:
        message = "a climb needs a twin"
        raise TypeError(message)
    point, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    wanted = np.arange(len(aims)), aims
    for step in range(1, steps + 1):
        victim.report()
        logits = twin.forward(victim.ground.rows(generator.make(point))) / victim.temperature
        chances = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        chances[wanted] = 0
        cotangent = -chances / np.maximum(chances.sum(axis=1, keepdims=True), LEAST_CHANCE)
        cotangent[wanted] = 1
        slopes = (
            twin.backward(cotangent / victim.temperature).reshape(len(aims), -1).astype(np.float64)
        )
        slope = generator.pull(point, slopes) - UNLIKELY * point
        mean = FIRST * mean + (1 - FIRST) * slope
        square = SECOND * square + (1 - SECOND) * slope * slope
        steady = mean / (1 - FIRST**step)
        rough = np.sqrt(square / (1 - SECOND**step)) + TINY
        point += RATE * (1 + np.cos(np.pi * step / steps)) / 2 * steady / rough
    return point


def search(
    fitness: Callable[[Floats, NDArray[np.int64]], Floats],
    start: Floats,
    effort: Effort,
    rng: np.random.Generator,
) -> Floats:
    """Search from latent points ``[n, size]`` for points of greater fitness; return them.

    An evolution strategy of one middle each: it moves to the mean of the best quarter of points
    drawn around it, ever nearer (Rechenberg's (mu/mu, lambda) with a fixed schedule; Hansen 2016,
    arXiv 1604.00772, section 2). ``fitness`` takes points ``[k, size]`` and which of the ``n`` each
    is for.
    """
    count, size = start.shape
    group = max(1, AT_ONCE // (effort.population * size))
    parts = [np.arange(at, min(at + group, count)) for at in range(0, count, group)]
    return np.concatenate([_searched(fitness, start, part, effort, rng) for part in parts])


def _searched(
    fitness: Callable[[Floats, NDArray[np.int64]], Floats],
    start: Floats,
    part: NDArray[np.int64],
    effort: Effort,
    rng: np.random.Generator,
) -> Floats:
    middle = start[part]
    count, size = middle.shape
    kept = max(1, effort.population // 4)
    owners = np.repeat(part, effort.population)
    for generation in range(effort.generations):
        spread = WIDE * (NARROW / WIDE) ** (generation / max(1, effort.generations - 1))
        drawn = middle[:, None] + spread * rng.normal(size=(count, effort.population, size))
        told = fitness(drawn.reshape(-1, size), owners).reshape(count, effort.population)
        best = np.argsort(-told, axis=1, kind="stable")[:, :kept]
        middle = np.take_along_axis(drawn, best[..., None], axis=1).mean(axis=1)
    return middle


def by_scores(
    victim: Victim, generator: Generator
) -> Callable[[Floats, NDArray[np.int64]], Floats]:
    """Return the fitness of who sees scores: the log odds of the class, less what is unlikely."""

    def fitness(points: Floats, owners: NDArray[np.int64]) -> Floats:
        said = victim.ground.ask(victim.score, generator.make(points))
        chance = said[np.arange(len(owners)), victim.aims[owners]]
        rest = said.sum(axis=1) - chance
        odds = np.log(np.maximum(chance, LEAST_CHANCE)) - np.log(np.maximum(rest, LEAST_CHANCE))
        found: Floats = odds - _cost(points)
        return found

    return fitness


def by_labels(
    victim: Victim, generator: Generator, rng: np.random.Generator
) -> Callable[[Floats, NDArray[np.int64]], Floats]:
    """Return the fitness of who sees decisions alone: how many neighbours are decided so.

    A point deep inside its class has neighbours of the same class all around (Kahla et al. 2022,
    CVPR, BREP-MI).
    """

    def fitness(points: Floats, owners: NDArray[np.int64]) -> Floats:
        around = points + NEARBY * rng.normal(size=(COPIES, *points.shape))
        everyone = np.concatenate([points[None], around]).reshape(-1, points.shape[1])
        said = victim.decide(victim.ground.ask(victim.score, generator.make(everyone)))
        hits = said.reshape(1 + COPIES, len(owners)) == victim.aims[owners]
        found: Floats = hits.mean(axis=0) - 0.01 * _cost(points)
        return found

    return fitness


def _cost(points: Floats) -> Floats:
    found: Floats = UNLIKELY * (points * points).sum(axis=1) / 2
    return found


def reconstruct(
    attack: str,
    victim: Victim,
    generator: Generator,
    effort: Effort,
    rng: np.random.Generator,
) -> Array:
    """Return one settled row for each class aimed at, by one attack.

    Raises ``TypeError`` for gradients without a twin, or through a generator that has none.
    """
    start = NEARBY * rng.normal(size=(len(victim.aims), generator.size))
    if attack == GRADIENT:
        if not isinstance(generator, DifferentiableGenerator):
            message = "gradients need a generator that pulls them back"
            raise TypeError(message)
        found = ascend(victim, generator, start, effort.steps)
    elif attack == SCORES:
        found = search(by_scores(victim, generator), start, effort, rng)
    else:
        found = search(by_labels(victim, generator, rng), start, effort, rng)
    return victim.ground.settle(generator.make(found))
