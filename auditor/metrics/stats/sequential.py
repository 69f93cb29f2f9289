"""Anytime-valid evidence (e-processes) and confidence sequences for rates and means.

Evidence is the logarithm of an e-process: a nonnegative process that starts at 1 and does not grow
on average as long as the limit is kept. It ever reaches ``1 / alpha`` with probability alpha at
most (Ville 1939). The state kept between looks is small, and plain JSON by ``asdict``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincc, betaln, logsumexp, xlog1py, xlogy

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats

FIRST_LOOK = 10
"""Rows before the first look at a share; between two looks they double."""
EARLY_SHARE = 0.1
"""The part of the permitted error that is spent on early looks; the rest is left for the last."""

RATE = "beta-binomial mixture confidence sequence"
MEAN = "confidence sequence by mixed bets (waudby-smith and ramdas)"
BETS = 25
"""Shares of the wealth that are bet: 0.95, and smaller by the root of two each, to 0.0002."""
CELLS = 256
NEAR = 1e-9
"""Closer to 0 no limit is sought."""
TINY = 1e-290
TERMS = 2000


def plan_looks(rows: int) -> tuple[int, ...]:
    """Return after how many of ``rows`` rows one looks whether they decide; the last is no look."""
    looks, at = [], FIRST_LOOK
    while at < rows:
        looks.append(at)
        at *= 2
    return tuple(looks)


def spend_on_looks(confidence: float, looks: int, *, early: bool) -> float:
    """Return the level of an interval after ``early`` stopping at a look, or at the end.

    Alpha spending (Lan and DeMets 1983, Biometrika 70) with fixed shares: the ``looks`` share a
    tenth of the permitted error equally, and the end has nine tenths. By the union bound, whichever
    interval is reported misses with that error at most, whatever made one stop.
    """
    if not looks:
        return confidence
    error = 1 - confidence
    return 1 - (error * EARLY_SHARE / looks if early else error * (1 - EARLY_SHARE))


@dataclass(frozen=True, slots=True)
class SuccessCount:
    """How often something happened so far, out of how many times: all that a rate needs."""

    trials: int = 0
    successes: int = 0

    def after(self, happened: NDArray[np.bool_]) -> "SuccessCount":
        """Return the tally with more rows ``[n]``."""
        return SuccessCount(self.trials + happened.size, self.successes + int(happened.sum()))


@dataclass(frozen=True, slots=True)
class ValueStream:
    """What is kept of values within 0..1: ``weights`` of the points of an even grid, and how many.

    A value between two points is shared between them so that their mean is kept. A bet's growth is
    a concave function of the value, so that the shares grow by less than the value itself: what is
    proven on the grid is proven, whatever the order in which the values came.
    """

    n: int = 0
    weights: tuple[float, ...] = (0.0,) * (CELLS + 1)

    def after(self, values: Floats) -> "ValueStream":
        """Return the stream with more values ``[n]``. Raises ``ValueError`` outside of 0..1."""
        if not np.all((values >= 0) & (values <= 1)):
            message = "a stream of values takes those within 0..1"
            raise ValueError(message)
        below = np.minimum(np.floor(values * CELLS).astype(np.int64), CELLS - 1)
        upward = values * CELLS - below
        added = np.bincount(below, 1 - upward, CELLS + 1) + np.bincount(
            below + 1, upward, CELLS + 1
        )
        return ValueStream(self.n + values.size, tuple((np.array(self.weights) + added).tolist()))


def rate_evidence(tally: SuccessCount, limit: float) -> float:
    """Return the log e-value against a rate of ``limit`` at most.

    The likelihood ratio of a rate that is uniform above the limit, over the limit itself (Robbins
    1970, Annals of Mathematical Statistics 41, mixtures): at most 1 on average for every rate up to
    the limit, also one that changes. Raises ``ValueError`` for a limit that is not within 0..1.
    """
    _refuse_limit(limit)
    hits, misses = tally.successes, tally.trials - tally.successes
    beyond = float(betaincc(hits + 1, misses + 1, limit))
    if beyond > TINY:
        mixed = float(betaln(hits + 1, misses + 1)) + math.log(beyond) - math.log1p(-limit)
        return mixed - _log_likelihood(hits, misses, limit)
    # Far below the limit the tail underflows; its series (DLMF 8.17.8), cut off, is from below.
    steps = np.arange(TERMS)
    terms = np.cumprod((tally.trials + 2 + steps) / (misses + 2 + steps) * (1 - limit))
    return math.log(limit / (misses + 1)) + math.log1p(float(np.sum(terms)))


def rate_sequence(tally: SuccessCount, confidence: float) -> ConfidenceInterval:
    """Return a rate's interval that holds at every look at once with ``confidence``.

    All rates at which the mixture of uniform rates is less than ``1 / alpha`` times as likely
    (Robbins 1970). The rate is one and the same for all rows. Raises ``ValueError`` for no rows.
    """
    hits, misses = tally.successes, tally.trials - tally.successes
    if tally.trials < 1 or not 0 <= hits <= tally.trials or not 0 < confidence < 1:
        message = f"{hits} of {tally.trials} at confidence {confidence} is no rate"
        raise ValueError(message)
    floor = float(betaln(hits + 1, misses + 1)) + math.log1p(-confidence)

    def excess(rate: float) -> float:
        return _log_likelihood(hits, misses, rate) - floor

    value, edge = hits / tally.trials, 1e-300
    low = float(brentq(excess, edge, value, xtol=1e-15)) if hits else 0.0
    high = float(brentq(excess, value, 1 - 1e-16, xtol=1e-15)) if misses else 1.0
    return ConfidenceInterval(value, low, high, confidence, RATE, tally.trials)


def mean_evidence(stream: ValueStream, limit: float) -> float:
    """Return the log e-value against a mean of ``limit`` at most.

    Waudby-Smith and Ramdas (2024), JRSS B 86, section 4: a bettor who stakes the share ``f`` of his
    wealth on each value has ``prod(1 + f * (value / limit - 1))``, which does not grow on average
    as long as every value is expected to be ``limit`` at most, given those before. This is the mean
    wealth of bettors with fixed shares. Against a mean of ``limit`` at least, give a stream of
    ``1 - values`` and ``1 - limit``. Raises ``ValueError`` for a limit that is not within 0..1.
    """
    _refuse_limit(limit)
    return _wealth(np.array(stream.weights), limit)


def mean_sequence(stream: ValueStream, confidence: float) -> ConfidenceInterval:
    """Return the interval of a mean within 0..1 that holds at every look at once.

    The means that neither bettors on more nor bettors on less have refuted (Waudby-Smith and Ramdas
    2024, theorem 3, with bets mixed in place of predicted). Every value is expected to be one and
    the same mean, given those before. Raises ``ValueError`` for no values.
    """
    if stream.n < 1 or not 0 < confidence < 1:
        message = f"a mean of {stream.n} values at confidence {confidence} has no interval"
        raise ValueError(message)
    weights = np.array(stream.weights)
    wanted = math.log(2 / (1 - confidence))
    value = float(weights @ _grid()) / stream.n
    low = _least(weights, value, wanted)
    high = 1 - _least(weights[::-1], 1 - value, wanted)
    return ConfidenceInterval(value, min(low, value), max(high, value), confidence, MEAN, stream.n)


def _least(weights: Floats, mean: float, wanted: float) -> float:
    """Return the least mean that bets on more have not refuted; their wealth falls as it rises."""
    if _wealth(weights, NEAR) < wanted or mean <= NEAR:
        return 0.0

    def excess(log_limit: float) -> float:
        return _wealth(weights, math.exp(log_limit)) - wanted

    return math.exp(brentq(excess, math.log(NEAR), math.log(mean), xtol=1e-9))


def _wealth(weights: Floats, limit: float) -> float:
    shares = 0.95 * 2.0 ** (-np.arange(BETS) / 2)
    filled = weights > 0
    growth = np.log1p(np.outer(shares, _grid()[filled] / limit - 1))
    return float(logsumexp(growth @ weights[filled])) - math.log(BETS)


def _grid() -> Floats:
    return np.linspace(0.0, 1.0, CELLS + 1)


def _log_likelihood(hits: int, misses: int, rate: float) -> float:
    return float(xlogy(hits, rate) + xlog1py(misses, -rate))


def _refuse_limit(limit: float) -> None:
    if not 0 < limit < 1:
        message = f"a limit must lie within 0..1, not at {limit}"
        raise ValueError(message)


def restarted_evidence(batches: Sequence[SuccessCount], limit: float) -> Floats:
    """Return the log e-value ``[k]`` after each batch against a rate of ``limit`` at most.

    A bettor has put the share ``1 / (j (j + 1))`` of his wealth aside for batch ``j``, and bets it
    from there on as ``rate_evidence`` does. Each part does not grow on average while the limit is
    kept, so neither does their sum, which starts at 1: by Ville it ever reaches ``1 / alpha`` with
    probability alpha at most. A rise at batch ``j`` is seen as soon as evidence from there on makes
    up for that share, however long all went well before (the mixture over start times of Shin,
    Ramdas and Rinaldo, E-detectors, with weights that sum to 1). Raises ``ValueError`` for a limit
    that is not within 0..1.
    """
    trials = np.array([batch.trials for batch in batches])
    successes = np.array([batch.successes for batch in batches])
    found = []
    for look in range(1, len(batches) + 1):
        shares = -np.log(np.arange(1.0, look + 1) * np.arange(2.0, look + 2))
        grown = [
            rate_evidence(
                SuccessCount(int(trials[start:look].sum()), int(successes[start:look].sum())), limit
            )
            for start in range(look)
        ]
        found.append(float(logsumexp(np.append(shares + np.array(grown), -np.log(look + 1)))))
    return np.array(found)
