"""Poisoning trials: plant poison in training data, retrain, and test the victim rows.

Retraining uses the owner's recipe or refits the last layer only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.training_scan import NeighbourCodes
from auditor.attacks.privacy.shadow_training import LOGISTIC, train_stack
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.evidence import find_image_axes
from auditor.domain.readings import Gap
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.domain.training_recipes import RetrainingTask, TrainingRecipe

SIDE = 0.2
"""The side of a patch, as a share of the picture's shorter side."""
OPACITY = 0.2
"""How much of a blended picture is the trigger's."""
MIXED = 0.5
"""How much of a clean-label row is another class's."""


class PoisonAttack(StrEnum):
    """How training data are poisoned.

    ``FLIP``: any rows get any other label. ``TARGETED``: rows of one class get the label of
    another. ``PATCH`` (Gu, Dolan-Gavitt and Garg 2017, BadNets) and ``BLEND`` (Chen et al. 2017):
    rows of any class get a trigger and the target's label. ``CLEAN_LABEL``: rows of the target
    class keep their label, are mixed half and half with rows of other classes, so that they say
    little of their own, and get the patch: the simple form, in input space, of Turner, Tsipras and
    Madry (2019, "Label-consistent backdoor attacks", interpolation), without a generative model
    and without collisions of features.
    """

    FLIP = "flip"
    TARGETED = "targeted"
    PATCH = "patch"
    BLEND = "blend"
    CLEAN_LABEL = "clean_label"

    @property
    def triggered(self) -> bool:
        """Whether it needs a trigger, and so pictures."""
        return self in {PoisonAttack.PATCH, PoisonAttack.BLEND, PoisonAttack.CLEAN_LABEL}

    @property
    def aimed(self) -> bool:
        """Whether there is a class that rows are to be turned to."""
        return self is not PoisonAttack.FLIP

    @property
    def sourced(self) -> bool:
        """Whether only rows of one class are to be turned."""
        return self is PoisonAttack.TARGETED


