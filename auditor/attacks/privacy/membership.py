"""How much surer a model is of a row than models that never saw it: the membership attacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

SMALL = 1e-9
SQUEEZED = 1e-6
"""Chances are kept so far from 0 and 1 before they are turned into logits."""
LEAST_SPREAD = 1e-3
LEAST_FOR_LIRA = 4
Include = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shadows:
    """What ``k`` stand-ins say: the ``chances`` ``[k, n]`` of each row's label, and which rows
    each has seen, ``include`` ``[k, n]``.
    """

    chances: Floats
    include: Include

    @property
    def of_both_sides(self) -> bool:
        """Whether each row was seen by some, and not by others."""
        return bool((self.include.any(axis=0) & ~self.include.all(axis=0)).all())

    def rounded(self, decimals: int) -> "Shadows":
        """Return what they would say if they rounded as the model does."""
        return Shadows(rounded(self.chances, decimals), self.include)


def rounded(chances: Floats, decimals: int) -> Floats:
    """Return chances to so many decimals; 0 and 1 stand a quarter of a step inside."""
    inside = 10.0**-decimals / 4
    return np.clip(chances.round(decimals), inside, 1 - inside)


NOBODY = Shadows(np.zeros((0, 0)), np.zeros((0, 0), dtype=np.bool_))
Attack = Callable[[Floats, Shadows], Floats]


def loss(chances: Floats, shadows: Shadows = NOBODY) -> Floats:  # noqa: ARG001 -- asks no stand-in
    """Return the log chance ``[n]`` that the model gives each row's label.

    Yeom et al. (2018), IEEE CSF, section 3.1: members have less loss.
    """
    found: Floats = np.log(chances + SMALL)
    return found


def rmia(chances: Floats, shadows: Shadows) -> Floats:
    """Return how much likelier ``[n]`` the model makes each label than models without the row do.

    Zarifzadeh, Liu and Shokri (2024, ICML), offline: the chance over all models is half of the
    ``OUT`` models' mean and half of what ``IN`` models would say, ``a p + 1 - a`` (equation 12),
    here with ``a = 0``: members are known. The share of a population that a row's ratio beats
    rises with the ratio, so that the ratio itself orders the rows as that share does.
    """
    without = _mean(shadows.chances, ~shadows.include)
    found: Floats = np.log(chances + SMALL) - np.log((1 + without) / 2)
    return found


def lira(chances: Floats, shadows: Shadows) -> Floats:
    """Return the log likelihood ratio ``[n]`` that the model saw a row, to that it did not.

    Carlini et al. (2022, IEEE S&P), online, with one variance for all rows. What seeing a row adds
    to its logit is shrunk towards what it adds to rows of the same ``OUT`` logit (a parabola), as
    far as noise of so few models explains the rest (empirical Bayes; Efron and Morris 1973): four
    models then do what dozens do without. Raises ``ValueError`` for fewer than four models.
    """
    noise, logits, include = _Noise.of(shadows), _logits(shadows.chances), shadows.include
    counts = float(include.sum(axis=0).mean()), float((~include).sum(axis=0).mean())
    sides = _mean(logits, include), _mean(logits, ~include)
    known = _any(include) & _any(~include)
    return _likelihood(_logits(chances), sides, known, noise.of_means(*counts), noise)


def against_each_other(name: str, shadows: Shadows) -> Floats:
    """Return an attack's scores ``[k, n]`` on each stand-in by the others; NaN where it has seen
    the row, or where no other one helps.
    """
    chances, include = shadows.chances, shadows.include
    others = (~include).sum(axis=0) - 1
    unseen = ~include if name == "loss" else ~include & (others > 0)
    if name == "lira":
        return _likelihoods(shadows, unseen & _any(include))
    without = (_mean(chances, ~include) * (others + 1) - chances) / np.maximum(others, 1)
    scores = loss(chances) - (0 if name == "loss" else np.log((1 + without) / 2))
    return np.where(unseen, scores, np.nan)


ATTACKS: Mapping[str, Attack] = {"loss": loss, "rmia": rmia, "lira": lira}


@dataclass(frozen=True, slots=True)
class _Noise:
    """Variance of a row's logit from model to model, among those that saw it and those not."""

    inside: float
    outside: float

    @classmethod
    def of(cls, shadows: Shadows) -> "_Noise":
        if len(shadows.chances) < LEAST_FOR_LIRA:
            message = f"{len(shadows.chances)} stand-ins have no variance to speak of"
            raise ValueError(message)
        logits = _logits(shadows.chances)
        return cls(_variance(logits, shadows.include), _variance(logits, ~shadows.include))

    def of_means(self, inside: float, outside: float) -> float:
        """Return the variance of the difference of two means, of so many models each."""
        return self.inside / max(inside, 1.0) + self.outside / max(outside, 1.0)


def _likelihood(
    value: Floats, sides: tuple[Floats, Floats], known: Include, chance: float, noise: _Noise
) -> Floats:
    """Return the log ratio ``[n]`` of the logits ``value``, given the mean logits of both sides.

    ``known`` rows have both; ``chance`` is the variance of their difference by chance alone.
    """
    inside, outside = sides
    gain, middle = inside - outside, (inside + outside) / 2
    expected = _curve(outside, gain, known)
    true = max(float((gain - expected)[known].var()) - chance, LEAST_SPREAD) if known.any() else 0.0
    gain = expected + (gain - expected) * (true / (true + chance))
    away = (value - middle + gain / 2) ** 2 / (2 * noise.outside)
    near = (value - middle - gain / 2) ** 2 / (2 * noise.inside)
    return away - near


def _likelihoods(shadows: Shadows, useful: Include) -> Floats:
    """Return the ratio of each stand-in by the others, where it is ``useful`` ``[k, n]``."""
    noise, logits, include = _Noise.of(shadows), _logits(shadows.chances), shadows.include
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


def _curve(outside: Floats, gain: Floats, known: Include) -> Floats:
    """Return the parabola in the ``OUT`` logit that fits the gain best."""
    powers = np.stack([np.ones_like(outside), outside, outside**2], axis=1)
    found: Floats = powers @ np.linalg.lstsq(powers[known], gain[known], rcond=None)[0]
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
