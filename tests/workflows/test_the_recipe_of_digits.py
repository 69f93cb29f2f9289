"""The example brings what it was trained on, and a recipe that gives its network again."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from auditor.domain.datasets import DatasetRole
from auditor.domain.tasks import ClassificationTask
from auditor.domain.training_recipes import RetrainingTask
from auditor.inputs.auditfile.read import read_audit_file
from auditor.targets.training_recipe import OpenedRecipe, is_sandbox_available, open_recipe
from auditor.workflows.prepare import prepare_audit
from auditor.workflows.wiring import build_path_resolver, build_resolvers

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
AUDIT = DIGITS / "audit.yaml"
MADE_WITH = 7
"""The seed of make.py."""


@pytest.mark.slow
@pytest.mark.skipif(
    not is_sandbox_available(), reason="bubblewrap is not to be had, and the leave needs it"
)
def test_training_again_gives_the_shipped_network_from_the_shipped_rows() -> None:
    parts = build_resolvers(DIGITS)
    file = read_audit_file(AUDIT.read_bytes(), AUDIT.name, parts.resolve_target)
    with prepare_audit(file, build_path_resolver(AUDIT), parts) as prepared:
        brought = prepared.materials
        training, test = (
            brought.datasets[DatasetRole.TRAINING],
            brought.datasets[DatasetRole.EVALUATION],
        )
        assert isinstance(brought.task, ClassificationTask)
        assert brought.recipe is not None
        assert training.labels is not None
        with open_recipe(brought.recipe, brought.task) as recipe:
            assert isinstance(recipe, OpenedRecipe)
            lesson = RetrainingTask(training.inputs, training.labels, MADE_WITH)
            (again,) = recipe.answers(lesson, [test.inputs])
    session = onnxruntime.InferenceSession(DIGITS / "model.onnx")
    (logits,) = session.run(None, {"pixels": test.inputs.astype(np.float32)})
    shipped = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert len(training.inputs) == 1347
    assert (again.argmax(axis=1) == shipped.argmax(axis=1)).all()
    assert np.abs(again - shipped).max() < 0.02  # sums round otherwise beside other libraries


def test_no_picture_is_in_both_parts() -> None:
    seen, unseen = (np.load(DIGITS / name)["x"] for name in ("train.npz", "test.npz"))
    known = {row.tobytes() for row in seen}
    assert not any(row.tobytes() in known for row in unseen)
