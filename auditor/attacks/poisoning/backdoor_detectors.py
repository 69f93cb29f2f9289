"""Backdoor detectors: Neural Cleanse, MM-BD, class bias on noise inputs, and anomaly scores.

Sources: Neural Cleanse (Wang et al. 2019, IEEE S&P, section IV and equation 3); MM-BD (Wang,
Xiang, Miller and Kesidis 2024, IEEE S&P, "MM-BD: post-training detection of backdoor attacks with
arbitrary backdoor pattern types using a maximum margin statistic"). MM-BD needs no data rows.
The noise test rests on the fact that a backdoored class attracts meaningless inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from auditor.attacks.poisoning.backdoor_triggers import TriggerSet, TriggerSpace
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, Floats

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
class CleanseEffort:
    """Steps, and rows a step and class."""

    steps: int
    batch: int


def neural_cleanse(  # noqa: PLR0913, PLR0917 -- what is searched, on what, and how
    twin: Twin, room: TriggerSpace, rows: Array, classes: NDArray[np.int64], effort: CleanseEffort,
    rng: np.random.Generator, progress: ProgressReporter,
) -> TriggerSet:  # fmt: skip
    """Return one trigger for each of ``classes`` ``[k]``, as small as the steps allow.

    All classes are fitted on the same ``[n, ...]`` rows in one batch, as far as memory allows.
    Where no mask reaches its class, the last one is returned. Raises ``CancelledError`` through
    ``progress``.
    """
    together = room.chunk(effort.batch)
    parts = [classes[at : at + together] for at in range(0, len(classes), together)]
    found: list[TriggerSet] = []
    for index, part in enumerate(parts):
        fit = _TriggerFit(twin, room, part)
        for step in range(effort.steps):
            progress(index * effort.steps + step, len(parts) * effort.steps, "smallest triggers")
            chosen = rng.choice(len(rows), min(effort.batch, len(rows)), replace=False)
            fit.step(rows[chosen].astype(np.float64))
        found.append(fit.best())
    masks, contents = ([getattr(one, name) for one in found] for name in ("masks", "contents"))
    return TriggerSet(np.concatenate(masks), np.concatenate(contents))


@dataclass(slots=True, eq=False)
class _TriggerFit:
    """Masks and contents of all classes, as unbounded numbers that ``tanh`` brings into 0..1."""

    twin: Twin
    room: TriggerSpace
    classes: NDArray[np.int64]
    mask: Floats = field(init=False)
    content: Floats = field(init=False)
    moments: list[Floats] = field(default_factory=list)
    price: Floats = field(init=False)
    success: Floats = field(init=False)
    streak: NDArray[np.int64] = field(init=False)
    kept: TriggerSet = field(init=False)
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

    def now(self) -> TriggerSet:
        """Return the triggers as they are."""
        return TriggerSet((np.tanh(self.mask) + 1) / 2, (np.tanh(self.content) + 1) / 2)

    def best(self) -> TriggerSet:
        """Return the smallest that reached their class, and the last of the others."""
        never, now = ~np.isfinite(self.kept_size), self.now()
        return TriggerSet(
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
        # Keep masks that reach their class, and move the price of size towards what holds
        success = (logits.argmax(axis=2) == self.classes[:, None]).mean(axis=1)
        self.success = MEMORY * self.success + (1 - MEMORY) * success
        reached, sizes = self.success >= REACHED, shown.sizes
        better = reached & (sizes < self.kept_size)
        self.kept = TriggerSet(
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
        shifted = np.exp(logits - logits.max(axis=2, keepdims=True))
        shares = shifted / shifted.sum(axis=2, keepdims=True)
        shares[np.arange(len(self.classes)), :, self.classes] -= 1.0
        pulled = self.twin.backward(np.asarray(shares.reshape(-1, logits.shape[2])) / count)
        slope = np.nan_to_num(pulled).reshape(away.shape) * self.room.mutable
        to_mask, to_content = (slope * away).sum(axis=1), (slope * masks).sum(axis=1)
        axis = None if self.room.axes is None else self.room.axes[2]
        if axis is not None:
            to_mask = to_mask.sum(axis=axis + 1, keepdims=True)
        paid = self.price / np.prod(self.room.places)
        to_mask = (to_mask + _wide(paid, to_mask)) * (1 - np.tanh(self.mask) ** 2) / 2
        to_content = to_content * self.room.width * (1 - np.tanh(self.content) ** 2) / 2
        # Adam (Kingma and Ba 2015), algorithm 1
        slopes = (to_mask, to_content)
        self.taken += 1
        first, second = DECAYS
        for at, (free, slope) in enumerate(zip(self._free, slopes, strict=True)):
            mean, square = self.moments[at], self.moments[at + 2]
            mean += (1 - first) * (slope - mean)
            square += (1 - second) * (slope**2 - square)
            ahead = mean / (1 - first**self.taken)
            root = np.sqrt(square / (1 - second**self.taken)) + 1e-12
            free[...] = np.clip(free - RATE * ahead / root, -MOST, MOST)


def _wide(flags: NDArray[np.generic], like: Floats) -> NDArray[np.generic]:
    """Return ``[k]`` in the number of axes of ``like``."""
    return flags.reshape(-1, *[1] * (like.ndim - 1))


STRONGEST = 4
"""The triggers of a scan whose mean success speaks for a class."""
TARGETS = 3
"""One class in so many at most can be a target: the others have to show what is ordinary."""
FEWEST_CLASSES = 4
"""With fewer classes, there are too few others to stand out from."""
NORMAL = 1.4826
"""Median absolute deviations times this are standard deviations of a normal law."""
LEAST_SPREAD: Mapping[str, float] = {
    "patch": 0.05, "blend": 0.05, "value": 0.05, "mask": 0.15, "margin": 0.1,
}  # fmt: skip
"""The least spread that classes are taken to have: shares of a scan, logarithms of the others."""
LEADS: Mapping[str, float] = {
    "patch": 0.3, "blend": 0.4, "value": 0.3, "mask": float(np.log(2)), "margin": 0.5,
}  # fmt: skip
"""How far the first class has to be ahead of the second: by a share of the rows, by half the mask.
Without it, one natural class of ten lies beyond two deviations in one clean model of five.
"""


def anomaly_indices(values: Floats, least: float) -> Floats:
    """Return how far each value lies above the median, in median absolute deviations: ``[k]``.

    The anomaly index of Neural Cleanse (Wang et al. 2019, section IV), one-sided; ``least`` bounds
    the deviation from below, so that classes that happen to agree make nothing of a trifle.
    """
    middle = float(np.median(values))
    spread = max(NORMAL * float(np.median(np.abs(values - middle))), least)
    return np.asarray((values - middle) / spread)


def lead_over_second(values: Floats) -> float:
    """Return how far the highest of ``[k]`` values is ahead of the second."""
    second, first = np.sort(values)[-2:]
    return float(first - second)


def leading_classes(values: Floats, index: float, least: float, ahead: float) -> NDArray[np.int64]:
    """Return the classes that stand out of ``[k]`` values together, the highest first.

    They are the most, up to one in ``TARGETS``, that are all ``index`` deviations out and ``ahead``
    of all others: a backdoor may have several targets, none of which is ahead of the next. None
    where there is no such group.
    """
    order = np.argsort(-values, kind="stable")
    out = anomaly_indices(values, least)[order] >= index
    steps = -np.diff(values[order])
    for count in range(max(1, len(values) // TARGETS), 0, -1):
        if out[count - 1] and steps[count - 1] >= ahead:
            return order[:count].astype(np.int64)
    return order[:0].astype(np.int64)


def scan_scores(rates: Floats) -> Floats:
    """Return each class's mean success of its ``STRONGEST`` triggers, from ``[k, classes]``."""
    most = np.sort(rates, axis=0)[-STRONGEST:]
    found: Floats = most.mean(axis=0)
    return found


