"""A file's own decisions stand where there is no model to ask, and only there."""

from dataclasses import replace

import numpy as np
import pytest
from scored_subjects import gaps, measured, read, scored
from watching import Nobody

from auditor.checks.data.labels import LabelErrorCheck
from auditor.checks.fairness.groups import GroupFairnessCheck
from auditor.checks.measure import compute_readings
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.checks.requirements import find_unmet_need
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.readings import Gap
from auditor.domain.records import CheckObservation
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance


def decided(decisions: list[int], labels: list[int], *, with_scores: bool) -> Subject:
    sexes = ["f", "m"] * (len(labels) // 2)
    subject = scored(np.full(len(labels), 0.9), labels, groups={"sex": sexes})
    data = subject.datasets[DatasetRole.EVALUATION]
    said = replace(data, decisions=np.array(decisions), scores=data.scores if with_scores else None)
    subject.datasets = {DatasetRole.EVALUATION: said}
    return subject


@pytest.mark.slow
def test_decisions_of_the_file_count_and_not_those_that_its_scores_would_make() -> None:
    subject = decided([0, 0, 1, 1], [0, 0, 1, 0], with_scores=True)
    found = read(AccuracyCheck(), subject)
    assert measured(found, "accuracy").value == 0.75
    assert measured(read(GroupFairnessCheck(), subject), "selection_rate", group="f").value == 0.5


@pytest.mark.slow
def test_decisions_alone_do_not_say_which_labels_are_wrong() -> None:
    subject = decided([0, 0, 1, 1], [0, 0, 1, 0], with_scores=False)
    (seen,) = observe_checks(
        [LabelErrorCheck()],
        subject,
        lambda blob: None,
        Nobody(),
        TimeAllowance(subject.target, AuditSize(4, 2)),
    )
    (gap,) = compute_readings([seen], 0.95)
    assert isinstance(gap, Gap)
    assert gap.metric == "noise_share"


def test_decisions_without_scores_leave_gaps_where_scores_would_speak() -> None:
    subject = decided([0, 0, 1, 1], [0, 0, 1, 0], with_scores=False)
    assert find_unmet_need(AccuracyCheck(), subject) is None
    (seen,) = observe_checks(
        [AccuracyCheck()],
        subject,
        lambda blob: None,
        Nobody(),
        TimeAllowance(subject.target, AuditSize(4, 2)),
    )
    assert isinstance(seen, ObservedCheck)
    assert isinstance(seen.observation, CheckObservation)
    assert seen.observation.labels_only
    found = compute_readings([seen], 0.95)
    assert measured(found, "accuracy").value == 0.75
    assert {gap.metric for gap in gaps(found, "gives labels and no scores")} == {
        "auc",
        "nll",
        "brier",
    }


def test_decisions_that_their_scores_do_not_make_are_told() -> None:
    subject = decided([0, 0, 1, 1], [0, 0, 1, 0], with_scores=True)
    found = measured(read(AccuracyCheck(), subject), "accuracy")
    assert found.details["decided_otherwise"] == 2
    agreed = decided([1, 1, 1, 1], [0, 0, 1, 0], with_scores=True)
    clean = measured(read(AccuracyCheck(), agreed), "accuracy")
    assert "decided_otherwise" not in clean.details
