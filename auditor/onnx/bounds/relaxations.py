"""Linear relaxations of operators for bound propagation: affine, elementwise and max pooling."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from auditor.errors import TwinError
from auditor.onnx.graph import STANDARD_DOMAIN, GraphNode, NodeAttributes
from auditor.onnx.operators.convolutions import window_paddings
from auditor.onnx.output_heads import ML

Inputs: TypeAlias = list[Tensor | None]
"""A node's inputs in order, absent ones as ``None``."""
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
LEADING = 2
"""Inputs of a convolution before its bias."""


@dataclass(frozen=True, slots=True, eq=False)
class AffineOperator:
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


Rule: TypeAlias = Callable[
    [GraphNode, tuple[str, ...], Mapping[str, Tensor]], AffineOperator | None
]
"""Says how a node with some sources and known constants sums; ``None`` where it is not affine."""


def _moving(_: GraphNode, __: tuple[str, ...], ___: Mapping[str, Tensor]) -> AffineOperator | None:
    return AffineOperator(0)


def _dropout(
    node: GraphNode, sources: tuple[str, ...], _: Mapping[str, Tensor]
) -> AffineOperator | None:
    return AffineOperator(0, own=_first, radius=_first) if _leads(node, sources) else None


def _cast(node: GraphNode, _: tuple[str, ...], __: Mapping[str, Tensor]) -> AffineOperator | None:
    if node.attributes.integer("to") not in FLOATS:  # half precision rounds more than we allow for
        return None
    return AffineOperator(1, own=_first, radius=_first)


def _averaging(
    node: GraphNode, sources: tuple[str, ...], _: Mapping[str, Tensor]
) -> AffineOperator | None:
    pools = node.operator == "AveragePool"
    window = math.prod(node.attributes.integers("kernel_shape")) if pools else -1
    return AffineOperator(window) if _leads(node, sources) else None


def _adding(
    node: GraphNode, sources: tuple[str, ...], _: Mapping[str, Tensor]
) -> AffineOperator | None:
    places = [index for index, name in enumerate(node.inputs) if name in sources]

    def radius(inputs: Inputs) -> tuple[Tensor, ...]:
        nothing = [torch.zeros_like(value) for value in inputs if value is not None]
        return (sum((_at(inputs, place) for place in places), sum(nothing, torch.zeros(()))),)

    return AffineOperator(len(node.inputs), radius=radius)


def _scaling(
    node: GraphNode, sources: tuple[str, ...], _: Mapping[str, Tensor]
) -> AffineOperator | None:
    divided = node.operator != "Div" or _leads(node, sources)
    return AffineOperator(1, weigh=_absolute) if _once(node, sources) and divided else None


def _matmul(
    node: GraphNode, sources: tuple[str, ...], known: Mapping[str, Tensor]
) -> AffineOperator | None:
    leads = _leads(node, sources)
    weights = known.get(node.inputs[1 if leads else 0])
    if weights is None or not _once(node, sources):
        return None
    return AffineOperator(weights.shape[-2 if leads and weights.dim() > 1 else -1], weigh=_absolute)


def _gemm(
    node: GraphNode, sources: tuple[str, ...], known: Mapping[str, Tensor]
) -> AffineOperator | None:
    weights = known.get(node.inputs[1])
    if weights is None or not _leads(node, sources) or node.attributes.integer("transA"):
        return None
    matrix = weights.t() if node.attributes.integer("transB") else weights
    sizes = abs(node.attributes.number("alpha", 1.0)) * matrix.abs()
    return AffineOperator(len(matrix) + 1, radius=lambda inputs: (_at(inputs, 0) @ sizes,))


def _convolution(
    node: GraphNode, sources: tuple[str, ...], known: Mapping[str, Tensor]
) -> AffineOperator | None:
    weights = known.get(node.inputs[1])
    if weights is None or not _leads(node, sources):
        return None
    every = weights[0] if node.operator == "Conv" else weights
    return AffineOperator(every.numel() + 1, weigh=lambda inputs: _absolute(inputs[:LEADING]))


def _normalising(
    node: GraphNode, sources: tuple[str, ...], _: Mapping[str, Tensor]
) -> AffineOperator | None:
    trains = node.attributes.integer("training_mode")
    return AffineOperator(4, weigh=_only_scale) if _leads(node, sources) and not trains else None


def _only_scale(inputs: Inputs) -> Inputs:
    x, scale, shift, mean = (_at(inputs, place) for place in range(4))
    return [x, scale.abs(), torch.zeros_like(shift), torch.zeros_like(mean), inputs[4]]


