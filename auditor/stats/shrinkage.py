"""Rates of many small groups, each drawn towards what all groups have in common."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln, expit, log_expit, logsumexp

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

METHOD = "beta-binomial over all groups, posterior integrated over mean and spread"
POINTS = 24
"""Grid points of either parameter, once the grid has closed in on where the posterior lies."""
REACH = 12.0
ZOOMS = 4
NEGLIGIBLE = 12.0
"""Log posterior below the highest one, from which on a grid point is left out (6e-6)."""
LOST = 1e-4
"""Share of the posterior that the least likely grid points may take away with them."""
HALVINGS = 24
LEAST = 2


@dataclass(frozen=True, slots=True)
class _Population:
    """Weighted guesses of the law of rates: ``Beta(mean * size, (1 - mean) * size)``, ``[g]``."""

    mean: Floats
    size: Floats
    weight: Floats


def shrunken_rates(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> tuple[Interval, ...]:
    """Return the rate of every group ``[k]``, on the strength of all groups.

    Rates are taken as draws from one beta law whose mean and spread are unknown; each value is the
    mean of its posterior, the limits are its quantiles. Plugging in the best law (Efron and Morris
    1975) covers far too seldom where groups hardly differ, so the law is integrated out: the mean
    is uniform, and so is the weight that a group of the least size gets beside all others, the
    uniform shrinkage prior (Christiansen and Morris 1997, JASA 92; Daniels 1999). An interval
    covers at its confidence (0.93 for three groups at 0.95) on average over groups, also the group
    picked for being worst, as long as one beta law holds. It says nothing for a lone outlier: one
    rate of 0.4 among 39 of 0.1, 60 rows each, is drawn so far that its interval covers it 0.12 of
    the time, so that what is decided on one group is decided by its own rows. A group without
    trials gets what the law says of any. Raises ``ValueError`` for impossible counts, and unless
    two groups have trials.
    """
    hits, total = _checked(successes, trials, confidence)
    law = _population(hits[total > 0], total[total > 0])
    counts, places = np.unique(np.stack([hits, total]), axis=1, return_inverse=True)
    found = _posterior(law, counts[0], counts[1], confidence)
    value, low, high = (part[places.ravel()] for part in found)
    return tuple(
        Interval(float(v), min(float(v), float(a)), max(float(v), float(b)), confidence, METHOD, n)
        for v, a, b, n in zip(value, low, high, total.astype(int).tolist(), strict=True)
    )


def _posterior(
    law: _Population, hits: Floats, total: Floats, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Return mean and limits; a rate of 0 or 1 is not excluded where all that was seen is that."""
    above = (law.mean * law.size)[:, None] + hits
    below = ((1 - law.mean) * law.size)[:, None] + total - hits
    weight = law.weight[:, None]
    tail = (1 - confidence) / 2
    low, high = (_quantile(above, below, weight, share) for share in (tail, 1 - tail))
    value = np.sum(weight * above / (above + below), axis=0)
    return value, np.where(hits > 0, low, 0.0), np.where(hits < total, high, 1.0)


def _population(hits: Floats, total: Floats) -> _Population:
    """Close in on the posterior of both parameters, each on the scale of log odds."""
    least = float(total.min())
    across = along = (-REACH, REACH)
    for _ in range(ZOOMS):
        centre, weight, height = _heights(across, along, least, hits, total)
        kept = height > height.max() - NEGLIGIBLE
        across, along = _around(centre[kept], across), _around(weight[kept], along)
    centre, weight, height = _heights(across, along, least, hits, total)
    share = np.exp(height - logsumexp(height))
    order = np.argsort(share)
    likely = order[np.cumsum(share[order]) > LOST]
    size = least * np.exp(weight[likely])
    return _Population(expit(centre[likely]), size, share[likely] / np.sum(share[likely]))


def _heights(
    across: tuple[float, float],
    along: tuple[float, float],
    least: float,
    hits: Floats,
    total: Floats,
) -> tuple[Floats, Floats, Floats]:
    centre = np.repeat(np.linspace(across[0], across[1], POINTS), POINTS)
    weight = np.tile(np.linspace(along[0], along[1], POINTS), POINTS)
    return centre, weight, _log_posterior(centre, weight, least, hits, total)


def _around(inside: Floats, box: tuple[float, float]) -> tuple[float, float]:
    """Return the part of a side of the grid that matters, and one step on either side of it."""
    step = (box[1] - box[0]) / (POINTS - 1)
    return float(inside.min()) - step, float(inside.max()) + step


def _log_posterior(
    centre: Floats, weight: Floats, least: float, hits: Floats, total: Floats
) -> Floats:
    """Beta-binomial likelihood and priors; ``weight`` is the log of the law's size over ``least``.

    The shrinkage ``size / (size + least)`` is uniform, and so is the mean: on the scale of log
    odds either has the density of the logistic law.
    """
    mean, size = expit(centre), least * np.exp(weight)
    above, below = mean * size, (1 - mean) * size
    found = log_expit(centre) + log_expit(-centre) + log_expit(weight) + log_expit(-weight)
    counts, repeats = np.unique(np.stack([hits, total - hits]), axis=1, return_counts=True)
    for (yes, no), times in zip(counts.T, repeats, strict=True):
        found = found + times * (betaln(above + yes, below + no) - betaln(above, below))
    return found


def _quantile(above: Floats, below: Floats, weight: Floats, share: float) -> Floats:
    """Return where each mixture of beta laws ``[g, k]`` reaches ``share``, by halving."""
    low, high = np.zeros(above.shape[1]), np.ones(above.shape[1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        beyond = np.sum(weight * betainc(above, below, middle), axis=0) > share
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return np.asarray((low + high) / 2)


def _checked(successes: ArrayLike, trials: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    hits = np.asarray(successes, dtype=np.float64)
    total = np.asarray(trials, dtype=np.float64)
    possible = hits.shape == total.shape and bool(np.all((hits >= 0) & (hits <= total)))
    if not possible or not 0 < confidence < 1:
        message = f"{hits} of {total} at confidence {confidence} are no proportions"
        raise ValueError(message)
    if np.count_nonzero(total > 0) < LEAST:
        message = "groups are drawn together only where two of them have trials"
        raise ValueError(message)
    return hits, total
