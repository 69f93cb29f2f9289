"""Class-level model inversion attacks, their priors over rows, and the run over all classes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from auditor.attacks.privacy.logit_recovery import ScoreReader, build_score_reader
from auditor.attacks.privacy.model_inversion_evaluation import (
    InversionJudge,
    InversionSplit,
    ProximityPool,
    draw_class_means,
    draw_class_rows,
)
from auditor.attacks.privacy.model_inversion_space import ReconstructionSpace, flatten_rows
from auditor.domain.check_subject import ProgressReporter, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item, find_image_axes
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.models import Twin
from auditor.domain.readings import Gap, GapReason
from auditor.domain.row_generators import DifferentiableGenerator, RowGenerator
from auditor.domain.tasks import Array, ClassificationTask, Floats

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
class InversionEffort:
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
class InversionTarget:
    """The model as attackers have it: what it answers, how it decides, and its twin, if any.

    ``aims`` ``[n]`` are the classes of the rows that they want to make up; ``report`` is called
    where long work goes on without asking the target. The twin's logits are divided by a
    ``temperature``, as what is scored already is.
    """

    score: Callable[[Array], Floats]
    decide: Callable[[Floats], NDArray[np.int64]]
    twin: Twin | None
    ground: ReconstructionSpace
    aims: Aims
    report: Callable[[], None] = lambda: None
    temperature: float = 1.0


def ascend_latent_points(
    victim: InversionTarget, generator: DifferentiableGenerator, start: Floats, steps: int
) -> Floats:
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


def search_latent_points(
    fitness: Callable[[Floats, NDArray[np.int64]], Floats],
    start: Floats,
    effort: InversionEffort,
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
    effort: InversionEffort,
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


def score_fitness(
    victim: InversionTarget, generator: RowGenerator
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


def label_fitness(
    victim: InversionTarget, generator: RowGenerator, rng: np.random.Generator
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


def reconstruct_rows(
    attack: str,
    victim: InversionTarget,
    generator: RowGenerator,
    effort: InversionEffort,
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
        found = ascend_latent_points(victim, generator, start, effort.steps)
    elif attack == SCORES:
        found = search_latent_points(score_fitness(victim, generator), start, effort, rng)
    else:
        found = search_latent_points(label_fitness(victim, generator, rng), start, effort, rng)
    return victim.ground.settle(generator.make(found))


NONE, PUBLIC, GENERATOR = "none", "public", "generator"
PRIORS = (NONE, PUBLIC)
"""What is always there to be tried; the owner's generator joins where there is one."""
MOST_KNOWN = 500
"""Public rows that principal axes are found from."""
FEWEST_KNOWN = 3
ENDS = 2.0
"""Deviations from the middle of a range to its ends."""
TRUNCATED = 3.0
"""Latent coordinates beyond so many deviations are cut off, so that rows stay plausible."""


@dataclass(frozen=True, slots=True, eq=False)
class IndependentPrior:
    """No idea at all: every coordinate for itself, around the middle of its range."""

    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, ground: ReconstructionSpace) -> "IndependentPrior":
        """Let two deviations reach the ends of each range."""
        return cls((ground.low + ground.high) / 2, ground.width / (2 * ENDS))

    @property
    def size(self) -> int:
        """One latent coordinate for each of the row's."""
        return len(self.middle)

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        return self.middle + latents * self.spread

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes back; beyond the ends of a range there is none."""
        inside = np.abs(latents) * self.spread <= self.spread * ENDS
        found: Floats = slopes * self.spread * inside
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalAxesPrior:
    """Rows along the principal axes of public rows; ``axes`` ``[size, d]`` are of one deviation."""

    mean: Floats
    axes: Floats

    @classmethod
    def of(cls, known: Floats, most: int) -> "PrincipalAxesPrior":
        """Find at most ``most`` axes of public rows ``[n, d]``.

        Raises ``ValueError`` for fewer than three rows.
        """
        if len(known) < FEWEST_KNOWN:
            message = f"{len(known)} rows have no principal axes"
            raise ValueError(message)
        rows = known[:MOST_KNOWN]
        mean = rows.mean(axis=0)
        _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
        kept = min(most, int((sizes > sizes[0] * 1e-6).sum()) if sizes[0] > 0 else 1)
        return cls(mean, axes[:kept] * sizes[:kept, None] / np.sqrt(len(rows) - 1))

    @property
    def size(self) -> int:
        """How many axes there are."""
        return len(self.axes)

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        cut = np.clip(latents, -TRUNCATED, TRUNCATED)
        found: Floats = self.mean + cut @ self.axes
        return found

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes back; beyond the cut there is none."""
        inside = np.abs(latents) <= TRUNCATED
        found: Floats = (slopes @ self.axes.T) * inside
        return found


