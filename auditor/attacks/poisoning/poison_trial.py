"""Training again with poison: by the owner's recipe, or the last layer alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.readings import Gap
from auditor.domain.recipes import Lesson, Recipe
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array, Floats
from auditor.poisons.neighbourhoods import Codes
from auditor.poisons.plants import Plant, Sower
from auditor.shadows.training import LOGISTIC, train_stack

Decide = Callable[[Floats], Codes]
Embed = Callable[[Array], Floats | Gap]
CLEAN = "clean"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is trained on, what is tried on, and by which attacks at which rates.

    ``training`` and ``tested`` are inputs and labels; ``rates`` are shares of all training rows,
    growing; every repeat draws its own poison and its own seed of training.
    """

    training: tuple[Array, Codes]
    tested: tuple[Array, Codes]
    classes: int
    sowers: Mapping[str, Sower]
    rates: tuple[float, ...]
    repeats: int
    seed: int

    @property
    def attacks(self) -> tuple[str, ...]:
        """What is tried."""
        return tuple(self.sowers)

    def counts(self, made: Plant) -> list[int]:
        """Return how many rows are planted at each rate: as many as there are, at most."""
        rows = len(self.training[1])
        return [min(len(made.labels), max(1, round(rate * rows))) for rate in self.rates]

    @property
    def most(self) -> int:
        """How many rows are poisoned at the largest rate."""
        return max(1, round(self.rates[-1] * len(self.training[1])))

    def plants(self, repeat: int) -> dict[str, Plant]:
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
class Told:
    """What retrained models decide: of clean rows and of each attack's victims.

    ``clean`` holds decisions ``[repeats, n]`` after training without poison, ``before`` of each
    attack's victims ``[repeats, k]``; ``poisoned`` ``[rates, repeats, n]`` and ``after``
    ``[rates, repeats, k]`` the same with poison, by attack.
    """

    clean: Codes
    before: Mapping[str, Codes]
    poisoned: Mapping[str, Codes]
    after: Mapping[str, Codes]


def by_recipe(trial: Trial, recipe: Recipe, decide: Decide, progress: Progress) -> Told:
    """Train by the recipe once a repeat without poison, and once for each attack and rate.

    Raises ``RecipeError`` where the owner's code fails.
    """
    asked, done = trial.asked(), 0
    seeds = np.random.SeedSequence(trial.seed).generate_state(trial.repeats)

    def train(rows: Array, labels: Codes, repeat: int, names: Sequence[str]) -> dict[str, Codes]:
        nonlocal done
        progress(done, trial.trainings, "training again by the recipe")
        done += 1
        lesson = Lesson(rows, labels, int(seeds[repeat]))
        answers = recipe.answers(lesson, [asked[name] for name in names])
        return {name: decide(item) for name, item in zip(names, answers, strict=True)}

    told: list[dict[str, Codes]] = []
    poisoned: dict[tuple[str, int, int], dict[str, Codes]] = {}
    for repeat in range(trial.repeats):
        told.append(train(*trial.training, repeat, list(asked)))
        for attack, made in trial.plants(repeat).items():
            names = [CLEAN, attack] if attack in asked else [CLEAN]
            for place, count in enumerate(trial.counts(made)):
                rows, labels = made.within(*trial.training, count)
                poisoned[attack, place, repeat] = train(rows, labels, repeat, names)
    return _told(trial, told, poisoned)


def by_head(trial: Trial, embed: Embed, decide: Decide, progress: Progress) -> Told | Gap:
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
    trial: Trial, plants: Sequence[Mapping[str, Plant]], ends: NDArray[np.intp]
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
    trial: Trial, clean: Sequence[Mapping[str, Codes]], poisoned: Mapping[Key, Mapping[str, Codes]]
) -> Told:
    def joined(attack: str, name: str) -> Codes:
        places, repeats = range(len(trial.rates)), range(trial.repeats)
        return np.stack([
            np.stack([poisoned[attack, place, repeat][name] for repeat in repeats])
            for place in places
        ])  # fmt: skip

    tried = [attack for attack in trial.attacks if attack in clean[0]]
    return Told(
        clean=np.stack([each[CLEAN] for each in clean]),
        before={attack: np.stack([each[attack] for each in clean]) for attack in tried},
        poisoned={attack: joined(attack, CLEAN) for attack in trial.attacks},
        after={attack: joined(attack, attack) for attack in tried},
    )
