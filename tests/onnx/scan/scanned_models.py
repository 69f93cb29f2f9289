"""Small ONNX models to scan, each with one thing in it."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])


def model_of(*nodes: onnx.NodeProto, weights: Sequence[onnx.TensorProto] = ()) -> onnx.ModelProto:
    """A model of the nodes given, or of one Relu."""
    listed = list(nodes) or [helper.make_node("Relu", ["x"], ["y"])]
    graph = helper.make_graph(listed, "g", [X], [Y], list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.producer_name, made.producer_version = "pytorch", "2.9"
    return made


def weight(name: str = "w", size: int = 2) -> onnx.TensorProto:
    """An initializer of zeros."""
    return numpy_helper.from_array(np.zeros(size, np.float32), name)


def external(
    location: str, offset: str = "", length: str = "", name: str = "w"
) -> onnx.TensorProto:
    """An initializer of two floats that is kept elsewhere."""
    tensor = weight(name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value:
            tensor.external_data.add(key=key, value=value)
    return tensor
