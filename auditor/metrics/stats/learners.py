"""Small learners: k-means, PCA, logistic regression with a ridge, and confident learning."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import exact_limits

Counts = NDArray[np.int64]
METHOD = "confident joint; mover of clopper-pearson limits over the given labels"


@dataclass(frozen=True, slots=True, eq=False)
class ClassConfidence:
    """What a model is confident of: ``taken`` ``[n]`` is a class, or -1 where it is of none."""

    thresholds: Floats
    taken: Counts


def confident_classes(probabilities: Floats, labels: Counts) -> ClassConfidence:
    """Return the class that each row ``[n, classes]`` is confidently of.

    A row may be of the classes whose probability reaches its mean over the rows that bear that
    class as their label, and is of the likeliest of these (Northcutt, Jiang and Chuang 2021,
    Journal of Artificial Intelligence Research 70, section 3.1). A class without rows is never
    taken. The probabilities have to be of rows that the model has not learnt from.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, own, classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    possible = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = possible.argmax(axis=1)
    sure = possible[np.arange(len(labels)), best] >= 0
    return ClassConfidence(thresholds, np.where(sure, best, -1))


def confident_joint(labels: Counts, taken: Counts, classes: int) -> Counts:
    """Return ``[classes, classes]``: rows by their label, and by the class they confidently are."""
    sure = taken >= 0
    packed = labels[sure] * classes + taken[sure]
    return np.bincount(packed, minlength=classes * classes).reshape(classes, classes)


def label_noise_share(table: Counts, rows: Counts, confidence: float) -> ConfidenceInterval:
    """Return the share of wrong labels, from ``confident_joint`` and the ``rows`` of a label.

    Each label's share of confident rows that are of another class, weighted by the label's rows:
    the trace of the calibrated joint, taken from one (section 3.1 of the paper). Each label's
    share has its exact interval, and they are joined by variance recovery (Zou and Donner 2008,
    Statistics in Medicine 27) with the error of the weights. A label without confident rows may
    be wrong always or never. The interval is of sampling alone: a model that is confidently wrong
    accuses right labels. Raises ``ValueError`` for no rows.
    """
    total = int(rows.sum())
    if total == 0:
        message = "a share of wrong labels needs rows"
        raise ValueError(message)
    sure = table.sum(axis=1)
    wrong = sure - np.diagonal(table)
    shares = np.where(sure > 0, wrong / np.maximum(sure, 1), 0.0)
    low, high = exact_limits(wrong, sure, (1 - confidence) / 2)
    weights = rows / total
    value = float(weights @ shares)
    between = float(weights @ (shares - value) ** 2) * float(ndtri((1 + confidence) / 2)) ** 2
    down = math.sqrt(float(np.sum((weights * (shares - low)) ** 2)) + between / total)
    up = math.sqrt(float(np.sum((weights * (high - shares)) ** 2)) + between / total)
    ends = max(0.0, value - down), min(1.0, value + up)
    return ConfidenceInterval(value, *ends, confidence, METHOD, total)


