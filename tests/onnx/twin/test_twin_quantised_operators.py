from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_node_models import Array, Inputs, assert_identical, by_both, one_node

from auditor.onnx.operators.quantised import IntegerLimits, saturate, type_limits

RNG = np.random.default_rng(11)
ROUNDS = 8
BYTES = [np.uint8, np.int8]
FACTORS = [(np.uint8, np.int8), (np.uint8, np.uint8), (np.int8, np.int8)]
Kind = type[np.generic]


def scale(low: float = 1e-3, high: float = 0.1) -> NDArray[np.float32]:
    return np.array(RNG.uniform(low, high), np.float32)


@cache
def saturates() -> bool:
    """Whether the runtime adds products of unsigned and signed bytes in 16 bits, as without VNNI.

    Such a processor computes something else than ONNX says; that is what an audit of it shows, and
    no twin follows it there.
    """
    inputs = [np.full((1, 64), 255, np.uint8), np.full((64, 1), 127, np.int8)]
    ((there, twin),) = by_both(one_node("MatMulInteger", inputs, domain=""), inputs[0])
    assert int(twin[0, 0]) == 64 * 255 * 127
    return int(there[0, 0]) != 64 * 255 * 127


def whole(kind: Kind, *shape: int) -> Array:
    """Any values; signed bytes of seven bits only, where two products of eight would not fit."""
    limits = np.iinfo(kind)
    low, high = (-64, 63) if kind is np.int8 and saturates() else (limits.min, limits.max)
    return RNG.integers(low, high + 1, shape).astype(kind)


def quantised(kind: Kind, *shape: int) -> tuple[Array, Array, Array]:
    """A value with its scale and zero point."""
    return whole(kind, *shape), scale(), whole(kind).reshape(())


def steps(kind: Kind) -> tuple[Array, Array]:
    """A scale and a zero point of a result."""
    return scale(), whole(kind).reshape(())


def floats(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def bias(length: int) -> Array:
    return RNG.integers(-9999, 9999, length).astype(np.int32)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.uint16])
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_values_are_quantised_and_dequantised_as_the_runtime_does(kind: Kind, domain: str) -> None:
    for _ in range(ROUNDS):
        values = 3 * floats(20, 33)
        assert_identical("QuantizeLinear", [values, *steps(kind)], domain=domain)
        assert_identical("DequantizeLinear", [whole(kind, 20, 33), *steps(kind)], domain=domain)


def test_each_slice_and_each_block_has_a_scale_of_its_own() -> None:
    scales = RNG.uniform(0.01, 0.1, 7).astype(np.float32)
    slices = [floats(5, 7, 9), scales, whole(np.int8, 7)]
    assert_identical("QuantizeLinear", slices, domain="", axis=1)
    blocks = [whole(np.int8, 6, 8), RNG.random((6, 4), np.float32), whole(np.int8, 6, 4)]
    assert_identical("DequantizeLinear", blocks, domain="", axis=1, block_size=2)


def test_without_a_zero_point_values_become_unsigned_bytes() -> None:
    assert_identical("QuantizeLinear", [3 * floats(20, 33), scale()], domain="")


def test_wide_integers_are_dequantised_without_losing_digits() -> None:
    values = RNG.integers(-(2**30), 2**30, (20, 33)).astype(np.int32)
    assert_identical("DequantizeLinear", [values, scale()], domain="")


def test_the_range_of_values_gives_their_scale_and_zero_point() -> None:
    for shift in (-9, -1, 0, 1, 9):
        values = floats(20, 33) + np.float32(shift)
        assert_identical("DynamicQuantizeLinear", [values], domain="", outputs=3)
    assert_identical("DynamicQuantizeLinear", [np.zeros((2, 3), np.float32)], domain="", outputs=3)