def truncate_generator(given: RowGenerator) -> RowGenerator:
    """Return a generator whose latent points are cut off, as those of principal axes are."""
    if isinstance(given, DifferentiableGenerator):
        return TruncatedGradientGenerator(given)
    return TruncatedGenerator(given)


@dataclass(frozen=True, slots=True)
class TruncatedGenerator:
    """A generator that is never asked far out, where nobody knows what it makes."""

    given: RowGenerator

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        return self.given.size

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        return self.given.make(np.clip(latents, -TRUNCATED, TRUNCATED))


@dataclass(frozen=True, slots=True)
class TruncatedGradientGenerator:
    """The same of one that pulls slopes back: beyond the cut there is none."""

    given: DifferentiableGenerator

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        return self.given.size

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        return self.given.make(np.clip(latents, -TRUNCATED, TRUNCATED))

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes back."""
        cut = np.clip(latents, -TRUNCATED, TRUNCATED)
        found: Floats = self.given.pull(cut, slopes) * (np.abs(latents) <= TRUNCATED)
        return found


Cell = tuple[str, str]
"""The name of an attack, and that of the prior that it has."""
LACKING, WITHOUT = "lacking", "lacking_generator"


def missing_requirement(subject: Subject, cell: Cell) -> Gap | None:
    """Return why an attack cannot be made on a model with a prior, ``None`` where it can."""
    (attack, prior), given = cell, subject.generator
    if prior == GENERATOR and isinstance(given, Gap):
        return given
    if attack == GRADIENT and isinstance(subject.twin, Gap):
        return subject.twin
    if attack == SCORES and subject.labels_only(DatasetRole.EVALUATION):
        return NO_SCORES
    if attack == GRADIENT and prior == GENERATOR and not isinstance(given, Gap):
        return given.slopeless
    return None


def write_missing_cells(absences: Mapping[Cell, Gap | None]) -> dict[str, Item]:
    """Return what cannot be done as evidence: of each attack; with a generator apart."""
    found: dict[str, dict[str, Json]] = {LACKING: {}}
    for (attack, prior), gap in absences.items():
        own = found.setdefault(WITHOUT if prior == GENERATOR else LACKING, {})
        if gap is not None:
            own[attack] = write_gap(gap)
    return {name: cast("Item", gaps) for name, gaps in found.items()}


def read_missing_cells(
    evidence: Evidence, attacks: tuple[str, ...], priors: tuple[str, ...]
) -> Iterator[tuple[Gap, Cell]]:
    """Yield what could not be done, attack by attack, of priors that were asked for or joined."""
    kept = {prior: LACKING for prior in priors if prior != GENERATOR}
    kept |= {GENERATOR: WITHOUT} if WITHOUT in evidence else {}
    for attack in attacks:
        for prior, name in kept.items():
            said = cast("Mapping[str, Item]", evidence[name])
            if attack in said:
                yield read_gap(said[attack]), (attack, prior)


def has_named_generator(subject: Subject) -> bool:
    """Return whether the audit names a generator, even if it could not be opened."""
    given = subject.generator
    return not isinstance(given, Gap) or given.reason is not GapReason.NEEDS_GENERATOR


def describe_generator(subject: Subject) -> dict[str, Json]:
    """Say which generator there is, if any."""
    given = subject.generator
    if isinstance(given, Gap):
        return {}
    about: Json = {
        "digest": given.digest,
        "size": given.size,
        "differentiable": given.slopeless is None,
    }
    return {"generator": about}


def list_inversion_cells(evidence: Mapping[str, Item]) -> Iterator[Cell]:
    """Yield the attacks and priors that the evidence is of."""
    listed = evidence["cells"]
    for cell in listed if isinstance(listed, list) else ():
        if isinstance(cell, Mapping):
            yield str(cell["attack"]), str(cell["prior"])


def cell_to_json(cell: Cell) -> dict[str, Json]:
    """Return the evidence form of an attack with a prior, which are a reading's coordinates."""
    return {"attack": cell[0], "prior": cell[1]}


