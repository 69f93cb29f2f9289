"""Which answers are right, of decisions and of numbers, where the truth is known and where not."""

import numpy as np
import pytest
from surveyed_subjects import part, regressed, surveyed

from auditor.domain.datasets import UNLABELLED, DatasetRole
from auditor.metrics.data.model_answers import DatasetAnswers, find_dataset_answers

ROLE = DatasetRole.PRODUCTION


def test_a_decision_is_right_for_its_label_and_never_before_the_label_has_come() -> None:
    subject = surveyed(part(ROLE, [0.9, 0.9, 0.1, 0.1], [1, 0, 0, UNLABELLED]))
    found = find_dataset_answers(subject, ROLE)
    assert isinstance(found, DatasetAnswers)
    assert subject.right(ROLE).tolist() == found.right.tolist() == [True, False, True, False]
    assert found.labelled.tolist() == [True, True, True, False]


def test_a_number_is_right_within_the_tolerance_its_edge_included() -> None:
    truth = np.array([1.5, 1.75, np.nan])
    subject = regressed(part(ROLE, np.ones((3, 1)), targets=truth), tolerance=0.5)
    found = find_dataset_answers(subject, ROLE)
    assert isinstance(found, DatasetAnswers)
    assert subject.right(ROLE).tolist() == found.right.tolist() == [True, False, False]
    assert found.labelled.tolist() == [True, True, False]


def test_without_truth_nobody_can_say() -> None:
    subject = surveyed(part(ROLE, [0.9]))
    with pytest.raises(TypeError, match="no labels"):
        subject.right(ROLE)
    found = find_dataset_answers(subject, ROLE)
    assert isinstance(found, DatasetAnswers)
    assert not found.labelled.any()
