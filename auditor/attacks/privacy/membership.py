"""Membership inference attacks by loss, RMIA, LiRA and label-only noise robustness."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.shadow_training import ModelStack, row_chunks, to_feature_matrix
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import TEXT
from auditor.domain.readings import Gap
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace

SMALL = 1e-9
SQUEEZED = 1e-6
"""Chances are kept so far from 0 and 1 before they are turned into logits."""
LEAST_SPREAD = 1e-3
LEAST_FOR_LIRA = 4
Include = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ShadowPredictions:
    """What ``k`` stand-ins say: the ``chances`` ``[k, n]`` of each row's label, and which rows
    each has seen, ``include`` ``[k, n]``.
    """

    chances: Floats
    include: Include

    @property
    def of_both_sides(self) -> bool:
        """Whether each row was seen by some, and not by others."""
        return bool((self.include.any(axis=0) & ~self.include.all(axis=0)).all())

    def rounded(self, decimals: int) -> "ShadowPredictions":
        """Return what they would say if they rounded as the model does."""
        return ShadowPredictions(round_chances(self.chances, decimals), self.include)


def round_chances(chances: Floats, decimals: int) -> Floats:
    """Return chances to so many decimals; 0 and 1 stand a quarter of a step inside."""
    inside = 10.0**-decimals / 4
    return np.clip(chances.round(decimals), inside, 1 - inside)


NOBODY = ShadowPredictions(np.zeros((0, 0)), np.zeros((0, 0), dtype=np.bool_))
Attack = Callable[[Floats, ShadowPredictions], Floats]


def loss_attack(chances: Floats, shadows: ShadowPredictions = NOBODY) -> Floats:  # noqa: ARG001 -- asks no stand-in
    """Return the log chance ``[n]`` that the model gives each row's label.

    Yeom et al. (2018), IEEE CSF, section 3.1: members have less loss.
    """
    found: Floats = np.log(chances + SMALL)
    return found


def rmia_attack(chances: Floats, shadows: ShadowPredictions) -> Floats:
    """Return how much likelier ``[n]`` the model makes each label than models without the row do.

    Zarifzadeh, Liu and Shokri (2024, ICML), offline: the chance over all models is half of the
    ``OUT`` models' mean and half of what ``IN`` models would say, ``a p + 1 - a`` (equation 12),
    here with ``a = 0``: members are known. The share of a population that a row's ratio beats
    rises with the ratio, so that the ratio itself orders the rows as that share does.
    """
    without = _mean(shadows.chances, ~shadows.include)
    found: Floats = np.log(chances + SMALL) - np.log((1 + without) / 2)
    return found


def lira_attack(chances: Floats, shadows: ShadowPredictions) -> Floats:
    """Return the log likelihood ratio ``[n]`` that the model saw a row, to that it did not.

    Carlini et al. (2022, IEEE S&P), online, with one variance for all rows. What seeing a row adds
    to its logit is shrunk towards what it adds to rows of the same ``OUT`` logit (a parabola), as
    far as noise of so few models explains the rest (empirical Bayes; Efron and Morris 1973): four
    models then do what dozens do without. Raises ``ValueError`` for fewer than four models.
    """
    noise, logits, include = _LogitVariance.of(shadows), _logits(shadows.chances), shadows.include
    counts = float(include.sum(axis=0).mean()), float((~include).sum(axis=0).mean())
    sides = _mean(logits, include), _mean(logits, ~include)
    known = _any(include) & _any(~include)
    return _likelihood(_logits(chances), sides, known, noise.of_means(*counts), noise)


def score_shadows_by_others(name: str, shadows: ShadowPredictions) -> Floats:
    """Return an attack's scores ``[k, n]`` on each stand-in by the others; NaN where it has seen
    the row, or where no other one helps.
    """
    chances, include = shadows.chances, shadows.include
    others = (~include).sum(axis=0) - 1
    unseen = ~include if name == "loss" else ~include & (others > 0)
    if name == "lira":
        return _likelihoods(shadows, unseen & _any(include))
    without = (_mean(chances, ~include) * (others + 1) - chances) / np.maximum(others, 1)
    scores = loss_attack(chances) - (0 if name == "loss" else np.log((1 + without) / 2))
    return np.where(unseen, scores, np.nan)


ATTACKS: Mapping[str, Attack] = {"loss": loss_attack, "rmia": rmia_attack, "lira": lira_attack}


@dataclass(frozen=True, slots=True)
class _LogitVariance:
    """Variance of a row's logit from model to model, among those that saw it and those not."""

    inside: float
    outside: float

    @classmethod
    def of(cls, shadows: ShadowPredictions) -> "_LogitVariance":
        if len(shadows.chances) < LEAST_FOR_LIRA:
            message = f"{len(shadows.chances)} stand-ins have no variance to speak of"
            raise ValueError(message)
        logits = _logits(shadows.chances)
        return cls(_variance(logits, shadows.include), _variance(logits, ~shadows.include))

    def of_means(self, inside: float, outside: float) -> float:
        """Return the variance of the difference of two means, of so many models each."""
        return self.inside / max(inside, 1.0) + self.outside / max(outside, 1.0)


