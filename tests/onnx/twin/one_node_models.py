"""One operator at a time, run by ONNX Runtime and by the twin."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from auditor.onnx.graph import read_graph
from auditor.onnx.twin.qdq_fusion import fuse_operators
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

MICROSOFT = "com.microsoft"
Array = NDArray[Any]
Inputs = Sequence[Array | None]


def one_node(
    operator: str,
    inputs: Inputs,
    *,
    domain: str = MICROSOFT,
    outputs: int = 1,
    **attributes: object,
) -> onnx.ModelProto:
    """Return a model of one node; its first input is the model's, all others are constants."""
    names = ["" if value is None else f"i{place}" for place, value in enumerate(inputs)]
    node = helper.make_node(
        operator, names, [f"o{place}" for place in range(outputs)], domain=domain
    )
    # Attributes are added by hand, because an operator may have one that is called 'opset'.
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    first = inputs[0]
    assert first is not None
    kind = helper.np_dtype_to_tensor_dtype(first.dtype)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("i0", kind, first.shape)],
        [helper.make_empty_tensor_value_info(name) for name in node.output],
        [
            numpy_helper.from_array(value, name)
            for name, value in zip(names[1:], inputs[1:], strict=True)
            if value is not None
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def by_both(model: onnx.ModelProto, x: Array) -> list[tuple[Array, Array]]:
    """Return each output as ONNX Runtime has it and as the twin has it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = compile_graph(fuse_operators(read_graph(model))).run({"i0": to_tensor(x)})
    wanted = session.run(None, {"i0": x})
    return [
        (np.asarray(value), values[output.name].numpy())
        for output, value in zip(session.get_outputs(), wanted, strict=True)
    ]


def assert_identical(operator: str, inputs: Inputs, **more: Any) -> None:  # noqa: ANN401 -- as the node has them
    """Check that the twin gives the runtime's numbers to the last bit."""
    first = inputs[0]
    assert first is not None
    for wanted, found in by_both(one_node(operator, inputs, **more), first):
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found.astype(np.float64), wanted.astype(np.float64))


def assert_close(operator: str, inputs: Inputs, **more: Any) -> None:  # noqa: ANN401 -- as the node has them
    """Check that the twin gives the runtime's numbers up to the rounding of float32."""
    first = inputs[0]
    assert first is not None
    for wanted, found in by_both(one_node(operator, inputs, **more), first):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5)
