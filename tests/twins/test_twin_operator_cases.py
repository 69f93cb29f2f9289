import warnings

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx.backend.test.case.test_case import TestCase as NodeCase
from onnx.backend.test.loader import load_model_tests

from auditor.errors import TwinError
from auditor.twins.graphs import STANDARD, read_graph
from auditor.twins.interpreting import compile_graph
from auditor.twins.registry import Claim, find, known
from auditor.twins.tensors import to_tensor

DIFFERENT_ON_PURPOSE = {
    "bf16": "a twin computes in float32",
    "bfloat16": "a twin computes in float32",
    "_cast": "casts between types that a twin does not compute in",
    "training": "a model that is deployed does not train",
    "string": "a twin computes with numbers",
    "empty_set": "rows hold at least one number",
    "convtranspose_output_shape": "automatic padding of a transposed convolution",
    "convtranspose_kernel_shape": "automatic padding of a transposed convolution",
    "convtranspose_autopad": "automatic padding of a transposed convolution",
    "test_not_": "written for opset 1",
}


@pytest.fixture(scope="module")
def cases() -> list[NodeCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases provoke overflows while they are made
        made = load_model_tests(kind="node")
    names = {(claim.domain, claim.name) for claim in known()}
    return [
        case
        for case in made
        if operators(case) <= names
        and not case.model.functions
        and not any(part in case.name for part in DIFFERENT_ON_PURPOSE)
    ]


def operators(case: NodeCase) -> set[tuple[str, str]]:
    domain = {"ai.onnx": STANDARD}
    return {(domain.get(node.domain, node.domain), node.op_type) for node in case.model.graph.node}


def disagreement(case: NodeCase) -> str:
    """Say how a case differs from the published outputs; nothing where it does not."""
    try:
        program = compile_graph(read_graph(case.model))
        for given, expected in case.data_sets:
            feeds = {
                slot.name: to_tensor(np.asarray(value))
                for slot, value in zip(case.model.graph.input, given, strict=False)
            }
            values = program.run(feeds)
            for slot, wanted in zip(case.model.graph.output, expected, strict=True):
                if slot.name in values:
                    compare(values[slot.name].numpy(), np.asarray(wanted))
            assert case.model.graph.output[0].name in values
    except (TwinError, AssertionError, ValueError) as mistake:
        return str(mistake)
    return ""


def compare(found: NDArray[np.generic], wanted: NDArray[np.generic]) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(
        found.astype(np.float64), wanted.astype(np.float64), rtol=1e-3, atol=1e-5
    )


def test_every_operator_agrees_with_the_cases_that_the_standard_publishes(
    cases: list[NodeCase],
) -> None:
    assert len(cases) > 900
    assert {case.name: said for case in cases if (said := disagreement(case))} == {}


def test_the_published_cases_reach_every_standard_operator(cases: list[NodeCase]) -> None:
    reached = set().union(*(operators(case) for case in cases))
    standard = {(claim.domain, claim.name) for claim in known() if claim.domain == STANDARD}
    assert standard - reached == {(STANDARD, "Cast"), (STANDARD, "CastLike")} - reached


def test_the_latest_meaning_that_is_not_newer_than_the_opset_is_chosen() -> None:
    old, new = (one_node("Softmax", opset) for opset in (12, 13))
    assert find(old) is known()[Claim(STANDARD, "Softmax", 1)]
    assert find(new) is known()[Claim(STANDARD, "Softmax", 13)]


def test_an_operator_newer_than_the_opset_is_refused_by_name() -> None:
    with pytest.raises(TwinError, match=r"ai\.onnx::Gelu \(opset 19, node 'here'\)"):
        find(one_node("Gelu", 19))


def one_node(operator: str, opset: int):  # noqa: ANN201 -- a node of the graph read
    node = onnx.helper.make_node(operator, ["x"], ["y"], name="here")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])
    graph = onnx.helper.make_graph([node], "one", [value], [result])
    opsets = [onnx.helper.make_opsetid("", opset)]
    return read_graph(onnx.helper.make_model(graph, opset_imports=opsets)).nodes[0]
