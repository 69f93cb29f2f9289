"""Private training to audit: DP-SGD of a logistic regression, with a hook for canaries.

It is a recipe as an owner would write it, with gradients a record in numpy, and the defects that
audits are there to find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import RecipeError
from auditor.metrics.privacy_accounting.canaries import CanaryHook

CODE = "sha256:" + "c" * 64


@dataclass(frozen=True)
class PrivateTraining:
    """A recipe whose private training adds ``noise`` clips to each Poisson sample's sum.

    Planted defects: less noise than is claimed; other rates, steps or batches than are claimed;
    clipping that forgets to clip; code that fails, or says nothing of its canaries; a hook that is
    told of no step, or of a layer's coordinates that learn nothing of the records.
    """

    noise: float = 1.0
    rate: float = 0.0356
    steps: int = 560
    clip: float = 1.0
    learning: float = 0.5
    dp_train: str | None = "dp_train"
    shuffled: bool = False
    fails: bool = False
    silent: bool = False
    unattached: bool = False
    unlearnt: bool = False
    lessons: list[int] = field(default_factory=list)
    digest: str = CODE

    def call(
        self, function: str, arrays: Mapping[str, Array], settings: Mapping[str, Json], seed: int
    ) -> Mapping[str, NDArray[Any]]:
        """Train privately, as ``dp_train(data, settings)`` of an owner would."""
        assert function == self.dp_train
        if self.fails:
            raise RecipeError("dp_train raised ValueError", cure="Mend it.")
        hook = CanaryHook(arrays, settings)
        self._train(np.asarray(arrays["inputs"]), np.asarray(arrays["labels"]), seed, hook)
        return {} if self.silent else hook.seen()

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        """Train privately, and tell how sure the model is of each class."""
        self.lessons.append(len(lesson.labels))
        weights = self._train(np.asarray(lesson.inputs), lesson.labels, lesson.seed, None)
        return tuple(softmax(_flat(np.asarray(rows)) @ weights, axis=1) for rows in asked)

    def _train(
        self, inputs: Array, labels: NDArray[np.int64], seed: int, hook: CanaryHook | None
    ) -> Floats:
        rng = np.random.default_rng(seed)
        rows, classes = _flat(inputs), int(labels.max()) + 1
        weights = np.zeros((rows.shape[1], classes))
        batch = max(1, round(self.rate * len(rows)))
        for step in range(self.steps):
            drawn = self._draw(rng, len(rows), batch, step)
            wrong = softmax(rows[drawn] @ weights, axis=1) - np.eye(classes)[labels[drawn]]
            own = np.einsum("bd,bc->bdc", rows[drawn], wrong).reshape(len(drawn), -1)
            whole = own if hook is None else hook.join(own, drawn)
            length = np.linalg.norm(whole, axis=1, keepdims=True)
            clipped = whole * np.minimum(1.0, self.clip / np.maximum(length, 1e-12))
            noisy = clipped.sum(axis=0)
            noisy += self.noise * self.clip * rng.standard_normal(len(noisy))
            if self.unlearnt:
                noisy[own.shape[1] :] -= clipped.sum(axis=0)[own.shape[1] :]
            if hook is not None and not self.unattached:
                hook.saw(noisy[own.shape[1] :], len(drawn))
            weights -= self.learning * noisy[: own.shape[1]].reshape(weights.shape) / batch
        return weights

    def _draw(
        self, rng: np.random.Generator, count: int, batch: int, step: int
    ) -> NDArray[np.int64]:
        if not self.shuffled:
            return np.flatnonzero(rng.random(count) < self.rate)
        epoch, place = divmod(step * batch, count)
        order = np.random.default_rng([epoch, count]).permutation(count)
        return order[place : place + batch]


def _flat(rows: Array) -> Floats:
    flat = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