NO_SCORES = Gap(
    reason=GapReason.NEEDS_SCORES,
    detail="The model gives labels alone, so that no attack climbs on its scores.",
    cure="Look at the attack that takes labels.",
)


DRAWS = 64
"""Rows of a generator of which the likeliest is taken, where no model leads."""
CampaignAims = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class InversionProgress:
    """The line to the target: says how far the asking is, of about ``total`` rows."""

    reader: ScoreReader
    progress: ProgressReporter
    total: int
    asked: int = 0

    def __call__(self, rows: Array) -> Floats:
        """Return the target's ``[n, classes]`` probabilities, as an attacker reads them."""
        self.asked += len(rows)
        self.report()
        return self.reader(self.reader.model.predict(rows))

    def report(self) -> None:
        """Say how far it is. Raises ``CancelledError`` where the user stopped it."""
        self.progress(min(self.asked, self.total), self.total, "making up rows")


@dataclass(frozen=True, slots=True, eq=False)
class InversionCampaign:
    """What is attacked: a victim, with rows of either side, a judge, and a pool to be near to; and
    the generator that is ``given``, if any.
    """

    victim: InversionTarget
    taken: InversionSplit
    judge: InversionJudge
    pool: ProximityPool
    axes: int
    seed: int
    given: RowGenerator | None = None

    @classmethod
    def of(
        cls, subject: Subject, taken: InversionSplit, aims: CampaignAims, axes: int, total: int
    ) -> "InversionCampaign":
        """Prepare to ask ``total`` rows. Raises ``TypeError`` where needs are not met."""
        model, task = subject.model, subject.task
        if isinstance(model, Gap) or not isinstance(task, ClassificationTask):
            message = "an inversion needs a model of classes, and the frame asks for one"
            raise TypeError(message)
        reader = build_score_reader(subject, softens=True)
        line = InversionProgress(reader, subject.progress, total)
        victim = InversionTarget(
            line,
            task.decide,
            None if isinstance(subject.twin, Gap) else subject.twin,
            ReconstructionSpace.of(subject.space, taken.attacker.inputs),
            aims,
            line.report,
            reader.temperature,
        )
        judge = InversionJudge.of(taken.judge, len(task.classes), subject.seed)
        pool, seed = ProximityPool.of(taken, np.unique(aims)), subject.seed
        given = None if isinstance(subject.generator, Gap) else subject.generator
        return cls(victim, taken, judge, pool, axes, seed, given and truncate_generator(given))

    def generator(self, prior: str) -> RowGenerator:
        """Return what the attacker knows of how rows look."""
        if prior == NONE:
            return IndependentPrior.of(self.victim.ground)
        if prior == GENERATOR and self.given is not None:
            return self.given
        return PrincipalAxesPrior.of(flatten_rows(self.taken.attacker.inputs), self.axes)

    def attack(self, cell: Cell, effort: InversionEffort) -> Array:
        """Return one row for each class aimed at, by an attack with a prior."""
        attack, prior = cell
        rng = np.random.default_rng([self.seed, *(ord(letter) for letter in attack + prior)])
        return reconstruct_rows(attack, self.victim, self.generator(prior), effort, rng)

    def baselines(self) -> tuple[Array, ...]:
        """Return a public mean, and a public row, of each class aimed at; and of the generator the
        row, of some that are drawn, that a network taught by the same public rows is surest of.
        """
        rng = np.random.default_rng([self.seed, 1])
        known, aims = self.taken.attacker, self.victim.aims
        mean = self.victim.ground.settle(draw_class_means(known, aims, rng))
        public = mean, known.inputs[draw_class_rows(known, aims, rng)]
        if self.given is None:
            return public
        given = self.given
        own = InversionJudge.of(self.taken.attacker, self.judge.stack.classes, self.seed + 1)
        chosen = []
        for aim in self.victim.aims:
            self.victim.report()
            rows = self.victim.ground.settle(given.make(rng.normal(size=(DRAWS, given.size))))
            chosen.append(rows[int(own.chances(rows)[:, aim].argmax())])
        return (*public, np.stack(chosen))


