"""A real network whose scores saturate: the digits network's last step, far too sure of itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scored_subjects import scored

from auditor.domain.artifacts import Artifact
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Floats
from auditor.targets.session import open_model
from auditor.trust.artifacts.files import stage_artifact

Labels = np.ndarray[tuple[int], np.dtype[np.int64]]


def noisy_rows(rows: int, classes: int, seed: int = 1) -> tuple[Floats, Labels]:
    """Log odds ``[rows, classes]``, and labels that come true as often as these say."""
    rng = np.random.default_rng(seed)
    odds = (2 * rng.normal(size=(rows, classes))).astype(np.float32)
    true = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return odds.astype(np.float64), labels.astype(np.int64)


def write_network(path: Path, classes: int, factor: float, *, softmax: bool, single: bool) -> None:
    """Write a model that multiplies its inputs: its logits are ``factor`` times what is right."""
    weights = factor * np.eye(classes, dtype=np.float32)
    if single:
        weights = (factor * np.array([[-1.0], [1.0]])).astype(np.float32)
    last = weights.shape[1]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], name="logits")]
    if softmax:
        kind = "Sigmoid" if single else "Softmax"
        nodes.append(helper.make_node(kind, ["z"], ["p"], name="scores"))
    graph = helper.make_graph(
        nodes,
        "sure",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, classes])],
        [helper.make_tensor_value_info("p" if softmax else "z", TensorProto.FLOAT, [None, last])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


@contextmanager
def opened(
    folder: Path,
    *,
    factor: float,
    softmax: bool = False,
    single: bool = False,
    classes: int = 4,
    rows: int = 2000,
    groups: Sequence[str] | None = None,
) -> Iterator[tuple[Subject, Floats, Labels]]:
    """Open such a network on this machine; with it come its logits and labels."""
    odds, labels = noisy_rows(rows, classes)
    path = folder / "sure.onnx"
    write_network(path, classes, factor, softmax=softmax, single=single)
    blank = scored(np.full((rows, classes), 1 / classes), labels)
    dataset = replace(
        scored(
            np.full((rows, classes), 1 / classes),
            labels,
            groups=None if groups is None else {"town": groups},
        ).datasets[DatasetRole.EVALUATION],
        inputs=odds.astype(np.float32),
        scores=None,
    )
    artifact = Artifact("sure", "0", stage_artifact(path, folder / "staged"))
    inputs = odds.astype(np.float32)
    spec = TargetSpec("cpu")
    with open_model(spec, folder / "staged", artifact, blank.task, inputs) as model:
        subject = replace(
            blank, artifact=artifact, model=model, datasets={DatasetRole.EVALUATION: dataset}
        )
        yield subject, factor * odds, labels