def mask_scores(sizes: Floats) -> Floats:
    """Return scores that are the higher the smaller a class's mask is: ``[k]``."""
    return np.asarray(-np.log(np.maximum(sizes, 1e-4)))


def margin_scores(margins: Floats) -> Floats:
    """Return scores that are the higher the larger a class's margin is: ``[k]``."""
    return np.asarray(np.log(np.maximum(margins, 1e-3)))


def margin_p_value(margins: Floats) -> float:
    """Return the chance that the largest of so many margins is as large, were all of one law.

    The law is a Gamma with the mean and variance of the others (Wang et al. 2024, section IV-C,
    which fits one by likelihood). It is rough: clean models of digits have a median of 0.13, those
    of clothing of 0.01.
    """
    most = int(margins.argmax())
    rest = np.delete(margins, most)
    mean, spread = float(rest.mean()), float(rest.var(ddof=1))
    if mean <= 0 or spread <= 0:
        return 1.0 if margins[most] <= mean else 0.0
    shape = mean**2 / spread
    below = float(gamma.cdf(margins[most], shape, scale=mean / shape))
    return 1.0 - below ** len(margins)


def noise_scores(counts: NDArray[np.int64]) -> Floats:
    """Return the larger share of either kind of noise that falls to each class, ``[classes]``.

    ``counts`` is ``[2, classes]``.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    found: Floats = shares.max(axis=0)
    return found


MOMENTUM = 0.9
FIRST_STEP, LAST_STEP = 0.1, 0.005
"""Steps as shares of the range; they fall by a cosine."""


@dataclass(frozen=True, slots=True)
class MarginAscent:
    """Steps, and random starts a class."""

    steps: int
    starts: int


def largest_margins(  # noqa: PLR0913, PLR0917 -- what climbs, where, and how
    twin: Twin, room: TriggerSpace, classes: NDArray[np.int64], climb: MarginAscent,
    rng: np.random.Generator, progress: ProgressReporter,
) -> Floats:  # fmt: skip
    """Return for each of ``classes`` ``[k]`` the largest margin of its logit over the next that a
    climb from noise finds in the box of inputs.

    Raises ``CancelledError`` through ``progress``.
    """
    most: list[float] = []
    together = room.chunk(climb.starts)
    for first in range(0, len(classes), together):
        part = classes[first : first + together]
        # The largest margin that each of the random starts `[n]` comes to
        aims = np.repeat(part, climb.starts)
        steps = climb.steps
        shares = rng.random((len(aims), *room.shape))
        pull, best = np.zeros_like(shares), np.full(len(aims), -np.inf)
        for step in range(steps):
            progress(step, steps, "largest margins")
            logits = twin.forward(room.scaled(shares))
            found, cotangent = _margin(logits, aims)
            best = np.maximum(best, found)
            slope = np.nan_to_num(twin.backward(cotangent)) * room.width
            scale = np.abs(slope).reshape(len(aims), -1).mean(axis=1)
            pull = MOMENTUM * pull + slope / np.maximum(
                scale.reshape(-1, *[1] * (slope.ndim - 1)), 1e-300
            )
            fall = (1 + np.cos(np.pi * step / steps)) / 2
            size = LAST_STEP + (FIRST_STEP - LAST_STEP) * fall
            shares = np.clip(shares + size * np.sign(pull), 0, 1)
        last = _margin(twin.forward(room.scaled(shares)), aims)[0]
        best = np.asarray(np.maximum(best, last))
        most.extend(best.reshape(len(part), climb.starts).max(axis=1).tolist())
    return np.array(most)


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


Counts = NDArray[np.int64]
MOST_BYTES = 512 * 2**20


def draw_noise_rows(
    room: TriggerSpace, rows: Array, count: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return ``count`` rows in all: uniform noise, and random mixtures of known rows.

    A mixture takes each coordinate from a row of its own, so that every value is a usual one in
    its place and nothing else is left of any row. Of large inputs there are fewer: ``MOST_BYTES``.
    """
    half = min(count, max(2, MOST_BYTES // room.low.nbytes)) // 2
    uniform = rng.random((half, *room.shape))
    cover = np.ones(room.shape)
    start = np.repeat(rows[:1], half, axis=0)
    flat = rows.reshape(len(rows), -1)
    drawn = rng.integers(0, len(rows), (half, flat.shape[1]))
    mixed = flat[drawn, np.arange(flat.shape[1])].reshape(half, *room.shape)
    return room.put(start, cover, room.scaled(uniform)), mixed


def count_decisions(decided: NDArray[np.int64], classes: int) -> Counts:
    """Return how many rows fell to each class, ``[classes]``."""
    return np.bincount(decided, minlength=classes).astype(np.int64)
