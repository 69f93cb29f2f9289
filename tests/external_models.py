"""Models that keep weights in files of their own."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def external_model(*locations: str) -> bytes:
    """A model with one initializer of two floats kept at each location."""
    weights = []
    for index, location in enumerate(locations):
        tensor = numpy_helper.from_array(np.zeros(2, np.float32), f"w{index}")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        weights.append(tensor)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out], weights
    )
    return helper.make_model(graph).SerializeToString()
