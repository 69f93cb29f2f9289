"""A classifier two-sample test: whether two samples can be told apart, and density ratios."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats
from auditor.metrics.data.distribution_shift import SharedColumn
from auditor.metrics.stats.learners import design_matrix, fit_logistic
from auditor.metrics.stats.slice_lattices import ColumnCoding

BINS, CATEGORIES = 5, 20


def classifier_features(columns: Sequence[SharedColumn], reference_rows: int) -> Floats:
    """Return the features ``[n, k]`` of all rows, those of the reference first; bins are its."""
    rows = sum(len(side) for side in (columns[0].numbers or columns[0].texts or ()))
    coding = ColumnCoding(np.arange(rows) < reference_rows, BINS, CATEGORIES)
    coded = [column.coded(coding) for column in columns]
    return design_matrix([at.codes for at in coded], [max(1, len(at.names)) for at in coded])


def classify_samples(given: Floats, current: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Fit on every other row ``[n, k]`` which are ``current`` ``[n]``; score the others."""
    weights = fit_logistic(given[::2], current[::2])
    scores: Floats = given[1::2] @ weights
    return scores, current[1::2]


def density_ratios(columns: Sequence[SharedColumn], reference_rows: int) -> Floats:
    """Return how much more frequent rows like each reference row have become, up to a factor.

    The odds that a row is current, by logistic regression (Bickel, Brueckner and Scheffer 2009,
    Journal of Machine Learning Research 10).
    """
    given = classifier_features(columns, reference_rows)
    weights = fit_logistic(given, np.arange(len(given)) >= reference_rows)
    odds = given[:reference_rows] @ weights
    ratios: Floats = np.exp(odds - odds.max())
    return ratios