def _scaler(node: GraphNode, _: tuple[str, ...], __: Mapping[str, Tensor]) -> AffineOperator | None:
    offset = torch.tensor(node.attributes.numbers("offset"), dtype=torch.float64)
    scale = torch.tensor(node.attributes.numbers("scale"), dtype=torch.float64)
    return AffineOperator(
        2,
        own=lambda inputs: ((_at(inputs, 0) - offset) * scale,),
        radius=lambda inputs: (_at(inputs, 0) * scale.abs(),),
    )


def _linear(node: GraphNode, _: tuple[str, ...], __: Mapping[str, Tensor]) -> AffineOperator | None:
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
    return AffineOperator(
        weights.shape[1] + 1,
        own=lambda inputs: (_at(inputs, 0) @ weights.t() + shift,) * outputs,
        radius=lambda inputs: (_at(inputs, 0) @ weights.abs().t(),) * outputs,
    )


def _leads(node: GraphNode, sources: tuple[str, ...]) -> bool:
    return sources == node.inputs[:1] and _once(node, sources)


def _once(node: GraphNode, sources: tuple[str, ...]) -> bool:
    return len(sources) == 1 and node.inputs.count(sources[0]) == 1


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
    **{(STANDARD_DOMAIN, name): _moving for name in _MOVING},
    **{(STANDARD_DOMAIN, name): _averaging for name in _AVERAGING},
    **{(STANDARD_DOMAIN, name): _adding for name in ("Add", "Sub", "Neg", "Sum")},
    **{(STANDARD_DOMAIN, name): _scaling for name in ("Mul", "Div")},
    **{(STANDARD_DOMAIN, name): _convolution for name in ("Conv", "ConvTranspose")},
    (STANDARD_DOMAIN, "Dropout"): _dropout,
    (STANDARD_DOMAIN, "Cast"): _cast,
    (STANDARD_DOMAIN, "MatMul"): _matmul,
    (STANDARD_DOMAIN, "Gemm"): _gemm,
    (STANDARD_DOMAIN, "BatchNormalization"): _normalising,
    (ML, "Scaler"): _scaler,
    (ML, "LinearClassifier"): _linear,
    (ML, "LinearRegressor"): _linear,
}
"""Every operator that is affine in its sources, by domain and name."""


