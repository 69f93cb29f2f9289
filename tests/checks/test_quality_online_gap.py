from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scored_subjects import ends, gaps, measured, names, read
from surveyed_subjects import part, regressed, surveyed

from auditor.checks.quality.online_gap import CHECK, OnlineGapCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import UNLABELLED, DatasetRole
from auditor.domain.readings import GapReason
from auditor.metrics.stats.share_differences import share_difference

EVALUATION, PRODUCTION = DatasetRole.EVALUATION, DatasetRole.PRODUCTION


def audited(right: int, rows: int, online_right: int, online: int, waiting: int = 0) -> Subject:
    """So many of so many rows are right in each; labels of ``waiting`` more have not come."""
    ours = [1] * right + [0] * (rows - right)
    theirs = [1] * online_right + [0] * (online - online_right) + [UNLABELLED] * waiting
    return surveyed(
        part(EVALUATION, np.full(rows, 0.9), ours),
        part(PRODUCTION, np.full(len(theirs), 0.9), theirs),
    )


def test_the_change_is_the_difference_of_two_shares() -> None:
    change = measured(read(OnlineGapCheck(), audited(90, 100, 160, 200)), "accuracy_change")
    assert change.value == pytest.approx(-0.1)
    oracle = share_difference((160, 200), (90, 100), 0.95)
    assert ends(change) == (oracle.low, oracle.high)
    assert change.n == 300


def test_a_model_that_got_worse_is_found_and_its_clean_twin_is_not() -> None:
    worse = measured(read(OnlineGapCheck(), audited(900, 1000, 850, 1000)), "accuracy_change")
    same = measured(read(OnlineGapCheck(), audited(900, 1000, 899, 1000)), "accuracy_change")
    assert ends(worse)[1] < 0
    assert ends(same)[0] < 0 < ends(same)[1]


def test_rows_without_a_label_are_left_out_and_named() -> None:
    readings = read(OnlineGapCheck(), audited(90, 100, 80, 100, waiting=100))
    assert measured(readings, "online_accuracy").value == 0.8
    labelled = measured(readings, "labelled_share")
    assert labelled.value == 0.5
    assert labelled.details["without_label"] == 100
    assert labelled.details["worst_rows"] == [f"production-{row}" for row in range(100, 110)]
    details = measured(readings, "accuracy_change").details
    assert details["if_all_others_are_wrong"] == pytest.approx(0.4 - 0.9)
    assert details["if_all_others_are_right"] == pytest.approx(0.9 - 0.9)


def test_rows_of_one_person_count_less() -> None:
    alone = audited(900, 1000, 850, 1000)
    twenty = [str(row // 50) for row in range(1000)]
    subject = surveyed(*(replace(data, cluster=None) for data in alone.datasets.values()))
    subject.datasets = {
        role: part(role, data.scores, data.labels, cluster=[f"{role}{name}" for name in twenty])
        for role, data in alone.datasets.items()
    }
    low, high = ends(measured(read(OnlineGapCheck(), alone), "accuracy_change"))
    wider = ends(measured(read(OnlineGapCheck(), subject), "accuracy_change"))
    assert wider[1] - wider[0] > 1.5 * (high - low)


def test_two_people_tell_nothing_of_others() -> None:
    alone = audited(90, 100, 85, 100)
    subject = surveyed()
    subject.datasets = {
        role: part(role, data.scores, data.labels, cluster=["a", "b"] * 50)
        for role, data in alone.datasets.items()
    }
    lacking = gaps(read(OnlineGapCheck(), subject), "Fewer than 3 clusters")
    assert {gap.reason for gap in lacking} == {GapReason.TOO_FEW_ROWS}
    assert [gap.metric for gap in lacking] == ["online_accuracy", "accuracy_change"]


def test_a_regression_is_right_within_its_tolerance() -> None:
    truth = np.arange(100.0)
    off = np.where(np.arange(100) < 80, 0.05, 0.5)
    subject = regressed(
        part(EVALUATION, truth[:, None], targets=truth),
        part(PRODUCTION, (truth + off)[:, None], targets=np.where(truth < 90, truth, np.nan)),
    )
    readings = read(OnlineGapCheck(), subject)
    assert measured(readings, "online_accuracy").value == pytest.approx(80 / 90)
    assert measured(readings, "labelled_share").value == 0.9


def test_production_without_labels_is_a_gap_with_a_cure() -> None:
    subject = audited(9, 10, 0, 0, waiting=10)
    (gap,) = gaps(read(OnlineGapCheck(), subject), "production data has no labels")
    assert "data.production.labels" in gap.cure


def test_production_without_answers_is_a_gap_where_there_is_no_model() -> None:
    subject = surveyed(part(EVALUATION, [0.9, 0.1], [1, 0]), part(PRODUCTION, None, [1, 0]))
    (gap,) = gaps(read(OnlineGapCheck(), subject), "production data does not say what one answered")
    assert gap.reason is GapReason.NEEDS_SCORES


def test_labels_that_have_not_come_are_blank_in_the_file_of_production_only(
    tmp_path: Path,
) -> None:
    from auditor.errors import DatasetError  # noqa: PLC0415
    from auditor.inputs.auditfile.read import read_audit_file  # noqa: PLC0415 -- only here
    from auditor.inputs.datasets.load import load_datasets  # noqa: PLC0415
    from auditor.targets.target_specs import resolve_target  # noqa: PLC0415

    (tmp_path / "full.csv").write_text("y,p\n0,0.1\n1,0.9\n")
    (tmp_path / "late.csv").write_text("y,p\n,0.1\n1,0.9\n")

    def load(evaluation: str) -> object:
        text = (
            "apiVersion: auditor/v1\nkind: Audit\nmodel: {name: m, version: 1.0.0}\n"
            'task: {kind: classification, classes: ["0", "1"]}\ntargets: [cpu]\ndata:\n'
            f"  evaluation: {{path: {evaluation}, labels: y, scores: [p]}}\n"
            "  production: {path: late.csv, labels: y, scores: [p]}\n"
            "policy: baseline\nbudget: smoke\nseed: 1\n"
        )
        audit = read_audit_file(text.encode(), "audit.yaml", resolve_target)
        return load_datasets(audit, lambda path: tmp_path / path)

    loaded = load("full.csv")
    labels = loaded.datasets[PRODUCTION].labels  # type: ignore[attr-defined] -- a LoadedDatasets
    assert labels.tolist() == [UNLABELLED, 1]
    with pytest.raises(DatasetError, match="has no label in row 1"):
        load("late.csv")


def test_the_check_says_what_it_emits() -> None:
    readings = read(OnlineGapCheck(), audited(9, 10, 8, 10))
    assert CHECK is OnlineGapCheck
    assert set(names(readings)) == set(OnlineGapCheck.emits)
