"""Rows of one class that the model sees otherwise than the rest of it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats
from auditor.stats.kmeans import Centres
from auditor.stats.principal import Narrow

KEPT = 0.75
"""Share of the rows that the robust middle and spread are taken from: poison is the lesser part."""
ROUNDS = 8
ROWS_AN_AXIS = 5
MOST_AXES = 32
CLUSTER_AXES = 10
SHARPNESS = 4.0
RIDGE = 1e-3
LEAST_SPREAD = 1e-9


def spectre(views: Narrow) -> Floats:
    """Return ``[n]``: how far rows ``[n, d]`` of one class lie along the directions in which they
    spread more than a clean majority would.

    The class is put on its principal axes, centred and whitened by the middle and covariance of
    its innermost three quarters (concentration steps of Rousseeuw and Van Driessen 1999), and each
    row gets the quantum entropy score of Hayase, Kong, Somani and Oh (2021, ICML, "SPECTRE",
    section 3 and algorithm 4) with alpha 4. Its cube root, whose tail is near a normal law's.
    """
    points = _axes(views, min(MOST_AXES, max(1, len(views) // ROWS_AN_AXIS)))
    white = _whitened(points)
    spread = np.cov(white.T, bias=True).reshape(white.shape[1], white.shape[1])
    sizes, directions = np.linalg.eigh(spread)
    excess = max(float(sizes[-1]) - 1, LEAST_SPREAD)
    weights = np.exp(np.clip(SHARPNESS * (sizes - 1) / excess, -50, 50))
    score = ((white @ directions) ** 2 @ weights) / weights.sum()
    return np.asarray(np.cbrt(score), dtype=np.float64)


def spectral(views: Narrow) -> Floats:
    """Return ``[n]``: how far rows ``[n, d]`` of one class lie along its widest direction.

    Tran, Li and Madry (2018, NeurIPS, "Spectral signatures in backdoor attacks", algorithm 1).
    """
    return np.abs(_axes(views, 1)[:, 0])


def clusters(views: Narrow, seed: int) -> Floats:
    """Return ``[n]``: how surely rows ``[n, d]`` of one class belong to the lesser of two clusters.

    2-means on ten principal axes (Chen et al. 2018, "Activation clustering"), and the silhouette
    by centres (Rousseeuw 1987): from -1 in the heart of the greater one to 1 in that of the lesser.
    """
    points = _axes(views, CLUSTER_AXES).astype(np.float32)
    if len(points) < 2 or not np.ptp(points, axis=0).any():  # noqa: PLR2004 -- of two clusters
        return np.zeros(len(points))
    centres = Centres.of(points, 2, seed)
    place, _ = centres.assign(points)
    away = np.stack([np.linalg.norm(points - one, axis=1) for one in centres.points])
    lesser = int(np.bincount(place, minlength=2).argmin())
    gap = away[1 - lesser] - away[lesser]
    return np.asarray(gap / np.maximum(away.max(axis=0), LEAST_SPREAD), dtype=np.float64)


VIEWS: dict[str, Callable[[Narrow, int], Floats]] = {
    "spectre": lambda views, _: spectre(views),
    "spectral": lambda views, _: spectral(views),
    "clusters": clusters,
}


def _axes(views: Narrow, most: int) -> Floats:
    """Return rows along the principal axes of the class, the widest first."""
    centred = views.astype(np.float64) - views.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ directions[:, ::-1][:, :most])


def _whitened(points: Floats) -> Floats:
    kept: NDArray[np.bool_] = np.ones(len(points), dtype=np.bool_)
    white = points
    for _ in range(ROUNDS):
        middle = points[kept].mean(axis=0)
        spread = np.cov(points[kept].T, bias=True).reshape(points.shape[1], points.shape[1])
        ridge = RIDGE * max(float(np.trace(spread)) / len(spread), LEAST_SPREAD)
        sizes, directions = np.linalg.eigh(spread + ridge * np.eye(len(spread)))
        white = (points - middle) @ directions / np.sqrt(sizes)
        away = (white**2).sum(axis=1)
        fresh = away <= np.quantile(away, KEPT)
        if np.array_equal(fresh, kept):
            break
        kept = fresh
    # The innermost rows are narrower than the whole: scale so that the median row is as it is.
    inner = float(np.median((white**2).sum(axis=1))) / max(1, points.shape[1])
    return np.asarray(white / np.sqrt(max(inner, LEAST_SPREAD)))
