"""A year of weekly looks at the same claim, of which any may end it."""

from collections.abc import Callable

import numpy as np

from auditor.domain.tasks import Floats
from auditor.metrics.stats.sequential import (
    SuccessCount,
    ValueStream,
    mean_evidence,
    mean_sequence,
    rate_evidence,
    rate_sequence,
)
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom

LOOKS = 52
ALARM = float(np.log(1 / (1 - LEVEL)))
Law = Callable[[Random, int], Floats]


def sequential() -> tuple[Simulation, ...]:
    """Weekly looks at 5, 50 or 500 rows, at a rate or mean of 0.1."""
    alarm, found = "false alarm at any of 52 looks", "finds 5 points more within 4 weeks of 500"
    return (
        *(
            covering(
                "rate_sequence", f"52 looks at {rows} rows, all", 0.95, 2000, _rates(rows, 0.1)
            )
            for rows in (5, 500)
        ),
        *(
            covering(
                "mean_sequence", f"13 looks at {rows} {kind}, all", 0.95, 500, _means(rows, law)
            )
            for rows in (5, 500)
            for kind, law in (("small losses", _small), ("rare large losses", _rare))
        ),
        *(
            seldom("rate_evidence", f"limit 0.1, {rows} rows a week", alarm, 4000, _alarm(rows))
            for rows in (5, 500)
        ),
        *(
            seldom("mean_evidence", f"limit 0.1, 50 {kind} a week", alarm, 2000, _bets(law))
            for kind, law in (("small losses", _small), ("rare large losses", _rare))
        ),
        Simulation("rate_evidence", "limit 0.1, rate 0.15", found, 0.95, True, 2000, _late),  # noqa: FBT003 -- at least
    )


def _small(rng: Random, rows: int) -> Floats:
    return rng.beta(1, 9, rows)


def _rare(rng: Random, rows: int) -> Floats:
    """Four in five are 0, and the others large: the mean is 0.1."""
    return np.where(rng.random(rows) < 0.2, rng.uniform(0, 1, rows), 0.0)  # noqa: PLR2004 -- a fifth


def _rates(rows: int, rate: float) -> Draw:
    def draw(rng: Random) -> float:
        sums = np.cumsum(rng.binomial(rows, rate, LOOKS))
        looks = (SuccessCount(rows * week, int(hits)) for week, hits in enumerate(sums, 1))
        return min(covers(rate_sequence(look, LEVEL), rate) for look in looks)

    return draw


def _streams(rng: Random, rows: int, law: Law) -> list[ValueStream]:
    streams = [ValueStream()]
    for _ in range(LOOKS):
        streams.append(streams[-1].after(law(rng, rows)))
    return streams[1:]


def _means(rows: int, law: Law) -> Draw:
    """Of every fourth week, since it takes a while to find an interval."""
    return lambda rng: min(
        covers(mean_sequence(look, LEVEL), 0.1) for look in _streams(rng, rows, law)[::4]
    )


def _alarm(rows: int) -> Draw:
    def draw(rng: Random) -> float:
        sums = np.cumsum(rng.binomial(rows, 0.1, LOOKS))
        looks = (SuccessCount(rows * week, int(hits)) for week, hits in enumerate(sums, 1))
        return float(any(rate_evidence(look, 0.1) >= ALARM for look in looks))

    return draw


def _bets(law: Law) -> Draw:
    return lambda rng: float(
        any(mean_evidence(look, 0.1) >= ALARM for look in _streams(rng, 50, law))
    )


def _late(rng: Random) -> float:
    sums = np.cumsum(rng.binomial(500, 0.15, 4))
    looks = (SuccessCount(500 * week, int(hits)) for week, hits in enumerate(sums, 1))
    return float(any(rate_evidence(look, 0.1) >= ALARM for look in looks))
