"""The recipe: how an artifact was made, as the owner's code that trains again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.readings import Gap, Reason
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One retraining: ``[n, ...]`` rows with the classes ``[n]`` to learn, and a seed."""

    inputs: Array
    labels: NDArray[np.int64]
    seed: int


class Recipe(Protocol):
    """Trains as the artifact was trained. It is code of the owner's, and runs in a child process
    with limits, only where the audit file gives leave.
    """

    @property
    def digest(self) -> str:
        """The digest of the code, ``sha256:…``."""
        ...

    def answers(self, lesson: Lesson, asked: Sequence[Array]) -> tuple[Floats, ...]:
        """Train once, and return the ``[n, classes]`` probabilities of each array that is asked.

        Raises ``RecipeError`` where the code fails, takes too long or answers in another shape.
        """
        ...


NO_RECIPE = Gap(
    reason=Reason.NEEDS_RECIPE,
    detail="The audit names no recipe, so that nothing can be trained again.",
    cure="Name a function train(X, y, seed) under recipe in the audit file, with allow: true.",
)
