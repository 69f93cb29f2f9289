"""Label shift by decisions alone: a case on paper, coverage, and where it has no answer."""

import numpy as np
import pytest

from auditor.metrics.stats.drift import label_share_changes


def test_the_share_is_that_of_rogan_and_gladen_on_paper() -> None:
    # TPR 0.8, FPR 0.1, half positive before; 0.24 decided positive now: (0.24 - 0.1) / 0.7 = 0.2.
    confusion = np.array([[900, 200], [100, 800]])
    found = label_share_changes(confusion, np.array([760, 240]), 0.95)
    assert found is not None
    assert [item.value for item in found] == pytest.approx([0.3, -0.3])


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    looks = np.array([[0.8, 0.15, 0.1], [0.1, 0.7, 0.2], [0.1, 0.15, 0.7]])
    before, now = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    covered = 0
    for _ in range(400):
        labelled = rng.multinomial(2000, before)
        confusion = np.stack([rng.multinomial(n, looks[:, j]) for j, n in enumerate(labelled)], 1)
        found = label_share_changes(confusion, rng.multinomial(3000, looks @ now), 0.95)
        assert found is not None
        covered += all(
            item.low <= truth <= item.high for item, truth in zip(found, now - before, strict=True)
        )
    assert covered >= 0.92 * 400


@pytest.mark.parametrize(
    ("confusion", "decided"),
    [([[50, 50], [50, 50]], [10, 10]), ([[50, 0], [50, 0]], [10, 10]), ([[9, 1], [1, 9]], [0, 0])],
)
def test_where_decisions_say_nothing_there_is_no_estimate(
    confusion: list[list[int]], decided: list[int]
) -> None:
    assert label_share_changes(np.array(confusion), np.array(decided), 0.95) is None
