"""Canaries: rows that no data holds, each of which comes into training by a fair coin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from auditor.accounting.hooks import NOBODY
from auditor.accounting.one_run import Bits
from auditor.domain.canonical import Json
from auditor.domain.readings import Gap, Reason
from auditor.domain.recipes import Lesson, Recipe
from auditor.domain.tasks import Array, Floats
from auditor.errors import RecipeError

LEAST = 1e-12
HEADS = 0.5
PLANTING = 0xCA4A
UNTOLD = (
    "Call hook.attach(optimizer) after make_private and hook.batch(canary) with each batch, or, "
    "without Opacus, hook.saw(coordinates, drawn) at each step."
)

NO_ROWS = Gap(
    reason=Reason.NEEDS_TRAINING_DATA,
    detail="There are no rows with classes to train on.",
    cure="Name the training data under data.training in the audit file.",
)
NO_CANARIES = Gap(
    reason=Reason.OVER_BUDGET,
    detail="No canaries were asked for, so that nothing was trained.",
    cure="Set the check's canaries to 1000.",
)
TOO_MUCH = Gap(
    reason=Reason.OVER_BUDGET,
    detail="As many records as are claimed do not fit into memory at once.",
    cure="Claim the training of a smaller part, with the same rate and steps, and audit that.",
)


@runtime_checkable
class DpRecipe(Protocol):
    """A recipe whose owner names a function that trains with differential privacy."""

    @property
    def dp_train(self) -> str | None:
        """The function's name, where there is one."""
        ...

    def call(
        self, function: str, arrays: Mapping[str, Array], settings: Mapping[str, Json], seed: int
    ) -> Mapping[str, NDArray[Any]]:
        """Call it with arrays and settings by name. Raises ``RecipeError`` where it fails."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """Training data with canaries: rows ``[n, ...]``, classes ``[n]``, and which row is which.

    ``canary`` ``[n]`` is the number of the canary in a row, or -1; ``included`` ``[m]`` says which
    came in. ``rows`` and ``classes`` are those of all canaries.
    """

    inputs: Array
    labels: NDArray[np.int64]
    canary: NDArray[np.int64]
    included: Bits
    rows: Array
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Scores ``[m]``, the higher the likelier in, and what was counted of the steps, if it was."""

    scores: Floats
    steps: int | None = None
    drawn: int | None = None


def plant(
    data: tuple[Array, NDArray[np.int64]], canaries: int, records: int, seed: int, *, filled: bool
) -> Planted:
    """Return about ``records`` rows of training data, about half of the canaries among them.

    ``data`` is rows ``[n, ...]`` and classes ``[n]``. Where there are fewer than wanted, some come
    twice: what they say does not matter here. A canary has at each coordinate the least or the
    greatest value of the data, and any class. ``filled``, there are exactly ``records``, so that
    steps and rates are those of the claim; a row in a canary's place tells of it only where scores
    depend on other rows, as those of black-box canaries do.
    """
    inputs, labels = data
    # Never the stream that the training draws from, which may be seeded by the same number.
    rng = np.random.default_rng([PLANTING, seed])
    least, most = inputs.min(axis=0), inputs.max(axis=0)
    corners = rng.random((canaries, *inputs.shape[1:])) < HEADS
    rows = np.where(corners, most, least).astype(inputs.dtype)
    classes = rng.choice(np.unique(labels), canaries)
    included = rng.random(canaries) < HEADS
    inside = np.flatnonzero(included)
    real = max(1, records - (len(inside) if filled else canaries // 2))
    taken = rng.choice(len(inputs), real, replace=real > len(inputs))
    canary = np.concatenate([np.full(real, NOBODY, dtype=np.int64), inside])
    order = rng.permutation(len(canary))
    return Planted(
        inputs=np.concatenate([inputs[taken], rows[inside]])[order],
        labels=np.concatenate([labels[taken], classes[inside]])[order],
        canary=canary[order],
        included=included,
        rows=rows,
        classes=classes,
    )


def watch(recipe: DpRecipe, function: str, planted: Planted, seed: int, rate: float) -> Observed:
    """Train by the owner's private training, and return what its gradients show of each canary.

    ``rate`` is the claimed chance with which a record enters a step. Raises ``RecipeError`` where
    training fails, returns other than ``hooks.CanaryHook.seen`` does, or its hook was told of no
    step or of no record.
    """
    arrays = {"inputs": planted.inputs, "labels": planted.labels, "canary": planted.canary}
    count = len(planted.included)
    told = recipe.call(function, arrays, {"canaries": count, "seed": seed, "rate": rate}, seed)
    scores = told.get("scores")
    whole = all(np.asarray(told.get(name, ())).size == 1 for name in ("steps", "drawn"))
    if scores is None or scores.shape != (count,) or not np.isfinite(scores).all() or not whole:
        raise RecipeError(
            f"{function} returned no scores of {count} canaries with the steps that it took",
            cure="Return what seen() of the hook gives.",
        )
    steps, drawn = (int(np.asarray(told[name]).ravel()[0]) for name in ("steps", "drawn"))
    if steps <= 0 or drawn <= 0:
        raise RecipeError(
            f"{function} trained, and its hook was told of {max(steps, 0)} steps and of "
            f"{max(drawn, 0)} records: it saw nothing of the canaries",
            cure=UNTOLD,
        )
    return Observed(scores.astype(np.float64), steps, drawn)


def ask(recipe: Recipe, planted: Planted, seed: int) -> Observed:
    """Train by the plain recipe, and score each canary by how sure the model is of its class.

    Raises ``RecipeError`` where training fails.
    """
    lesson = Lesson(planted.inputs, planted.labels, seed)
    (answers,) = recipe.answers(lesson, [planted.rows])
    own = answers[np.arange(len(planted.classes)), planted.classes]
    odds = np.log(np.maximum(own, LEAST)) - np.log(np.maximum(1 - own, LEAST))
    return Observed(odds.astype(np.float64))
