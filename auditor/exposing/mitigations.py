"""What a model's owner may do to its answers so that they give less away."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

SMALL = 1e-12
NONE, LABELS = "none", "labels"
Alter = Callable[[Floats, float, np.random.Generator], Floats]


@dataclass(frozen=True, slots=True)
class Mitigation:
    """One way to alter ``[..., classes]`` probabilities, and how far it goes.

    Of labels alone the strength is that of the attack: how many noisy copies are asked about.
    """

    name: str
    strength: float

    def __call__(self, probabilities: Floats, seed: int) -> Floats:
        """Return altered probabilities, which add up to one."""
        altered = WAYS[self.name](probabilities, self.strength, np.random.default_rng(seed))
        total = altered.sum(axis=-1, keepdims=True)
        even = np.full_like(altered, 1 / altered.shape[-1])
        return np.where(total > 0, altered / np.maximum(total, SMALL), even)

    @property
    def of_copies(self) -> bool:
        """Whether labels are all that is said, and those of noisy copies are asked for too."""
        return self.name == LABELS and self.strength > 0

    @property
    def of_scores(self) -> bool:
        """Whether answers still tell how sure the model is, on a scale of their own."""
        return self.name in {NONE, "noise", "temperature"}

    @property
    def key(self) -> str:
        """Its name as evidence has it."""
        return f"{self.name}_{self.strength:g}"


def _rounded(probabilities: Floats, decimals: float, _: np.random.Generator) -> Floats:
    found: Floats = probabilities.round(int(decimals))
    return found


def _top(probabilities: Floats, kept: float, _: np.random.Generator) -> Floats:
    """Keep the likeliest classes; the rest of the probability is spread over all others."""
    count, classes = int(kept), probabilities.shape[-1]
    if count >= classes:
        return probabilities
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    inside = np.zeros(probabilities.shape, dtype=np.bool_)
    np.put_along_axis(inside, order[..., :count], np.True_, axis=-1)
    rest = (probabilities * ~inside).sum(axis=-1, keepdims=True) / (classes - count)
    return np.where(inside, probabilities, rest)


def _labels(probabilities: Floats, _: float, __: np.random.Generator) -> Floats:
    """Say the likeliest class alone; who is told it puts some faith in all others."""
    classes = probabilities.shape[-1]
    found: Floats = np.eye(classes)[probabilities.argmax(axis=-1)]
    return found


def _noisy(probabilities: Floats, spread: float, rng: np.random.Generator) -> Floats:
    """Add normal noise of so many nats to each class's log probability."""
    logs = np.log(np.maximum(probabilities, SMALL))
    return _raised(logs + spread * rng.normal(size=logs.shape))


def _cooled(probabilities: Floats, temperature: float, _: np.random.Generator) -> Floats:
    return _raised(np.log(np.maximum(probabilities, SMALL)) / temperature)


def _same(probabilities: Floats, _: float, __: np.random.Generator) -> Floats:
    return probabilities


def _raised(logs: Floats) -> Floats:
    """Return what is proportional to probabilities; every altered row is scaled to 1 at the end."""
    found: Floats = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return found


WAYS: Mapping[str, Alter] = {
    NONE: _same,
    "rounding": _rounded,
    "top": _top,
    LABELS: _labels,
    "noise": _noisy,
    "temperature": _cooled,
}


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What altered answers come to, a row: the ``chance`` of its label, what is ``stated`` of the
    decision, whether that is ``right``, and the ``brier`` score.
    """

    chance: Floats
    stated: Floats
    right: NDArray[np.bool_]
    brier: Floats

    @classmethod
    def of(
        cls, probabilities: Floats, decided: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> "Answers":
        """Take ``[n, classes]`` probabilities, the decision ``[n]`` upon them and the truth."""
        rows = np.arange(len(labels))
        chance = probabilities[rows, labels]
        squares = (probabilities**2).sum(axis=1) - 2 * chance + 1
        stated = np.clip(probabilities[rows, decided], 0, 1)
        return cls(chance, stated, decided == labels, np.maximum(squares, 0))
