from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.metrics.stats import group_gaps
from auditor.metrics.stats.group_gaps import (
    bootstrap_tables,
    rate_counts,
    tabulate,
)


def rows(seed: int, count: int, levels: Sequence[int]) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, size, count).astype(np.uint8) for size in levels]


@given(
    st.integers(0, 99),
    st.integers(0, 400),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
)
def test_every_cell_holds_the_rows_that_have_its_codes(
    seed: int, count: int, levels: list[int]
) -> None:
    columns = rows(seed, count, levels)
    slow = np.zeros(levels, dtype=np.int64)
    for codes in zip(*columns, strict=True):
        slow[codes] += 1
    assert np.array_equal(tabulate(columns, levels), slow)


def test_blocks_of_rows_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = rows(1, 1000, [3, 4])
    whole = tabulate(columns, [3, 4])
    monkeypatch.setattr(group_gaps, "BLOCK", 7)
    assert np.array_equal(tabulate(columns, [3, 4]), whole)


@pytest.mark.parametrize("size", [255, 256, 257, 65_536])
def test_as_many_levels_as_a_code_can_hold_are_counted(size: int) -> None:
    codes = np.arange(size) % size
    assert np.array_equal(tabulate([codes], [size]), np.ones(size))


def test_what_is_no_table_is_refused() -> None:
    flags = np.zeros(4, dtype=np.bool_)
    for columns, levels, about in (
        ([], [], "no table"),
        ([flags], [2, 2], "no table"),
        ([flags, flags[:2]], [2, 2], "column 1 has 2 rows"),
        ([flags, np.array([0, 0, 0, 2])], [2, 2], "column 1 has a code"),
        ([flags, np.array([0, 0, 0, -1])], [2, 2], "column 1 has a code"),
        ([flags] * 25, [2] * 25, "no table"),
    ):
        with pytest.raises(ValueError, match=about):
            tabulate(columns, levels)


def test_rates_are_those_of_the_published_confusion_table() -> None:
    # COMPAS, two years, decile score of at least 5, black defendants (ProPublica).
    found = rate_counts(np.array([[990, 805], [532, 1369]]))
    shares = {name: pair[0] / pair[1] for name, pair in found.items()}
    assert shares["fpr"] == pytest.approx(0.4485, abs=5e-5)
    assert 1 - shares["tpr"] == pytest.approx(0.2799, abs=5e-5)
    assert shares["ppv"] == pytest.approx(0.6297, abs=5e-5)
    assert shares["accuracy"] == pytest.approx(0.6383, abs=5e-5)
    assert found["npv"].tolist() == [990, 990 + 532]
    assert found["selection_rate"].tolist() == [805 + 1369, 3696]


def test_the_bootstrap_of_the_table_is_that_of_the_rows() -> None:
    # The mean and the covariance of the cells' counts over rounds, by both ways.
    group, right = rows(4, 300, [3, 2])
    table = tabulate([group, right], [3, 2])
    rounds, rng = 4000, np.random.default_rng(5)
    by_cell = bootstrap_tables(table, rounds, rng).reshape(rounds, -1)
    picks = rng.integers(0, 300, (rounds, 300))
    by_row = np.array([tabulate([group[at], right[at]], [3, 2]).ravel() for at in picks])
    assert (by_cell.sum(axis=1) == 300).all()
    share = table.ravel() / 300
    exact = 300 * (np.diag(share) - np.outer(share, share))
    for drawn in (by_cell, by_row):
        error = np.sqrt(np.diag(exact) / rounds)
        assert (np.abs(drawn.mean(axis=0) - table.ravel()) < 4 * error).all()
        assert np.abs(np.cov(drawn.T) - exact).max() < 4 * exact.max() * np.sqrt(2 / rounds)


def test_the_same_seed_draws_the_same_tables() -> None:
    table = tabulate(rows(6, 50, [2, 2]), [2, 2])
    one, other = (bootstrap_tables(table, 9, np.random.default_rng(7)) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_a_table_of_no_rows_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="no rows"):
        bootstrap_tables(np.zeros((2, 2), np.int64), 3, np.random.default_rng(0))
