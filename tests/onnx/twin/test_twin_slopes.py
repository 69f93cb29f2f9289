"""Gradients beside central differences, operator by operator."""

from typing import Any

import numpy as np
import pytest
from operator_runs import Array, one_operator, slopes

RNG = np.random.default_rng(6)


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return (0.5 + RNG.random(shape)).astype(np.float32)


X = floats(2, 3, 4)
PLANE = floats(2, 4, 6, 6)
INSIDE = RNG.uniform(-0.6, 0.6, (2, 3, 4)).astype(np.float32)
INNER = RNG.uniform(0.2, 0.8, (2, 8, 5, 5)).astype(np.float32)
SEQUENCE = {"x": floats(4, 2, 3), "w": floats(1, 4, 3), "r": floats(1, 4, 4)}
GATED = {"x": floats(4, 2, 3), "w": floats(1, 12, 3), "r": floats(1, 12, 4)}
LONG = {"x": floats(4, 2, 3), "w": floats(1, 16, 3), "r": floats(1, 16, 4)}
HEADS = {"q": floats(2, 4, 3, 5), "k": floats(2, 2, 6, 5), "v": floats(2, 2, 6, 5)}

CASES: list[tuple[str, int, dict[str, Array], dict[str, Any]]] = [
    *((name, 22, {"x": X}, {}) for name in ("Sin", "Cos", "Sinh", "Cosh", "Atan", "Asinh", "Tanh")),
    *((name, 22, {"x": INSIDE}, {}) for name in ("Asin", "Acos", "Atanh", "Tan")),
    *((name, 22, {"x": positive(2, 3) + 1}, {}) for name in ("Acosh", "Log", "Sqrt", "Reciprocal")),
    *((name, 24, {"x": X}, {}) for name in ("Sigmoid", "Softplus", "Mish", "Swish", "Elu", "Celu")),
    *((name, 22, {"x": X}, {}) for name in ("Exp", "Erf", "Gelu", "Softmax", "LogSoftmax")),
    *((name, 18, {"x": positive(3, 4)}, {}) for name in ("ReduceProd", "ReduceLogSum", "ReduceL2")),
    ("ReduceLogSumExp", 18, {"x": X}, {}),
    ("Pow", 15, {"x": positive(3, 4), "p": positive(3, 4)}, {}),
    ("Div", 14, {"x": X, "y": positive(2, 3, 4)}, {}),
    ("Mod", 13, {"x": floats(2, 3) * 9, "y": np.float32(100) + positive(2, 3)}, {"fmod": 1}),
    ("PRelu", 16, {"x": np.sign(X) * (np.abs(X) + 0.2), "slope": floats(3, 1)}, {}),
    ("Shrink", 9, {"x": np.sign(X) * (np.abs(X) + 0.7)}, {"bias": 0.2, "lambd": 0.5}),
    ("Einsum", 12, {"a": floats(2, 3, 4), "b": floats(2, 4, 5)}, {"equation": "bij,bjk->bik"}),
    ("Det", 22, {"x": floats(2, 3, 3)}, {}),
    ("CumSum", 14, {"x": X, "axis": np.array(1)}, {"exclusive": 1}),
    ("CumProd", 26, {"x": positive(2, 3, 4), "axis": np.array(1)}, {"reverse": 1}),
    ("Conv", 22, {"x": PLANE, "w": floats(6, 2, 3, 3)}, {"group": 2, "auto_pad": "SAME_LOWER"}),
    ("ConvTranspose", 22, {"x": PLANE, "w": floats(4, 2, 3, 3)}, {"strides": [2, 2]}),
    (
        "DeformConv", 22,
        {"x": PLANE, "w": floats(3, 4, 2, 2), "offset": INNER}, {},
    ),
    ("AveragePool", 22, {"x": PLANE}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("LpPool", 22, {"x": positive(2, 3, 6, 6)}, {"kernel_shape": [2, 2], "p": 3}),
    ("GlobalLpPool", 22, {"x": positive(2, 3, 6, 6)}, {}),
    ("InstanceNormalization", 22, {"x": PLANE, "s": floats(4), "b": floats(4)}, {}),
    ("GroupNormalization", 21, {"x": PLANE, "s": floats(4), "b": floats(4)}, {"num_groups": 2}),
    ("LayerNormalization", 17, {"x": X, "s": floats(4), "b": floats(4)}, {}),
    ("RMSNormalization", 23, {"x": X, "s": floats(4)}, {}),
    ("MeanVarianceNormalization", 13, {"x": PLANE}, {}),
    ("LpNormalization", 22, {"x": X}, {"axis": 1}),
    ("LRN", 13, {"x": PLANE}, {"size": 3, "alpha": 0.5}),
    ("GatherND", 13, {"x": X, "i": np.array([[0, 1], [1, 2]])}, {}),
    ("ScatterND", 18, {"x": X, "i": np.array([[0], [1]]), "u": floats(2, 3, 4)}, {}),
    ("ScatterElements", 18, {"x": X, "i": np.array([[[0, 1, 0, 1]]]), "u": floats(1, 1, 4)}, {}),
    ("TopK", 11, {"x": X, "k": np.array([2])}, {"axis": 1}),
    ("GridSample", 20, {"x": PLANE, "g": floats(2, 3, 3, 2) * 0.2 + 0.11}, {"mode": "cubic"}),
    ("RoiAlign", 16, {"x": PLANE, "r": np.array([[0.2, 0.3, 4.1, 5.2]], np.float32),
                      "b": np.array([1])}, {"output_height": 2, "output_width": 2}),
    ("RNN", 22, SEQUENCE, {"hidden_size": 4}),
    ("GRU", 22, GATED, {"hidden_size": 4}),
    ("LSTM", 22, LONG, {"hidden_size": 4}),
    ("Attention", 23, HEADS, {"is_causal": 1, "softcap": 3.0}),
    ("DFT", 20, {"x": floats(2, 8, 1)}, {"onesided": 1}),
    ("AffineGrid", 20, {"theta": floats(1, 2, 3), "size": np.array([1, 1, 3, 4])}, {}),
    ("SoftmaxCrossEntropyLoss", 13, {"x": floats(4, 3), "y": np.array([0, 1, 2, 1])}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operator", "opset", "inputs", "attributes"), CASES, ids=[case[0] for case in CASES]
)
def test_a_gradient_is_what_differences_say(
    operator: str, opset: int, inputs: dict[str, Array], attributes: dict[str, Any]
) -> None:
    model = one_operator(operator, inputs, opset=opset, attributes=attributes)
    for seed in range(3):
        gradient, difference = slopes(model, inputs, seed)
        assert gradient == pytest.approx(difference, rel=0.02, abs=0.02), seed