BLUR = 1e-6
"""How far runtimes' rational approximations of sigmoid and tanh may lie from the truth."""
NARROW = 1e-9
"""Intervals narrower than this are taken for points: a chord through them has no safe slope."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundingLines:
    """``low_slope * x + low`` is nowhere above a curve in an interval, the other nowhere below."""

    low_slope: Tensor
    low: Tensor
    high_slope: Tensor
    high: Tensor


Relax: TypeAlias = Callable[[NodeAttributes, list[float | None], Tensor, Tensor], BoundingLines]


@dataclass(frozen=True, slots=True)
class MonotoneCurve:
    """A growing function: ``relax`` puts lines around it, ``blur`` is how far a target may stray.

    Where ``relative``, that is a share of the value's size. ``grows`` says whether the curve does,
    given its attributes.
    """

    relax: Relax
    blur: float = 0.0
    relative: float = 0.0
    grows: Callable[[NodeAttributes], bool] = lambda _: True


def relu(_: NodeAttributes, __: list[float | None], low: Tensor, high: Tensor) -> BoundingLines:
    """Return the lines of Zhang et al. (2018, arXiv 1811.00866), table 2, slopes chosen by area."""
    return _bent(0.0, low, high)


def leaky_relu(
    said: NodeAttributes, _: list[float | None], low: Tensor, high: Tensor
) -> BoundingLines:
    """Return the lines of a convex curve with one bend."""
    return _bent(said.number("alpha", 0.01), low, high)


def clip(
    said: NodeAttributes, limits: list[float | None], low: Tensor, high: Tensor
) -> BoundingLines:
    """Return the lines of a straight middle between two level ends."""
    least = limits[0] if limits else None
    most = limits[1] if len(limits) > 1 else None
    least = said.number("min", -torch.inf) if least is None else least
    most = said.number("max", torch.inf) if most is None else most
    return _clipped(low, high, least, most)


def hard_sigmoid(
    said: NodeAttributes, _: list[float | None], low: Tensor, high: Tensor
) -> BoundingLines:
    """Return the lines of ``alpha * x + beta``, clipped to 0..1; ``alpha`` is above 0."""
    slope, shift = said.number("alpha", 0.2), said.number("beta", 0.5)
    of = _clipped(slope * low + shift, slope * high + shift, 0.0, 1.0)
    return BoundingLines(
        of.low_slope * slope,
        of.low + of.low_slope * shift,
        of.high_slope * slope,
        of.high + of.high_slope * shift,
    )


def sigmoid(_: NodeAttributes, __: list[float | None], low: Tensor, high: Tensor) -> BoundingLines:
    """Return the lines of the logistic function."""
    return _bell(torch.sigmoid, lambda y: y * (1 - y), low, high)


def tanh(_: NodeAttributes, __: list[float | None], low: Tensor, high: Tensor) -> BoundingLines:
    """Return the lines of the hyperbolic tangent."""
    return _bell(torch.tanh, lambda y: 1 - y * y, low, high)


def _bent(alpha: float, low: Tensor, high: Tensor) -> BoundingLines:
    span = (high - low).clamp(min=NARROW)
    chord = (high - alpha * low) / span
    straight = (low >= 0) | (high <= 0)
    same = torch.where(low >= 0, 1.0, alpha)
    near = torch.where(high >= -low, 1.0, alpha)
    zero = torch.zeros_like(low)
    return BoundingLines(
        torch.where(straight, same, near),
        zero,
        torch.where(straight, same, chord),
        torch.where(straight, zero, (alpha - chord) * low),
    )


def _clipped(low: Tensor, high: Tensor, least: float, most: float) -> BoundingLines:
    """Lower: level, or the line from the first bend to the far end; upper: mirrored."""
    one, zero = torch.ones_like(low), torch.zeros_like(low)
    below, above = high <= least, low >= most
    inside = (low >= least) & (high <= most)
    bottom, top = low.clamp(least, most), high.clamp(least, most)
    start, end = low.clamp(min=least), high.clamp(max=most)
    up = ((top - start) / (high - start).clamp(min=NARROW)).clamp(0, 1)
    down = ((end - bottom) / (end - low).clamp(min=NARROW)).clamp(0, 1)
    level = below | above
    # the lower line may as well be level where the first bend takes the larger part
    up = torch.where((start - low > high - start) & (low < least), zero, up)
    down = torch.where((high - end > end - low) & (high > most), zero, down)
    low_slope = torch.where(inside, one, torch.where(level, zero, up))
    high_slope = torch.where(inside, one, torch.where(level, zero, down))
    return BoundingLines(
        low_slope,
        torch.where(inside, zero, torch.where(level, bottom, bottom - low_slope * start)),
        high_slope,
        torch.where(inside, zero, torch.where(level, top, top - high_slope * end)),
    )


def _bell(
    curve: Callable[[Tensor], Tensor], steepness: Callable[[Tensor], Tensor], low: Tensor,
    high: Tensor,
) -> BoundingLines:  # fmt: skip
    """Lines around a curve that is convex up to 0 and concave beyond (its slope is a bell).

    On one side of 0 a chord and a tangent; across 0 two lines through the ends with the smaller
    slope of both: the curve less such a line still grows (Singh et al. 2018, DeepZ, theorem 3.2).
    """
    bottom, top = curve(low), curve(high)
    least = torch.minimum(steepness(bottom), steepness(top))
    middle = curve((low + high) / 2)
    tangent = steepness(middle)
    at = middle - tangent * (low + high) / 2
    span = high - low
    chord = torch.where(span > NARROW, (top - bottom) / span.clamp(min=NARROW), least)
    across = (low < 0) & (high > 0) | (span <= NARROW)
    concave = low >= 0
    return BoundingLines(
        torch.where(across, least, torch.where(concave, chord, tangent)),
        torch.where(across, bottom - least * low, torch.where(concave, bottom - chord * low, at)),
        torch.where(across, least, torch.where(concave, tangent, chord)),
        torch.where(across, top - least * high, torch.where(concave, at, bottom - chord * low)),
    )


CURVES: Mapping[tuple[str, str], MonotoneCurve] = {
    (STANDARD_DOMAIN, "Relu"): MonotoneCurve(relu),
    (STANDARD_DOMAIN, "LeakyRelu"): MonotoneCurve(
        leaky_relu, relative=2**-22, grows=lambda said: 0 <= said.number("alpha", 0.01) <= 1
    ),
    (STANDARD_DOMAIN, "Clip"): MonotoneCurve(clip),
    (STANDARD_DOMAIN, "HardSigmoid"): MonotoneCurve(
        hard_sigmoid, blur=BLUR, grows=lambda said: said.number("alpha", 0.2) > 0
    ),
    (STANDARD_DOMAIN, "Sigmoid"): MonotoneCurve(sigmoid, blur=BLUR),
    (STANDARD_DOMAIN, "Tanh"): MonotoneCurve(tanh, blur=BLUR),
}
"""Every elementwise operator that lines can be put around, by domain and name."""


AXES = 4
"""Of a batch of pictures: rows, channels, height, width."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowMaximum:
    """For each window the input that is surely largest from below, and whether from above too.

    ``place`` ``[n, ...]`` is the input's number within its channel, ``ceiling`` the upper limit of
    each maximum that no single input decides (0 elsewhere), ``decided`` which ones are decided.
    """

    place: Tensor
    decided: Tensor
    ceiling: Tensor
    plane: tuple[int, ...]

    def pull(self, up: Tensor, down: Tensor) -> Tensor:
        """Pull positive and negative weights ``[k, n, channels, ...]`` back to the inputs.

        A maximum is at least any of its inputs; at most the one that beats all others.
        """
        weight = (up + down * self.decided).flatten(3)
        spread = torch.zeros((*weight.shape[:3], torch.Size(self.plane).numel()))
        place = self.place.flatten(2).expand(weight.shape)
        return spread.scatter_add(3, place, weight).reshape(*weight.shape[:3], *self.plane)


