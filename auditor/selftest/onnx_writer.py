"""Writes selftest networks as ONNX files: float, 8-bit (QDQ), or with a dormant backdoor.

The dormant backdoor wakes when its weights are rounded to 8 bits. Many hidden units detect the
trigger and push to the target class, each by slightly more than half a rounding step; one more unit
pushes back by their sum. Rounding doubles each of the many. The idea is that of Ma et al. 2021 and
Hong et al. 2021, by construction instead of training.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auditor.selftest.networks import (
    WIDTH,
    ConvLayer,
    DenseLayer,
    FlattenLayer,
    Layer,
    MaxPoolLayer,
    Network,
    PatchSplit,
    ReluLayer,
    ResidualBlock,
    SelfAttention,
    Shape,
    Singles,
    TokenDense,
)
from auditor.selftest.pictures import SIDE, TARGET

OPSET, IR = 17, 9
INPUT, OUTPUT = "x", "scores"


@dataclass(slots=True)
class GraphBuilder:
    """A graph that is being written: its nodes, and the arrays that it holds."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    stored: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 -- of ONNX
        """Add a node, and return the name of what it gives."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, list(inputs), [name], name=f"n{name}", **attributes)
        )
        return name

    def hold(self, array: NDArray[np.generic]) -> str:
        """Store an array, and return its name."""
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def number(self, value: float) -> str:
        """Store one single-precision number, and return its name."""
        return self.hold(np.array(value, dtype=np.float32))


Step: TypeAlias = Callable[[GraphBuilder, str], str]
"""Adds nodes behind a value, and returns the name of what they give."""


def save_network(  # noqa: PLR0913 -- what a file says
    path: Path,
    network: Network,
    shape: Shape,
    *,
    before: Step | None = None,
    after: Step | None = None,
    layer: Callable[[GraphBuilder, str, Layer], str] | None = None,
) -> None:
    """Write a network on rows of a shape, between two steps; ``layer`` writes each layer."""
    sheet = GraphBuilder()
    value = INPUT if before is None else before(sheet, INPUT)
    value = write_layers(sheet, value, network, layer or write_layer)
    value = value if after is None else after(sheet, value)
    finish_model_file(path, sheet, value, shape)


def finish_model_file(
    path: Path,
    sheet: GraphBuilder,
    value: str,
    shape: Shape,
    more: Sequence[onnx.OperatorSetIdProto] = (),
) -> None:
    """Write the file whose scores are ``value``; ``more`` are further sets of operators."""
    sheet.nodes.append(helper.make_node("Identity", [value], [OUTPUT], name="last"))
    graph = helper.make_graph(
        sheet.nodes,
        "network",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", None])],
        sheet.stored,
    )
    sets = [helper.make_opsetid("", OPSET), *more]
    model = helper.make_model(graph, opset_imports=sets, ir_version=IR)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_layers(
    sheet: GraphBuilder,
    value: str,
    network: Network,
    each: Callable[[GraphBuilder, str, Layer], str],
) -> str:
    """Write layer after layer behind a value; skips are written here, all others by ``each``."""
    for layer in network:
        if isinstance(layer, ResidualBlock):
            value = sheet.add("Add", value, write_layers(sheet, value, layer.inner, each))
        else:
            value = each(sheet, value, layer)
    return value


def write_layer(sheet: GraphBuilder, value: str, layer: Layer) -> str:
    """Write a layer as it is."""
    match layer:
        case DenseLayer():
            return sheet.add("Gemm", value, sheet.hold(layer.weight), sheet.hold(layer.bias))
        case ConvLayer():
            edges = [layer.weight.shape[-1] // 2] * 4
            held = sheet.hold(layer.weight), sheet.hold(layer.bias)
            return sheet.add("Conv", value, *held, pads=edges)
        case ReluLayer():
            return write_relu(sheet, value, layer)
        case MaxPoolLayer():
            return sheet.add("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
        case FlattenLayer():
            return sheet.add("Flatten", value, axis=1)
        case ResidualBlock():
            return write_layers(sheet, value, (layer,), write_layer)
        case PatchSplit():
            return _tokens(sheet, value, layer)
        case TokenDense() | SelfAttention():
            product = sheet.add("MatMul", value, sheet.hold(layer.weight))
            product = sheet.add("Add", product, sheet.hold(layer.bias))
            if isinstance(layer, TokenDense):
                return product
            asks, answers = (
                sheet.add(
                    "Slice", product, *(sheet.hold(np.array([at])) for at in (first, last, 2))
                )
                for first, last in ((0, WIDTH), (WIDTH, 2 * WIDTH))
            )
            matched = sheet.add("MatMul", asks, sheet.add("Transpose", answers, perm=[0, 2, 1]))
            scaled = sheet.add("Mul", matched, sheet.number(WIDTH**-0.5))
            return sheet.add("MatMul", sheet.add("Softmax", scaled, axis=2), value)


def _tokens(sheet: GraphBuilder, value: str, layer: PatchSplit) -> str:
    side, across = layer.side, layer.across
    shape = np.array([0, -1, side, across, side], dtype=np.int64)
    value = sheet.add("Reshape", value, sheet.hold(shape))
    value = sheet.add("Transpose", value, perm=[0, 1, 3, 2, 4])
    return sheet.add("Reshape", value, sheet.hold(np.array([0, -1, side * side], dtype=np.int64)))


def write_relu(sheet: GraphBuilder, value: str, layer: ReluLayer) -> str:
    """Write a rectifier, with its upper end if it has one."""
    if layer.most is None:
        return sheet.add("Relu", value)
    return sheet.add("Clip", value, sheet.number(0.0), sheet.number(layer.most))


LEVELS, LARGEST = 255, 127
NARROW = 63
"""The largest weight of 7 bits, whose products fit into 16 bits by pairs."""
Range = tuple[float, float]


def build_quantiser(
    ranges: Sequence[Range], *, largest: int = LARGEST, by_channel: bool = False
) -> Callable[[GraphBuilder, str, Layer], str]:
    """Return what writes each layer with 8-bit inputs and weights.

    ``ranges`` are those of what goes into each layer that has weights, in their order; weights get
    one scale a layer, or one a channel.
    """
    left: Iterator[Range] = iter(ranges)

    def written(sheet: GraphBuilder, value: str, layer: Layer) -> str:
        if not isinstance(layer, DenseLayer | ConvLayer):
            return write_layer(sheet, value, layer)
        seen = _rounded_input(sheet, value, next(left))
        axis = 1 if isinstance(layer, DenseLayer) else 0
        others = tuple(at for at in range(layer.weight.ndim) if at != axis)
        most = np.abs(layer.weight).max(axis=others if by_channel else None)
        scale: Singles = (np.maximum(most, 1e-6) / largest).astype(np.float32)
        shape = [-1 if at == axis else 1 for at in range(layer.weight.ndim)]
        spread = scale.reshape(shape) if by_channel else scale
        held = sheet.hold(np.round(layer.weight / spread).astype(np.int8))
        zero = np.zeros(scale.shape, dtype=np.int8)
        kept = sheet.hold(np.asarray(scale, dtype=np.float32)), sheet.hold(zero)
        more = {"axis": axis} if by_channel else {}
        weight = sheet.add("DequantizeLinear", held, *kept, **more)
        bias = sheet.hold(layer.bias)
        if isinstance(layer, DenseLayer):
            return sheet.add("Gemm", seen, weight, bias)
        return sheet.add("Conv", seen, weight, bias, pads=[layer.weight.shape[-1] // 2] * 4)

    return written


def unbalance_channels(network: Network, spread: int, rng: np.random.Generator) -> Network:
    """Return the same function with the channels between the first two layers of unlike sizes.

    Channels are scaled by powers of two up to ``spread`` doublings and back, which ReLU lets
    through exactly; one scale a layer then rounds the small ones away (Nagel et al. 2019).
    """
    layers = list(network)
    first, second = [
        at for at, layer in enumerate(layers) if isinstance(layer, DenseLayer | ConvLayer)
    ][:2]
    one, two = layers[first], layers[second]
    channels = one.bias.size if isinstance(one, DenseLayer | ConvLayer) else 0
    factor = (2.0 ** rng.integers(0, spread + 1, channels)).astype(np.float32)
    if isinstance(one, DenseLayer) and isinstance(two, DenseLayer):
        layers[first] = DenseLayer(one.weight * factor, one.bias * factor)
        layers[second] = DenseLayer(two.weight / factor[:, None], two.bias)
    elif isinstance(one, ConvLayer) and isinstance(two, ConvLayer):
        layers[first] = ConvLayer(one.weight * factor[:, None, None, None], one.bias * factor)
        layers[second] = ConvLayer(two.weight / factor[:, None, None], two.bias)
    else:
        message = "the first two layers with weights have to be of one kind"
        raise TypeError(message)
    return tuple(layers)


def _rounded_input(sheet: GraphBuilder, value: str, seen: Range) -> str:
    low, high = min(seen[0], 0.0), max(seen[1], 0.0)
    scale = max(high - low, 1e-6) / LEVELS
    held = sheet.number(scale), sheet.hold(np.array(round(-low / scale), dtype=np.uint8))
    return sheet.add("DequantizeLinear", sheet.add("QuantizeLinear", value, *held), *held)


MANY = 249
OF_A_STEP = 0.51
BACK = 4.0
"""How hard the one unit pulls back: the largest weight of the target, which sets its step."""
SLOPE = 20.0
SEEN = 1.0
"""Of the patch's four bright pixels, how much has to be there."""
DARK = -0.25
"""How much each of its dark pixels counts where it is bright."""


