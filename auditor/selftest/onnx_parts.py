"""ONNX parts of specimens: nodes, tensors and graphs, put together by hand."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.tasks import Floats

OPSET, ML_OPSET, IR = 17, 3, 9
ML, OUTPUT = "ai.onnx.ml", "p"


@dataclass(frozen=True, slots=True)
class OnnxParts:
    """Operators from ``x`` to probabilities, with the numbers that they hold."""

    nodes: tuple[onnx.NodeProto, ...]
    stored: tuple[onnx.TensorProto, ...]
    features: int
    classes: int

    def onnx(self) -> bytes:
        """Return an ONNX file from ``x`` ``[n, features]`` to ``p`` ``[n, classes]``."""
        inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, self.features])
        outputs = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, self.classes])
        graph = helper.make_graph(
            list(self.nodes), "specimen", [inputs], [outputs], list(self.stored)
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == ML for node in self.nodes):
            opsets.append(helper.make_opsetid(ML, ML_OPSET))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
        made: bytes = model.SerializeToString(deterministic=True)
        return made


def to_tensor_proto(values: Floats, name: str) -> onnx.TensorProto:
    """Return numbers as an ONNX file holds them."""
    return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)
