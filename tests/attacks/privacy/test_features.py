"""Numbers of rows of any kind."""

import numpy as np
import pytest

from auditor.attacks.privacy.shadow_training import BUCKETS, WIDEST, to_feature_matrix


def test_rows_are_laid_flat() -> None:
    pictures = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert to_feature_matrix(pictures).tolist() == pictures.reshape(2, 12).tolist()
    assert to_feature_matrix(pictures).dtype == np.float32


def test_neighbours_of_wide_rows_are_averaged() -> None:
    wide = np.random.default_rng(0).normal(size=(3, 2 * WIDEST + 1))
    found = to_feature_matrix(wide)
    assert found.shape[1] <= WIDEST
    assert found[:, 0] == pytest.approx(wide[:, :3].mean(axis=1), abs=1e-6)
    assert found[:, -1] == pytest.approx(wide[:, 3 * (found.shape[1] - 1) :].mean(axis=1), abs=1e-6)


def test_texts_of_the_same_words_are_the_same_and_others_are_not() -> None:
    found = to_feature_matrix(np.array(["A good day", "day good, a", "a bad day", "good good"]))
    assert found.shape == (4, BUCKETS)
    assert found[0].tolist() == found[1].tolist()
    assert found[0].tolist() != found[2].tolist()
    assert found[3].max() == pytest.approx(np.log(3))
