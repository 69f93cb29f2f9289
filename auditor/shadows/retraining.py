"""Trains again by the owner's recipe, each time on rows of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Dataset
from auditor.domain.recipes import Lesson, Recipe
from auditor.domain.subjects import Progress, silent
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """One lesson a row of ``include`` ``[M, n]``: the rows that it names, and a seed of its own.

    A lesson copies its rows when its turn comes, so that no two of them take memory at once.
    """

    inputs: Array
    labels: NDArray[np.int64]
    include: NDArray[np.bool_]
    seed: int

    def __len__(self) -> int:
        """Return how many trainings there are."""
        return len(self.include)

    def __iter__(self) -> Iterator[Lesson]:
        """Yield the lessons one by one, the same ones each time."""
        seeds = np.random.SeedSequence(self.seed).generate_state(len(self))
        for mask, one in zip(self.include, seeds, strict=True):
            yield Lesson(self.inputs[mask], self.labels[mask], int(one))


def retrain(
    recipe: Recipe, lessons: Lessons, asked: Sequence[Array], progress: Progress = silent
) -> tuple[Floats, ...]:
    """Train once a lesson, and return ``[M, n, classes]`` probabilities of each array asked.

    Raises ``RecipeError`` where the owner's code fails.
    """
    answers = []
    for done, lesson in enumerate(lessons):
        progress(done, len(lessons), "training again by the recipe")
        answers.append(recipe.answers(lesson, asked))
    return tuple(np.stack(item) for item in zip(*answers, strict=True))


def taught(*datasets: Dataset) -> tuple[Array, NDArray[np.int64]]:
    """Return the rows and labels of labelled datasets, one after another.

    Raises ``ValueError`` where one has no inputs or no labels.
    """
    inputs = [data.inputs for data in datasets if data.inputs is not None]
    labels = [data.labels for data in datasets if data.labels is not None]
    if len(inputs) < len(datasets) or len(labels) < len(datasets):
        message = "rows to learn from need inputs and labels"
        raise ValueError(message)
    return np.concatenate(inputs), np.concatenate(labels)
