"""Every check that draws rows draws one row for all its copies."""

from dataclasses import replace

import numpy as np
from everything import binary
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.check_subject import seeded_permutation
from auditor.domain.datasets import Dataset, DatasetRole


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 70))
def test_one_row_stands_for_its_copies_in_every_sample(values: list[int], count: int) -> None:
    first = np.array([values.index(value) for value in values])
    plain = Dataset(DatasetRole.EVALUATION, (), None, None, [str(at) for at in range(len(values))])
    subject = replace(binary(), datasets={DatasetRole.EVALUATION: plain})
    order = seeded_permutation(subject.audit_seed, len(values))
    assert np.array_equal(subject.sample(DatasetRole.EVALUATION, count), order[:count])
    subject.datasets = {DatasetRole.EVALUATION: replace(plain, copies=first)}
    taken = subject.sample(DatasetRole.EVALUATION, count)
    assert len(taken) == min(count, len(set(values)))
    assert len({values[row] for row in taken}) == len(taken)
