"""Rows in groups of near neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.principal import Narrow

STARTS = 4
MOST_ROUNDS = 50
MOST_FITTED = 20_000
"""Rows that centres are fitted to, the first of a random order; all rows are then assigned."""
A_PART = 8192

Places = NDArray[np.intp]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Centres:
    """The middle ``[k, d]`` of each group."""

    points: Narrow

    @classmethod
    def of(cls, rows: Narrow, count: int, seed: int) -> "Centres":
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
        starts = [_settled(fitted, _start(fitted, count, rng)) for _ in range(STARTS)]
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


def _start(rows: Narrow, count: int, rng: np.random.Generator) -> Narrow:
    chosen = [int(rng.integers(len(rows)))]
    nearest = ((rows - rows[chosen[0]]) ** 2).sum(axis=1, dtype=np.float64)
    while len(chosen) < count:
        total = nearest.sum()
        chances = nearest / total if total > 0 else np.full(len(rows), 1 / len(rows))
        chosen.append(int(rng.choice(len(rows), p=chances)))
        apart = ((rows - rows[chosen[-1]]) ** 2).sum(axis=1, dtype=np.float64)
        nearest = np.minimum(nearest, apart)
    return rows[chosen].copy()


def _settled(rows: Narrow, points: Narrow) -> tuple[Narrow, float]:
    """Move centres to the middle of their rows until no row changes its centre."""
    places = np.full(len(rows), -1)
    for _ in range(MOST_ROUNDS):
        found, apart = Centres(points).assign(rows)
        if np.array_equal(found, places):
            break
        places = found
        points = _middles(rows, places, apart, points)
    apart = Centres(points).assign(rows)[1]
    return points, float((apart.astype(np.float64) ** 2).sum())


def _middles(rows: Narrow, places: Places, apart: Floats32, before: Narrow) -> Narrow:
    count = len(before)
    sizes = np.bincount(places, minlength=count)
    sums = np.stack([np.bincount(places, column, count) for column in rows.T], axis=1)
    points = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    points[empty] = rows[np.argsort(-apart, kind="stable")[: empty.size]]
    return points
