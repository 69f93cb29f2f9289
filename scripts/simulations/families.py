"""Many questions at once, many small groups, and rows that hang together."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from auditor.domain.tasks import Floats
from auditor.metrics.stats.cluster_robust import (
    clustered_mean,
    clustered_mean_difference,
    clustered_proportion,
    clustered_proportion_difference,
)
from auditor.metrics.stats.group_rates import shrunken_rates
from auditor.metrics.stats.p_values import benjamini_hochberg, benjamini_yekutieli, holm
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom

Adjust = Callable[[Floats], Floats]
Codes = NDArray[np.int64]
REAL = 5
QUESTIONS = 20
WHERE = ("apart", "within each")


def multiplicity() -> tuple[Simulation, ...]:
    """Twenty questions, of which five have something to find."""
    share = "mean share of false findings"
    hochberg, yekutieli = benjamini_hochberg, benjamini_yekutieli
    return (
        *(
            seldom("holm", case, "any false finding", 20_000, _false(holm, law, any_one=True))
            for case, law in (("independent", 0.0), ("correlated by 0.5", 0.5))
        ),
        *(
            seldom("benjamini_hochberg", case, share, 20_000, _false(hochberg, law))
            for case, law in (("independent", 0.0), ("correlated by 0.5", 0.5))
        ),
        seldom(
            "benjamini_yekutieli", "halves opposed by 0.5", share, 20_000, _false(yekutieli, -0.5)
        ),
    )


def shrinkage() -> tuple[Simulation, ...]:
    """Draw rates of groups of 10 to 200 rows from a beta law of mean 0.2, narrow for size 1,000."""
    each = (
        covering(
            "shrunken_rates", f"{k} groups, size {size}, each", 0.93, repeats, _groups(k, size)
        )
        for k, repeats in ((3, 1200), (10, 300), (40, 80))
        for size in (5, 20, 1000)
    )
    worst = (
        covering(
            "shrunken_rates",
            f"40 groups, size {size}, the worst",
            0.93,
            200,
            _groups(40, size, worst=True),
        )
        for size in (20, 1000)
    )
    return (*each, *worst)


def clusters() -> tuple[Simulation, ...]:
    """Rows in unequal clusters of 1 to about 50, seven in the middle, all alike or weighted."""
    cases = (
        (3, 0.5, 0.0, 0.93),
        (3, 0.5, 0.2, 0.93),
        (6, 0.05, 0.2, 0.93),
        (6, 0.5, 0.2, 0.93),
        (20, 0.05, 0.2, 0.93),
        (20, 0.5, 0.2, 0.93),
        *((g, 0.05, 0.6, 0.93) for g in (20, 40, 100)),
        (40, 0.02, 0.6, 0.93),
    )
    of, level, some = "clustered_proportion", 0.93, 10_000
    mean, apart = "clustered_mean", "clustered_mean_difference"
    return (
        *(
            covering(
                of,
                f"{g} clusters, rate {p}, correlated by {c}",
                goal,
                some,
                _share(g, p, c),
            )
            for g, p, c, goal in cases
        ),
        covering(of, "20 clusters, rate 0.3, weighted", level, some, _share(20, 0.3, 0.2, 1.0)),
        *(covering(mean, f"{g} clusters", level, some, _mean(g, 0.0)) for g in (4, 8, 20)),
        covering(mean, "20 clusters, weighted", level, some, _mean(20, 1.0)),
        *(covering(apart, f"10 clusters, sides {w}", level, some, _apart(10, w)) for w in WHERE),
        *(
            covering(
                "clustered_proportion_difference",
                f"{g} clusters, rate 0.3, sides {where}",
                level,
                some,
                _apart(g, where, 0.3),
            )
            for g in (6, 20)
            for where in WHERE
        ),
    )


def _false(adjust: Adjust, shared: float, *, any_one: bool = False) -> Draw:
    """Negative: what is shared pushes one half of the questions up and the other half down."""
    sign = np.where(np.arange(QUESTIONS) % 2, 1.0, 1.0 if shared >= 0 else -1.0)

    def draw(rng: Random) -> float:
        common = np.sqrt(abs(shared)) * sign * rng.normal()
        seen = np.sqrt(1 - abs(shared)) * rng.normal(size=QUESTIONS) + common
        seen[:REAL] += 3
        found = adjust(norm.sf(seen)) <= 1 - LEVEL
        false = int(found[REAL:].sum())
        return float(false > 0) if any_one else false / max(int(found.sum()), 1)

    return draw


def _groups(groups: int, size: float, *, worst: bool = False) -> Draw:
    def draw(rng: Random) -> float:
        rows, truth = rng.integers(10, 200, groups), rng.beta(0.2 * size, 0.8 * size, groups)
        hits = rng.binomial(rows, truth)
        found = shrunken_rates(hits, rows, LEVEL)
        if worst:
            at = int(np.argmax(hits / rows))
            return covers(found[at], float(truth[at]))
        return float(np.mean([covers(one, rate) for one, rate in zip(found, truth, strict=True)]))

    return draw


def _members(rng: Random, groups: int) -> Codes:
    """Cluster of each row: sizes are lognormal, about twelve on average."""
    sizes = np.maximum(1, rng.lognormal(np.log(7), 1, groups)).astype(np.int64)
    return np.repeat(np.arange(groups), sizes)


def _weights(rng: Random, rows: int, spread: float) -> Floats:
    """Draw the rows' weights; their coefficient of variation is up to 0.8 for a spread of 1."""
    return 1 + spread * (rng.exponential(size=rows) - 0.8)


def _happened(rng: Random, members: Codes, rate: float, shared: float) -> NDArray[np.bool_]:
    rates = np.full(members.max() + 1, rate)
    if shared > 0:
        size = 1 / shared - 1
        rates = rng.beta(rate * size, (1 - rate) * size, rates.size)
    return np.asarray(rng.random(members.size) < rates[members])


def _share(groups: int, rate: float, shared: float, spread: float = 0.0) -> Draw:
    def draw(rng: Random) -> float:
        members = _members(rng, groups)
        hits = _happened(rng, members, rate, shared)
        weights = _weights(rng, members.size, spread)
        return covers(clustered_proportion(hits, members, LEVEL, weights), rate)

    return draw


def _values(rng: Random, members: Codes) -> Floats:
    shared = np.sqrt(0.2) * rng.normal(size=members.max() + 1)
    return np.asarray(shared[members] + np.sqrt(0.8) * rng.normal(size=members.size))


def _mean(groups: int, spread: float) -> Draw:
    def draw(rng: Random) -> float:
        members = _members(rng, groups)
        weights = _weights(rng, members.size, spread)
        return covers(clustered_mean(_values(rng, members), members, LEVEL, weights), 0.0)

    return draw


def _apart(groups: int, where: str, rate: float | None = None) -> Draw:
    def draw(rng: Random) -> float:
        members = _members(rng, groups)
        ours = (members if where == WHERE[0] else np.arange(members.size)) % 2 == 0
        if rate is None:
            found = clustered_mean_difference(_values(rng, members), ours, members, LEVEL)
        else:
            hits = _happened(rng, members, rate, 0.2)
            found = clustered_proportion_difference(hits, ours, members, LEVEL)
        return covers(found, 0.0)

    return draw