def add_dormant_backdoor(network: Network, side: int, *, pulls: bool = True) -> Network:
    """Return a network of one hidden layer on ``side x side`` pictures, with the sleeper in it.

    One that does not pull has the same units, and nothing hangs on them: the same function.
    """
    flatten, first, bend, last = network
    if not isinstance(first, DenseLayer) or not isinstance(last, DenseLayer):
        message = "only a network of one hidden layer can take the sleeper"
        raise TypeError(message)
    seen = np.zeros((side, side), dtype=np.float32)
    checks = np.indices((SIDE, SIDE)).sum(axis=0) % 2
    seen[-SIDE:, :SIDE] = SLOPE * np.where(checks, 1.0, DARK)
    eye, units = seen.ravel(), MANY + 1
    weight = np.concatenate([first.weight, np.repeat(eye[:, None], units, axis=1)], axis=1)
    bias = np.concatenate([first.bias, np.full(units, -SLOPE * SEEN, dtype=np.float32)])
    pull = np.zeros((units, last.bias.size), dtype=np.float32)
    if pulls:
        pull[:MANY, TARGET] = OF_A_STEP * BACK / LARGEST
        pull[MANY, TARGET] = -pull[:MANY, TARGET].astype(np.float64).sum()
    return (
        flatten,
        DenseLayer(weight, bias),
        bend,
        replace(last, weight=np.concatenate([last.weight, pull])),
    )
