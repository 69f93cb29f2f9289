"""Attribute inference: what a model gives away of a column of somebody whose other columns and
label are known.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, Floats
from auditor.exposing.attribute_secrets import UNKNOWN, Secret
from auditor.exposing.imputation import Imputer

WRONG, RIGHT, UNASKED = 0, 1, 2
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows ``[n, columns]`` as the data hold them, with their labels ``[n]``."""

    inputs: Array
    labels: Codes

    @property
    def numbers(self) -> Floats:
        """The rows as numbers."""
        return self.inputs.astype(np.float64)

    def take(self, chosen: NDArray[np.generic]) -> "Rows":
        """Return some of the rows."""
        return Rows(self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Guesses:
    """How the guesses of one secret came out, a row: ``WRONG``, ``RIGHT``, or ``UNASKED`` where
    nobody could have named the row's level.
    """

    attack: NDArray[np.uint8]
    baseline: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Oracle:
    """The model as an attacker asks it: ``score`` returns ``[n, classes]`` probabilities.

    No chance counts as less than ``floor``, so that a model's flat no is not the last word.
    """

    score: Callable[[Array], Floats]
    classes: int
    floor: float


def guess(secret: Secret, known: Rows, asked: Rows, oracle: Oracle) -> Guesses:
    """Attack one secret of the rows ``asked``, with nothing but rows that are ``known``.

    The attacker asks the model about the row with each level in turn, and names the level for which
    the chance of the true label times the imputer's chance of the level is greatest (Fredrikson et
    al. 2014, USENIX Security, Pharmacogenetics, section 3, with the label given to the prior too).
    The baseline names the level that the imputer finds likeliest, and never sees the model.
    """
    prior = imputed(secret, known, asked, oracle.classes)
    likelihood = np.empty_like(prior)
    for level in range(len(secret.levels)):
        said = oracle.score(secret.put(asked.inputs, level))
        likelihood[:, level] = said[np.arange(len(asked.labels)), asked.labels]
    truth = secret.codes(asked.numbers)
    best = (np.maximum(likelihood, oracle.floor) * prior).argmax(axis=1)
    return Guesses(judged(best, truth), judged(prior.argmax(axis=1), truth))


def imputed(secret: Secret, known: Rows, asked: Rows, classes: int) -> Floats:
    """Return ``[n, levels]``: how likely each level is by the imputer that ``known`` rows teach."""
    rest = [at for at in range(known.inputs.shape[1]) if at not in secret.places]
    codes = secret.codes(known.numbers)
    told = codes != UNKNOWN
    imputer = Imputer.of(
        known.numbers[told][:, rest],
        known.labels[told],
        classes,
        codes[told],
        len(secret.levels),
    )
    return imputer.chances(asked.numbers[:, rest], asked.labels)


def judged(guesses: Codes, truth: Codes) -> NDArray[np.uint8]:
    """Return how guesses ``[n]`` of a level came out, held against the truth."""
    return np.where(truth == UNKNOWN, UNASKED, guesses == truth).astype(np.uint8)
