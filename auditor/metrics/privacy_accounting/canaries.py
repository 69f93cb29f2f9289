"""Privacy auditing with canaries: planting, scoring, and bounds on epsilon from guesses.

A fair coin decides whether each canary enters training; no real dataset holds such a row.

White-box canaries are records that have a gradient in one coordinate of their own, which no other
record touches: Nasr et al. (2023), USENIX Security, section 4. The adversary sees that coordinate
in every step, after clipping and noise.

A step that holds a canary moves its coordinate by one clip; any other step leaves only noise. By
Neyman and Pearson the log-likelihood ratio of the noisy sums is the best score: it is the privacy
loss itself, which accountants compose. A plain sum over the steps also adds up the noise of steps
without the canary, and is much weaker where the noise is small.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom, norm

from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask, TrainingRecipe
from auditor.errors import RecipeError
from auditor.metrics.privacy_accounting.mechanisms import TradeoffCurve
from auditor.metrics.stats.roc_auc import auc_and_influence

Bits = NDArray[np.bool_]
SHARES = (1.0, 0.5, 0.2, 0.1)
"""Shares of the canaries that are guessed of: the surest ones, half as in and half as out."""
MOST_EPSILON = 64.0
HALVINGS = 40


@dataclass(frozen=True, slots=True)
class CanaryGuesses:
    """``right`` of ``made`` guesses were, of ``canaries`` that came in by a fair coin each."""

    canaries: int
    made: int
    right: int


def guess_canaries(
    scores: Floats, included: Bits, shares: Sequence[float] = SHARES
) -> list[CanaryGuesses]:
    """Guess of the highest scores that they are in, of as many lowest that they are out.

    ``scores`` ``[m]`` and ``included`` ``[m]`` name the canaries in one order. How many guesses
    are made is fixed beforehand: one tally a share.
    """
    order = np.argsort(scores, kind="stable")
    found = []
    for share in shares:
        half = max(1, int(len(scores) * share) // 2)
        right = int(included[order[-half:]].sum()) + int((~included[order[:half]]).sum())
        found.append(CanaryGuesses(len(scores), 2 * half, right))
    return found


def guess_count_bound(seen: Sequence[CanaryGuesses], confidence: float) -> list[CanaryGuesses]:
    """Return as many right guesses as another run of the same training has at most.

    Two runs differ by normal errors of both; corrected for all guess counts.
    """
    far = math.sqrt(2) * float(norm.isf((1 - confidence) / (2 * len(seen))))
    return [replace(item, right=min(item.made, item.right + _spread(item, far))) for item in seen]


def _spread(item: CanaryGuesses, far: float) -> int:
    return math.ceil(far * math.sqrt(item.right * (item.made - item.right) / item.made))


def epsilon_delta_p_value(seen: CanaryGuesses, epsilon: float, delta: float) -> float:
    """Return how likely so many right guesses are at most, if training is (epsilon, delta)-private.

    Steinke, Nasr and Jagielski (2023), NeurIPS, theorem 5.2: a binomial tail, and a term for delta.
    """
    chance = float(expit(epsilon))
    tail = float(binom.sf(seen.right - 1, seen.made, chance))
    before = binom.pmf(np.arange(seen.right - 1, -1, -1), seen.made, chance)
    steepest = np.max(np.cumsum(before) / np.arange(1, seen.right + 1)) if seen.right else 0.0
    return min(1.0, tail + 2 * seen.canaries * delta * float(steepest))


def epsilon_delta_lower_bound(seen: CanaryGuesses, delta: float, level: float) -> float:
    """Return the largest epsilon that so many right guesses refute at ``level``; 0 for none."""
    low, high = 0.0, MOST_EPSILON
    if epsilon_delta_p_value(seen, low, delta) > level:
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if epsilon_delta_p_value(seen, middle, delta) <= level:
            low = middle
        else:
            high = middle
    return low


def refutes_tradeoff(seen: CanaryGuesses, curve: TradeoffCurve, level: float) -> bool:
    """Whether so many right guesses refute, at ``level``, that training keeps a trade-off curve.

    Were they likelier than ``level``, the curve would bind how likely fewer right ones are, one by
    one, until all chances together exceeded those of the guesses. Mahloujifar, Melis and Chaudhuri
    (2025), ICML, arXiv 2410.22235, algorithm 3.
    """
    right = level * seen.right / seen.canaries
    wrong = level * (seen.made - seen.right) / seen.canaries
    most = seen.made / seen.canaries
    for count in range(seen.right - 1, -1, -1):
        least = curve.inverse(right)
        if least <= wrong or right + wrong > most:
            # With nothing new at this count there is nothing new at any lower one.
            break
        right += count / (seen.made - count) * (least - wrong)
        wrong = least
    return right + wrong > most


def canary_auc(scores: Floats, included: Bits) -> float:
    """Return the chance that a canary that is in scores above one that is out; ties count half."""
    if included.all() or not included.any():
        return 0.5
    return auc_and_influence(scores, included)[0]


def level_per_look(level: float, looks: int) -> float:
    """Return the level of one of ``looks`` guess counts, each looked at by two bounds."""
    return level / (2 * looks)


SIGNALS = 2.0 ** np.arange(-4, 7)
"""Clips a standard deviation of the noise at which steps are looked at: all that noise may be."""
FAINTEST = 1e-300


class CanaryLikelihoods:
    """Sums up, step by step, the log-likelihood ratios of ``canaries`` coordinates.

    ``rate`` is the chance with which a step holds a record. What the clip is in units of the noise
    is not taken on the owner's word: all of ``SIGNALS`` are summed, and the likeliest of them is
    chosen by the coordinates alone. That looks at nothing but what training gives away, so that
    bounds from guesses by these scores hold as they do of any others.
    """

    def __init__(self, canaries: int, rate: float) -> None:
        if not 0 < rate <= 1:
            message = f"the rate of a step lies between 0 and 1, and is {rate:g}"
            raise ValueError(message)
        self._sums: Floats = np.zeros((len(SIGNALS), canaries))
        with np.errstate(divide="ignore"):
            self._absent, self._present = float(np.log1p(-rate)), float(np.log(rate))

    def add(self, coordinates: Floats) -> None:
        """Take in one step's coordinates ``[canaries]``, in any unit.

        One that is no finite number leaves scores that are none.
        """
        signals = SIGNALS[:, None]
        with np.errstate(invalid="ignore"):
            ratios = signals * (coordinates / estimate_noise(coordinates)) - signals**2 / 2
            self._sums += np.logaddexp(self._absent, self._present + ratios)

    @property
    def scores(self) -> Floats:
        """The log-likelihood ratios ``[canaries]`` at the likeliest signal, each canary in by a
        fair coin.
        """
        with np.errstate(invalid="ignore"):
            likely = np.logaddexp(0.0, self._sums).sum(axis=1)
        chosen: Floats = self._sums[int(np.argmax(likely))].copy()
        return chosen


def estimate_noise(coordinates: Floats) -> float:
    """Return the noise's standard deviation in one step: that of the coordinates below zero.

    Canaries move theirs up alone. Where there is no noise to speak of, it is said to be as small as
    ``SIGNALS`` reach.
    """
    below = coordinates[coordinates < 0]
    found = float(np.sqrt(np.mean(below**2))) if len(below) else 0.0
    loudest = float(np.abs(coordinates).max(initial=0.0))
    return max(found, loudest / float(SIGNALS[-1]), FAINTEST)


LOUD = 1e6
"""The length of a canary's gradient before it is clipped: far beyond any clipping norm."""
NOBODY = -1
Records = NDArray[np.int64]


