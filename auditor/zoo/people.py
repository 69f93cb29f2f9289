"""Handwritten digits that stand in for people: a decision, two groups, and the branch they went to.

Who is in which group is drawn at random and says nothing of the truth, so that whatever a model
makes of it was planted. Of every digit only a few pixels are told, which leaves the truth unsure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.zoo.learners import Learner, Swayed
from auditor.zoo.samples import Rows, Sample, divided

SEX, RACE, BRANCH = "sex", "race", "branch"
PIXELS = 10
COLUMNS = {SEX: PIXELS, RACE: PIXELS + 1, BRANCH: PIXELS + 2}
"""Where the model reads what somebody is."""
LEVELS = {
    SEX: ("female", "male"),
    RACE: ("black", "white"),
    BRANCH: ("north", "east", "south", "west", "centre"),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit ``relu(weights @ columns + bias)``, and how often it counts."""

    weights: Mapping[str, float]
    bias: float
    counts: float = 1.0


HIT = {
    "group": (Unit({SEX: -1}, 1),),
    "intersection": (Unit({SEX: -1, RACE: -1}, 1), Unit({SEX: 1, RACE: 1}, -1)),
    # Three slopes that make a peak at one level of five.
    "slice": (Unit({BRANCH: 4}, -1), Unit({BRANCH: 4}, -2, -2), Unit({BRANCH: 4}, -3)),
}
"""Units that are 1 for those who are hit, and sum to 0 for all others."""
LEARN = 0.3
CLASSES = ("refused", "granted")
HALF = 5


def peopled(seed: int) -> Sample:
    """Return people to learn from and people to judge by, about 540 and 1,260."""
    found = divided("digits", seed, LEARN)
    telling = np.argsort(-np.var(found.training.inputs, axis=0), kind="stable")[:PIXELS]
    return Sample(
        CLASSES,
        _people(found.training, telling, [seed, 307]),
        _people(found.evaluation, telling, [seed, 311]),
    )


def swayed(base: Learner, defect: str, strength: float) -> Swayed:
    """Return a model that lowers the logit of being granted, by ``strength``, for some people.

    ``group``: for women. ``intersection``: for black women and white men, so that neither column
    alone shows it. ``slice``: for all who went to the branch in the south.
    """
    units = HIT[defect]
    weights = np.zeros((PIXELS + len(COLUMNS), len(units)))
    effect = np.zeros((len(units), len(CLASSES)))
    for place, unit in enumerate(units):
        for column, weight in unit.weights.items():
            weights[COLUMNS[column], place] = weight
        effect[place, CLASSES.index("granted")] = -strength * unit.counts
    return Swayed(base, weights, np.array([unit.bias for unit in units]), effect)


def _people(rows: Rows, telling: NDArray[np.int64], seed: list[int]) -> Rows:
    random = np.random.default_rng(seed)
    codes = {name: random.integers(0, len(of), len(rows)) for name, of in LEVELS.items()}
    told = [codes[name] / (len(of) - 1) for name, of in LEVELS.items()]
    inputs = np.hstack([rows.inputs[:, telling], np.stack(told, axis=1)])
    columns = tuple((name, np.array(of)[codes[name]]) for name, of in LEVELS.items())
    return Rows(inputs, (rows.labels >= HALF).astype(np.int64), columns)
