import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase as NodeCase
from onnx.backend.test.loader import load_model_tests

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.twin.qdq_fusion import fuse_operators
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

pytestmark = pytest.mark.slow
FLOATS_OF_FEW_BITS = ("e4m3fn", "e5m2", "float4e2m1")
PUBLISHED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
    "ConvInteger", "MatMulInteger",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases() -> list[NodeCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases provoke overflows while they are made
        made = load_model_tests(kind="node")
    return [case for case in made if case.model.graph.node[0].op_type in PUBLISHED]


def arrays(values: list[Any]) -> list[NDArray[Any]]:
    """Return the values of a case as arrays; floats of few bits come as messages."""
    return [
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
        for value in values
    ]


def with_constants(case: NodeCase, values: list[NDArray[Any]]) -> onnx.ModelProto:
    """Return the case's model with all inputs but the first as constants, as real models have."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for slot, value in zip(list(model.graph.input)[1:], values[1:], strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value, slot.name))
        model.graph.input.remove(slot)
    return model


def test_quantised_operators_agree_with_the_cases_that_the_standard_publishes(
    cases: list[NodeCase],
) -> None:
    integers = [case for case in cases if not of_few_bits(case)]
    assert len(integers) > 30
    for case in integers:
        for raw, expected in case.data_sets:
            given = arrays(raw)
            graph = read_graph(with_constants(case, given))
            values = compile_graph(fuse_operators(graph)).run(
                {graph_input(case): to_tensor(given[0])}
            )
            for slot, wanted in zip(case.model.graph.output, arrays(expected), strict=True):
                found = values[slot.name].numpy().astype(np.float64)
                np.testing.assert_allclose(
                    found, wanted.astype(np.float64), rtol=1e-3, err_msg=case.name
                )


def of_few_bits(case: NodeCase) -> bool:
    return any(part in case.name for part in FLOATS_OF_FEW_BITS)


def graph_input(case: NodeCase) -> str:
    return str(case.model.graph.input[0].name)


def test_floats_of_few_bits_are_refused_and_not_taken_for_integers(cases: list[NodeCase]) -> None:
    few = [case for case in cases if of_few_bits(case)]
    assert len(few) > 5
    for case in few:
        given = arrays(case.data_sets[0][0])
        with pytest.raises((TwinError, ValueError), match=r"not with float|unsupported kind"):
            compile_graph(fuse_operators(read_graph(with_constants(case, given)))).run(
                {graph_input(case): to_tensor(given[0])}
            )
