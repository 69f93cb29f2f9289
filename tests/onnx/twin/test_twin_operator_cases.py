import re
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase as NodeCase
from onnx.backend.test.loader import load_model_tests

from auditor.errors import TwinError
from auditor.onnx.graph import STANDARD, read_graph
from auditor.onnx.operator_registry import OperatorClaim, find_operator, list_operators
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

LEAST = 1_750
"""How many of the published cases must agree."""
UNCOVERED = {
    "Adagrad": "training",
    "Adam": "training",
    "Momentum": "training",
    "Bernoulli": "draws at random: refused by name",
    "RandomUniformLike": "draws at random: refused by name",
    "ImageDecoder": "bytes of files",
    "LabelEncoder": "texts",
    "RegexFullMatch": "texts",
    "StringConcat": "texts",
    "StringNormalizer": "texts",
    "StringSplit": "texts",
    "TfIdfVectorizer": "counts of words",
}
DIFFERENT_ON_PURPOSE = {
    # what the whole name of a case looks like, and why a twin says something else
    r"attention_.*_bf16(_expanded)?": "a twin computes in float32",
    r"celu_bfloat16(_expanded)?": "a twin computes in float32",
    r"cast(like)?_FLOAT_to_BFLOAT16(_expanded)?": "a twin computes in float32",
    r"castlike_.*_to_(FLOAT8|FLOAT4|U?INT[24]).*(?<!expanded)": "a narrow type is held in a wider",
    r"bitcast_(float64|uint32|uint16)_to_.*": "the type is held in another one",
    r"bitwise_not_3d": "uint16 is held in wider integers",
    r"(batchnorm_.*_training_mode|training_dropout.*)": "deployed models do not train",
    r"reduce_(max|min)_empty_set(_bool)?": "rows hold at least one number",
    r"affine_grid_.*_expanded": "a size that is no constant decides there",
    r"resize_downsample_scales_(linear|cubic)_align_corners": "as ONNX Runtime: whole pixels count",
    r"equal_string(_broadcast)?": "texts",
    r"ai_onnx_ml_tree_ensemble_single_tree": "a row lies on a threshold that float32 does not hold",
    r"quantizelinear_(e4m3fn|e5m2|float4e2m1|u?int[24]|uint16)": (
        "zero points are constants in models: see test_twin_quantised_cases.py"
    ),
}
NEVER_IN_CASES = {
    "ConcatFromSequence", "GlobalLpPool", "MaxRoiPool", "Multinomial", "Optional", "RandomNormal",
    "RandomNormalLike", "RandomUniform", "SequenceAt", "SequenceConstruct", "SequenceErase",
}  # fmt: skip
"""Operators of the standard that it publishes no case of; see test_twin_rare_operators.py."""


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[NodeCase, str]]:
    """Return every published case by name, and how it differs; nothing where it does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases provoke overflows while they are made
        made = load_model_tests(kind="node")
    return {case.name: (case, disagreement(case)) for case in made}


def operators(case: NodeCase) -> set[str]:
    return {node.op_type for node in case.model.graph.node}


def excused(case: NodeCase) -> bool:
    return bool(operators(case) & UNCOVERED.keys()) or any(
        re.fullmatch(f"test_{name}", case.name) for name in DIFFERENT_ON_PURPOSE
    )


def disagreement(case: NodeCase) -> str:
    """Say how a case differs from the published outputs; nothing where it does not."""
    try:
        program = compile_graph(read_graph(case.model))
        for given, expected in case.data_sets:
            slots = zip(case.model.graph.input, given, strict=False)
            values = program.run({slot.name: fed(value) for slot, value in slots})
            for slot, wanted in zip(case.model.graph.output, expected, strict=True):
                compare(values[slot.name], wanted)
    except (TwinError, AssertionError, ValueError, RuntimeError) as mistake:
        return str(mistake) or "differs"
    return ""


def array(value: Any) -> np.ndarray:  # noqa: ANN401 -- as the cases hold them
    held = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    plain = np.asarray(held)
    few_bits = plain.dtype.name.startswith(("float8", "float4"))
    return plain.astype(np.float32) if few_bits else plain


def fed(value: Any) -> Any:  # noqa: ANN401 -- a tensor, a sequence or nothing
    if value is None:
        return None
    return [fed(item) for item in value] if isinstance(value, list) else to_tensor(array(value))


def compare(found: Any, wanted: Any) -> None:  # noqa: ANN401 -- a tensor, a sequence or nothing
    if wanted is None:
        assert found is None
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            compare(one, other)
    else:
        assert tuple(found.shape) == array(wanted).shape
        np.testing.assert_allclose(
            found.numpy().astype(np.float64), array(wanted).astype(np.float64), rtol=1e-3, atol=1e-5
        )


def test_every_operator_agrees_with_the_cases_that_the_standard_publishes(
    said: dict[str, tuple[NodeCase, str]],
) -> None:
    differing = {name: how for name, (case, how) in said.items() if how and not excused(case)}
    assert differing == {}
    assert sum(not how for _, how in said.values()) >= LEAST


@pytest.mark.slow
def test_a_case_that_is_excused_truly_differs(said: dict[str, tuple[NodeCase, str]]) -> None:
    assert [name for name, (case, how) in said.items() if excused(case) and not how] == []
    for name in DIFFERENT_ON_PURPOSE:
        assert any(re.fullmatch(f"test_{name}", case) for case in said), name


@pytest.mark.slow
def test_the_published_cases_reach_every_standard_operator(
    said: dict[str, tuple[NodeCase, str]],
) -> None:
    reached = set().union(*(operators(case) for case, _ in said.values()))
    standard = {
        claim.name
        for claim in list_operators()
        if claim.domain == STANDARD and onnx.defs.has(claim.name, STANDARD)
    }
    assert standard - reached == NEVER_IN_CASES


def test_the_latest_meaning_that_is_not_newer_than_the_opset_is_chosen() -> None:
    old, new = (one_node("Softmax", opset) for opset in (12, 13))
    assert find_operator(old) is list_operators()[OperatorClaim(STANDARD, "Softmax", 1)]
    assert find_operator(new) is list_operators()[OperatorClaim(STANDARD, "Softmax", 13)]


def test_an_operator_newer_than_the_opset_is_refused_by_name() -> None:
    with pytest.raises(TwinError, match=r"ai\.onnx::Gelu \(opset 19, node 'here'\)"):
        find_operator(one_node("Gelu", 19))


def one_node(operator: str, opset: int):  # noqa: ANN201 -- a node of the graph read
    node = onnx.helper.make_node(operator, ["x"], ["y"], name="here")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])
    graph = onnx.helper.make_graph([node], "one", [value], [result])
    opsets = [onnx.helper.make_opsetid("", opset)]
    return read_graph(onnx.helper.make_model(graph, opset_imports=opsets)).nodes[0]
