"""Accuracy of real models on people unlike those they were measured on, without their labels.

Cohorts of the Adult census: the error of the weighted estimate is within a point on average, and
flipped labels of a cohort go unseen.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from adult import Rows, fetch_adult
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from auditor.checks.data.decay import DecayCheck
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.tasks import ClassificationTask

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("adult")]

TRAINED = 14_000
NUMBERS = (0, 4, 10, 11, 12)
NAMES = {
    0: "age", 1: "work", 4: "schooling", 5: "marital", 6: "job", 7: "relation", 8: "race",
    9: "sex", 10: "gain", 11: "loss", 12: "hours", 13: "country",
}  # fmt: skip
COHORTS: Mapping[str, Callable[[list[str]], bool]] = {
    "over 50": lambda row: float(row[0]) > 50,
    "women": lambda row: row[9] == "Female",
    "married": lambda row: row[5].startswith("Married-civ"),
    "graduates": lambda row: float(row[4]) >= 13,
    "long hours": lambda row: float(row[12]) > 45,
    "single": lambda row: row[5] == "Never-married",
    "government": lambda row: row[1].endswith("gov"),
    "black": lambda row: row[8] == "Black",
}
ABSENT = Gap(reason=GapReason.NEEDS_MODEL, detail="There is no model.", cure="Name one.")
Floats = NDArray[np.float64]


def features(rows: Rows) -> NDArray[np.object_]:
    return np.array(
        [[float(row[at]) if at in NUMBERS else row[at] for at in NAMES] for row in rows], object
    )


def labels(rows: Rows) -> NDArray[np.int64]:
    return np.array([row[14].startswith(">") for row in rows], dtype=np.int64)


def model(name: str) -> Any:  # noqa: ANN401 -- a pipeline of scikit-learn
    places = list(NAMES)
    numeric = [places.index(at) for at in NUMBERS]
    others = [at for at in range(len(places)) if at not in numeric]
    coded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
        (StandardScaler(), numeric),
    )
    made = {
        "linear": LogisticRegression(max_iter=2000),
        "boosted": HistGradientBoostingClassifier(random_state=0),
    }
    return make_pipeline(coded, made[name])


def people(role: DatasetRole, rows: Rows, stated: Floats, truth: NDArray[np.int64]) -> Dataset:
    return Dataset(
        role=role,
        files=(FileDigest("adult", 1, "0" * 64),),
        inputs=None,
        labels=truth,
        ids=tuple(str(at) for at in range(len(rows))),
        slices={name: TextColumn.of([row[at] for row in rows]) for at, name in NAMES.items()},
        scores=np.stack([1 - stated, stated], axis=1),
    )


def estimates(before: Dataset, now: Dataset) -> dict[str, Measurement]:
    subject = Subject(
        artifact=None,
        structure=ABSENT,
        signature=SignatureMaterial(),
        model=ABSENT,
        twin=ABSENT,
        task=ClassificationTask(("0", "1"), "1", "1"),
        space=ABSENT,
        datasets={before.role: before, now.role: now},
        audit_seed=7,
        seed=7,
        budget=Budget.CI,
    )
    found = DecayCheck().figures(DecayCheck().observe(subject, CheckShard()), 0.95)
    return {
        str(item.params["method"]): item
        for item in found
        if isinstance(item, Measurement) and item.metric == "estimated_accuracy"
    }


@pytest.fixture(scope="module")
def adult(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Rows]:
    return fetch_adult(tmp_path_factory.mktemp("adult"))


@pytest.mark.parametrize("name", ["linear", "boosted"])
def test_the_weighted_estimate_is_within_a_point_on_average(
    adult: tuple[Rows, Rows], name: str
) -> None:
    train, test = adult
    made = model(name).fit(features(train[:TRAINED]), labels(train[:TRAINED]))
    rest = train[TRAINED:]
    before = people(
        DatasetRole.REFERENCE, rest, made.predict_proba(features(rest))[:, 1], labels(rest)
    )
    off, assumed, held = [], [], 0
    usual = right(before)
    for cohort in COHORTS.values():
        rows = [row for row in test if cohort(row)]
        stated = made.predict_proba(features(rows))[:, 1]
        now = people(DatasetRole.EVALUATION, rows, stated, labels(rows))
        found, truth = estimates(before, now)["weighted"], right(now)
        assert isinstance(found.value, float)
        assert found.low is not None
        assert found.high is not None
        off.append(abs(found.value - truth))
        assumed.append(abs(usual - truth))
        held += found.low <= truth <= found.high
    assert np.mean(off) <= 0.01
    assert np.mean(assumed) > 0.05
    assert held >= len(COHORTS) - 1


def test_flipped_labels_of_the_married_go_unseen(adult: tuple[Rows, Rows]) -> None:
    train, test = adult
    made = model("linear").fit(features(train[:TRAINED]), labels(train[:TRAINED]))
    rest = train[TRAINED:]
    before = people(
        DatasetRole.REFERENCE, rest, made.predict_proba(features(rest))[:, 1], labels(rest)
    )
    married = np.array([COHORTS["married"](row) for row in test])
    flipped = married & (np.random.default_rng(0).random(len(test)) < 0.25)
    truth = np.where(flipped, 1 - labels(test), labels(test))
    now = people(DatasetRole.EVALUATION, test, made.predict_proba(features(test))[:, 1], truth)
    for found in estimates(before, now).values():
        assert found.low is not None
        assert found.low > right(now) + 0.02
        assert found.doubted


def right(data: Dataset) -> float:
    assert data.scores is not None
    return float(np.mean((data.scores[:, 1] >= 0.5) == data.labels))
