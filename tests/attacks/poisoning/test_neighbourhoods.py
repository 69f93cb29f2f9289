import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.poisoning.training_scan import NOWHERE, NeighbourPool, label_contradiction


@given(st.integers(0, 200), st.integers(1, 4))
def test_distances_are_those_of_every_pair(seed: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    rows, crowd = (rng.normal(size=(count, 3)).astype(np.float32) for count in (9, 14))
    labels = rng.integers(0, 3, 14)
    found = NeighbourPool(crowd, labels, 3).distances(rows, np.full(9, NOWHERE), neighbours)
    away = np.linalg.norm(rows[:, None] - crowd, axis=2)
    for kind in range(3):
        mine = np.sort(away[:, labels == kind], axis=1)
        if mine.shape[1] < neighbours:
            assert np.isinf(found[:, kind]).all()
        else:
            assert np.allclose(found[:, kind], mine[:, neighbours - 1], atol=1e-3)


def test_a_row_is_not_its_own_neighbour() -> None:
    rows = np.array([[0.0], [1.0], [5.0], [9.0]], dtype=np.float32)
    found = NeighbourPool(rows, np.array([0, 0, 1, 1]), 2).distances(rows, np.arange(4), 1)
    assert np.allclose(found, [[1, 5], [1, 4], [4, 4], [8, 4]], atol=1e-3)


def test_a_contradiction_is_the_logarithm_of_both_distances() -> None:
    away = np.array([[2.0, 1.0, 8.0], [1.0, 4.0, 2.0], [np.inf, 1.0, 2.0]], dtype=np.float32)
    found, other = label_contradiction(away, np.array([0, 0, 0]))
    assert found == pytest.approx([np.log(2), -np.log(2), -np.inf])
    assert list(other) == [1, 2, 1]
