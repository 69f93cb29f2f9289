import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.metrics.stats.p_values import (
    benjamini_hochberg,
    conformal_p_values,
    fewest_detectable_rows,
)


def test_four_reference_rows_on_paper() -> None:
    found = conformal_p_values(np.array([0.0, 2.0, 2.5, 9.0]), np.array([4.0, 1.0, 2.0, 3.0]))
    assert found.tolist() == [1.0, 0.8, 0.6, 0.2]
    with pytest.raises(ValueError, match="need a reference"):
        conformal_p_values(np.zeros(1), np.zeros(0))


@given(st.integers(1, 300), st.integers(20, 300))
def test_fewer_rows_than_said_cannot_be_found_however_strange(rows: int, reference: int) -> None:
    assume(10 * rows % (1 + reference))  # on the border rounding decides
    least = fewest_detectable_rows(rows, reference, 0.1)
    calm = np.arange(reference, dtype=float)
    for strange in (least - 1, least):
        if 0 < strange <= rows:
            scores = np.where(np.arange(rows) < strange, 1e9, -1.0)
            found = benjamini_hochberg(conformal_p_values(scores, calm)) <= 0.1
            assert found.any() == (strange == least)


def test_the_share_of_false_findings_is_kept() -> None:
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        scores = np.append(rng.normal(4, 1, 20), rng.normal(size=180))
        found = benjamini_hochberg(conformal_p_values(scores, rng.normal(size=400))) <= 0.1
        shares.append(found[20:].sum() / max(found.sum(), 1))
    assert np.mean(shares) <= 0.1 + 4 * np.std(shares) / np.sqrt(300)
