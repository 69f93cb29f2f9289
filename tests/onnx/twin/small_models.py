"""Small ONNX models, and ONNX Runtime beside their twins."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Floats
from auditor.onnx.twin.build import DifferentiableTwin, build_twin


def make_model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[np.generic]],
    rows: list[int | str],
    *,
    opset: int = 18,
    outputs: tuple[str, ...] = ("scores",),
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a model of one input ``x`` with the shape ``rows``."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, rows)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def save(model: onnx.ModelProto, folder: Path) -> Path:
    """Write a model into ``folder``."""
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    return path


def interface(
    shape: tuple[int, ...],
    *,
    name: str = "x",
    output: str = "scores",
    scores: str = "logits",
    fixed_batch: int | None = None,
) -> ModelInterface:
    """Return what a target would have found out."""
    return ModelInterface(name, shape, "float32", fixed_batch, "as_is", output, scores, "told")


def twin_of(model: onnx.ModelProto, folder: Path, found: ModelInterface) -> DifferentiableTwin:
    """Return the twin of a model."""
    return build_twin(save(model, folder), found)


def run(path: Path, rows: NDArray[np.float32], output: str) -> Floats:
    """Return what ONNX Runtime says, row by row where the batch is fixed at 1."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    parts = [rows] if entry.shape[0] != 1 else [row[None] for row in rows]
    found = [session.run([output], {entry.name: part})[0] for part in parts]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in found])


def centred(logits: Floats) -> Floats:
    """Return logits without the constant that each row is free in."""
    return logits - logits.mean(axis=1, keepdims=True)


def slope(path: Path, rows: NDArray[np.float32], way: Floats, cotangent: Floats) -> Floats:
    """Return the derivative of ``sum(cotangent * output)`` along ``way``, by central differences
    of ONNX Runtime, one number a row.
    """
    step = np.float32(1e-2)
    ahead = run(path, (rows + step * way).astype(np.float32), "scores")
    behind = run(path, (rows - step * way).astype(np.float32), "scores")
    found: Floats = (cotangent * (ahead - behind)).sum(axis=1) / (2 * float(step))
    return found
