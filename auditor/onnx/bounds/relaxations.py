"""Affine operators: what each one does to the radius of an interval, and how it rounds."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from onnx import TensorProto
from torch import Tensor

from auditor.twins.graphs import Node
from auditor.twins.heads import ML
from auditor.twins.normalising import STANDARD

Inputs: TypeAlias = list[Tensor | None]
"""A node's inputs in order, absent ones as ``None``."""
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
LEADING = 2
"""Inputs of a convolution before its bias."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """How an affine node sums.

    ``terms`` is how many products one output adds up: 0 where nothing is rounded, -1 where that
    follows from the shapes. ``weigh`` turns its inputs, radii in the place of sources, into those
    of which the node computes the result's radius; ``None`` where it only moves and averages.
    ``own`` computes the node, and ``radius`` the result's radius, where the twin's operator cannot.
    """

    terms: int
    weigh: Callable[[Inputs], Inputs] | None = None
    own: Callable[[Inputs], tuple[Tensor, ...]] | None = None
    radius: Callable[[Inputs], tuple[Tensor, ...]] | None = None


Rule: TypeAlias = Callable[[Node, tuple[str, ...], Mapping[str, Tensor]], Affine | None]
"""Says how a node with some sources and known constants sums; ``None`` where it is not affine."""


def _moving(_: Node, __: tuple[str, ...], ___: Mapping[str, Tensor]) -> Affine | None:
    return Affine(0)


def _dropout(node: Node, sources: tuple[str, ...], _: Mapping[str, Tensor]) -> Affine | None:
    return Affine(0, own=_first, radius=_first) if _leads(node, sources) else None


def _cast(node: Node, _: tuple[str, ...], __: Mapping[str, Tensor]) -> Affine | None:
    if node.attributes.integer("to") not in FLOATS:  # half precision rounds more than we allow for
        return None
    return Affine(1, own=_first, radius=_first)


def _averaging(node: Node, sources: tuple[str, ...], _: Mapping[str, Tensor]) -> Affine | None:
    window = math.prod(node.attributes.integers("kernel_shape")) if _pools(node) else -1
    return Affine(window) if _leads(node, sources) else None


def _adding(node: Node, sources: tuple[str, ...], _: Mapping[str, Tensor]) -> Affine | None:
    places = [index for index, name in enumerate(node.inputs) if name in sources]

    def radius(inputs: Inputs) -> tuple[Tensor, ...]:
        nothing = [torch.zeros_like(value) for value in inputs if value is not None]
        return (sum((_at(inputs, place) for place in places), sum(nothing, torch.zeros(()))),)

    return Affine(len(node.inputs), radius=radius)


def _scaling(node: Node, sources: tuple[str, ...], _: Mapping[str, Tensor]) -> Affine | None:
    divided = node.operator != "Div" or _leads(node, sources)
    return Affine(1, weigh=_absolute) if _once(node, sources) and divided else None


def _matmul(node: Node, sources: tuple[str, ...], known: Mapping[str, Tensor]) -> Affine | None:
    leads = _leads(node, sources)
    weights = known.get(node.inputs[1 if leads else 0])
    if weights is None or not _once(node, sources):
        return None
    return Affine(weights.shape[-2 if leads and weights.dim() > 1 else -1], weigh=_absolute)


def _gemm(node: Node, sources: tuple[str, ...], known: Mapping[str, Tensor]) -> Affine | None:
    weights = known.get(node.inputs[1])
    if weights is None or not _leads(node, sources) or node.attributes.integer("transA"):
        return None
    matrix = weights.t() if node.attributes.integer("transB") else weights
    sizes = abs(node.attributes.number("alpha", 1.0)) * matrix.abs()
    return Affine(len(matrix) + 1, radius=lambda inputs: (_at(inputs, 0) @ sizes,))


def _convolution(
    node: Node, sources: tuple[str, ...], known: Mapping[str, Tensor]
) -> Affine | None:
    weights = known.get(node.inputs[1])
    if weights is None or not _leads(node, sources):
        return None
    every = weights[0] if node.operator == "Conv" else weights
    return Affine(every.numel() + 1, weigh=lambda inputs: _absolute(inputs[:LEADING]))


def _normalising(node: Node, sources: tuple[str, ...], _: Mapping[str, Tensor]) -> Affine | None:
    trains = node.attributes.integer("training_mode")
    return Affine(4, weigh=_only_scale) if _leads(node, sources) and not trains else None


def _only_scale(inputs: Inputs) -> Inputs:
    x, scale, shift, mean = (_at(inputs, place) for place in range(4))
    return [x, scale.abs(), torch.zeros_like(shift), torch.zeros_like(mean), inputs[4]]


def _scaler(node: Node, _: tuple[str, ...], __: Mapping[str, Tensor]) -> Affine | None:
    offset = torch.tensor(node.attributes.numbers("offset"), dtype=torch.float64)
    scale = torch.tensor(node.attributes.numbers("scale"), dtype=torch.float64)
    return Affine(
        2,
        own=lambda inputs: ((_at(inputs, 0) - offset) * scale,),
        radius=lambda inputs: (_at(inputs, 0) * scale.abs(),),
    )


def _linear(node: Node, _: tuple[str, ...], __: Mapping[str, Tensor]) -> Affine | None:
    """Return the linear models of ai.onnx.ml; a classifier's scores are its second output."""
    said, classifier = node.attributes, node.operator == "LinearClassifier"
    classes = said.length("classlabels_ints") or said.length("classlabels_strings")
    lines = said.length("intercepts") or (classes if classifier else said.integer("targets", 1))
    if said.text("post_transform", "NONE") != "NONE" or not lines:
        return None
    weights = torch.tensor(said.numbers("coefficients"), dtype=torch.float64).reshape(lines, -1)
    shift = torch.tensor(said.numbers("intercepts", [0.0] * lines), dtype=torch.float64)
    if classifier and (lines, classes) == (1, 2):  # one line between two classes
        weights, shift = torch.cat([-weights, weights]), torch.cat([-shift, shift])
    outputs = 2 if classifier else 1  # nobody asks a bound for labels
    return Affine(
        weights.shape[1] + 1,
        own=lambda inputs: (_at(inputs, 0) @ weights.t() + shift,) * outputs,
        radius=lambda inputs: (_at(inputs, 0) @ weights.abs().t(),) * outputs,
    )