def label_margins(probabilities: Floats, labels: Counts) -> Floats:
    """Return ``[n]``: the probability of the label less the greatest one of another class."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    return np.asarray(probabilities[rows, labels] - others.max(axis=1))


Narrow = NDArray[np.float32]
SPARE = 8
"""Directions that are drawn beyond those kept: Halko, Martinsson and Tropp ask for 5 to 10."""
TURNS = 2
"""Power iterations, which sharpen directions that fall off slowly."""


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalDirections:
    """Where rows ``[n, d]`` lie: each column less ``mean``, over ``scale``, along ``axes``."""

    mean: Narrow
    scale: Narrow
    axes: Narrow

    @classmethod
    def of(cls, rows: Narrow, most: int, seed: int) -> "PrincipalDirections":
        """Find at most ``most`` principal axes of standardised rows, the widest first.

        By a random sketch of the rows and power iterations (Halko, Martinsson and Tropp 2011, SIAM
        Review 53, "Finding structure with randomness"): the same seed gives the same axes. A column
        that says the same of all rows, up to rounding, counts for nothing, and a number that is
        none for the column's mean.
        """
        known = np.isfinite(rows)
        filled = np.where(known, rows, 0).astype(np.float64)
        counts = np.maximum(known.sum(axis=0), 1)
        mean = filled.sum(axis=0) / counts
        spread = np.sqrt((np.where(known, filled - mean, 0) ** 2).sum(axis=0) / counts)
        same = spread <= np.finfo(np.float32).eps * np.maximum(np.abs(mean), 1e-30)
        scale = np.where(same, np.inf, spread)
        flat = cls(mean.astype(np.float32), scale.astype(np.float32), np.zeros((0, 0), np.float32))
        return cls(flat.mean, flat.scale, _axes(flat.standardised(rows), most, seed))

    def standardised(self, rows: Narrow) -> Narrow:
        """Return rows with columns of mean 0 and deviation 1; what is no number is the mean."""
        with np.errstate(invalid="ignore"):
            found = (rows - self.mean) / self.scale
        return np.where(np.isfinite(found), found, np.float32(0)).astype(np.float32)

    def project(self, rows: Narrow) -> Narrow:
        """Return ``[n, k]``: where rows lie along the axes."""
        found: Narrow = self.standardised(rows) @ self.axes
        return found


def _axes(rows: Narrow, most: int, seed: int) -> Narrow:
    width = min(most + SPARE, *rows.shape)
    sketch = np.random.default_rng(seed).standard_normal((rows.shape[1], width)).astype(np.float32)
    basis = np.linalg.qr(rows @ sketch)[0]
    for _ in range(TURNS):
        basis = np.linalg.qr(rows @ np.linalg.qr(rows.T @ basis)[0])[0]
    _, sizes, axes = np.linalg.svd(basis.T @ rows, full_matrices=False)
    kept = min(most, int((sizes > np.finfo(np.float32).eps * max(rows.shape) * sizes[0]).sum()))
    found: Narrow = np.ascontiguousarray(axes[:kept].T)
    return found


STARTS = 4
MOST_ROUNDS = 50
MOST_FITTED = 20_000
"""Rows that centres are fitted to, the first of a random order; all rows are then assigned."""
A_PART = 8192

Places = NDArray[np.intp]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterCentres:
    """The middle ``[k, d]`` of each group."""

    points: Narrow

    @classmethod
    def of(cls, rows: Narrow, count: int, seed: int) -> "ClusterCentres":
        """Fit ``count`` centres to rows ``[n, d]``: the tightest of a few starts.

        Lloyd's rounds (1982, IEEE Transactions on Information Theory 28, "Least squares
        quantization in PCM") from starts drawn with k-means++ (Arthur and Vassilvitskii 2007,
        SODA). A centre that loses its rows takes the row that lies worst. The same seed gives the
        same centres. Raises ``ValueError`` for more centres than rows.
        """
        if not 1 <= count <= len(rows):
            message = f"{count} centres of {len(rows)} rows"
            raise ValueError(message)
        rng = np.random.default_rng(seed)
        fitted = rows[rng.permutation(len(rows))[:MOST_FITTED]]
        starts = []
        for _ in range(STARTS):
            chosen = [int(rng.integers(len(fitted)))]
            nearest = ((fitted - fitted[chosen[0]]) ** 2).sum(axis=1, dtype=np.float64)
            while len(chosen) < count:
                total = nearest.sum()
                chances = nearest / total if total > 0 else np.full(len(fitted), 1 / len(fitted))
                chosen.append(int(rng.choice(len(fitted), p=chances)))
                apart = ((fitted - fitted[chosen[-1]]) ** 2).sum(axis=1, dtype=np.float64)
                nearest = np.minimum(nearest, apart)
            # Move centres to the middle of their rows until no row changes its centre
            points = fitted[chosen].copy()
            places = np.full(len(fitted), -1)
            for _ in range(MOST_ROUNDS):
                found, settled_apart = ClusterCentres(points).assign(fitted)
                if np.array_equal(found, places):
                    break
                places = found
                points = _middles(fitted, places, settled_apart, points)
            settled_apart = ClusterCentres(points).assign(fitted)[1]
            starts.append((points, float((settled_apart.astype(np.float64) ** 2).sum())))
        return cls(min(starts, key=lambda found: found[1])[0])

    def assign(self, rows: Narrow) -> tuple[Places, Floats32]:
        """Return each row's nearest centre ``[n]`` and its distance from it ``[n]``."""
        squares = (self.points**2).sum(axis=1)
        places = np.empty(len(rows), dtype=np.intp)
        apart = np.empty(len(rows), dtype=np.float32)
        for first in range(0, len(rows), A_PART):
            part = rows[first : first + A_PART]
            scores = squares - 2 * (part @ self.points.T)
            nearest = scores.argmin(axis=1)
            places[first : first + A_PART] = nearest
            gap = part - self.points[nearest]
            apart[first : first + A_PART] = np.sqrt((gap**2).sum(axis=1))
        return places, apart


def _middles(rows: Narrow, places: Places, apart: Floats32, before: Narrow) -> Narrow:
    count = len(before)
    sizes = np.bincount(places, minlength=count)
    sums = np.stack([np.bincount(places, column, count) for column in rows.T], axis=1)
    points = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    points[empty] = rows[np.argsort(-apart, kind="stable")[: empty.size]]
    return points


STEPS = 25
CLOSE = 1e-8
MOST_PAIRED = 12
"""Of so many columns all products of two are features, which is how dependence is seen."""
Codes = NDArray[np.uint8]


def design_matrix(codes: Sequence[Codes], levels: Sequence[int]) -> Floats:
    """Return the features ``[n, k]`` of coded columns ``[n]``: a constant, each level but the
    first, and, of the first columns, the products of two columns' places on their scales.

    A code at or beyond its column's levels is a level of its own.
    """
    rows = len(codes[0])
    parts = [np.ones((rows, 1))]
    placed = []
    for column, count in zip(codes, levels, strict=True):
        held = np.minimum(column, count)
        parts.append((held[:, None] == np.arange(1, count + 1)).astype(np.float64))
        placed.append(held / count - 0.5)
    pairs = itertools.combinations(placed[:MOST_PAIRED], 2)
    return np.column_stack([*parts, *(one * other for one, other in pairs)])


def fit_logistic(features: Floats, ours: NDArray[np.bool_], ridge: float = 1.0) -> Floats:
    """Return the coefficients ``[k]`` of the log odds that a row ``[n, k]`` is of ``ours`` ``[n]``.

    Penalised maximum likelihood by Newton's steps (Hastie, Tibshirani and Friedman 2009, Elements
    of Statistical Learning, section 4.4.1); the first feature, a constant, goes unpenalised.
    """
    weights = np.zeros(features.shape[1])
    penalty = np.full(weights.size, ridge)
    penalty[0] = 1e-9
    for _ in range(STEPS):
        chance = expit(features @ weights)
        slope = features.T @ (ours - chance) - penalty * weights
        bend = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights += step
        if np.abs(step).max() < CLOSE:
            break
    return weights