def _likelihood(
    value: Floats,
    sides: tuple[Floats, Floats],
    known: Include,
    chance: float,
    noise: _LogitVariance,
) -> Floats:
    """Return the log ratio ``[n]`` of the logits ``value``, given the mean logits of both sides.

    ``known`` rows have both; ``chance`` is the variance of their difference by chance alone.
    """
    inside, outside = sides
    gain, middle = inside - outside, (inside + outside) / 2
    powers = np.stack([np.ones_like(outside), outside, outside**2], axis=1)
    expected: Floats = powers @ np.linalg.lstsq(powers[known], gain[known], rcond=None)[0]
    true = max(float((gain - expected)[known].var()) - chance, LEAST_SPREAD) if known.any() else 0.0
    gain = expected + (gain - expected) * (true / (true + chance))
    away = (value - middle + gain / 2) ** 2 / (2 * noise.outside)
    near = (value - middle - gain / 2) ** 2 / (2 * noise.inside)
    return away - near


def _likelihoods(shadows: ShadowPredictions, useful: Include) -> Floats:
    """Return the ratio of each stand-in by the others, where it is ``useful`` ``[k, n]``."""
    noise, logits, include = _LogitVariance.of(shadows), _logits(shadows.chances), shadows.include
    others = (~include).sum(axis=0) - 1
    inside = _mean(logits, include)
    without = (_mean(logits, ~include) * (others + 1) - logits) / np.maximum(others, 1)
    found = np.full(logits.shape, np.nan)
    for model, rows in enumerate(useful):
        if not rows.any():
            continue
        counts = float(include[:, rows].sum(axis=0).mean()), float(others[rows].mean())
        sides, known = (inside[rows], without[model, rows]), np.ones(int(rows.sum()), np.bool_)
        chance = noise.of_means(*counts)
        found[model, rows] = _likelihood(logits[model, rows], sides, known, chance, noise)
    return found


def _any(include: Include) -> Include:
    return np.asarray(include.any(axis=0), dtype=np.bool_)


