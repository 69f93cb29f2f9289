"""Surveys of data: wrong labels, populations, and rows unlike all others."""

import numpy as np

from auditor.stats.confident import confident, joint, noise
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers


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


def _noisy(rows: int, classes: int, rate: float) -> Draw:
    def draw(rng: Random) -> float:
        truth, top = rng.integers(0, classes, rows), rng.uniform(0.5, 1, rows)
        scores = rng.dirichlet(np.ones(classes - 1), rows) * (1 - top)[:, None]
        full = np.empty((rows, classes))
        others = np.arange(classes) != truth[:, None]
        full[others], full[~others] = scores.ravel(), top
        wrong = rng.random(rows) < rate
        given = np.where(wrong, (truth + rng.integers(1, classes, rows)) % classes, truth)
        table = joint(given, confident(full, given).taken, classes)
        return covers(noise(table, np.bincount(given, minlength=classes), LEVEL), rate)

    return draw
