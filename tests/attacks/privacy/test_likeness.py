"""Whether an artifact is another kind of model than its recipe makes, though labels do not say."""

import numpy as np
import pytest
from scipy.stats import binom

from auditor.attacks.privacy.retraining_agreement import (
    LIKENESS_LEVEL,
    RetrainingLikeness,
    decision_measures,
    measure_agreement,
    measure_likeness,
    probability_measures,
    recipe_mismatch_gap,
)
from auditor.domain.tasks import Floats

CLASSES = 4


def answers(models: int, rows: int, scatter: float, seed: int, sure: float = 2.0) -> Floats:
    """Probabilities ``[models, rows, classes]`` of linear models whose weights scatter by training.

    Labels are drawn by the same law, so that the row's likeliest class is often right.
    """
    rng = np.random.default_rng([seed, 1])
    inputs = np.random.default_rng([seed, 2]).normal(size=(rows, 6))
    weights = np.random.default_rng([seed, 3]).normal(size=(6, CLASSES))
    moved = weights + scatter * rng.normal(size=(models, 6, CLASSES))
    logits = sure * np.einsum("nd,mdc->mnc", inputs, moved)
    chances = np.exp(logits - logits.max(axis=2, keepdims=True))
    return np.asarray(chances / chances.sum(axis=2, keepdims=True))


def truth(rows: int, seed: int) -> np.ndarray:
    return answers(1, rows, 0.0, seed)[0].argmax(axis=1)


def found(artifact: Floats, retrained: Floats, labels: np.ndarray) -> dict[str, RetrainingLikeness]:
    return {
        item.measure: item
        for item in measure_likeness(probability_measures(artifact, retrained, labels))
    }


def stumps(rows: int, seed: int, models: int = 4) -> Floats:
    """Models that know one class from the rest, each another, and name it at random otherwise."""
    rng = np.random.default_rng([seed, 4])
    labels = truth(rows, seed)
    said = np.full((models, rows, CLASSES), 0.2)
    for model in said:
        named = np.where(rng.random(rows) < 0.2, labels, rng.integers(0, CLASSES, rows))
        model[np.arange(rows), named] = 0.4
    return said


def test_far_weaker_models_agree_with_a_good_one_as_with_each_other_and_are_told_by_their_errors(
) -> None:  # fmt: skip
    labels = truth(300, 0)
    artifact, retrained = answers(1, 300, 0.05, 0)[0], stumps(300, 0)
    alone = measure_agreement(artifact.argmax(axis=1), retrained.argmax(axis=2))
    assert not alone.differs, "labels alone see nothing"
    alike = measure_likeness(probability_measures(artifact, retrained, labels))
    both = measure_agreement(artifact.argmax(axis=1), retrained.argmax(axis=2), alike=alike)
    assert both.differs
    assert not both.disagrees
    gap = recipe_mismatch_gap(both)
    assert gap is not None
    assert gap.detail.startswith("The error of the artifact is 0.0")
    assert "another kind of model" in gap.detail
    assert both.to_json()["likeness"]["error"]["artifact"] < 0.1  # type: ignore[index,call-overload]  # JSON


def test_models_of_the_same_labels_and_another_sureness_are_told_apart() -> None:
    labels = truth(400, 1)
    artifact, retrained = answers(1, 400, 0.1, 1)[0], answers(5, 400, 0.1, 1)[1:]
    vague = artifact**0.2 / (artifact**0.2).sum(axis=1, keepdims=True)
    assert (vague.argmax(axis=1) == artifact.argmax(axis=1)).all()
    said = found(vague, retrained, labels)
    assert said["unsure"].apart
    assert not said["error"].apart


@pytest.mark.parametrize("models", [2, 4, 8])
@pytest.mark.parametrize("rows", [60, 400])
def test_an_artifact_of_the_same_recipe_is_told_apart_no_oftener_than_is_said(
    models: int, rows: int
) -> None:
    audits, false = 400, 0
    for seed in range(audits):
        made = answers(models + 1, rows, 0.3, seed)
        false += any(it.apart for it in found(made[0], made[1:], truth(rows, seed)).values())
    assert false <= binom.ppf(0.999, audits, LIKENESS_LEVEL)


def test_what_more_rows_may_teach_is_no_difference() -> None:
    labels = np.zeros(400, dtype=np.int64)
    rng = np.random.default_rng(0)
    retrained = (rng.random((4, 400)) < 0.2).astype(np.int64)
    artifact = (rng.random(400) < 0.11).astype(np.int64)
    half, whole = (
        measure_likeness(decision_measures(artifact, retrained, labels), it)[0] for it in (0.5, 1.0)
    )
    assert half.models == 1
    assert whole.models < 0.2
    assert not half.apart


def test_retrainings_without_scatter_still_scatter_by_a_row() -> None:
    labels = np.zeros(40, dtype=np.int64)
    retrained = np.tile(np.arange(40) < 4, (4, 1)).astype(np.int64)
    artifact = (np.arange(40) < 6).astype(np.int64)
    (said,) = measure_likeness(decision_measures(artifact, retrained, labels))
    assert said.scatter == pytest.approx(0)
    assert 0 < said.models < 1
    assert not said.apart
