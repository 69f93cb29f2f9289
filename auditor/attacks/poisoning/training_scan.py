"""Scans training data for poisoned or mislabelled rows, relative to trusted rows.

The methods are spectral and cluster analysis of a class's representations, and nearest-neighbour
contradiction of labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.learners import ClusterCentres, PrincipalDirections
from auditor.metrics.stats.p_values import benjamini_hochberg, excess_p_value, tail_p_values
from auditor.metrics.stats.proportions import clopper_pearson

Narrow = NDArray[np.float32]


Codes = NDArray[np.int64]
Chosen = NDArray[np.bool_]
PLANTED_SHARES = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
LOOKS = 2
"""Tests of each method: the excess of high scores, and the highest one of all."""
ALIKE = 0.65
"""The share of training rows beyond the trusted median from which the two samples differ as such:
clean ones have a half, and poison in a fifth of the rows makes it 0.6."""
LEAST_SCORE_SPREAD = 1e-9
LOW = (0.05, 0.25)


@dataclass(frozen=True, slots=True, eq=False)
class ClassScale:
    """The middle and spread ``[classes]`` of a method's scores in each class; NaN where unknown."""

    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, scores: Floats, labels: Codes, scored: Chosen, classes: int) -> "ClassScale":
        """Take a low quantile of the ``scored`` rows of each class, and how far a lower one is.

        Poison scores high, so that it moves low quantiles least, even where it is half of a class.
        Training and trusted rows together give them, so that rows that are alike are treated alike.
        """
        middle, spread = np.full((2, classes), np.nan)
        for kind in np.unique(labels[scored]):
            values = scores[scored & (labels == kind)]
            low, middle[kind] = np.quantile(values, LOW)
            spread[kind] = max(float(middle[kind] - low), LEAST_SCORE_SPREAD)
        return cls(middle, spread)

    def measure(self, scores: Floats, labels: Codes, scored: Chosen) -> Floats:
        """Return ``[n]``: how far scores lie above the middle of their class, in its spreads;
        minus infinity where nothing is scored.
        """
        found = np.full(len(scores), -np.inf)
        kinds = labels[scored]
        found[scored] = (scores[scored] - self.middle[kinds]) / self.spread[kinds]
        return np.where(np.isnan(found), -np.inf, found)


@dataclass(frozen=True, slots=True, eq=False)
class SuspicionScores:
    """One method's scores, the higher the stranger: of training rows ``[n]``, of trusted rows
    ``[m]``, and of trusted rows with another label planted ``[m]`` (empty: labels play no part).

    Minus infinity where the method says nothing of a row.
    """

    training: Floats
    trusted: Floats
    planted: Floats

    @property
    def scored(self) -> Chosen:
        """Which training rows the method speaks of."""
        return np.isfinite(self.training)

    @property
    def known(self) -> Floats:
        """The scores that make the null."""
        return self.trusted[np.isfinite(self.trusted)]

    def chances(self) -> Floats:
        """Return the p-value ``[n]`` of each training row; 1 where it has none."""
        found = np.ones(len(self.training))
        found[self.scored] = tail_p_values(self.training[self.scored], self.known)
        return found

    def p_value(self) -> float:
        """Return how likely all of this is of training rows that are like the trusted ones."""
        training = self.training[self.scored]
        highest = float(benjamini_hochberg(tail_p_values(training, self.known)).min())
        return min(1.0, LOOKS * min(highest, excess_p_value(training, self.known)))

    def differs(self) -> bool:
        """Whether the training rows as a whole are stranger than the trusted ones."""
        over = self.training[self.scored] > np.median(self.known)
        return bool(over.mean() > ALIKE)

    def named(self, false_share: float) -> Chosen:
        """Return the rows ``[n]`` of which at most ``false_share`` are ordinary, on average."""
        found = np.zeros(len(self.training), dtype=np.bool_)
        chances = self.chances()[self.scored]
        found[self.scored] = benjamini_hochberg(chances) <= false_share
        return found

    def precision(self, named: Chosen, confidence: float) -> ConfidenceInterval:
        """Return the share of named rows that are no ordinary ones, at least.

        The value takes the p-value of the last one named for how often an ordinary row comes so
        far; the interval counts the trusted rows that do (Clopper and Pearson).
        """
        count, rows = int(named.sum()), int(self.scored.sum())
        last = float(self.chances()[named].max())
        beyond = int((self.known >= self.training[named].min()).sum())
        rate = clopper_pearson(beyond, self.known.size, confidence)
        low, high = (float(np.clip(1 - rows * end / count, 0, 1)) for end in (rate.high, rate.low))
        value = float(np.clip(1 - rows * last / count, low, high))
        method = "clopper-pearson of trusted rows as strange"
        return ConfidenceInterval(value, low, high, confidence, method, self.known.size)

    def least_share(self, level: float) -> float | None:
        """Return the smallest share of poison that would have been shown, of those tried.

        Poison scores as trusted rows with a wrong label do, or, where labels play no part, beyond
        all others; it joins trusted-like rows as many as were scanned.
        """
        rows, known = int(self.scored.sum()), np.sort(self.known)
        clean = np.quantile(known, (np.arange(rows) + 0.5) / rows, method="higher")
        planted = self.planted[np.isfinite(self.planted)]
        top = np.array([known[-1] + 1.0])
        source = np.sort(planted if planted.size else top)
        for share in PLANTED_SHARES:
            count = max(1, round(share * rows))
            poison = np.quantile(source, (np.arange(count) + 0.5) / count)
            if excess_p_value(np.concatenate((clean[: rows - count], poison)), known) <= level:
                return share
        return None