@dataclass(slots=True, eq=False)
class InversionObservations:
    """What was seen of rows that were made up: one entry a cell, and then one a baseline."""

    campaign: InversionCampaign
    hits: list[NDArray[np.bool_]] = field(default_factory=list)
    target: list[NDArray[np.float32]] = field(default_factory=list)
    near: list[NDArray[np.int32]] = field(default_factory=list)
    away: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, made: Array) -> None:
        """Judge rows, ask the target about them once, and look for their neighbours."""
        of, aims = self.campaign, self.campaign.victim.aims
        self.hits.append(of.judge.hits(made, aims))
        said = of.victim.ground.ask(of.victim.score, flatten_rows(made))
        self.target.append(said[np.arange(len(aims)), aims].astype(np.float32))
        near, away = of.pool.nearest(made, aims)
        self.near.append(near)
        self.away.append(away)

    def evidence(self) -> dict[str, Item]:
        """Return the evidence form; distances of classes without a pool are 0."""
        away = np.stack(self.away)
        return {
            "aims": self.campaign.victim.aims,
            "hits": np.stack(self.hits),
            "target": np.stack(self.target),
            "near": np.stack(self.near),
            "away": np.where(np.isfinite(away), away, 0).astype(np.float32),
            "pool_members": self.campaign.pool.members,
            "pool_classes": self.campaign.pool.classes,
            "pool_ids": self.campaign.pool.ids,
        }


def inversion_pictures(
    campaign: InversionCampaign, made: Mapping[Cell, Array], mean: Array, names: tuple[str, ...]
) -> dict[str, Item]:
    """Return pictures for the report, of the first start of each class; nothing of a table.

    Of each cell what it made up, and the member nearest to it; once the public means.
    """
    aims, pool = campaign.victim.aims, campaign.pool
    if find_image_axes(mean.shape[1:]) is None:
        return {}
    _, first = np.unique(aims, return_index=True)
    found: dict[str, Item] = {
        "shown_classes": [names[at] for at in aims[first]],
        "shown_means": mean[first],
        "shown_made": np.stack([rows[first] for rows in made.values()]),
    }
    ours = np.unique(pool.classes)
    if set(aims[first].tolist()) <= set(ours.tolist()):
        memberss = []
        for it in made.values():
            members_pool, members_aims = campaign.pool, np.unique(campaign.victim.aims)
            points = flatten_rows(it[first]) / members_pool.scale
            nearest = []
            for point, aim in zip(points, members_aims, strict=True):
                there = np.flatnonzero((members_pool.classes == aim) & members_pool.members)
                apart = ((members_pool.points[there] - point) ** 2).sum(axis=1)
                nearest.append(members_pool.rows[there[int(apart.argmin())]])
            memberss.append(np.stack(nearest))
        found["shown_members"] = np.stack(memberss)
    return found