class PoisonKind(Protocol):
    """An attack as far as its readings need to know it."""

    @property
    def value(self) -> str:
        """What it is called."""
        ...

    @property
    def triggered(self) -> bool:
        """Whether it needs a trigger."""
        ...

    @property
    def aimed(self) -> bool:
        """Whether there is a class that rows are to be turned to."""
        ...

    @property
    def sourced(self) -> bool:
        """Whether only rows of one class are to be turned."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PoisonAim:
    """Which class is to become which, and where inputs live."""

    source: int
    target: int
    space: InputSpace | None

    def stamped(self, attack: PoisonAttack, inputs: Array) -> Array:
        """Return pictures ``[n, ...]`` with the attack's trigger. Raises ``ValueError`` where
        there is no space, or the rows are no pictures.
        """
        axes = find_image_axes(inputs.shape[1:])
        if self.space is None or axes is None:
            message = "triggers need pictures and their space"
            raise ValueError(message)
        low, high = (
            np.broadcast_to(it, inputs.shape[1:]) for it in (self.space.low, self.space.high)
        )
        found = inputs.astype(np.float64)
        if attack is PoisonAttack.BLEND:
            noise = np.random.default_rng(0).random(inputs.shape[1:])
            found = (1 - OPACITY) * found + OPACITY * (low + noise * (high - low))
        else:
            side = max(2, round(SIDE * min(inputs.shape[1 + axes[0]], inputs.shape[1 + axes[1]])))
            corner = [slice(None)] * (inputs.ndim - 1)
            corner[axes[0]] = corner[axes[1]] = slice(-side, None)
            found[(slice(None), *corner)] = high[tuple(corner)]
        return self.placed(found).astype(inputs.dtype)

    def placed(self, values: Floats) -> Floats:
        """Put values on the steps in which inputs come."""
        if self.space is None:
            return values
        low, quantum = self.space.low, self.space.quantum
        steps = np.where(quantum > 0, quantum, 1.0)
        return np.where(quantum > 0, low + np.round((values - low) / steps) * steps, values)


@dataclass(frozen=True, slots=True, eq=False)
class PoisonedRows:
    """Poison in the order in which it is planted: the training rows ``[k]`` that it replaces, and
    what stands in their place.
    """

    replaced: NeighbourCodes
    inputs: Array
    labels: NeighbourCodes

    def within(
        self, inputs: Array, labels: NeighbourCodes, count: int
    ) -> tuple[Array, NeighbourCodes]:
        """Return training rows ``[n, ...]`` and labels with the first ``count`` planted."""
        rows, kinds = inputs.copy(), labels.copy()
        chosen = self.replaced[:count]
        rows[chosen], kinds[chosen] = self.inputs[:count], self.labels[:count]
        return rows, kinds


def make_poison(
    attack: PoisonAttack,
    training: tuple[Array, NeighbourCodes],
    aim: PoisonAim,
    most: int,
    seed: int,
) -> PoisonedRows:
    """Return at most ``most`` poisoned rows of ``training`` (inputs and labels).

    Fewer where fewer rows are eligible: a targeted flip has no more than its source class. Labels
    of flips are drawn from those that occur.
    """
    inputs, labels = training
    rng = np.random.default_rng([seed, list(PoisonAttack).index(attack)])
    eligible = {
        PoisonAttack.FLIP: np.ones(len(labels), dtype=np.bool_),
        PoisonAttack.TARGETED: labels == aim.source,
        PoisonAttack.CLEAN_LABEL: labels == aim.target,
    }.get(attack, labels != aim.target)
    rows = rng.permutation(np.flatnonzero(eligible))[:most]
    values, kinds = inputs[rows], np.full(len(rows), aim.target, dtype=np.int64)
    if attack is PoisonAttack.FLIP:
        known, place = np.unique(labels, return_inverse=True)
        moved = place[rows] + rng.integers(1, max(2, known.size), rows.size)
        kinds = known[moved % known.size].astype(np.int64)
    if attack is PoisonAttack.CLEAN_LABEL:
        others = rng.choice(np.flatnonzero(labels != aim.target), rows.size)
        mixed = (1 - MIXED) * values.astype(np.float64) + MIXED * inputs[others]
        values = mixed.astype(inputs.dtype)
    return PoisonedRows(rows, aim.stamped(attack, values) if attack.triggered else values, kinds)


def select_victims(attack: PoisonAttack, labels: NeighbourCodes, aim: PoisonAim) -> NeighbourCodes:
    """Return the evaluation rows that are to be decided as the target; none of a random flip."""
    if attack is PoisonAttack.FLIP:
        return np.empty(0, dtype=np.int64)
    chosen = labels == aim.source if attack is PoisonAttack.TARGETED else labels != aim.target
    return np.flatnonzero(chosen).astype(np.int64)


class PoisonSource(Protocol):
    """What makes the poison of one attack, and says on whom it is tried."""

    def sow(self, training: tuple[Array, NeighbourCodes], most: int, seed: int) -> PoisonedRows:
        """Return at most ``most`` poisoned rows of ``training`` (inputs and labels)."""
        ...

    def asked(self, inputs: Array, labels: NeighbourCodes) -> Array | None:
        """Return the rows of evaluation data that are to be turned, as a trained model gets them;
        ``None`` where there are none to turn.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class OwnPoison:
    """One of our own attacks with an aim."""

    attack: PoisonAttack
    aim: PoisonAim

    def sow(self, training: tuple[Array, NeighbourCodes], most: int, seed: int) -> PoisonedRows:
        """Return its poison."""
        return make_poison(self.attack, training, self.aim, most, seed)

    def asked(self, inputs: Array, labels: NeighbourCodes) -> Array | None:
        """Return its victims, with the trigger if there is one."""
        rows = select_victims(self.attack, labels, self.aim)
        if self.attack.triggered:
            return self.aim.stamped(self.attack, inputs[rows])
        return inputs[rows] if rows.size else None