KEPT = 0.75
"""Share of the rows that the robust middle and spread are taken from: poison is the lesser part."""
ROUNDS = 8
ROWS_AN_AXIS = 5
MOST_AXES = 32
CLUSTER_AXES = 10
SHARPNESS = 4.0
RIDGE = 1e-3
LEAST_SPREAD = 1e-9


def spectre_scores(views: Narrow) -> Floats:
    """Return ``[n]``: how far rows ``[n, d]`` of one class lie along the directions in which they
    spread more than a clean majority would.

    The class is put on its principal axes, centred and whitened by the middle and covariance of
    its innermost three quarters (concentration steps of Rousseeuw and Van Driessen 1999), and each
    row gets the quantum entropy score of Hayase, Kong, Somani and Oh (2021, ICML, "SPECTRE",
    section 3 and algorithm 4) with alpha 4. Its cube root, whose tail is near a normal law's.
    """
    points = _axes(views, min(MOST_AXES, max(1, len(views) // ROWS_AN_AXIS)))
    kept: NDArray[np.bool_] = np.ones(len(points), dtype=np.bool_)
    white = points
    for _ in range(ROUNDS):
        middle = points[kept].mean(axis=0)
        whitened_spread = np.cov(points[kept].T, bias=True).reshape(
            points.shape[1], points.shape[1]
        )
        ridge = RIDGE * max(float(np.trace(whitened_spread)) / len(whitened_spread), LEAST_SPREAD)
        whitened_sizes, whitened_directions = np.linalg.eigh(
            whitened_spread + ridge * np.eye(len(whitened_spread))
        )
        white = (points - middle) @ whitened_directions / np.sqrt(whitened_sizes)
        away = (white**2).sum(axis=1)
        fresh = away <= np.quantile(away, KEPT)
        if np.array_equal(fresh, kept):
            break
        kept = fresh
    # The innermost rows are narrower than the whole: scale so that the median row is as it is.
    inner = float(np.median((white**2).sum(axis=1))) / max(1, points.shape[1])
    white = np.asarray(white / np.sqrt(max(inner, LEAST_SPREAD)))
    spread = np.cov(white.T, bias=True).reshape(white.shape[1], white.shape[1])
    sizes, directions = np.linalg.eigh(spread)
    excess = max(float(sizes[-1]) - 1, LEAST_SPREAD)
    weights = np.exp(np.clip(SHARPNESS * (sizes - 1) / excess, -50, 50))
    score = ((white @ directions) ** 2 @ weights) / weights.sum()
    return np.asarray(np.cbrt(score), dtype=np.float64)


def spectral_scores(views: Narrow) -> Floats:
    """Return ``[n]``: how far rows ``[n, d]`` of one class lie along its widest direction.

    Tran, Li and Madry (2018, NeurIPS, "Spectral signatures in backdoor attacks", algorithm 1).
    """
    return np.abs(_axes(views, 1)[:, 0])


def cluster_scores(views: Narrow, seed: int) -> Floats:
    """Return ``[n]``: how surely rows ``[n, d]`` of one class belong to the lesser of two clusters.

    2-means on ten principal axes (Chen et al. 2018, "Activation clustering"), and the silhouette
    by centres (Rousseeuw 1987): from -1 in the heart of the greater one to 1 in that of the lesser.
    """
    points = _axes(views, CLUSTER_AXES).astype(np.float32)
    if len(points) < 2 or not np.ptp(points, axis=0).any():  # noqa: PLR2004 -- of two clusters
        return np.zeros(len(points))
    centres = ClusterCentres.of(points, 2, seed)
    place, _ = centres.assign(points)
    away = np.stack([np.linalg.norm(points - one, axis=1) for one in centres.points])
    lesser = int(np.bincount(place, minlength=2).argmin())
    gap = away[1 - lesser] - away[lesser]
    return np.asarray(gap / np.maximum(away.max(axis=0), LEAST_SPREAD), dtype=np.float64)


VIEWS: dict[str, Callable[[Narrow, int], Floats]] = {
    "spectre": lambda views, _: spectre_scores(views),
    "spectral": lambda views, _: spectral_scores(views),
    "clusters": cluster_scores,
}


def _axes(views: Narrow, most: int) -> Floats:
    """Return rows along the principal axes of the class, the widest first."""
    centred = views.astype(np.float64) - views.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ directions[:, ::-1][:, :most])


NeighbourCodes = NDArray[np.int64]
BLOCK = 2048
NOWHERE = -1
"""The place in the pool of a row that is not in it."""
LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourPool:
    """Rows ``[m, d]`` that others are looked up among, and which of ``classes`` each is of."""

    rows: Narrow
    labels: NeighbourCodes
    classes: int

    def distances(self, rows: Narrow, own: NeighbourCodes, neighbours: int) -> Narrow:
        """Return ``[n, classes]``: how far rows ``[n, d]`` are from the ``neighbours``-th nearest
        one of each class.

        Every pair is compared, a block of rows at a time. ``own`` ``[n]`` is a row's own place in
        the crowd, which is passed over, or ``NOWHERE``. Infinite where a class has too few rows.
        """
        order = np.argsort(self.labels, kind="stable")
        crowd = np.ascontiguousarray(self.rows[order])
        place = np.full(len(crowd) + 1, NOWHERE)
        place[order] = np.arange(len(crowd))
        edges = np.searchsorted(self.labels[order], np.arange(self.classes + 1))
        squares = np.einsum("ij,ij->i", crowd, crowd)
        found = np.full((len(rows), self.classes), np.inf, dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            away = part @ crowd.T
            np.multiply(away, -2, out=away)
            away += squares
            there = place[own[start : start + BLOCK]]
            mine = np.flatnonzero(there >= 0)
            away[mine, there[mine]] = np.inf
            kth = np.full((len(away), len(edges) - 1), np.inf, dtype=np.float32)
            for kind, (first, last) in enumerate(pairwise(edges)):
                if last - first >= neighbours:
                    kth_part = away[:, first:last]
                    kth[:, kind] = np.partition(kth_part, neighbours - 1, axis=1)[:, neighbours - 1]
            nearest = kth + np.einsum("ij,ij->i", part, part)[:, None]
            found[start : start + BLOCK] = np.sqrt(np.maximum(nearest, 0))
        return found


def label_contradiction(distances: Narrow, labels: NeighbourCodes) -> tuple[Floats, NeighbourCodes]:
    """Return how much nearer ``[n]`` each row lies to another class than to its own, and to which.

    The logarithm of the distance to its own class over the least one to another, after Hodge and
    Austin (2004, Artificial Intelligence Review 22): above 0 the neighbours say another label.
    Where its own class has too few rows nothing is said: minus infinity.
    """
    away = np.array(distances, dtype=np.float64)
    at = np.arange(len(away))
    mine = away[at, labels]
    away[at, labels] = np.inf
    other = away.argmin(axis=1)
    nearest = away[at, other]
    known = np.isfinite(mine) & np.isfinite(nearest)
    ratio = np.log(np.maximum(np.where(known, mine, 1), LEAST))
    ratio -= np.log(np.maximum(np.where(known, nearest, 1), LEAST))
    return np.where(known, ratio, -np.inf), other.astype(np.int64)


NEIGHBOURS, REFERENCES = "neighbours", "references"
METHODS = (NEIGHBOURS, REFERENCES, *VIEWS)
LEAST_OF_A_CLASS = 10
"""Trusted rows of a class below which its training rows are compared with nothing."""
MOST_COLUMNS = 64
FITTED = 5000


@dataclass(frozen=True, slots=True, eq=False)
class ScanRows:
    """Training rows and, after them, trusted ones: ``[n + m]`` labels, and ``trained`` ``[n + m]``.

    Classes of fewer than ``LEAST_OF_A_CLASS`` trusted rows are not scanned.
    """

    labels: NeighbourCodes
    trained: Chosen
    classes: int

    @property
    def scanned(self) -> Chosen:
        """Which rows are of a class with enough trusted rows."""
        trusted = np.bincount(self.labels[~self.trained], minlength=self.classes)
        return np.asarray(trusted[self.labels] >= LEAST_OF_A_CLASS)

    @property
    def left_out(self) -> NeighbourCodes:
        """The classes of training rows that are not scanned."""
        return np.unique(self.labels[self.trained & ~self.scanned])

    def suspicion(
        self, raw: Floats, scored: Chosen, planted: tuple[Floats, NeighbourCodes]
    ) -> SuspicionScores:
        """Return what a method's raw scores ``[n + m]`` say, class by class on one scale."""
        scored = scored & self.scanned & np.isfinite(raw)
        yardstick = ClassScale.of(raw, self.labels, scored, self.classes)
        found = yardstick.measure(raw, self.labels, scored)
        other, labels = planted
        known = np.isfinite(other)
        return SuspicionScores(
            found[self.trained], found[~self.trained], yardstick.measure(other, labels, known)
        )


def fit_projection(first: Floats | Narrow, seed: int) -> Callable[[Floats | Narrow], Narrow]:
    """Return what puts rows ``[n, d]`` in few columns: as they are, or along principal axes that
    are fitted to ``first``.
    """
    if first.shape[1] <= MOST_COLUMNS:
        return lambda rows: rows.astype(np.float32)
    directions = PrincipalDirections.of(first[:FITTED].astype(np.float32), MOST_COLUMNS, seed)
    return lambda rows: directions.project(rows.astype(np.float32))


def project_points(points: Floats, seed: int) -> Narrow:
    """Return points ``[n, d]`` in few columns, the axes fitted to some of them."""
    chosen = np.random.default_rng(seed).permutation(len(points))[:FITTED]
    return fit_projection(points[chosen], seed)(points)


@dataclass(frozen=True, slots=True)
class NeighbourLookup:
    """Whom rows are compared with: ``neighbours`` among at most ``pool`` training rows, and the
    ``references`` nearest trusted rows of a class.
    """

    neighbours: int
    references: int
    pool: int


def label_scores(
    points: Narrow, rows: ScanRows, lookup: NeighbourLookup, seed: int
) -> tuple[dict[str, SuspicionScores], NeighbourCodes]:
    """Return what nearness to training and to trusted rows says of each label, and the label
    ``[n]`` that trusted rows suggest.

    A trusted row is passed over where it is its own reference, and a training row where it is its
    own neighbour.
    """
    rng = np.random.default_rng(seed)
    trained = np.flatnonzero(rows.trained)
    trusted = np.flatnonzero(~rows.trained)
    pool = np.sort(rng.permutation(trained)[: lookup.pool])
    # A label other than its own for each trusted row, of the classes that are scanned
    kinds = np.unique(rows.labels[rows.scanned])
    if kinds.size < 2:  # noqa: PLR2004 -- there is no other class
        wrong = rows.labels[trusted]
    else:
        place = np.searchsorted(kinds, rows.labels[trusted]).clip(max=kinds.size - 1)
        moved = (place + rng.integers(1, kinds.size, trusted.size)) % kinds.size
        wrong = np.asarray(kinds[moved], dtype=np.int64)
    found, suggested = {}, rows.labels[trained]
    pools = ((NEIGHBOURS, pool, lookup.neighbours), (REFERENCES, trusted, lookup.references))
    for name, looked_up, count in pools:
        own = np.full(len(points), NOWHERE)
        own[looked_up] = np.arange(len(looked_up))
        crowd = NeighbourPool(points[looked_up], rows.labels[looked_up], rows.classes)
        away = crowd.distances(points, own, count)
        raw, other = label_contradiction(away, rows.labels)
        planted, _ = label_contradiction(away[trusted], wrong)
        found[name] = rows.suspicion(raw, np.ones(len(points), dtype=np.bool_), (planted, wrong))
        suggested = np.where(raw[trained] > 0, other[trained], rows.labels[trained])
    return found, suggested


def representation_scores(
    views: Narrow, rows: ScanRows, told: Chosen, seed: int
) -> dict[str, SuspicionScores]:
    """Return what the model's own view ``[n + m, d]`` of rows says of each, class by class.

    ``told`` are rows that the model decides as they are labelled; of others it says nothing, for
    almost all training rows are learnt and some trusted ones are not.
    """
    none = np.empty(0), np.empty(0, dtype=np.int64)
    found = {}
    for name, score in VIEWS.items():
        raw = np.full(len(views), -np.inf)
        for kind in np.unique(rows.labels[told & rows.scanned]):
            mine = told & (rows.labels == kind)
            raw[mine] = score(views[mine], seed)
        found[name] = rows.suspicion(raw, told, none)
    return found
