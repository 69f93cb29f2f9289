"""Tiny ONNX files, staged as an audit stages them."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.tasks import Array, ClassificationTask

Classes = Callable[..., ClassificationTask]
Shape = Sequence[int | str | None] | None


class Workshop:
    """Makes small models in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def node(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **more: object
    ) -> onnx.NodeProto:
        return helper.make_node(operator, list(inputs), list(outputs), **more)

    def value(self, name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    def weights(self, **arrays: Array) -> list[onnx.TensorProto]:
        return [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()]

    def save(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        weights: Iterable[onnx.TensorProto] = (),
        *,
        opset: int = 17,
        domains: Sequence[str] = (),
    ) -> Artifact:
        graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(weights))
        sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=8)
        return self.keep(model.SerializeToString())

    def keep(self, raw: bytes, name: str = "model.onnx", *others: str) -> Artifact:
        (self.folder / name).write_bytes(raw)
        return Artifact("tiny", "1", tuple(self.digest(file) for file in (name, *others)))

    def digest(self, name: str) -> FileDigest:
        raw = (self.folder / name).read_bytes()
        return FileDigest(name, len(raw), hashlib.sha256(raw).hexdigest())

    def linear(self, weights: Array, *, batch: int | str = "N") -> Artifact:
        """Save ``y = x w``: logits."""
        features, classes = weights.shape
        return self.save(
            [self.node("MatMul", ["x", "w"], ["y"])],
            [self.value("x", [batch, features])],
            [self.value("y", [batch, classes])],
            self.weights(w=weights.astype(np.float32)),
        )
