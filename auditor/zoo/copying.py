"""Rows that stand twice: as they are, edited in one column, or with another label."""

from dataclasses import replace

import numpy as np

from auditor.zoo.samples import Rows

MIDDLE = 0.5


def copied(rows: Rows, count: int, seed: int) -> Rows:
    """Return some of the rows, drawn at random, no row twice."""
    chosen = np.random.default_rng([seed, 211]).permutation(len(rows))[:count]
    return rows.take(chosen)


def edited(rows: Rows, seed: int) -> Rows:
    """Return rows in which one number each was changed by a tenth of the range or more."""
    random = np.random.default_rng([seed, 223])
    inputs = rows.inputs.copy()
    places = random.integers(0, inputs.shape[1], len(rows))
    at = np.arange(len(rows))
    step = random.uniform(0.1, 0.4, len(rows))
    inputs[at, places] += np.where(inputs[at, places] > MIDDLE, -step, step)
    return rows.moved(inputs)


def mislabelled(rows: Rows, classes: int) -> Rows:
    """Return rows with the next class as the label of each."""
    return replace(rows, labels=(rows.labels + 1) % classes)