def find_window_maxima(node: GraphNode, low: Tensor, high: Tensor) -> WindowMaximum:
    """Return the choices of a maximum whose inputs lie in limits ``[n, channels, height, width]``.

    Raises ``TwinError`` for other shapes, and for windows that round up.
    """
    if low.dim() != AXES or node.attributes.integer("ceil_mode"):
        raise TwinError(
            f"no bounds can be propagated through the operator {node.label}: its windows are not "
            "those of plain pictures",
            cure="Judge by evasion.linf what attacks find, or export without it.",
        )
    plane = tuple(low.shape[2:])
    numbers = torch.arange(float(torch.Size(plane).numel())).reshape(1, 1, *plane)
    bottoms, tops = _windows(node, low, -torch.inf), _windows(node, high, -torch.inf)
    places = _windows(node, numbers, 0.0).expand(bottoms.shape)
    best = bottoms.max(2, keepdim=True)
    others = tops.scatter(2, best.indices, -torch.inf).amax(2)
    decided = best.values.squeeze(2) >= others
    place = places.gather(2, best.indices).squeeze(2).to(torch.int64)
    return WindowMaximum(place, decided, torch.where(decided, 0.0, tops.amax(2)), plane)


def find_contested_inputs(node: GraphNode, low: Tensor, high: Tensor) -> Tensor:
    """Return which inputs may be the largest of a window that no single input decides."""
    bottoms, tops = _windows(node, low, -torch.inf), _windows(node, high, -torch.inf)
    best = bottoms.max(2, keepdim=True)
    rivals = tops >= best.values
    among = rivals & (rivals.sum(2, keepdim=True) > 1)
    plane = tuple(low.shape[2:])
    numbers = torch.arange(float(torch.Size(plane).numel())).reshape(1, 1, *plane)
    places = _windows(node, numbers, 0.0).to(torch.int64).expand(bottoms.shape)
    found = torch.zeros(*low.shape[:2], torch.Size(plane).numel())
    found = found.scatter_reduce(2, places.flatten(2), among.flatten(2).to(found), "amax")
    return found.reshape(low.shape) > 0


def _windows(node: GraphNode, x: Tensor, beyond: float) -> Tensor:
    """Return what each window sees, ``[n, channels, inputs, height, width]``."""
    if node.operator == "GlobalMaxPool":
        return x.flatten(2)[..., None, None]
    kernel = node.attributes.integers("kernel_shape")
    before, after = window_paddings(node.attributes, x, kernel)
    padded = functional.pad(x, (before[1], after[1], before[0], after[0]), value=beyond)
    strides = node.attributes.integers("strides", [1, 1])
    dilations = node.attributes.integers("dilations", [1, 1])
    sizes = [
        (length - (size - 1) * gap - 1) // step + 1
        for length, size, gap, step in zip(
            padded.shape[2:], kernel, dilations, strides, strict=True
        )
    ]
    columns = functional.unfold(
        padded, tuple(kernel), dilation=tuple(dilations), stride=tuple(strides)
    )
    return columns.reshape(*x.shape[:2], -1, *sizes)
