"""Surveys of data: wrong labels, populations, and rows unlike all others."""

import numpy as np

from auditor.metrics.stats.drift import goodness_of_fit, largest_deviation
from auditor.metrics.stats.learners import confident_classes, confident_joint, label_noise_share
from auditor.metrics.stats.p_values import benjamini_hochberg, conformal_p_values
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom


def surveys() -> tuple[Simulation, ...]:
    """Return every experiment of this file."""
    return (*labels(), *populations(), *strangers())


def labels() -> tuple[Simulation, ...]:
    """Draw labels of which a share is wrong, and scores whose likeliest class is the true one."""
    return tuple(
        covering(
            "noise",
            f"{rows:,} rows of {classes} classes, {rate:g} wrong",
            0.94,
            4000,
            _noisy(rows, classes, rate),
        )
        for rows, classes, rate in ((300, 3, 0.1), (2000, 3, 0.02), (1000, 2, 0.2), (1000, 10, 0.3))
    )


SHARES = np.array([0.5, 0.3, 0.15, 0.05])
MOVED = np.array([0.4, 0.3, 0.2, 0.1])


def populations() -> tuple[Simulation, ...]:
    """Draw rows of four levels from the population, or from one that is moved by a tenth."""
    return (
        *(
            seldom("fit", f"{rows} rows of the population", "called unfit", repeats, _unfit(rows))
            for rows, repeats in ((12, 1000), (60, 1000), (500, 20_000))
        ),
        *(
            covering("largest_deviation", f"{rows} rows, moved by 0.1", 0.94, 5000, _moved(rows))
            for rows in (60, 1000)
        ),
    )


def strangers() -> tuple[Simulation, ...]:
    """Draw rows and a reference from one law; some rows are moved by four deviations."""
    return tuple(
        seldom(
            "conformal_p_values",
            f"{moved} of {rows} rows moved, {reference} to compare with",
            "mean share of false findings",
            5000,
            _false_strangers(moved, rows, reference),
        )
        for moved, rows, reference in ((0, 200, 5000), (20, 200, 500), (50, 1000, 1000))
    )


def _false_strangers(moved: int, rows: int, reference: int) -> Draw:
    def draw(rng: Random) -> float:
        scores = rng.normal(size=rows)
        scores[:moved] += 4
        chances = conformal_p_values(scores, rng.normal(size=reference))
        found = benjamini_hochberg(chances) <= 1 - LEVEL
        return int(found[moved:].sum()) / max(int(found.sum()), 1)

    return draw


def _unfit(rows: int) -> Draw:
    def draw(rng: Random) -> float:
        counts = rng.multinomial(rows, SHARES).astype(np.float64)
        return float(
            goodness_of_fit(counts, SHARES, int(rng.integers(1 << 32))).p_value <= 1 - LEVEL
        )

    return draw


def _moved(rows: int) -> Draw:
    def draw(rng: Random) -> float:
        counts = rng.multinomial(rows, MOVED).astype(np.float64)
        return covers(largest_deviation(counts, SHARES, LEVEL, len(SHARES)), 0.1)

    return draw


def _noisy(rows: int, classes: int, rate: float) -> Draw:
    def draw(rng: Random) -> float:
        truth, top = rng.integers(0, classes, rows), rng.uniform(0.5, 1, rows)
        scores = rng.dirichlet(np.ones(classes - 1), rows) * (1 - top)[:, None]
        full = np.empty((rows, classes))
        others = np.arange(classes) != truth[:, None]
        full[others], full[~others] = scores.ravel(), top
        wrong = rng.random(rows) < rate
        given = np.where(wrong, (truth + rng.integers(1, classes, rows)) % classes, truth)
        table = confident_joint(given, confident_classes(full, given).taken, classes)
        return covers(label_noise_share(table, np.bincount(given, minlength=classes), LEVEL), rate)

    return draw
