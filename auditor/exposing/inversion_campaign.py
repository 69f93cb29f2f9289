"""All attacks on all classes, and what was seen of what they made up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Item
from auditor.domain.images import image_axes
from auditor.domain.models import Model
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Progress, Subject
from auditor.domain.tasks import Array, Classification, Floats
from auditor.exposing.inversion_attacks import GRADIENT, SCORES, Effort, Victim, reconstruct
from auditor.exposing.inversion_gain import Judge, means, rows_of
from auditor.exposing.inversion_ground import Ground, flattened
from auditor.exposing.inversion_pool import Pool
from auditor.exposing.inversion_priors import NONE, Generator, Plain, Principal
from auditor.exposing.inversion_sides import Sides

Cell = tuple[str, str]
Aims = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Line:
    """The line to the target: says how far the asking is, of about ``total`` rows."""

    model: Model
    progress: Progress
    total: int
    asked: int = 0

    def __call__(self, rows: Array) -> Floats:
        """Return the target's ``[n, classes]`` probabilities."""
        self.asked += len(rows)
        self.report()
        return self.model.probabilities(self.model.predict(rows))

    def report(self) -> None:
        """Say how far it is. Raises ``CancelledError`` where the user stopped it."""
        self.progress(min(self.asked, self.total), self.total, "making up rows")


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """What is attacked: a victim, with rows of either side, a judge, and a pool to be near to."""

    victim: Victim
    taken: Sides
    judge: Judge
    pool: Pool
    axes: int
    seed: int

    @classmethod
    def of(cls, subject: Subject, taken: Sides, aims: Aims, axes: int, total: int) -> "Campaign":
        """Prepare to ask ``total`` rows. Raises ``TypeError`` where needs are not met."""
        model, task = subject.model, subject.task
        if isinstance(model, Gap) or not isinstance(task, Classification):
            message = "an inversion needs a model of classes, and the frame asks for one"
            raise TypeError(message)
        line = Line(model, subject.progress, total)
        victim = Victim(
            line,
            task.decide,
            None if isinstance(subject.twin, Gap) else subject.twin,
            Ground.of(subject.space, taken.attacker.inputs),
            aims,
            line.report,
        )
        judge = Judge.of(taken.judge, len(task.classes), subject.seed)
        return cls(victim, taken, judge, Pool.of(taken, np.unique(aims)), axes, subject.seed)

    def generator(self, prior: str) -> Generator:
        """Return what the attacker knows of how rows look."""
        if prior == NONE:
            return Plain.of(self.victim.ground)
        return Principal.of(flattened(self.taken.attacker.inputs), self.axes)

    def attack(self, cell: Cell, effort: Effort) -> Array:
        """Return one row for each class aimed at, by an attack with a prior."""
        attack, prior = cell
        rng = np.random.default_rng([self.seed, *(ord(letter) for letter in attack + prior)])
        return reconstruct(attack, self.victim, self.generator(prior), effort, rng)

    def baselines(self) -> tuple[Array, Array]:
        """Return a public mean, and a public row, of each class aimed at."""
        rng = np.random.default_rng([self.seed, 1])
        known, aims = self.taken.attacker, self.victim.aims
        mean = self.victim.ground.settle(means(known, aims, rng))
        return mean, known.inputs[rows_of(known, aims, rng)]


@dataclass(slots=True, eq=False)
class Sightings:
    """What was seen of rows that were made up, one entry a cell, baselines last."""

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


def lacking(subject: Subject, attack: str) -> Gap | None:
    """Return why an attack cannot be made on a model, ``None`` where it can."""
    if attack == GRADIENT and isinstance(subject.twin, Gap):
        return subject.twin
    if attack == SCORES and subject.labels_only(Role.EVALUATION):
        return NO_SCORES
    return None


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


def cells_of(evidence: Mapping[str, Item]) -> Iterator[Cell]:
    """Yield the attacks and priors that the evidence is of."""
    listed = evidence["cells"]
    for cell in listed if isinstance(listed, list) else ():
        if isinstance(cell, Mapping):
            yield str(cell["attack"]), str(cell["prior"])


def to_json(cell: Cell) -> dict[str, Json]:
    """Return the evidence form of an attack with a prior, which are a reading's coordinates."""
    return {"attack": cell[0], "prior": cell[1]}


NO_SCORES = Gap(
    reason=Reason.NEEDS_SCORES,
    detail="The model gives labels alone, so that no attack climbs on its scores.",
    cure="Look at the attack that takes labels.",
)
