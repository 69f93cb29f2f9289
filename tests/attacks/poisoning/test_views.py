"""Known answers on a class of two clusters, the lesser of which is poison."""

import numpy as np
import pytest
from numpy.typing import NDArray

from auditor.attacks.poisoning.training_scan import (
    VIEWS,
    cluster_scores,
    spectral_scores,
    spectre_scores,
)

ROWS, POISON, WIDTH = 300, 30, 12


def two_clusters(seed: int = 0, away: float = 8.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A round class, and poison that lies off along its second coordinate."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(ROWS, WIDTH))
    bad = np.arange(ROWS) < POISON
    rows[bad, 1] += away
    return rows.astype(np.float32), bad


@pytest.mark.parametrize("name", VIEWS)
def test_every_score_puts_the_lesser_cluster_first(name: str) -> None:
    rows, bad = two_clusters()
    scores = VIEWS[name](rows, 0)
    assert set(np.argsort(-scores)[:POISON]) == set(np.flatnonzero(bad))


def test_the_spectral_score_is_the_distance_along_the_line_between_the_clusters() -> None:
    rows, bad = two_clusters(away=100.0)
    scores = spectral_scores(rows)
    # The middle lies a tenth of the way: poison is 90 from it, the others 10.
    assert scores[bad].mean() == pytest.approx(90, abs=1)
    assert scores[~bad].mean() == pytest.approx(10, abs=1)


def test_silhouettes_near_the_centres_are_plus_and_minus_one() -> None:
    rows, bad = two_clusters(away=1000.0)
    scores = cluster_scores(rows, 0)
    assert scores[bad].min() > 0.9
    assert scores[~bad].max() < -0.9


def test_spectre_finds_what_hides_in_a_narrow_direction_where_the_spectral_score_does_not() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(ROWS, WIDTH)) * np.array([30.0, 1.0, *np.ones(WIDTH - 2)])
    bad = np.arange(ROWS) < POISON
    rows[bad, 1] += 6
    for score, least, most in ((spectre_scores, 0.95, 1.0), (spectral_scores, 0.35, 0.65)):
        scores = score(rows.astype(np.float32))
        above = (scores[bad][:, None] > scores[~bad]).mean()
        assert least <= above <= most


def test_the_order_of_rows_and_a_turn_of_the_axes_do_not_matter() -> None:
    rows, _ = two_clusters(2)
    order = np.random.default_rng(3).permutation(ROWS)
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(WIDTH, WIDTH)))[0]
    for score in (spectre_scores, spectral_scores):
        plain = score(rows)
        assert np.allclose(score(rows[order]), plain[order], rtol=1e-3)
        assert np.allclose(score((rows @ turn).astype(np.float32)), plain, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", VIEWS)
def test_one_row_and_rows_that_are_alike_have_finite_scores(name: str) -> None:
    for rows in (np.ones((1, 3)), np.ones((6, 3)), np.zeros((4, 1))):
        assert np.isfinite(VIEWS[name](rows.astype(np.float32), 0)).all()
