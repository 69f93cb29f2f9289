"""Principal axes and k-means: known answers, and the same seed gives the same bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from auditor.metrics.performance.embedding_clusters import RowClusters
from auditor.metrics.stats.learners import ClusterCentres, PrincipalDirections

PIXELS = load_digits().data.astype(np.float32)


def test_rows_around_known_points_find_them_again() -> None:
    rng = np.random.default_rng(0)
    points = np.array([[0, 0], [10, 0], [0, 10]], dtype=np.float32)
    truth = rng.integers(0, 3, 600)
    rows = points[truth] + rng.normal(size=(600, 2)).astype(np.float32)
    found = ClusterCentres.of(rows, 3, 1)
    places, apart = found.assign(rows)
    order = np.argsort(np.abs(found.points[:, None] - points).sum(axis=2), axis=1)[:, 0]
    assert np.array_equal(order[places], truth)
    np.testing.assert_allclose(found.points, points[order], atol=0.3)
    np.testing.assert_allclose(
        apart, np.sqrt(((rows - found.points[places]) ** 2).sum(axis=1)), rtol=1e-5
    )


def test_groups_are_about_as_tight_as_those_of_scikit_learn() -> None:
    ours = ClusterCentres.of(PIXELS, 10, 0).assign(PIXELS)[1]
    theirs = KMeans(10, n_init=4, random_state=0).fit(PIXELS).inertia_
    assert float((ours.astype(np.float64) ** 2).sum()) < 1.02 * theirs


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_every_row_is_nearest_to_its_own_centre(seed: int, count: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 3, (12, 2)).astype(np.float32)
    centres = ClusterCentres.of(rows, count, seed)
    places, apart = centres.assign(rows)
    every = np.sqrt(((rows[:, None] - centres.points) ** 2).sum(axis=2))
    np.testing.assert_allclose(apart, every.min(axis=1), atol=1e-4)
    assert places.max() < count
    assert ClusterCentres.of(rows, count, seed).points.tobytes() == centres.points.tobytes()


def test_more_centres_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 centres of 2 rows"):
        ClusterCentres.of(PIXELS[:2], 3, 0)


def test_axes_are_those_of_the_largest_spread() -> None:
    rows = PIXELS[:, PIXELS.std(axis=0) > 0]
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)
    exact = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[:8]
    found = PrincipalDirections.of(PIXELS, 8, 0).project(PIXELS)
    sizes = np.sqrt((found.astype(np.float64) ** 2).sum(axis=0))
    np.testing.assert_allclose(np.sort(sizes)[::-1], exact, rtol=0.02)


def test_a_column_that_says_nothing_and_numbers_that_are_none_change_nothing() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 3)).astype(np.float32)
    more = np.column_stack([rows, np.full(200, 7, np.float32)])
    more[5, 1] = np.nan
    found = PrincipalDirections.of(more, 4, 0)
    assert found.axes.shape == (4, 3)
    assert np.isfinite(found.project(more)).all()
    assert PrincipalDirections.of(np.ones((9, 4), np.float32), 4, 0).axes.shape == (4, 0)


def test_rows_held_out_do_not_move_a_centre() -> None:
    searched = np.arange(len(PIXELS)) % 2 == 0
    other = PIXELS.copy()
    other[~searched] += 5
    one, two = (RowClusters.of(rows, searched, (8,), 0) for rows in (PIXELS, other))
    assert np.array_equal(one.codes[:, searched], two.codes[:, searched])
    assert not np.array_equal(one.codes[:, ~searched], two.codes[:, ~searched])
    sizes = np.bincount(one.codes[0][searched])
    assert list(sizes) == sorted(sizes, reverse=True)
