"""Guessing a column from all others and the label, by somebody who never sees the model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from auditor.domain.tasks import Floats

FEW_VALUES = 10
"""A column of at most so many values is told apart value by value."""
MOST_COLUMNS = 200
"""Columns beyond which values are not told apart, so that the table of features fits."""
STEPS = 200
LEAST_SPREAD = 1e-9
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """How rows become the features of a regression, as learnt from known rows.

    Numbers are standardised, and a missing one is the mean with a mark; columns of few values are
    marks for each of them too.
    """

    middle: Floats
    spread: Floats
    values: tuple[Floats, ...]

    @classmethod
    def of(cls, rows: Floats) -> "Terms":
        """Learn from rows ``[n, columns]``."""
        known = np.isfinite(rows)
        counts = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, rows, 0.0).sum(axis=0) / counts
        away = np.where(known, rows - middle, 0.0)
        spread = np.sqrt((away * away).sum(axis=0) / counts)
        narrow = rows.shape[1] <= MOST_COLUMNS
        values = tuple(
            _few(column[there]) if narrow else np.empty(0)
            for column, there in zip(rows.T, known.T, strict=True)
        )
        return cls(middle, np.where(spread > LEAST_SPREAD, spread, np.inf), values)

    def __call__(self, rows: Floats, labels: Codes, classes: int) -> Floats:
        """Return the features ``[n, k]`` of rows with their labels ``[n]``, a constant first."""
        lost = ~np.isfinite(rows)
        numbers = np.where(lost, 0.0, (rows - self.middle) / self.spread)
        marks = [column[:, None] == of for column, of in zip(rows.T, self.values, strict=True)]
        told = np.eye(classes)[labels]
        return np.hstack([np.ones((len(rows), 1)), numbers, lost, told, *marks]).astype(np.float64)


def _few(column: Floats) -> Floats:
    found = np.unique(column)
    return found if 2 < found.size <= FEW_VALUES else np.empty(0)  # noqa: PLR2004 -- a line does two


@dataclass(frozen=True, slots=True, eq=False)
class Imputer:
    """A multinomial logistic regression of a column's level on all others and the label."""

    terms: Terms
    weights: Floats
    classes: int

    @classmethod
    def of(cls, rows: Floats, labels: Codes, classes: int, codes: Codes, levels: int) -> "Imputer":
        """Learn the level ``codes`` ``[n]`` from rows ``[n, columns]`` without that column.

        Ridge-penalised maximum likelihood by L-BFGS (Hastie, Tibshirani and Friedman 2009,
        section 4.4); the constant goes unpenalised.
        """
        terms = Terms.of(rows)
        features = terms(rows, labels, classes)
        return cls(terms, _fitted(features, codes, levels), classes)

    def chances(self, rows: Floats, labels: Codes) -> Floats:
        """Return ``[n, levels]``: how likely each level is, given the rest of the row."""
        scores = self.terms(rows, labels, self.classes) @ self.weights
        found: Floats = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        return found


def _fitted(features: Floats, codes: Codes, levels: int, ridge: float = 1.0) -> Floats:
    told = np.eye(levels)[codes]
    penalty = np.full((features.shape[1], 1), ridge)
    penalty[0] = 1e-6

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(-1, levels)
        scores = features @ weights
        norms = logsumexp(scores, axis=1, keepdims=True)
        missed = np.exp(scores - norms) - told
        value = float((norms.ravel() - (scores * told).sum(axis=1)).sum())
        value += float((penalty * weights * weights).sum()) / 2
        return value, (features.T @ missed + penalty * weights).ravel()

    start = np.zeros(features.shape[1] * levels)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    weights: Floats = found.x.reshape(-1, levels)
    return weights
