"""The smallest trigger that sends all rows to a class, for every class at once: Neural Cleanse
(Wang et al. 2019, IEEE S&P, section IV and equation 3).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import Twin
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array, Floats
from auditor.poisons.backdoor_triggers import Room, Triggers

RATE, DECAYS = 0.2, (0.5, 0.9)
"""Adam's step and its two decays, as in the published code."""
START, GROW, SHRINK, PATIENCE = 0.5, 1.5, 1.8, 4
"""What a wholly covered input costs in nats at first, and how fast that price moves."""
REACHED = 0.95
"""The share of rows that a mask has to send to its class; smoothed over batches by ``MEMORY``."""
MEMORY = 0.6
MOST = 4.0
"""Free numbers stay within this: beyond it, `tanh` is flat."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Steps, and rows a step and class."""

    steps: int
    batch: int


def cleanse(  # noqa: PLR0913, PLR0917 -- what is searched, on what, and how
    twin: Twin, room: Room, rows: Array, classes: NDArray[np.int64], effort: Effort,
    rng: np.random.Generator, progress: Progress,
) -> Triggers:  # fmt: skip
    """Return one trigger for each of ``classes`` ``[k]``, as small as the steps allow.

    All classes are fitted on the same ``[n, ...]`` rows in one batch, as far as memory allows.
    Where no mask reaches its class, the last one is returned. Raises ``CancelledError`` through
    ``progress``.
    """
    together = room.chunk(effort.batch)
    parts = [classes[at : at + together] for at in range(0, len(classes), together)]
    found: list[Triggers] = []
    for index, part in enumerate(parts):
        fit = _Fit(twin, room, part)
        for step in range(effort.steps):
            progress(index * effort.steps + step, len(parts) * effort.steps, "smallest triggers")
            chosen = rng.choice(len(rows), min(effort.batch, len(rows)), replace=False)
            fit.step(rows[chosen].astype(np.float64))
        found.append(fit.best())
    masks, contents = ([getattr(one, name) for one in found] for name in ("masks", "contents"))
    return Triggers(np.concatenate(masks), np.concatenate(contents))


@dataclass(slots=True, eq=False)
class _Fit:
    """Masks and contents of all classes, as unbounded numbers that ``tanh`` brings into 0..1."""

    twin: Twin
    room: Room
    classes: NDArray[np.int64]
    mask: Floats = field(init=False)
    content: Floats = field(init=False)
    moments: list[Floats] = field(default_factory=list)
    price: Floats = field(init=False)
    success: Floats = field(init=False)
    streak: NDArray[np.int64] = field(init=False)
    kept: Triggers = field(init=False)
    kept_size: Floats = field(init=False)
    taken: int = 0

    def __post_init__(self) -> None:
        count = len(self.classes)
        self.mask = np.zeros((count, *self.room.places))
        self.content = np.zeros((count, *self.room.shape))
        self.moments = [np.zeros_like(item) for item in (*self._free, *self._free)]
        self.price = np.full(count, START)
        self.success, self.streak = np.zeros(count), np.zeros(count, dtype=np.int64)
        self.kept, self.kept_size = self.now(), np.full(count, np.inf)

    @property
    def _free(self) -> tuple[Floats, Floats]:
        return self.mask, self.content

    def now(self) -> Triggers:
        """Return the triggers as they are."""
        return Triggers((np.tanh(self.mask) + 1) / 2, (np.tanh(self.content) + 1) / 2)

    def best(self) -> Triggers:
        """Return the smallest that reached their class, and the last of the others."""
        never, now = ~np.isfinite(self.kept_size), self.now()
        return Triggers(
            np.where(_wide(never, now.masks), now.masks, self.kept.masks),
            np.where(_wide(never, now.contents), now.contents, self.kept.contents),
        )

    def step(self, rows: Floats) -> None:
        """Take one step on ``[n, ...]`` rows; keep what reached its class."""
        shown, count = self.now(), len(rows)
        masks = np.expand_dims(shown.masks, 1) * self.room.mutable
        contents = np.expand_dims(self.room.scaled(shown.contents), 1)
        away = contents - rows
        points = (rows + masks * away).reshape(-1, *self.room.shape)
        logits = self.twin.forward(points).reshape(len(self.classes), count, -1)
        self._note((logits.argmax(axis=2) == self.classes[:, None]).mean(axis=1), shown)
        pulled = self.twin.backward(_cotangent(logits, self.classes) / count)
        slope = np.nan_to_num(pulled).reshape(away.shape) * self.room.mutable
        to_mask, to_content = (slope * away).sum(axis=1), (slope * masks).sum(axis=1)
        axis = None if self.room.axes is None else self.room.axes[2]
        if axis is not None:
            to_mask = to_mask.sum(axis=axis + 1, keepdims=True)
        paid = self.price / np.prod(self.room.places)
        to_mask = (to_mask + _wide(paid, to_mask)) * (1 - np.tanh(self.mask) ** 2) / 2
        to_content = to_content * self.room.width * (1 - np.tanh(self.content) ** 2) / 2
        self._move((to_mask, to_content))

    def _note(self, success: Floats, shown: Triggers) -> None:
        """Keep masks that reach their class, and move the price of size towards what holds."""
        self.success = MEMORY * self.success + (1 - MEMORY) * success
        reached, sizes = self.success >= REACHED, shown.sizes
        better = reached & (sizes < self.kept_size)
        self.kept = Triggers(
            np.where(_wide(better, shown.masks), shown.masks, self.kept.masks),
            np.where(_wide(better, shown.contents), shown.contents, self.kept.contents),
        )
        self.kept_size = np.where(better, sizes, self.kept_size)
        # Counts steps in a row on one side: above 0 where masks reach, below where they do not.
        self.streak = np.where(reached, np.maximum(self.streak, 0) + 1,
                               np.minimum(self.streak, 0) - 1)  # fmt: skip
        up, down = self.streak >= PATIENCE, self.streak <= -PATIENCE
        self.price = np.where(
            up, self.price * GROW, np.where(down, self.price / SHRINK, self.price)
        )
        self.streak = np.where(up | down, 0, self.streak)

    def _move(self, slopes: tuple[Floats, Floats]) -> None:
        """Adam (Kingma and Ba 2015), algorithm 1."""
        self.taken += 1
        first, second = DECAYS
        for at, (free, slope) in enumerate(zip(self._free, slopes, strict=True)):
            mean, square = self.moments[at], self.moments[at + 2]
            mean += (1 - first) * (slope - mean)
            square += (1 - second) * (slope**2 - square)
            ahead = mean / (1 - first**self.taken)
            root = np.sqrt(square / (1 - second**self.taken)) + 1e-12
            free[...] = np.clip(free - RATE * ahead / root, -MOST, MOST)


def _cotangent(logits: Floats, classes: NDArray[np.int64]) -> Floats:
    """Return the slope of the mean cross entropy towards each class's own label, in the logits."""
    shifted = np.exp(logits - logits.max(axis=2, keepdims=True))
    shares = shifted / shifted.sum(axis=2, keepdims=True)
    shares[np.arange(len(classes)), :, classes] -= 1.0
    return np.asarray(shares.reshape(-1, logits.shape[2]))


def _wide(flags: NDArray[np.generic], like: Floats) -> NDArray[np.generic]:
    """Return ``[k]`` in the number of axes of ``like``."""
    return flags.reshape(-1, *[1] * (like.ndim - 1))