class CanaryHook:
    """Writes canaries into the gradients of each record, and sums up what the steps show of them.

    Made in the owner's ``dp_train(data, settings)``, which trains with the gradients of ``join``,
    tells ``saw`` of each step, and returns ``seen()``. ``settings`` name the ``canaries`` and the
    claimed ``rate``, which is that of a step. Raises ``ValueError`` for a rate that is none.
    """

    def __init__(self, data: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.canary: Records = np.asarray(data["canary"], dtype=np.int64)
        self.count = int(settings["canaries"])
        self._likelihoods = CanaryLikelihoods(self.count, float(settings["rate"]))
        self._steps, self._drawn = 0, 0

    def join(self, gradients: Floats, records: Records) -> Floats:
        """Return ``[b, d + canaries]`` gradients, not clipped yet, of ``[b, d]`` ones.

        ``records`` ``[b]`` are the row numbers of the data. A canary's own gradient is zero but for
        its coordinate.
        """
        canary = self.canary[records]
        rows = np.flatnonzero(canary != NOBODY)
        joined = np.zeros((len(records), gradients.shape[1] + self.count))
        joined[:, : gradients.shape[1]] = gradients
        joined[rows] = 0.0
        joined[rows, gradients.shape[1] + canary[rows]] = LOUD
        return joined

    def saw(self, coordinates: Floats, drawn: int) -> None:
        """Take in one step: the canaries' coordinates ``[canaries]`` of the noisy sum or mean of
        gradients, and how many records it was drawn from.
        """
        self._likelihoods.add(np.asarray(coordinates, dtype=np.float64))
        self._steps, self._drawn = self._steps + 1, self._drawn + int(drawn)

    def seen(self) -> dict[str, NDArray[Any]]:
        """Return what the audit takes: a score each canary, the steps, and the records drawn."""
        return {
            "scores": self._likelihoods.scores,
            "steps": np.array([self._steps], dtype=np.int64),
            "drawn": np.array([self._drawn], dtype=np.int64),
        }


LEAST = 1e-12
HEADS = 0.5
PLANTING = 0xCA4A
UNTOLD = (
    "Call hook.attach(optimizer) after make_private and hook.batch(canary) with each batch, or, "
    "without Opacus, hook.saw(coordinates, drawn) at each step."
)

NO_ROWS = Gap(
    reason=GapReason.NEEDS_TRAINING_DATA,
    detail="There are no rows with classes to train on.",
    cure="Name the training data under data.training in the audit file.",
)
NO_CANARIES = Gap(
    reason=GapReason.OVER_BUDGET,
    detail="No canaries were asked for, so that nothing was trained.",
    cure="Set the check's canaries to 1000.",
)
TOO_MUCH = Gap(
    reason=GapReason.OVER_BUDGET,
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
class CanaryTrainingSet:
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
class CanaryScores:
    """Scores ``[m]``, the higher the likelier in, and what was counted of the steps, if it was."""

    scores: Floats
    steps: int | None = None
    drawn: int | None = None


def plant_canaries(
    data: tuple[Array, NDArray[np.int64]], canaries: int, records: int, seed: int, *, filled: bool
) -> CanaryTrainingSet:
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
    return CanaryTrainingSet(
        inputs=np.concatenate([inputs[taken], rows[inside]])[order],
        labels=np.concatenate([labels[taken], classes[inside]])[order],
        canary=canary[order],
        included=included,
        rows=rows,
        classes=classes,
    )


def score_by_gradients(
    recipe: DpRecipe, function: str, planted: CanaryTrainingSet, seed: int, rate: float
) -> CanaryScores:
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
    return CanaryScores(scores.astype(np.float64), steps, drawn)


def score_by_confidence(
    recipe: TrainingRecipe, planted: CanaryTrainingSet, seed: int
) -> CanaryScores:
    """Train by the plain recipe, and score each canary by how sure the model is of its class.

    Raises ``RecipeError`` where training fails.
    """
    lesson = RetrainingTask(planted.inputs, planted.labels, seed)
    (answers,) = recipe.answers(lesson, [planted.rows])
    own = answers[np.arange(len(planted.classes)), planted.classes]
    odds = np.log(np.maximum(own, LEAST)) - np.log(np.maximum(1 - own, LEAST))
    return CanaryScores(odds.astype(np.float64))
