"""Intervals of independent rows: proportions, gaps between groups, losses, areas, calibration."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit, logit, ndtri

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.binned_calibration import debiased_calibration_error
from auditor.metrics.stats.group_gaps import equalised_odds_gap, max_gap, min_ratio
from auditor.metrics.stats.means import mean_loss, paired_difference
from auditor.metrics.stats.proportions import clopper_pearson, mid_p, wilson
from auditor.metrics.stats.recalibration import recalibrate
from auditor.metrics.stats.roc_auc import auc, paired_auc_difference
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers

OfCounts = Callable[[int, int, float], ConfidenceInterval]


def proportions() -> tuple[Simulation, ...]:
    """One proportion, and its change between two runs."""
    return (
        covering("wilson", "20 rows, any rate", 0.94, 20_000, _share(wilson, 20, None)),
        covering("wilson", "1,000 rows, rate 0.02", 0.94, 20_000, _share(wilson, 1000, 0.02)),
        covering("mid_p", "20 rows, any rate", 0.94, 4000, _share(mid_p, 20, None)),
        covering(
            "clopper_pearson", "20 rows, rate 0.1", 0.95, 8000, _share(clopper_pearson, 20, 0.1)
        ),
        covering("paired_difference", "60 rows, 0.1 gained, 0.03 lost", 0.94, 20_000, _change),
    )


def gaps() -> tuple[Simulation, ...]:
    """Differences and ratios between the rates of groups."""
    many = (
        covering("max_gap", f"{k} groups of 60 rows, gap {gap}", 0.94, 3000, _gap(k, gap))
        for k in (2, 5, 30)
        for gap in (0.0, 0.1)
    )
    fair, unfair = ((0.8,) * 3, (0.1,) * 3), ((0.9, 0.7, 0.8), (0.1, 0.15, 0.2))
    return (
        *many,
        covering("min_ratio", "80, 300 and 20 rows, ratio 0.75", 0.94, 4000, _ratio),
        covering("equalised_odds_gap", "25 to 400 rows, gap 0", 0.94, 3000, _odds(fair)),
        covering("equalised_odds_gap", "25 to 400 rows, gap 0.2", 0.94, 3000, _odds(unfair)),
    )


def scores() -> tuple[Simulation, ...]:
    """Means of losses, areas under the curve and calibration."""
    few, tiny, usual = (
        _areas(0.8, 0.8, 10, 90),
        _areas(0.95, 0.85, 10, 10),
        _areas(0.8, 0.6, 99, 99),
    )
    return (
        covering("mean_loss", "200 skewed losses", 0.94, 8000, _loss),
        covering("auc", "20 and 180 rows, area 0.9", 0.94, 4000, _area),
        covering("paired_auc_difference", "10 and 90 rows, areas 0.8 and 0.8", 0.93, 3000, few),
        covering("paired_auc_difference", "10 and 10 rows, 0.95 and 0.85", 0.93, 3000, tiny),
        covering("paired_auc_difference", "99 and 99 rows, 0.8 and 0.6", 0.93, 2000, usual),
        covering("debiased_l2", "300 rows, calibrated", 0.94, 3000, _calibrated),
        covering("recalibrate", "200 rows, slope 0.7", 0.94, 1000, _slope),
    )


def _share(of: OfCounts, rows: int, rate: float | None) -> Draw:
    def draw(rng: Random) -> float:
        truth = float(rng.uniform(0.02, 0.98)) if rate is None else rate
        return covers(of(int(rng.binomial(rows, truth)), rows, LEVEL), truth)

    return draw


def _change(rng: Random) -> float:
    gained, lost, _ = rng.multinomial(60, [0.1, 0.03, 0.87])
    return covers(paired_difference(int(gained), int(lost), 60, LEVEL), 0.07)


def _gap(groups: int, gap: float) -> Draw:
    rates, rows = [0.3 + gap, *[0.3] * (groups - 1)], [60] * groups
    truth = max(rates) - min(rates)
    return lambda rng: covers(max_gap(rng.binomial(rows, rates), rows, LEVEL).interval, truth)


def _ratio(rng: Random) -> float:
    rows = [80, 300, 20]
    hits = rng.binomial(rows, [0.3, 0.4, 0.4])
    return covers(min_ratio(hits, rows, LEVEL).interval, 0.3 / 0.4)


def _odds(rates: Sequence[Sequence[float]]) -> Draw:
    rows = np.array([[60, 25, 200], [140, 75, 400]])
    truth = max(max(rate) - min(rate) for rate in rates)

    def draw(rng: Random) -> float:
        _, found = equalised_odds_gap(rng.binomial(rows, rates), rows, LEVEL)
        return covers(found.interval, truth)

    return draw


def _loss(rng: Random) -> float:
    return covers(mean_loss(rng.beta(0.3, 2.7, 200), 1.0, LEVEL), 0.1)


def _normal_scores(
    rng: Random, areas: tuple[float, float], above: int, below: int
) -> tuple[Floats, Floats]:
    """Two scores of the same rows, correlated by 0.6, with these areas under their curves."""
    noise = rng.normal(size=(2, above + below))
    noise[1] = 0.6 * noise[0] + 0.8 * noise[1]
    noise[:, :above] += np.sqrt(2) * ndtri(areas)[:, None]
    return noise[0], noise[1]


def _area(rng: Random) -> float:
    found, _ = _normal_scores(rng, (0.9, 0.9), 20, 180)
    return covers(auc(found, np.repeat([True, False], [20, 180]), LEVEL), 0.9)


def _areas(one: float, other: float, above: int, below: int) -> Draw:
    kinds = np.arange(above + below) < above

    def draw(rng: Random) -> float:
        ours, theirs = _normal_scores(rng, (one, other), above, below)
        return covers(paired_auc_difference(ours, theirs, kinds, LEVEL), one - other)

    return draw


def _calibrated(rng: Random) -> float:
    stated = rng.beta(2, 3, 300)
    return covers(debiased_calibration_error(stated, rng.random(300) < stated, LEVEL), 0.0)


def _slope(rng: Random) -> float:
    stated = rng.uniform(0.02, 0.98, 200)
    happened = rng.random(200) < expit(0.7 * logit(stated) + 0.5)
    found = recalibrate(stated, happened, LEVEL)
    return covers(found.slope if found else None, 0.7)
