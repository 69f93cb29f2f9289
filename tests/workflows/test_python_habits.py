"""What data scientists write without having read the reference, and what comes of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from exportable_models import BINARY, NAMED, NUMBERS, X
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression

import auditor
from auditor.errors import DatasetError, UsageError

ACCURACY = "quality.accuracy"
WORDS = np.where(BINARY == 1, "one", "zero")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ask(model: BaseEstimator, labels: object, **more: object) -> auditor.AuditSpec:
    asked: dict[str, Any] = {"budget": "smoke", "only": ACCURACY}
    return auditor.AuditSpec.build(model, auditor.Dataset(X, labels), **asked | more)


def task_of(model: BaseEstimator, labels: object, **more: object) -> dict[str, Any]:
    """Return the task that the request is saved with, once its data are read."""
    with ask(model, labels, **more).open() as audit:
        found: dict[str, Any] = yaml.safe_load(audit.file.raw)["task"]
    return found


def test_one_check_and_one_target_need_no_list_and_classes_come_from_the_model() -> None:
    rows = NAMED != "high"
    model = LogisticRegression().fit(X, NAMED)
    report = auditor.audit(
        model,
        auditor.Dataset(X[rows], NAMED[rows]),
        only=ACCURACY,
        targets="cpu",
        budget="smoke",
        key=auditor.Key.ephemeral(),
        progress=False,
    )
    assert {it.check for it in report.readings} == {ACCURACY}
    assert list(report.record.fingerprints) == ["cpu"]
    table = report.readings.to_polars()
    accuracy = table.filter(table["metric"] == "accuracy")["value"][0]
    assert accuracy == pytest.approx(model.score(X[rows], NAMED[rows]))


def test_labels_in_other_words_than_the_model_s_are_refused() -> None:
    model = LogisticRegression().fit(X, BINARY)
    with pytest.raises(DatasetError, match="'zero' is none of the classes 0, 1"):
        task_of(model, WORDS)


def test_truths_as_labels_are_the_model_s_classes() -> None:
    model = LogisticRegression().fit(X, BINARY.astype(bool))
    assert task_of(model, BINARY.astype(bool)) == {"classes": ["false", "true"]}


def test_what_the_caller_says_of_the_task_goes_before_what_the_model_says() -> None:
    model = LogisticRegression().fit(X, BINARY)
    named = task_of(model, WORDS, task={"classes": ["zero", "one"]})
    assert named == {"classes": ["zero", "one"]}
    assert task_of(model, BINARY, task={"positive": 0}) == {"classes": ["0", "1"], "positive": 0}


def test_a_regressor_needs_a_tolerance_and_nothing_else() -> None:
    model = LinearRegression().fit(X, NUMBERS)
    with pytest.raises(UsageError, match=r"regressor.*Pass task=\{'tolerance': 10\.0\}"):
        task_of(model, NUMBERS)
    assert task_of(model, NUMBERS, task={"tolerance": 0.1}) == {
        "kind": "regression",
        "tolerance": 0.1,
    }


def test_a_policy_is_named_and_not_handed_over() -> None:
    model = LogisticRegression()
    with pytest.raises(UsageError, match="policy is None"):
        ask(model, BINARY, policy=None)
    with pytest.raises(UsageError, match="policy is an object of the class dict"):
        ask(model, BINARY).override(policy={"rules": []})