@pytest.mark.parametrize(("left", "right"), FACTORS)
def test_matrix_products_are_those_of_the_runtime_to_the_last_bit(left: Kind, right: Kind) -> None:
    for _ in range(ROUNDS):
        a, b = quantised(left, 9, 70), quantised(right, 70, 30)
        assert_identical("MatMulInteger", [a[0], b[0], a[2], b[2]], domain="")
        assert_identical("QLinearMatMul", [*a, *b, *steps(left)], domain="")
        columns = [b[0], RNG.uniform(0.001, 0.1, 30).astype(np.float32), np.zeros(30, right)]
        assert_identical("QLinearMatMul", [*a, *columns, *steps(left)], domain="")
        assert_identical("MatMulIntegerToFloat", [a[0], b[0], a[1], b[1], a[2], b[2], floats(30)])


@pytest.mark.parametrize(("left", "right"), FACTORS)
def test_general_products_are_those_of_the_runtime_to_the_last_bit(left: Kind, right: Kind) -> None:
    for alpha in (0.7, 1.0, 1.9):
        a, b = quantised(left, 9, 70), quantised(right, 30, 70)
        inputs = [*a, *b, bias(30)]
        assert_identical("QGemm", [*inputs, *steps(left)], transB=1, alpha=alpha)
        assert_identical("QGemm", inputs, transB=1, alpha=alpha)
        assert_identical("QGemm", [*a, *b, None, *steps(left)], transB=1, alpha=alpha)


@pytest.mark.parametrize(("left", "right"), FACTORS)
def test_convolutions_are_those_of_the_runtime_to_the_last_bit(left: Kind, right: Kind) -> None:
    for _ in range(ROUNDS):
        x, weight = quantised(left, 3, 4, 9, 9), whole(right, 6, 4, 3, 3)
        scales = RNG.uniform(0.001, 0.1, 6).astype(np.float32)
        inputs = [*x, weight, scales, np.zeros(6, right), *steps(left), bias(6)]
        assert_identical("QLinearConv", inputs, domain="", pads=[1] * 4, strides=[2, 1])


@pytest.mark.parametrize(("left", "right"), FACTORS)
def test_factors_are_multiplied_in_the_order_of_the_runtime(left: Kind, right: Kind) -> None:
    # Results in steps of a whole number of accumulator steps tie often: one bit decides them.
    for _ in range(ROUNDS):
        a, b = quantised(left, 40, 4), quantised(right, 4, 40)
        step = np.array(a[1] * b[1] * 2 * RNG.integers(100, 500), np.float32)
        zero = whole(left).reshape(())
        assert_identical("QLinearMatMul", [*a, *b, step, zero], domain="")
        turned = (np.ascontiguousarray(b[0].T), *b[1:])
        assert_identical("QGemm", [*a, *turned, None, step, zero], transB=1, alpha=1.0)
        picture, kernel = a[0].reshape(1, 4, 40, 1), turned[0].reshape(40, 4, 1, 1)
        scales, zeros = np.full(40, b[1]), np.full(40, b[2])
        inputs = [np.ascontiguousarray(picture), a[1], a[2], kernel, scales, zeros, step, zero]
        assert_identical("QLinearConv", inputs, domain="")


def test_sums_beyond_the_digits_of_float32_stay_exact() -> None:
    values, weights = np.full((2, 9000), 255, np.uint8), np.full((9000, 3), 255, np.uint8)
    weights[0] = 254
    assert_identical("MatMulInteger", [values, weights], domain="")


def test_an_integer_convolution_pads_with_the_zero_point() -> None:
    inputs = [whole(np.uint8, 3, 4, 9, 9), whole(np.int8, 6, 2, 3, 3), np.array(7, np.uint8)]
    assert_identical("ConvInteger", inputs, domain="", pads=[1] * 4, group=2)


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_products_that_quantise_on_the_way_are_those_of_the_runtime(kind: Kind) -> None:
    for _ in range(ROUNDS):
        b, b_scale, b_zero = quantised(kind, 70, 30)
        inputs = [floats(9, 70), b, b_scale, b_zero, floats(30)]
        assert_identical("DynamicQuantizeMatMul", inputs)


SHAPES = [((50, 64), (50, 64)), ((50, 64), (64,)), ((50, 64), (1,)), ((1,), (50, 64)),
          ((50, 1), (50, 64)), ((3, 1, 1), (2, 3, 7, 7)), ((5, 1, 8), (1, 6, 8))]  # fmt: skip


