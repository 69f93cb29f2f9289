"""The example brings what it was trained on, and a recipe that gives its network again."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from auditor.auditfiles.reading import read_audit_file
from auditor.domain.datasets import Role
from auditor.domain.recipes import Lesson
from auditor.domain.tasks import Classification
from auditor.preparing import Overrides, prepare
from auditor.targets.recipes import OpenedRecipe, open_recipe, sandboxed
from auditor.wiring import beside, readers

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
AUDIT = DIGITS / "audit.yaml"
MADE_WITH = 7
"""The seed of make.py."""


@pytest.mark.slow
@pytest.mark.skipif(not sandboxed(), reason="bubblewrap is not to be had, and the leave needs it")
def test_training_again_gives_the_shipped_network_from_the_shipped_rows() -> None:
    parts = readers(DIGITS)
    file = read_audit_file(AUDIT.read_bytes(), AUDIT.name, parts.resolve_target)
    with prepare(file, beside(AUDIT), Overrides(), parts) as prepared:
        brought = prepared.materials
        training, test = brought.datasets[Role.TRAINING], brought.datasets[Role.EVALUATION]
        assert isinstance(brought.task, Classification)
        assert brought.recipe is not None
        assert training.labels is not None
        with open_recipe(brought.recipe, brought.task) as recipe:
            assert isinstance(recipe, OpenedRecipe)
            lesson = Lesson(training.inputs, training.labels, MADE_WITH)
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
