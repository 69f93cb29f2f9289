import numpy as np
import pytest
from scipy.stats import fisher_exact

from auditor.metrics.stats.p_values import SHARES, excess_p_value


def test_it_is_fishers_exact_test_of_the_highest_rows() -> None:
    scores = np.concatenate((np.full(30, 9.0), np.linspace(0, 1, 270)))
    reference = np.linspace(0, 1, 100)
    best = []
    for share in SHARES:
        top = round(share * 400)
        inside = int(
            (np.argsort(-np.concatenate((reference, scores)), kind="stable")[:top] < 100).sum()
        )
        table = [[inside, top - inside], [100 - inside, 300 - top + inside]]
        best.append(fisher_exact(table, alternative="less").pvalue)
    assert excess_p_value(scores, reference) == pytest.approx(4 * min(best))


def test_equal_scores_say_nothing() -> None:
    assert excess_p_value(np.zeros(50), np.zeros(10)) == 1


def test_samples_alike_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(0)
    found = np.array(
        [excess_p_value(rng.normal(size=300), rng.normal(size=100)) for _ in range(1000)]
    )
    assert (found <= 0.05).mean() <= 0.05
    assert (found <= 0.01).mean() <= 0.01 + 4 * 0.0032


def test_both_sides_need_rows() -> None:
    with pytest.raises(ValueError, match="both sides"):
        excess_p_value(np.empty(0), np.ones(3))