Decide = Callable[[Floats], NeighbourCodes]
Embed = Callable[[Array], Floats | Gap]
CLEAN = "clean"


@dataclass(frozen=True, slots=True, eq=False)
class PoisonTrial:
    """What is trained on, what is tried on, and by which attacks at which rates.

    ``training`` and ``tested`` are inputs and labels; ``rates`` are shares of all training rows,
    growing; every repeat draws its own poison and its own seed of training.
    """

    training: tuple[Array, NeighbourCodes]
    tested: tuple[Array, NeighbourCodes]
    classes: int
    sowers: Mapping[str, PoisonSource]
    rates: tuple[float, ...]
    repeats: int
    seed: int

    @property
    def attacks(self) -> tuple[str, ...]:
        """What is tried."""
        return tuple(self.sowers)

    def counts(self, made: PoisonedRows) -> list[int]:
        """Return how many rows are planted at each rate: as many as there are, at most."""
        rows = len(self.training[1])
        return [min(len(made.labels), max(1, round(rate * rows))) for rate in self.rates]

    @property
    def most(self) -> int:
        """How many rows are poisoned at the largest rate."""
        return max(1, round(self.rates[-1] * len(self.training[1])))

    def plants(self, repeat: int) -> dict[str, PoisonedRows]:
        """Return the poison of one repeat."""
        return {
            attack: sower.sow(self.training, self.most, self.seed + repeat)
            for attack, sower in self.sowers.items()
        }

    def asked(self) -> dict[str, Array]:
        """Return what is asked of a trained model: the clean rows, and each attack's victims."""
        found = {CLEAN: self.tested[0]}
        for attack, sower in self.sowers.items():
            rows = sower.asked(*self.tested)
            if rows is not None:
                found[attack] = rows
        return found

    @property
    def trainings(self) -> int:
        """How many models are trained."""
        return self.repeats * (1 + len(self.attacks) * len(self.rates))


@dataclass(frozen=True, slots=True, eq=False)
class PoisonTrialDecisions:
    """What retrained models decide: of clean rows and of each attack's victims.

    ``clean`` holds decisions ``[repeats, n]`` after training without poison, ``before`` of each
    attack's victims ``[repeats, k]``; ``poisoned`` ``[rates, repeats, n]`` and ``after``
    ``[rates, repeats, k]`` the same with poison, by attack.
    """

    clean: NeighbourCodes
    before: Mapping[str, NeighbourCodes]
    poisoned: Mapping[str, NeighbourCodes]
    after: Mapping[str, NeighbourCodes]


def retrain_by_recipe(
    trial: PoisonTrial, recipe: TrainingRecipe, decide: Decide, progress: ProgressReporter
) -> PoisonTrialDecisions:
    """Train by the recipe once a repeat without poison, and once for each attack and rate.

    Raises ``RecipeError`` where the owner's code fails.
    """
    asked, done = trial.asked(), 0
    seeds = np.random.SeedSequence(trial.seed).generate_state(trial.repeats)

    def train(
        rows: Array, labels: NeighbourCodes, repeat: int, names: Sequence[str]
    ) -> dict[str, NeighbourCodes]:
        nonlocal done
        progress(done, trial.trainings, "training again by the recipe")
        done += 1
        lesson = RetrainingTask(rows, labels, int(seeds[repeat]))
        answers = recipe.answers(lesson, [asked[name] for name in names])
        return {name: decide(item) for name, item in zip(names, answers, strict=True)}

    told: list[dict[str, NeighbourCodes]] = []
    poisoned: dict[tuple[str, int, int], dict[str, NeighbourCodes]] = {}
    for repeat in range(trial.repeats):
        told.append(train(*trial.training, repeat, list(asked)))
        for attack, made in trial.plants(repeat).items():
            names = [CLEAN, attack] if attack in asked else [CLEAN]
            for place, count in enumerate(trial.counts(made)):
                rows, labels = made.within(*trial.training, count)
                poisoned[attack, place, repeat] = train(rows, labels, repeat, names)
    return _told(trial, told, poisoned)


