"""Training recipes: the owner's code that trains the artifact again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from auditor.domain.json import OmitUnset, write_fields
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class RetrainingTask:
    """One retraining: ``[n, ...]`` rows with the classes ``[n]`` to learn, and a seed."""

    inputs: Array
    labels: NDArray[np.int64]
    seed: int


class TrainingRecipe(Protocol):
    """Trains as the artifact was trained. It is code of the owner's, and runs in a child process
    with limits, only where the audit file gives leave.
    """

    @property
    def digest(self) -> str:
        """The digest of the code, ``sha256:…``."""
        ...

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        """Train once, and return the ``[n, classes]`` probabilities of each array that is asked.

        Raises ``RecipeError`` where the code fails, takes too long or answers in another shape.
        """
        ...


@runtime_checkable
class HeartbeatRecipe(Protocol):
    """A recipe that says that it is still at work."""

    def attended(self, pulse: Callable[[], None]) -> TrainingRecipe:
        """Return the recipe, which calls ``pulse`` about every second while its code works.

        Whatever that raises ends the code.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRef:
    """A recipe as a request names it: the digest of its code, and what of it may be called.

    ``dp_train`` names the function that trains with differential privacy, where there is one. What
    is ``allowed`` runs within bubblewrap or not at all, unless the leave is for ``unsandboxed``
    too: then it is cut off as far as the target's model is, whose fingerprint tells that.
    """

    digest: str
    function: str
    dp_train: str | None = None
    allowed: bool = False
    unsandboxed: OmitUnset[bool] = False

    to_json = write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSource:
    """A recipe where its code was staged, and what one training may take: seconds and bytes."""

    path: Path
    ref: RecipeRef
    time_limit: float
    memory_limit: int


NO_RECIPE = Gap(
    reason=GapReason.NEEDS_RECIPE,
    detail="The audit names no recipe, so that nothing can be trained again.",
    cure="Name a function train(X, y, seed) under recipe in the audit file, with allow: true.",
)
NO_LEAVE_TO_TRAIN = Gap(
    reason=GapReason.NEEDS_RECIPE,
    detail="The audit names a recipe and gives no leave to run it, so that its code was not run.",
    cure="Read the code, and set recipe.allow: true in the audit file.",
)
NO_SANDBOX = Gap(
    reason=GapReason.NEEDS_RECIPE,
    detail="Bubblewrap does not work on this machine, and outside it the code of the recipe could "
    "read every file that you can, so that it was not run.",
    cure="Install bubblewrap; or read the code, and set recipe.allow: unsandboxed in the audit "
    "file and add --allow-unsandboxed.",
)