@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_sums_and_products_round_as_the_runtime_even_where_steps_tie(
    kind: Kind, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    # Scales in simple ratios make halves common, where one rounding more would show.
    for round_ in range(ROUNDS):
        a, b = quantised(kind, *left), quantised(kind, *right)
        step = np.array(a[1] * RNG.integers(1, 30) / 2, np.float32)
        even = (a[0], a[1], a[2], b[0], a[1] if round_ % 2 else b[1], b[2])
        assert_identical("QLinearAdd", [*even, step, whole(kind).reshape(())])
        assert_identical("QLinearMul", [*even, a[1] * even[4], whole(kind).reshape(())])


@pytest.mark.parametrize("kind", BYTES)
def test_pools_joins_and_choices_are_those_of_the_runtime(kind: Kind) -> None:
    for _ in range(ROUNDS):
        picture = quantised(kind, 3, 4, 9, 9)
        pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
        assert_identical("QLinearAveragePool", [*picture, *steps(kind)], **pool)
        plain = {"kernel_shape": [3, 3], "strides": [3, 3]}
        assert_identical("QLinearAveragePool", [*picture, *steps(kind)], **plain)
        assert_identical("QLinearGlobalAveragePool", [*picture, *steps(kind)])
        a, b = quantised(kind, 5, 33), quantised(kind, 5, 33)
        chosen = RNG.random((5, 33)) > 0.5
        assert_identical("QLinearWhere", [chosen, *a, *b, *steps(kind)])


@pytest.mark.parametrize("kind", BYTES)
def test_activations_are_those_of_the_runtime(kind: Kind) -> None:
    for _ in range(ROUNDS):
        x = quantised(kind, 30, 40)
        assert_identical("QLinearLeakyRelu", [*x, *steps(kind)], alpha=0.1)
        low = np.array(np.iinfo(kind).min, kind)
        shares: Inputs = [*x, np.array(1 / 256, np.float32), low]
        assert_identical("QLinearSigmoid", shares)
        assert_identical("QLinearSoftmax", shares, axis=-1, opset=13)
        assert_identical("QLinearSoftmax", shares, axis=0, opset=13)
        assert_identical("QLinearSoftmax", shares, axis=1, opset=12)


@pytest.mark.parametrize("kind", BYTES)
def test_a_softmax_that_is_certain_saturates(kind: Kind) -> None:
    # A share of 1 is 256 steps above 0, one more than a byte holds.
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    x, zero = np.array([[high, low, low]], kind), np.array(low, kind)
    inputs: Inputs = [x, np.array(1, np.float32), zero, np.array(1 / 256, np.float32), zero]
    assert_identical("QLinearSoftmax", inputs, axis=-1, opset=13)


@given(
    values=st.lists(st.floats(-400, 400, width=32), min_size=1, max_size=20),
    zero=st.integers(0, 255),
)
def test_settled_values_are_whole_in_range_and_nearest(values: list[float], zero: int) -> None:
    x = torch.tensor(values, dtype=torch.float32)
    found = saturate(x, IntegerLimits(0, 255), torch.tensor(zero, dtype=torch.uint8)).numpy()
    wanted = np.clip(np.rint(np.array(values, np.float32)) + zero, 0, 255)
    np.testing.assert_array_equal(found, wanted)


def test_the_gradient_passes_rounding_and_stops_at_saturation() -> None:
    x = torch.tensor([-0.6, -0.4, 0.0, 17.3, 255.0, 255.4, 255.6], requires_grad=True)
    (gradient,) = torch.autograd.grad(saturate(x, IntegerLimits(0, 255), 0).sum(), x)
    assert gradient.tolist() == [0, 1, 1, 1, 1, 1, 0]


def refused() -> list[Callable[[], IntegerLimits]]:
    return [lambda: type_limits(torch.zeros(1)), lambda: type_limits(kind=1)]


@pytest.mark.parametrize("ask", refused())
def test_floats_are_no_quantised_type(ask: Callable[[], IntegerLimits]) -> None:
    with pytest.raises(ValueError, match=r"quantised values of the type (torch\.float32|FLOAT)"):
        ask()
