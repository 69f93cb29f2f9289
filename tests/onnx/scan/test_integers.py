"""8-bit weights whose neighbouring products overflow 16 bits."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from auditor.onnx.scan.integer_saturation import (
    MOST_WEIGHTS,
    SAFE_SUM,
    IntegerWeight,
    find_integer_weights,
)


def qdq_conv(weight: np.ndarray) -> onnx.ModelProto:
    """A convolution over a dequantised weight ``[out, in, 1, 1]``."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wf"]),
        helper.make_node("Conv", ["x", "wf"], ["y"]),
    ]
    return model(nodes, weight)


def model(nodes: list[onnx.NodeProto], weight: np.ndarray) -> onnx.ModelProto:
    held = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.float32(0.1), "scale")]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        held,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def only(found: onnx.ModelProto) -> IntegerWeight:
    (weight,) = find_integer_weights(found)
    return weight


def test_pairs_are_neighbours_along_the_input_channels() -> None:
    """By hand: channels 127, 2 | 64, 64 | 100, 29 of one output: 129 and 129 are over, 128 not."""
    weight = np.array([127, 2, 64, 64, 100, 29], np.int8).reshape(1, 6, 1, 1)
    found = only(qdq_conv(weight))
    assert (found.pairs, found.over, found.largest) == (3, 2, 129)
    assert found.operator == "Conv"


def test_seven_bit_weights_can_never_overflow() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-64, 65, (8, 16, 3, 3)).astype(np.int8)
    assert only(qdq_conv(weight)).over == 0


@pytest.mark.parametrize("first", range(-128, 128, 17))
def test_the_limit_is_where_sixteen_bits_end(first: int) -> None:
    """255 times both weights fits into 16 bits exactly where the scan says so."""
    for second in range(-128, 128):
        largest = 255 * (abs(first) + abs(second))
        found = only(qdq_conv(np.array([first, second], np.int8).reshape(1, 2, 1, 1)))
        assert (found.over == 0) == (abs(first) + abs(second) <= SAFE_SUM)
        if found.over == 0:
            assert largest <= 2**15  # 32,768: one sign of the sum is cut by a single step


def test_a_matrix_is_summed_along_its_rows_and_a_transposed_one_along_its_columns() -> None:
    weight = np.array([[127, 0], [127, 0]], np.int8)
    plain = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    assert only(model(plain, weight)).over == 1
    turned = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wf"]),
        helper.make_node("Gemm", ["x", "wf"], ["y"], transB=1),
    ]
    assert only(model(turned, weight)).over == 0


def test_a_weight_that_nothing_multiplies_is_left_out() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wf"]),
        helper.make_node("Add", ["x", "wf"], ["y"]),
    ]
    assert list(find_integer_weights(model(nodes, np.full((2, 2), 127, np.int8)))) == []


def test_unsigned_weights_are_widened_first_and_cannot_overflow() -> None:
    weight = np.array([255, 255], np.uint8).reshape(1, 2, 1, 1)
    found = only(qdq_conv(weight))
    assert (found.signed, found.over, found.largest) == (False, 0, 510)


RISKY = np.full((2, 4), 127, np.int8)
PLAIN = helper.make_node("MatMulInteger", ["x", "w"], ["y"])


def held_in(nodes: list[onnx.NodeProto], held: list[TensorProto]) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", [], [], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_a_weight_in_a_constant_or_behind_an_identity_is_found_as_an_initialiser_is() -> None:
    tensor = numpy_helper.from_array(RISKY, "w")
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    assert only(held_in([constant, PLAIN], [])).over == 4
    same = helper.make_node("Identity", ["v"], ["w"])
    assert only(held_in([same, PLAIN], [numpy_helper.from_array(RISKY, "v")])).over == 4


def test_a_weight_in_a_branch_is_found() -> None:
    branch = helper.make_graph([PLAIN], "b", [], [], [numpy_helper.from_array(RISKY, "w")])
    choice = helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    assert sum(weight.over for weight in find_integer_weights(held_in([choice], []))) >= 4


@pytest.mark.parametrize(
    "nodes",
    [
        [
            helper.make_node("Transpose", ["w"], ["t"]),
            helper.make_node("DequantizeLinear", ["t", "s"], ["wf"]),
        ],
        [
            helper.make_node("DequantizeLinear", ["w", "s"], ["f"]),
            helper.make_node("Transpose", ["f"], ["wf"]),
        ],
    ],
    ids=["as whole numbers", "as fractions"],
)
def test_a_weight_that_is_turned_before_it_is_multiplied_is_known_and_not_read(
    nodes: list[onnx.NodeProto],
) -> None:
    """Which numbers are neighbours then depends on how the runtime turns it."""
    product = helper.make_node("MatMul", ["x", "wf"], ["y"])
    found = only(held_in([*nodes, product], [numpy_helper.from_array(RISKY, "w")]))
    assert (found.read, found.pairs) == (False, 0)


def test_a_malformed_weight_is_not_read_and_does_not_stop_the_scan() -> None:
    tensor = numpy_helper.from_array(RISKY, "w")
    tensor.dims[0] = 2**40
    assert only(held_in([PLAIN], [tensor])).read is False


def test_numbers_outside_the_file_are_read_where_they_lie_in_its_folder(tmp_path: Path) -> None:
    def outside(location: str) -> onnx.ModelProto:
        tensor = TensorProto(name="w", data_type=TensorProto.INT8, dims=RISKY.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "3"), ("length", "8")):
            tensor.external_data.add(key=key, value=value)
        return held_in([PLAIN], [tensor])

    folder = tmp_path / "model"
    folder.mkdir()
    for place in (folder / "w.bin", tmp_path / "w.bin"):
        place.write_bytes(b"abc" + RISKY.tobytes())
    (inside,) = find_integer_weights(outside("w.bin"), folder)
    assert (inside.read, inside.over) == (True, 4)
    for location in ("../w.bin", str(folder / "w.bin"), "absent.bin"):
        (left_out,) = find_integer_weights(outside(location), folder)
        assert (left_out.read, left_out.pairs) == (False, 0)


def test_more_weights_than_are_listed_are_not_taken_for_none() -> None:
    count = MOST_WEIGHTS + 2
    nodes = [helper.make_node("MatMulInteger", ["x", f"w{i}"], [f"y{i}"]) for i in range(count)]
    safe = np.ones((2, 2), np.int8)
    held = [numpy_helper.from_array(safe, f"w{i}") for i in range(count)]
    found = find_integer_weights(held_in(nodes, held))
    assert len(found) == MOST_WEIGHTS + 1
    assert [weight.read for weight in found].count(False) == 1
    assert found[-1].read is False
