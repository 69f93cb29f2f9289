"""Scores of training rows and trusted rows alike, method by method."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.domain.tasks import Floats
from auditor.poisons.neighbourhoods import (
    NOWHERE,
    Codes,
    Crowd,
    Narrow,
    contradiction,
)
from auditor.poisons.suspicion import Chosen, Suspicion, Yardstick
from auditor.poisons.views import VIEWS
from auditor.stats.principal import Directions

NEIGHBOURS, REFERENCES = "neighbours", "references"
METHODS = (NEIGHBOURS, REFERENCES, *VIEWS)
LEAST_OF_A_CLASS = 10
"""Trusted rows of a class below which its training rows are compared with nothing."""
MOST_COLUMNS = 64
FITTED = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Training rows and, after them, trusted ones: ``[n + m]`` labels, and ``trained`` ``[n + m]``.

    Classes of fewer than ``LEAST_OF_A_CLASS`` trusted rows are not scanned.
    """

    labels: Codes
    trained: Chosen
    classes: int

    @property
    def scanned(self) -> Chosen:
        """Which rows are of a class with enough trusted rows."""
        trusted = np.bincount(self.labels[~self.trained], minlength=self.classes)
        return np.asarray(trusted[self.labels] >= LEAST_OF_A_CLASS)

    @property
    def left_out(self) -> Codes:
        """The classes of training rows that are not scanned."""
        return np.unique(self.labels[self.trained & ~self.scanned])

    def suspicion(self, raw: Floats, scored: Chosen, planted: tuple[Floats, Codes]) -> Suspicion:
        """Return what a method's raw scores ``[n + m]`` say, class by class on one scale."""
        scored = scored & self.scanned & np.isfinite(raw)
        yardstick = Yardstick.of(raw, self.labels, scored, self.classes)
        found = yardstick.measure(raw, self.labels, scored)
        other, labels = planted
        known = np.isfinite(other)
        return Suspicion(
            found[self.trained], found[~self.trained], yardstick.measure(other, labels, known)
        )


def narrowing(first: Floats | Narrow, seed: int) -> Callable[[Floats | Narrow], Narrow]:
    """Return what puts rows ``[n, d]`` in few columns: as they are, or along principal axes that
    are fitted to ``first``.
    """
    if first.shape[1] <= MOST_COLUMNS:
        return lambda rows: rows.astype(np.float32)
    directions = Directions.of(first[:FITTED].astype(np.float32), MOST_COLUMNS, seed)
    return lambda rows: directions.project(rows.astype(np.float32))


def narrowed(points: Floats, seed: int) -> Narrow:
    """Return points ``[n, d]`` in few columns, the axes fitted to some of them."""
    chosen = np.random.default_rng(seed).permutation(len(points))[:FITTED]
    return narrowing(points[chosen], seed)(points)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Whom rows are compared with: ``neighbours`` among at most ``pool`` training rows, and the
    ``references`` nearest trusted rows of a class.
    """

    neighbours: int
    references: int
    pool: int


def label_scores(
    points: Narrow, rows: Rows, lookup: Lookup, seed: int
) -> tuple[dict[str, Suspicion], Codes]:
    """Return what nearness to training and to trusted rows says of each label, and the label
    ``[n]`` that trusted rows suggest.

    A trusted row is passed over where it is its own reference, and a training row where it is its
    own neighbour.
    """
    rng = np.random.default_rng(seed)
    trained = np.flatnonzero(rows.trained)
    trusted = np.flatnonzero(~rows.trained)
    pool = np.sort(rng.permutation(trained)[: lookup.pool])
    wrong = _wrong_labels(rows, trusted, rng)
    found, suggested = {}, rows.labels[trained]
    pools = ((NEIGHBOURS, pool, lookup.neighbours), (REFERENCES, trusted, lookup.references))
    for name, looked_up, count in pools:
        own = np.full(len(points), NOWHERE)
        own[looked_up] = np.arange(len(looked_up))
        crowd = Crowd(points[looked_up], rows.labels[looked_up], rows.classes)
        away = crowd.distances(points, own, count)
        raw, other = contradiction(away, rows.labels)
        planted, _ = contradiction(away[trusted], wrong)
        found[name] = rows.suspicion(raw, np.ones(len(points), dtype=np.bool_), (planted, wrong))
        suggested = np.where(raw[trained] > 0, other[trained], rows.labels[trained])
    return found, suggested


def view_scores(views: Narrow, rows: Rows, told: Chosen, seed: int) -> dict[str, Suspicion]:
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


def _wrong_labels(rows: Rows, trusted: Codes, rng: np.random.Generator) -> Codes:
    """Return a label other than its own for each trusted row, of the classes that are scanned."""
    kinds = np.unique(rows.labels[rows.scanned])
    if kinds.size < 2:  # noqa: PLR2004 -- there is no other class
        return rows.labels[trusted]
    place = np.searchsorted(kinds, rows.labels[trusted]).clip(max=kinds.size - 1)
    moved = (place + rng.integers(1, kinds.size, trusted.size)) % kinds.size
    return np.asarray(kinds[moved], dtype=np.int64)
