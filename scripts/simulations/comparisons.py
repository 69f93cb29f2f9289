"""Groups compared where rows hang together, in errors, and in every metric of a check at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats
from auditor.metrics.performance.group_fairness import (
    RATES,
    GroupRows,
    GroupTable,
    compute_row_flags,
)
from auditor.metrics.stats.group_gaps import smallest_ratio, widest_gap
from auditor.metrics.stats.group_rates import clustered_rates, joint_group_means
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers

Crowd = tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]

GROUPS = 3
CLUSTERS = (9, 30, 90)
ALIKE, UNLIKE = (0.3, 0.3, 0.3), (0.2, 0.3, 0.4)


def comparisons() -> tuple[Simulation, ...]:
    """Three groups, in clusters of their own or of all of them, correlated by 0.2."""
    return (
        *(
            covering(
                "clustered_rates",
                f"gap {max(rates) - min(rates):.1f}, {count} clusters {where}",
                0.94,
                2000,
                _clustered(count, where, rates),
            )
            for count in CLUSTERS
            for where in ("apart", "within each")
            for rates in (ALIKE, UNLIKE)
        ),
        covering("clustered_rates", "ratio 0.5, 30 clusters apart", 0.94, 2000, _ratio),
        *(
            covering("means_together", f"30, 60 and 400 {kind} errors", 0.94, 4000, _means(kind))
            for kind in ("normal", "skewed")
        ),
        covering("means_together", "30 log-normal errors up and 30 down", 0.94, 2000, _apart),
        covering("widest_gap", "all gaps of 40 to 400 rows", 0.95, 1500, _all_gaps(ALIKE)),
        covering("widest_gap", "all gaps, base rates apart", 0.95, 1500, _all_gaps(UNLIKE)),
    )


def _crowd(rng: Random, count: int, where: str, rates: Sequence[float]) -> Crowd:
    """Clusters of 2 to about 40 rows, each with a level of its own that its groups share."""
    sizes = np.maximum(2, rng.lognormal(np.log(7), 0.7, count)).astype(np.int64)
    clusters = np.repeat(np.arange(count), sizes)
    groups = (clusters if where == "apart" else np.arange(clusters.size)) % GROUPS
    level = rng.random(count)[clusters]
    followed = rng.random(clusters.size) < np.sqrt(0.2)
    drawn = np.where(followed, level, rng.random(clusters.size))
    return np.asarray(drawn < np.asarray(rates)[groups]), groups, clusters


def _clustered(count: int, where: str, rates: Sequence[float]) -> Draw:
    def draw(rng: Random) -> float:
        hits, groups, clusters = _crowd(rng, count, where, rates)
        found = widest_gap(clustered_rates(hits, (groups, GROUPS), clusters, LEVEL))
        return covers(found.interval, max(rates) - min(rates))

    return draw


def _ratio(rng: Random) -> float:
    hits, groups, clusters = _crowd(rng, 30, "apart", UNLIKE)
    found = smallest_ratio(clustered_rates(hits, (groups, GROUPS), clusters, LEVEL))
    return covers(found.interval, 0.5)


def _means(kind: str) -> Draw:
    codes = np.repeat([0, 1, 2], [30, 60, 400])
    spread, middle = np.array([3.0, 1.0, 0.5])[codes], np.array([0.0, 0.4, 0.0])[codes]

    def draw(rng: Random) -> float:
        noise = rng.normal(size=codes.size)
        noise = noise if kind == "normal" else rng.exponential(size=codes.size) - 1
        found = widest_gap(joint_group_means(middle + spread * noise, codes, None, LEVEL))
        return covers(found.interval, 0.4)

    return draw


def _apart(rng: Random) -> float:
    """Errors of two groups with heavy tails away from each other."""
    tails = rng.lognormal(0.0, 1.5, (2, 30))
    values = np.concatenate([tails[0], -tails[1]])
    found = widest_gap(joint_group_means(values, np.repeat([0, 1], 30), None, LEVEL))
    return covers(found.interval, 2 * float(np.exp(1.5**2 / 2)))


def _all_gaps(base: Sequence[float]) -> Draw:
    """Whether the gap of every rate is covered at once; rows have a true and a given class."""
    hit, false = np.array([0.7, 0.8, 0.75]), np.array([0.2, 0.2, 0.3])
    codes = np.repeat(np.arange(GROUPS), [40, 150, 400])
    truth = _truth(np.asarray(base), hit, false)

    def draw(rng: Random) -> float:
        wanted = rng.random(codes.size) < np.asarray(base)[codes]
        given = rng.random(codes.size) < np.where(wanted, hit[codes], false[codes])
        flags = compute_row_flags(wanted, given, wanted == given, given)
        table = GroupTable.of("g", ("a", "b", "c"), ("a", "b", "c"), GroupRows(flags, codes, None))
        family = len(RATES) + 1
        found = {rate: widest_gap(table.together(rate, LEVEL, family)) for rate in RATES}
        return float(all(covers(found[rate].interval, truth[rate]) for rate in RATES))

    return draw


def _truth(base: Floats, hit: Floats, false: Floats) -> dict[str, float]:
    both, alarm = base * hit, (1 - base) * false
    rates = {
        "selection_rate": both + alarm,
        "tpr": hit,
        "fpr": false,
        "ppv": both / (both + alarm),
        "npv": (1 - base) * (1 - false) / (1 - both - alarm),
        "accuracy": both + (1 - base) * (1 - false),
    }
    return {name: float(np.ptp(of)) for name, of in rates.items()}
