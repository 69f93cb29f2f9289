"""All attacks on all classes, and what was seen of what they made up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Item
from auditor.domain.generators import Generator
from auditor.domain.images import image_axes
from auditor.domain.readings import Gap
from auditor.domain.subjects import Progress, Subject
from auditor.domain.tasks import Array, Classification, Floats
from auditor.exposing.inversion_attacks import Effort, Victim, reconstruct
from auditor.exposing.inversion_cells import Cell
from auditor.exposing.inversion_gain import Judge, means, rows_of
from auditor.exposing.inversion_ground import Ground, flattened
from auditor.exposing.inversion_pool import Pool
from auditor.exposing.inversion_priors import GENERATOR, NONE, Plain, Principal, plausible
from auditor.exposing.inversion_sides import Sides
from auditor.exposing.temperature import ScoreReader, reader_of

DRAWS = 64
"""Rows of a generator of which the likeliest is taken, where no model leads."""
Aims = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Line:
    """The line to the target: says how far the asking is, of about ``total`` rows."""

    reader: ScoreReader
    progress: Progress
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
class Campaign:
    """What is attacked: a victim, with rows of either side, a judge, and a pool to be near to; and
    the generator that is ``given``, if any.
    """

    victim: Victim
    taken: Sides
    judge: Judge
    pool: Pool
    axes: int
    seed: int
    given: Generator | None = None

    @classmethod
    def of(cls, subject: Subject, taken: Sides, aims: Aims, axes: int, total: int) -> "Campaign":
        """Prepare to ask ``total`` rows. Raises ``TypeError`` where needs are not met."""
        model, task = subject.model, subject.task
        if isinstance(model, Gap) or not isinstance(task, Classification):
            message = "an inversion needs a model of classes, and the frame asks for one"
            raise TypeError(message)
        reader = reader_of(subject, softens=True)
        line = Line(reader, subject.progress, total)
        victim = Victim(
            line,
            task.decide,
            None if isinstance(subject.twin, Gap) else subject.twin,
            Ground.of(subject.space, taken.attacker.inputs),
            aims,
            line.report,
            reader.temperature,
        )
        judge = Judge.of(taken.judge, len(task.classes), subject.seed)
        pool, seed = Pool.of(taken, np.unique(aims)), subject.seed
        given = None if isinstance(subject.generator, Gap) else subject.generator
        return cls(victim, taken, judge, pool, axes, seed, given and plausible(given))

    def generator(self, prior: str) -> Generator:
        """Return what the attacker knows of how rows look."""
        if prior == NONE:
            return Plain.of(self.victim.ground)
        if prior == GENERATOR and self.given is not None:
            return self.given
        return Principal.of(flattened(self.taken.attacker.inputs), self.axes)

    def attack(self, cell: Cell, effort: Effort) -> Array:
        """Return one row for each class aimed at, by an attack with a prior."""
        attack, prior = cell
        rng = np.random.default_rng([self.seed, *(ord(letter) for letter in attack + prior)])
        return reconstruct(attack, self.victim, self.generator(prior), effort, rng)

    def baselines(self) -> tuple[Array, ...]:
        """Return a public mean, and a public row, of each class aimed at; and of the generator the
        row, of some that are drawn, that a network taught by the same public rows is surest of.
        """
        rng = np.random.default_rng([self.seed, 1])
        known, aims = self.taken.attacker, self.victim.aims
        mean = self.victim.ground.settle(means(known, aims, rng))
        public = mean, known.inputs[rows_of(known, aims, rng)]
        return public if self.given is None else (*public, self._drawn(self.given, rng))

    def _drawn(self, given: Generator, rng: np.random.Generator) -> Array:
        own = Judge.of(self.taken.attacker, self.judge.stack.classes, self.seed + 1)
        chosen = []
        for aim in self.victim.aims:
            self.victim.report()
            rows = self.victim.ground.settle(given.make(rng.normal(size=(DRAWS, given.size))))
            chosen.append(rows[int(own.chances(rows)[:, aim].argmax())])
        return np.stack(chosen)


@dataclass(slots=True, eq=False)
class Sightings:
    """What was seen of rows that were made up: one entry a cell, and then one a baseline."""

    campaign: Campaign
    hits: list[NDArray[np.bool_]] = field(default_factory=list)
    target: list[NDArray[np.float32]] = field(default_factory=list)
    near: list[NDArray[np.int32]] = field(default_factory=list)
    away: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, made: Array) -> None:
        """Judge rows, ask the target about them once, and look for their neighbours."""
        of, aims = self.campaign, self.campaign.victim.aims
        self.hits.append(of.judge.hits(made, aims))
        said = of.victim.ground.ask(of.victim.score, flattened(made))
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


def shown(
    campaign: Campaign, made: Mapping[Cell, Array], mean: Array, names: tuple[str, ...]
) -> dict[str, Item]:
    """Return pictures for the report, of the first start of each class; nothing of a table.

    Of each cell what it made up, and the member nearest to it; once the public means.
    """
    aims, pool = campaign.victim.aims, campaign.pool
    if image_axes(mean.shape[1:]) is None:
        return {}
    _, first = np.unique(aims, return_index=True)
    found: dict[str, Item] = {
        "shown_classes": [names[at] for at in aims[first]],
        "shown_means": mean[first],
        "shown_made": np.stack([rows[first] for rows in made.values()]),
    }
    ours = np.unique(pool.classes)
    if set(aims[first].tolist()) <= set(ours.tolist()):
        found["shown_members"] = np.stack([_members(campaign, it[first]) for it in made.values()])
    return found


def _members(campaign: Campaign, made: Array) -> Array:
    pool, aims = campaign.pool, np.unique(campaign.victim.aims)
    points = flattened(made) / pool.scale
    nearest = []
    for point, aim in zip(points, aims, strict=True):
        there = np.flatnonzero((pool.classes == aim) & pool.members)
        apart = ((pool.points[there] - point) ** 2).sum(axis=1)
        nearest.append(pool.rows[there[int(apart.argmin())]])
    return np.stack(nearest)
