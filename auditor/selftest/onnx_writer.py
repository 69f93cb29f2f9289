"""Writes networks as ONNX files: a row of scores for each row of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auditor.zoo.layers import (
    WIDTH,
    Attend,
    Conv,
    Cut,
    Dense,
    Each,
    Flatten,
    Layer,
    Network,
    Pool,
    Relu,
    Shape,
    Skip,
)

OPSET, IR = 17, 9
INPUT, OUTPUT = "x", "scores"


@dataclass(slots=True)
class Sheet:
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


Step: TypeAlias = Callable[[Sheet, str], str]
"""Adds nodes behind a value, and returns the name of what they give."""


def save(  # noqa: PLR0913 -- what a file says
    path: Path,
    network: Network,
    shape: Shape,
    *,
    before: Step | None = None,
    after: Step | None = None,
    layer: Callable[[Sheet, str, Layer], str] | None = None,
) -> None:
    """Write a network on rows of a shape, between two steps; ``layer`` writes each layer."""
    sheet = Sheet()
    value = INPUT if before is None else before(sheet, INPUT)
    value = written(sheet, value, network, layer or plain)
    value = value if after is None else after(sheet, value)
    finish(path, sheet, value, shape)


def finish(
    path: Path,
    sheet: Sheet,
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


def written(
    sheet: Sheet, value: str, network: Network, each: Callable[[Sheet, str, Layer], str]
) -> str:
    """Write layer after layer behind a value; skips are written here, all others by ``each``."""
    for layer in network:
        if isinstance(layer, Skip):
            value = sheet.add("Add", value, written(sheet, value, layer.inner, each))
        else:
            value = each(sheet, value, layer)
    return value


def plain(sheet: Sheet, value: str, layer: Layer) -> str:
    """Write a layer as it is."""
    match layer:
        case Dense():
            return sheet.add("Gemm", value, sheet.hold(layer.weight), sheet.hold(layer.bias))
        case Conv():
            edges = [layer.weight.shape[-1] // 2] * 4
            held = sheet.hold(layer.weight), sheet.hold(layer.bias)
            return sheet.add("Conv", value, *held, pads=edges)
        case Relu():
            return rectified(sheet, value, layer)
        case Pool():
            return sheet.add("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
        case Flatten():
            return sheet.add("Flatten", value, axis=1)
        case Skip():
            return written(sheet, value, (layer,), plain)
        case Cut():
            return _tokens(sheet, value, layer)
        case Each() | Attend():
            product = sheet.add("MatMul", value, sheet.hold(layer.weight))
            product = sheet.add("Add", product, sheet.hold(layer.bias))
            return product if isinstance(layer, Each) else _attended(sheet, value, product)


def _tokens(sheet: Sheet, value: str, layer: Cut) -> str:
    side, across = layer.side, layer.across
    shape = np.array([0, -1, side, across, side], dtype=np.int64)
    value = sheet.add("Reshape", value, sheet.hold(shape))
    value = sheet.add("Transpose", value, perm=[0, 1, 3, 2, 4])
    return sheet.add("Reshape", value, sheet.hold(np.array([0, -1, side * side], dtype=np.int64)))


def _attended(sheet: Sheet, value: str, product: str) -> str:
    asks, answers = (
        sheet.add("Slice", product, *(sheet.hold(np.array([at])) for at in (first, last, 2)))
        for first, last in ((0, WIDTH), (WIDTH, 2 * WIDTH))
    )
    matched = sheet.add("MatMul", asks, sheet.add("Transpose", answers, perm=[0, 2, 1]))
    scaled = sheet.add("Mul", matched, sheet.number(WIDTH**-0.5))
    return sheet.add("MatMul", sheet.add("Softmax", scaled, axis=2), value)


def rectified(sheet: Sheet, value: str, layer: Relu) -> str:
    """Write a rectifier, with its upper end if it has one."""
    if layer.most is None:
        return sheet.add("Relu", value)
    return sheet.add("Clip", value, sheet.number(0.0), sheet.number(layer.most))


def softmax(sheet: Sheet, value: str) -> str:
    """Give probabilities."""
    return sheet.add("Softmax", value, axis=1)