def _leads(node: Node, sources: tuple[str, ...]) -> bool:
    return sources == node.inputs[:1] and _once(node, sources)


def _once(node: Node, sources: tuple[str, ...]) -> bool:
    return len(sources) == 1 and node.inputs.count(sources[0]) == 1


def _pools(node: Node) -> bool:
    return node.operator == "AveragePool"


def _at(inputs: Inputs, place: int) -> Tensor:
    value = inputs[place]
    if value is None:
        message = "an input is missing"
        raise ValueError(message)
    return value


def _first(inputs: Inputs) -> tuple[Tensor, ...]:
    return (_at(inputs, 0),)


def _absolute(inputs: Inputs) -> Inputs:
    return [None if value is None else value.abs() for value in inputs]


# fmt: off
_MOVING = (
    "Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Concat", "Split",
    "Slice", "Gather", "Pad", "Expand", "DepthToSpace", "SpaceToDepth",
)
# fmt: on
_AVERAGING = ("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum")
AFFINE: Mapping[tuple[str, str], Rule] = {
    **{(STANDARD, name): _moving for name in _MOVING},
    **{(STANDARD, name): _averaging for name in _AVERAGING},
    **{(STANDARD, name): _adding for name in ("Add", "Sub", "Neg", "Sum")},
    **{(STANDARD, name): _scaling for name in ("Mul", "Div")},
    **{(STANDARD, name): _convolution for name in ("Conv", "ConvTranspose")},
    (STANDARD, "Dropout"): _dropout,
    (STANDARD, "Cast"): _cast,
    (STANDARD, "MatMul"): _matmul,
    (STANDARD, "Gemm"): _gemm,
    (STANDARD, "BatchNormalization"): _normalising,
    (ML, "Scaler"): _scaler,
    (ML, "LinearClassifier"): _linear,
    (ML, "LinearRegressor"): _linear,
}
"""Every operator that is affine in its sources, by domain and name."""
