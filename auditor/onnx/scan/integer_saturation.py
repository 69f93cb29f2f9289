"""Integer weights whose products can saturate on processors that add them in 16 bits.

Processors with AVX2 and no VNNI multiply unsigned by signed bytes with ``vpmaddubsw``, which adds
two neighbouring products in 16 bits and cuts the sum off at 32,767 (Intel, Software Developer's
Manual, volume 2, PMADDUBSW). An activation of 255 times two weights does not fit where
``|w0| + |w1| > 128``. Weights of 7 bits (``reduce_range``) always fit, and unsigned weights are
widened to 16 bits before they are multiplied.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from auditor.domain.json import Json, write_fields
from auditor.onnx.scan.external_data import read_external_tensor
from auditor.onnx.scan.graph_walk import decode_text, walk_graphs, walk_nodes

SAFE_SUM = 128
"""Largest sum of two neighbouring weights' sizes whose products with 255 fit into 16 bits."""
WEIGHT_AT: Mapping[str, tuple[int, ...]] = {
    "QLinearConv": (3,),
    "ConvInteger": (1,),
    "QLinearMatMul": (3,),
    "MatMulInteger": (1,),
    "QGemm": (3,),
    "DynamicQuantizeMatMul": (1,),
    "MatMulIntegerToFloat": (1,),
    "QAttention": (1,),
    "DynamicQuantizeLSTM": (1, 2),
    "DequantizeLinear": (0,),
}
"""Where operators take integer weights; DequantizeLinear stands before a float operator."""
CONVOLUTIONS = frozenset({"Conv", "QLinearConv", "ConvInteger"})
TRANSPOSED = frozenset({"Gemm", "QGemm"})
FLOAT = frozenset({"Conv", "Gemm", "MatMul"})
"""Operators that kernels of whole numbers replace where their weight is dequantised."""
THROUGH = frozenset({"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
"""Operators whose output is the same weight, though maybe in another order."""
BYTES = frozenset({onnx.TensorProto.INT8, onnx.TensorProto.UINT8})
MOST_WEIGHTS = 4095
LEAST_AXES = 2
Tensors = Mapping[str, Sequence[onnx.TensorProto]]
Takers = Mapping[str, Sequence[onnx.NodeProto]]


@dataclass(frozen=True, slots=True)
class IntegerWeight:
    """An 8-bit weight: its pairs of neighbours along the sum, and how many can saturate.

    One that is not ``read`` has none: its numbers, or the order of its sum, are not known here.
    """

    name: str
    operator: str
    signed: bool
    pairs: int = 0
    over: int = 0
    largest: int = 0
    read: bool = True

    def to_entry(self) -> dict[str, Json]:
        """Return the form that a structure carries."""
        return write_fields(replace(self, name=self.name[:200]))


def find_integer_weights(model: onnx.ModelProto, folder: Path | None = None) -> list[IntegerWeight]:
    """Return every 8-bit weight that is multiplied; what cannot be looked at is not ``read``.

    ``folder`` is where numbers lie that the file keeps outside. Of more than ``MOST_WEIGHTS`` the
    last stands for all that are left out.
    """
    found = _found(model, folder)
    kept = list(islice(found, MOST_WEIGHTS))
    rest = next(found, None)
    if rest is not None:
        kept.append(replace(rest, name="all further weights", pairs=0, over=0, read=False))
    return kept


def _found(model: onnx.ModelProto, folder: Path | None) -> Iterator[IntegerWeight]:
    takers: dict[str, list[onnx.NodeProto]] = {}
    for takers_node in walk_nodes(model):
        for takers_name in takers_node.input:
            takers.setdefault(decode_text(takers_name), []).append(takers_node)
    held, turned = _held(model, takers)
    seen: set[str] = set()
    for node in walk_nodes(model):
        for place in WEIGHT_AT.get(decode_text(node.op_type), ()):
            name = decode_text(node.input[place]) if place < len(node.input) else ""
            if name in seen or not (name in held or name in turned):
                continue
            seen.add(name)
            taker, plain = _taker(node, takers)
            for tensor in (*held.get(name, ()), *turned.get(name, ())):
                if taker is not None and len(tensor.dims) >= LEAST_AXES:
                    values = _values(tensor, folder) if plain and name in held else None
                    yield _measured(name, tensor, taker, values)


def _held(model: onnx.ModelProto, takers: Takers) -> tuple[Tensors, Tensors]:
    """Return 8-bit tensors by the names under which they are used: as they are, and turned."""
    held: dict[str, list[onnx.TensorProto]] = {}
    turned: dict[str, list[onnx.TensorProto]] = {}
    constants = (
        (name, item.t)
        for node in walk_nodes(model)
        if decode_text(node.op_type) == "Constant"
        for item in node.attribute
        for name in node.output
    )
    initial = (
        (tensor.name, tensor) for graph in walk_graphs(model) for tensor in graph.initializer
    )
    for name, tensor in chain(initial, constants):
        if tensor.data_type in BYTES:
            held.setdefault(decode_text(name), []).append(tensor)
    for name in list(held):
        for output, plain in _onwards(name, takers):
            (held if plain else turned).setdefault(output, []).extend(held[name])
    return held, turned


def _onwards(start: str, takers: Takers) -> Iterator[tuple[str, bool]]:
    """Yield the names under which a value goes on, and whether it does so as it is."""
    waiting, seen = [(start, True)], {start}
    while waiting:
        name, plain = waiting.pop()
        for node in takers.get(name, ()):
            if (
                decode_text(node.op_type) in THROUGH
                and node.output
                and decode_text(node.output[0]) not in seen
            ):
                output, same = (
                    decode_text(node.output[0]),
                    plain and decode_text(node.op_type) == "Identity",
                )
                seen.add(output)
                waiting.append((output, same))
                yield output, same


def _taker(node: onnx.NodeProto, takers: Takers) -> tuple[onnx.NodeProto | None, bool]:
    """Return the operator that multiplies the weight, and whether it does so as it is.

    Behind DequantizeLinear, it is the next one that takes it.
    """
    if decode_text(node.op_type) != "DequantizeLinear":
        return node, True
    output = decode_text(node.output[0]) if node.output else ""
    for name, plain in chain([(output, True)], _onwards(output, takers)):
        for taker in takers.get(name, ()):
            if decode_text(taker.op_type) in FLOAT:
                return taker, plain
    return None, False


def _measured(
    name: str, tensor: onnx.TensorProto, taker: onnx.NodeProto, values: NDArray[np.int64] | None
) -> IntegerWeight:
    signed = tensor.data_type == onnx.TensorProto.INT8
    unread = IntegerWeight(name, decode_text(taker.op_type), signed, read=not signed)
    if values is None:
        return unread
    sizes = np.abs(_along_the_sum(values, decode_text(taker.op_type), taker))
    even = sizes[:, : sizes.shape[1] // 2 * 2]
    sums = even[:, 0::2] + even[:, 1::2]
    over = int((sums > SAFE_SUM).sum()) if signed else 0
    largest = int(sums.max(initial=0))
    return replace(unread, pairs=int(sums.size), over=over, largest=largest, read=True)


def _values(tensor: onnx.TensorProto, folder: Path | None) -> NDArray[np.int64] | None:
    """Return a tensor's numbers, ``None`` where they are not to be had or do not fit its shape."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raw = None if folder is None else read_external_tensor(tensor, folder)
        if raw is None:
            return None
        dims, kind = list(tensor.dims), tensor.data_type
        tensor = onnx.TensorProto(dims=dims, data_type=kind, raw_data=raw)
    try:
        values: NDArray[np.int64] = numpy_helper.to_array(tensor).astype(np.int64)
    except (ValueError, TypeError):  # a malformed tensor must not keep the file from being scanned
        return None
    return values if values.size else None


def _along_the_sum(
    values: NDArray[np.int64], operator: str, taker: onnx.NodeProto
) -> NDArray[np.int64]:
    """Return ``[outputs, terms of the sum]`` in the order in which kernels pack them.

    Convolutions sum over kernel positions and, innermost, input channels (NHWC).
    """
    if operator in CONVOLUTIONS:
        moved = np.moveaxis(values, 1, -1)
        return moved.reshape(len(values), -1)
    matrix = values.reshape(-1, values.shape[-1])
    turned = any(decode_text(item.name) == "transB" and item.i for item in taker.attribute)
    return matrix if operator in TRANSPOSED and turned else matrix.T