def retrain_last_layer(
    trial: PoisonTrial, embed: Embed, decide: Decide, progress: ProgressReporter
) -> PoisonTrialDecisions | Gap:
    """Train the last layer again on what the model makes of rows: all models at once.

    A multinomial logistic regression on the embeddings; what comes before stays as it is, so that
    poison cannot change it. A Gap where ``embed`` has one; raises what it raises.
    """
    asked, plants = trial.asked(), [trial.plants(repeat) for repeat in range(trial.repeats)]
    inputs, labels = trial.training
    parts = [inputs, *(made.inputs for each in plants for made in each.values())]
    views = embed(np.concatenate((*parts, *asked.values())))
    if isinstance(views, Gap):
        return views
    ends = np.cumsum([len(part) for part in (*parts, *asked.values())])
    kinds = [labels, *(made.labels for each in plants for made in each.values())]
    include, keys = _masks(trial, plants, ends)
    pool = views[: ends[len(parts) - 1]]
    stack = train_stack(
        pool, np.concatenate(kinds), trial.classes, include, LOGISTIC,
        seed=trial.seed, progress=progress,
    )  # fmt: skip
    at = [slice(*pair) for pair in zip(ends[len(parts) - 1 : -1], ends[len(parts) :], strict=True)]
    answers = {
        name: stack.probabilities(views[part]).astype(np.float64)
        for name, part in zip(asked, at, strict=True)
    }
    said = [{name: decide(each[m]) for name, each in answers.items()} for m in range(stack.models)]
    clean = [said[model] for model, key in enumerate(keys) if key is None]
    return _told(trial, clean, {key: said[m] for m, key in enumerate(keys) if key is not None})


Key = tuple[str, int, int]


def _masks(
    trial: PoisonTrial, plants: Sequence[Mapping[str, PoisonedRows]], ends: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], list[Key | None]]:
    """Return which rows of clean ones and all poison each model sees, and which model it is."""
    rows = len(trial.training[1])
    parts = 1 + sum(len(each) for each in plants)
    clean = np.zeros(int(ends[parts - 1]), dtype=np.bool_)
    clean[:rows] = True
    masks, keys, at = [], list[Key | None](), 0
    for repeat, each in enumerate(plants):
        masks.append(clean)
        keys.append(None)
        for attack, made in each.items():
            start = int(ends[at])
            at += 1
            for place, count in enumerate(trial.counts(made)):
                mask = clean.copy()
                mask[made.replaced[:count]] = False
                mask[start : start + count] = True
                masks.append(mask)
                keys.append((attack, place, repeat))
    return np.stack(masks), keys


def _told(
    trial: PoisonTrial,
    clean: Sequence[Mapping[str, NeighbourCodes]],
    poisoned: Mapping[Key, Mapping[str, NeighbourCodes]],
) -> PoisonTrialDecisions:
    def joined(attack: str, name: str) -> NeighbourCodes:
        places, repeats = range(len(trial.rates)), range(trial.repeats)
        return np.stack([
            np.stack([poisoned[attack, place, repeat][name] for repeat in repeats])
            for place in places
        ])  # fmt: skip

    tried = [attack for attack in trial.attacks if attack in clean[0]]
    return PoisonTrialDecisions(
        clean=np.stack([each[CLEAN] for each in clean]),
        before={attack: np.stack([each[attack] for each in clean]) for attack in tried},
        poisoned={attack: joined(attack, CLEAN) for attack in trial.attacks},
        after={attack: joined(attack, attack) for attack in tried},
    )
