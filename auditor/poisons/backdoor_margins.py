"""How far a model can be made to prefer each class, with no row at all: MM-BD (Wang, Xiang, Miller
and Kesidis 2024, IEEE S&P, "MM-BD: post-training detection of backdoor attacks with arbitrary
backdoor pattern types using a maximum margin statistic").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import Twin
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Floats
from auditor.poisons.backdoor_triggers import Room

MOMENTUM = 0.9
FIRST_STEP, LAST_STEP = 0.1, 0.005
"""Steps as shares of the range; they fall by a cosine."""


@dataclass(frozen=True, slots=True)
class Climb:
    """Steps, and random starts a class."""

    steps: int
    starts: int


def margins(  # noqa: PLR0913, PLR0917 -- what climbs, where, and how
    twin: Twin, room: Room, classes: NDArray[np.int64], climb: Climb, rng: np.random.Generator,
    progress: Progress,
) -> Floats:  # fmt: skip
    """Return for each of ``classes`` ``[k]`` the largest margin of its logit over the next that a
    climb from noise finds in the box of inputs.

    Raises ``CancelledError`` through ``progress``.
    """
    most: list[float] = []
    together = room.chunk(climb.starts)
    for first in range(0, len(classes), together):
        part = classes[first : first + together]
        best = _climbed(twin, room, np.repeat(part, climb.starts), climb.steps, rng, progress)
        most.extend(best.reshape(len(part), climb.starts).max(axis=1).tolist())
    return np.array(most)


def _climbed(  # noqa: PLR0913, PLR0917 -- as above
    twin: Twin, room: Room, aims: NDArray[np.int64], steps: int, rng: np.random.Generator,
    progress: Progress,
) -> Floats:  # fmt: skip
    """Return the largest margin that each of the random starts ``[n]`` comes to."""
    shares = rng.random((len(aims), *room.shape))
    pull, best = np.zeros_like(shares), np.full(len(aims), -np.inf)
    for step in range(steps):
        progress(step, steps, "largest margins")
        logits = twin.forward(room.scaled(shares))
        found, cotangent = _margin(logits, aims)
        best = np.maximum(best, found)
        slope = np.nan_to_num(twin.backward(cotangent)) * room.width
        scale = np.abs(slope).reshape(len(aims), -1).mean(axis=1)
        pull = MOMENTUM * pull + slope / np.maximum(_wide(scale, slope), 1e-300)
        fall = (1 + np.cos(np.pi * step / steps)) / 2
        size = LAST_STEP + (FIRST_STEP - LAST_STEP) * fall
        shares = np.clip(shares + size * np.sign(pull), 0, 1)
    last = _margin(twin.forward(room.scaled(shares)), aims)[0]
    return np.asarray(np.maximum(best, last))


def _margin(logits: Floats, aims: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return each row's margin of its aim over the next best class, and its slope in the logits."""
    at = np.arange(len(aims))
    others = logits.copy()
    others[at, aims] = -np.inf
    rival = others.argmax(axis=1)
    cotangent = np.zeros_like(logits)
    cotangent[at, aims] = 1.0
    cotangent[at, rival] -= 1.0
    return logits[at, aims] - logits[at, rival], cotangent


def _wide(scale: Floats, like: Floats) -> Floats:
    return scale.reshape(-1, *[1] * (like.ndim - 1))