def _mean(values: Floats, mask: Include) -> Floats:
    found: Floats = (values * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return found


def _variance(values: Floats, mask: Include) -> float:
    spare = int(np.maximum(mask.sum(axis=0) - 1, 0).sum())
    square = ((values - _mean(values, mask)) ** 2 * mask).sum()
    return max(float(square) / max(spare, 1), LEAST_SPREAD)


def _logits(chances: Floats) -> Floats:
    kept = np.clip(chances.astype(np.float64), SQUEEZED, 1 - SQUEEZED)
    found: Floats = np.log(kept) - np.log1p(-kept)
    return found


SCALES = (0.25, 0.5, 1.0)
"""Noise in standard deviations of each coordinate; a column of two values is flipped instead."""
FLIPS = 0.2
"""How often such a column is flipped, a unit of noise."""
TWO = 2
Decide = Callable[[Array], NDArray[np.int64]]


def decide_classes(subject: Subject, probabilities: Floats) -> NDArray[np.int64]:
    """Return the class ``[n]`` of each row. Raises ``TypeError`` where nothing is classified."""
    if not isinstance(subject.task, ClassificationTask):
        message = "decisions are those of a classification"
        raise TypeError(message)
    return subject.task.decide(probabilities)


def noise_robustness(
    subject: Subject, inputs: Array, labels: NDArray[np.int64], decide: Decide, copies: int
) -> Floats:
    """Return in what share ``[..., n]`` of noisy copies each row is given its label, itself too.

    Choquette-Choo et al. (2021, ICML), section 4.2: points that were trained on lie further from
    the decision boundary. ``decide`` is asked about the rows and ``copies`` times ``len(SCALES)``
    about noisy ones, which are the same for whoever is asked. One copy more on either side keeps
    shares from 0 and 1. Texts have no noise, and are told by their own decision.
    """
    hits, asked = (decide(inputs) == labels).astype(np.float64), 1
    if inputs.dtype.kind == TEXT:
        return _shares(hits, asked)
    rng = np.random.default_rng(subject.seed)
    noise = _CoordinateNoise(inputs, subject.space)
    total = copies * len(SCALES)
    for scale in SCALES:
        for _ in range(copies):
            subject.progress(asked - 1, total, "asking for labels of noisy copies")
            hits += decide(noise.added(inputs, scale, rng)) == labels
            asked += 1
    return _shares(hits, asked)


def _shares(hits: Floats, asked: int) -> Floats:
    found: Floats = (hits + 1) / (asked + TWO)
    return found


def build_target_decider(subject: Subject) -> Decide:
    """Return how the model decides on rows, at one query a row."""

    def decide(rows: Array) -> NDArray[np.int64]:
        if isinstance(subject.model, Gap):
            message = "there is no model to ask"
            raise TypeError(message)
        return decide_classes(subject, subject.model.probabilities(subject.model.predict(rows)))

    return decide


def build_stack_decider(subject: Subject, stack: ModelStack) -> Decide:
    """Return how stand-ins decide on rows, ``[k, n]``, by the rule by which the model does."""

    def decide(rows: Array) -> NDArray[np.int64]:
        features = to_feature_matrix(rows)
        found = np.empty((stack.models, len(rows)), dtype=np.int64)
        for part in row_chunks(len(rows), stack.models * stack.classes):
            said = stack.probabilities(features[part]).astype(np.float64)
            found[:, part] = [decide_classes(subject, one) for one in said]
        return found

    return decide


class _CoordinateNoise:
    """Noise of the size of each coordinate's spread, inside the space where one is known."""

    def __init__(self, inputs: Array, space: InputSpace | Gap) -> None:
        values = inputs.astype(np.float64)
        self.low, self.high = values.min(axis=0), values.max(axis=0)
        if not isinstance(space, Gap):
            shape = values.shape[1:]
            self.low = np.minimum(self.low, np.broadcast_to(space.low, shape))
            self.high = np.maximum(self.high, np.broadcast_to(space.high, shape))
        self.width = values.std(axis=0)
        edges = (values == values.min(axis=0)) | (values == values.max(axis=0))
        self.binary = edges.all(axis=0)
        self.ends = values.min(axis=0) + values.max(axis=0)

    def added(self, inputs: Array, scale: float, rng: np.random.Generator) -> Array:
        values = inputs.astype(np.float64)
        moved = values + scale * self.width * rng.normal(size=values.shape)
        flipped = np.where(rng.random(values.shape) < FLIPS * scale, self.ends - values, values)
        found = np.where(self.binary, flipped, np.clip(moved, self.low, self.high))
        if inputs.dtype.kind in "iub":
            found = np.rint(found)
        return found.astype(inputs.dtype)
