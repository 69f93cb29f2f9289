"""Rows that are copied say no more than one of them, in any number."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.tasks import Array, Floats
from auditor.inputs.datasets.load import LEAST_EFFECTIVE, mark_repeated_rows


def sample(
    inputs: Array,
    labels: Sequence[int] | None = None,
    cluster: Sequence[str] | None = None,
    role: DatasetRole = DatasetRole.EVALUATION,
) -> Dataset:
    return Dataset(
        role=role,
        files=(),
        inputs=inputs,
        labels=None if labels is None else np.asarray(labels, np.int64),
        ids=[str(row) for row in range(len(inputs))],
        cluster=None if cluster is None else TextColumn.of(cluster),
    )


def noise(rows: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random((rows, 3))


def jittered(base: Array, times: int, size: float = 1e-6) -> Array:
    rows = np.concatenate([base] * times)
    return rows + size * np.random.default_rng(1).normal(size=rows.shape)


def test_twenty_rows_two_hundred_times_are_twenty() -> None:
    found = mark_repeated_rows(sample(np.tile(noise(20), (200, 1)), [0, 1] * 2000))
    assert (found.rows, found.distinct, found.units) == (4000, 20, 20)
    assert found.clustered


@pytest.mark.parametrize("copied", [0, 1, 5])
def test_data_with_hardly_a_copy_stay_as_they_are(copied: int) -> None:
    data = sample(np.vstack((noise(2000), noise(copied))), [0] * (2000 + copied))
    assert mark_repeated_rows(data) is data


def test_few_copies_of_one_row_weigh_more_than_as_many_of_several() -> None:
    inputs = noise(1100)
    inputs[1000:1009] = inputs[:9]  # pairs
    assert mark_repeated_rows(sample(inputs)).copies is None
    inputs[1000:1009] = inputs[0]
    assert mark_repeated_rows(sample(inputs)).distinct == 1091


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=60))
def test_copies_weigh_where_the_rows_are_worth_fewer(rows: list[tuple[int, int]]) -> None:
    data = sample(np.array([[float(value)] for value, _ in rows]), [label for _, label in rows])
    sizes = Counter(rows)
    effective = len(rows) ** 2 / sum(count**2 for count in sizes.values())
    found = mark_repeated_rows(data)
    if effective >= LEAST_EFFECTIVE * len(rows):
        assert found is data
    else:
        assert found.distinct == found.units == len(sizes)


def test_what_differs_beyond_single_precision_is_a_copy() -> None:
    moved = np.tile(noise(20).astype(np.float64), (200, 1)) + 1e-12 * noise(4000, 1)
    assert len(np.unique(moved, axis=0)) == 4000
    assert mark_repeated_rows(sample(moved)).distinct == 20


def test_another_label_is_another_row_and_another_number_is_not() -> None:
    inputs = np.tile(noise(20), (2, 1))
    assert mark_repeated_rows(sample(inputs, [0] * 20 + [1] * 20)).copies is None
    numbers = replace(sample(inputs), targets=np.arange(40.0))
    assert mark_repeated_rows(numbers).distinct == 20


def test_declared_clusters_never_part_copies() -> None:
    inputs = np.tile(noise(20), (10, 1))
    alone = mark_repeated_rows(sample(inputs, cluster=[str(row) for row in range(200)]))
    assert (alone.units, alone.distinct) == (20, 20)
    assert alone.entities is not None
    assert len(alone.entities.names) == 200
    pairs = mark_repeated_rows(sample(inputs, cluster=[str(row % 20 // 2) for row in range(200)]))
    assert (pairs.units, pairs.distinct) == (10, 20)


@pytest.mark.parametrize("times", [3, 100, 500])
@pytest.mark.parametrize("width", [2, 30])
def test_a_jitter_makes_no_new_rows(width: int, times: int) -> None:
    base = np.random.default_rng(0).normal(size=(20, width))
    found = mark_repeated_rows(sample(jittered(base, times), [0, 1] * (10 * times)))
    assert (found.rows, found.distinct, found.units) == (20 * times, 20, 20)


def test_a_jitter_where_copies_are_all_the_same_makes_no_new_rows() -> None:
    base = np.zeros((20, 29))
    base[:, 3], base[:, 4] = 40.0, np.arange(20) % 2  # else nothing: an indicator nobody has
    assert mark_repeated_rows(sample(jittered(base, 100))).distinct == 2
    assert mark_repeated_rows(sample(jittered(base[:1], 2000))).distinct == 1
    few = jittered(base, 100)
    few[:, :4] = few[:, 5:] = base[0, 0]  # one column moves, the others stand still
    assert mark_repeated_rows(sample(few)).distinct == 2


def test_a_jitter_of_pictures_makes_no_new_rows() -> None:
    base = np.random.default_rng(0).random((20, 1, 16, 16)) * 16
    base[:, :, 0] = 0.0
    found = mark_repeated_rows(sample(jittered(base, 50, 1e-5).astype(np.float32), [0, 1] * 500))
    assert found.distinct == 20


@pytest.mark.parametrize("data", [load_breast_cancer, load_diabetes, load_digits, load_wine])
def test_ordinary_data_have_no_copies(data: Callable[..., tuple[Floats, Floats]]) -> None:
    inputs, labels = data(return_X_y=True)
    coded = np.unique(labels, return_inverse=True)[1]
    whole = sample(inputs, coded if coded.max() < 20 else None)
    assert mark_repeated_rows(whole) is whole


def test_rows_that_are_alike_by_chance_stay_as_they_are() -> None:
    random = np.random.default_rng(0)
    amounts = np.round(np.exp(2 * random.normal(size=(10_000, 4)) + 5), 2)
    flags = random.random((10_000, 6)) < 0.3
    heavy = sample(amounts)
    one = sample(np.column_stack((amounts[:, 0], flags)))
    even = sample(random.random((5000, 1)))
    assert all(mark_repeated_rows(data) is data for data in (heavy, one, even))


def test_missing_numbers_are_alike_and_nothing_else_is_like_them() -> None:
    base = np.array([[np.nan, 1.0], [np.inf, 1.0], [-np.inf, 1.0], [9e9, 1.0], [0.0, 1.0]])
    assert mark_repeated_rows(sample(jittered(base, 100))).distinct == 5


def test_rows_that_hold_no_number_stay_as_they_are() -> None:
    data = sample(np.zeros((9, 0, 3)))
    assert mark_repeated_rows(data) is data


def test_texts_are_copied_as_numbers_are() -> None:
    assert mark_repeated_rows(sample(np.array(["a", "b"] * 50))).distinct == 2
    moved = ["a b", " a  b", "A b", "a\u200b b", "c"]
    assert mark_repeated_rows(sample(np.array(moved * 9))).distinct == 2


@pytest.mark.parametrize(
    "role", [role for role in DatasetRole if role is not DatasetRole.EVALUATION]
)
def test_of_other_data_copies_are_only_counted(role: DatasetRole) -> None:
    data = sample(np.tile(noise(20), (200, 1)), role=role)
    assert mark_repeated_rows(data) is data


def answered(scores: Floats, labels: Sequence[int], groups: Sequence[str] | None = None) -> Dataset:
    """Rows of an audit of predictions: scores of two classes, labels, and a column of groups."""
    return Dataset(
        role=DatasetRole.EVALUATION,
        files=(),
        inputs=None,
        labels=np.asarray(labels, np.int64),
        ids=[str(row) for row in range(len(labels))],
        groups={} if groups is None else {"sex": TextColumn.of(groups)},
        scores=np.column_stack((1 - np.asarray(scores), scores)),
    )


def test_predictions_of_twenty_people_many_times_are_twenty() -> None:
    scores, labels = noise(20)[:, 0], [0, 1] * 10
    found = mark_repeated_rows(
        answered(np.tile(scores, 120), labels * 120, ["f", "m", "m", "f"] * 600)
    )
    assert (found.rows, found.distinct, found.units) == (2400, 20, 20)


def test_predictions_of_few_people_among_others_are_found() -> None:
    scores = np.concatenate((noise(400)[:, 0], np.tile(noise(20, 1)[:, 0], 100)))
    found = mark_repeated_rows(answered(scores, [0] * 400 + [0, 1] * 1000))
    assert found.distinct == 420


@pytest.mark.parametrize("digits", [2, 4, 17])
@pytest.mark.parametrize("model", ["regression", "tree", "boosted", "few categories"])
def test_honest_predictions_are_no_copies(model: str, digits: int) -> None:
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(4000, 4))
    if model == "few categories":
        rows = (rows > 0).astype(float)
    labels = (rows.sum(axis=1) + generator.normal(size=4000) > 0.5).astype(np.int64)
    made = {
        "tree": DecisionTreeClassifier(max_leaf_nodes=12, random_state=0),
        "boosted": GradientBoostingClassifier(n_estimators=20, random_state=0),
    }.get(model, LogisticRegression())
    scores = made.fit(rows[:1000], labels[:1000]).predict_proba(rows[1000:])[:, 1]
    data = answered(np.round(scores, digits), labels[1000:])
    assert mark_repeated_rows(data) is data


def test_predictions_without_scores_or_with_coarse_ones_are_not_looked_at() -> None:
    data = answered(np.tile([0.9, 0.1, 0.25], 500), [1, 0, 0] * 500)
    assert mark_repeated_rows(data) is data
    bare = replace(data, scores=None, decisions=data.labels)
    assert mark_repeated_rows(bare) is bare
