"""Checks that train by a recipe at 100,000 rows: what they hold beside it, and when they stop."""

import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from privacy_claims import claimed
from surveyed_subjects import sample, surveyed

from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.privacy_claims import PrivacyClaimFile
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import CancelledError
from auditor.metrics.privacy_accounting.canaries import CanaryHook

ROWS, COLUMNS, MOST_BYTES = 100_000, 64, 400 * 2**20


@dataclass
class Means:
    """A recipe that learns the means of both classes, and trains privately for a few steps."""

    dp_train: str | None = "dp_train"
    digest: str = "sha256:" + "c" * 64
    lessons: list[int] = field(default_factory=list)

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        self.lessons.append(len(lesson.labels))
        few = lesson.labels[:2000]
        means = [lesson.inputs[:2000][few == k].mean(axis=0) for k in (0, 1)]
        nearer = [np.linalg.norm(rows - means[0], axis=1) > np.linalg.norm(
            rows - means[1], axis=1) for rows in asked]  # fmt: skip
        return tuple(np.stack([~near, near], axis=1) * 0.8 + 0.1 for near in nearer)

    def call(
        self, function: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], seed: int
    ) -> Mapping[str, NDArray[Any]]:
        self.lessons.append(len(arrays["labels"]))
        hook, rng = CanaryHook(arrays, settings), np.random.default_rng(seed)
        for _ in range(5):
            drawn = np.flatnonzero(rng.random(ROWS) < 0.005)
            whole = hook.join(np.zeros((len(drawn), 1)), drawn)
            total = (whole / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1)).sum(0)
            hook.saw(total[1:] + rng.standard_normal(hook.count), len(drawn))
        return hook.seen()


def rows_of(role: DatasetRole, count: int) -> Dataset:
    rng = np.random.default_rng([count, 3])
    labels = rng.integers(0, 2, count)
    rows = rng.normal(size=(count, COLUMNS)).astype(np.float32) + labels[:, None]
    return sample(rows, labels, role=role)


def subject_of(recipe: Means, **more: Any) -> Subject:  # noqa: ANN401 -- of Subject
    claim = claimed(dataset_size=ROWS, sampling_rate=0.005, steps=5, batch_size=500, epochs=0.025)
    stated = PrivacyClaimFile(claim, FileDigest("dp_claim.json", 1, "0" * 64))
    data = rows_of(DatasetRole.TRAINING, ROWS), rows_of(DatasetRole.EVALUATION, 5000)
    task = ClassificationTask(("no", "yes"), "yes", "yes")
    return surveyed(*data, task=task, privacy_claim=stated, recipe=recipe, **more)


def at_full(name: str) -> Check:
    """The check as at the budget full, with fewer trainings: one holds what another held."""
    kind = discover_checks()[name]
    fewer = {"rates": (0.05, 0.1), "repeats": 1} if name == "poisoning.susceptibility" else {}
    return kind(**{**kind.presets[Budget.FULL], **fewer})


@pytest.mark.parametrize(
    ("name", "recipe", "trainings"),
    [
        ("privacy.dp_claim", Means(), 1),
        ("privacy.dp_claim", Means(dp_train=None), 1),
        ("poisoning.susceptibility", Means(), 1 + 2 * 2),
    ],
)
def test_a_hundred_thousand_rows_are_trained_on_in_bounded_memory(
    name: str, recipe: Means, trainings: int
) -> None:
    told: list[tuple[int, int]] = []
    subject = subject_of(recipe, progress=lambda done, total, _="": told.append((done, total)))
    check = at_full(name)  # checks are imported before memory is counted
    tracemalloc.start()
    try:
        evidence = check.observe(subject, None)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "no_run" not in evidence
    assert evidence.get("gap") is None
    assert recipe.lessons == pytest.approx([ROWS] * trainings, rel=0.01)
    assert held < MOST_BYTES
    assert len(told) >= trainings
    assert all(0 <= done <= total for done, total in told)


@pytest.mark.parametrize("name", ["privacy.dp_claim", "poisoning.susceptibility"])
def test_no_more_is_trained_after_a_stop(name: str) -> None:
    def stop(done: int, total: int, note: str = "") -> None:
        if "train" in note and done == (total > 1):
            raise CancelledError("stopped", cure="none")

    recipe = Means()
    with pytest.raises(CancelledError):
        at_full(name).observe(subject_of(recipe, progress=stop), None)
    assert len(recipe.lessons) <= 1
