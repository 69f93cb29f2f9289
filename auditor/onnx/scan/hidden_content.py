"""Hidden content of an ONNX file: bytes its model does not need, or that parsers read otherwise."""

from collections.abc import Iterator, Mapping, Sequence

import onnx
from onnx import TensorProto

from auditor.onnx.scan.graph_walk import (
    STANDARD,
    PlacedTensor,
    count_elements,
    count_operators,
    local_functions,
    used_names,
    walk_tensors,
)
from auditor.onnx.scan.unsafe_entries import (
    UnsafeCode,
    UnsafeEntry,
    UnsafeSeverity,
    printable_excerpt,
)

LEAST_HIDDEN = 2**20
LEAST_NOTED = 2**10
"""Exporters leave small constants behind; from so many numbers on that is worth a note."""
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
BITS: Mapping[int, int] = {
    TensorProto.UNDEFINED: 0, TensorProto.FLOAT: 32, TensorProto.UINT8: 8, TensorProto.INT8: 8,
    TensorProto.UINT16: 16, TensorProto.INT16: 16, TensorProto.INT32: 32, TensorProto.INT64: 64,
    TensorProto.BOOL: 8, TensorProto.FLOAT16: 16, TensorProto.DOUBLE: 64, TensorProto.UINT32: 32,
    TensorProto.UINT64: 64, TensorProto.COMPLEX64: 64, TensorProto.COMPLEX128: 128,
    TensorProto.BFLOAT16: 16, TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2: 8, TensorProto.FLOAT8E5M2FNUZ: 8, TensorProto.UINT4: 4,
    TensorProto.INT4: 4,
}  # fmt: skip
"""How many bits a number takes as raw data; of kinds that are not here nothing is said."""
_COMPLEX = frozenset({TensorProto.COMPLEX64, TensorProto.COMPLEX128})
_PACKED = 4
_TYPED = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def declared_size(tensor: onnx.TensorProto) -> int | None:
    """Return how many bytes a tensor's shape and type say that its raw data have."""
    bits = BITS.get(tensor.data_type)
    return None if bits is None else (count_elements(tensor) * bits + 7) // 8


def scan_hidden_tensors(
    model: onnx.ModelProto, placed: Sequence[PlacedTensor]
) -> Iterator[UnsafeEntry]:
    """Yield tensors that nothing reads or that hold other data than their shape says."""
    used = used_names(model)
    for item in placed:
        count = count_elements(item.tensor)
        if item.name and item.name not in used and count >= LEAST_NOTED:
            what = f"{count} numbers that no node uses"
            weight = UnsafeSeverity.WARNING if count >= LEAST_HIDDEN else UnsafeSeverity.INFO
            yield UnsafeEntry(UnsafeCode.HIDDEN_INITIALIZER, item.where, what, weight)
        yield from check_tensor_size(item)


def check_tensor_size(item: PlacedTensor) -> Iterator[UnsafeEntry]:
    """Yield what is wrong with the data that a tensor holds itself."""
    tensor = item.tensor
    typed = {name: len(getattr(tensor, name)) for name in _TYPED if len(getattr(tensor, name))}
    raw = len(tensor.raw_data)
    if tensor.data_location == TensorProto.EXTERNAL:
        if raw or typed:
            what = "data in the model file, although it is said to lie elsewhere"
            yield UnsafeEntry(UnsafeCode.TENSOR_EXCESS, item.where, what, UnsafeSeverity.WARNING)
        return
    if len(typed) + bool(raw) > 1:
        what = "its data are there more than once, and readers differ in which count"
        yield UnsafeEntry(UnsafeCode.TENSOR_EXCESS, item.where, what, UnsafeSeverity.WARNING)
        return
    if raw:
        yield from report_size_mismatch(item, raw, declared_size(tensor), "bytes")
    for count in typed.values():
        bits = BITS.get(tensor.data_type, 8 if tensor.data_type == TensorProto.STRING else None)
        if bits is None:
            entries = None
        else:
            entries_count = count_elements(tensor) if bits else 0
            if bits == _PACKED:
                entries = (entries_count + 1) // 2
            else:
                entries = 2 * entries_count if tensor.data_type in _COMPLEX else entries_count
        yield from report_size_mismatch(item, count, entries, "entries")


def report_size_mismatch(
    item: PlacedTensor, found: int, wanted: int | None, of: str
) -> Iterator[UnsafeEntry]:
    """Yield an entry where a tensor holds more or less than its shape and type say."""
    if wanted is None or found == wanted:
        return
    code = UnsafeCode.TENSOR_EXCESS if found > wanted else UnsafeCode.TENSOR_SHORT
    what = f"{found} {of}, where its shape and type say {wanted}"
    yield UnsafeEntry(code, item.where, what, UnsafeSeverity.WARNING)


def scan_control_flow(model: onnx.ModelProto) -> Iterator[UnsafeEntry]:
    """Yield a note of every operator that branches or loops, which feed-forward models have not."""
    for (domain, name), count in sorted(count_operators(model).items()):
        if domain == STANDARD and name in CONTROL_FLOW:
            what = f"{count} node(s) that branch or loop: what runs depends on the input"
            where = printable_excerpt(f"{domain}::{name}")
            yield UnsafeEntry(UnsafeCode.CONTROL_FLOW, where, what, UnsafeSeverity.INFO)


def scan_shadowed_operators(model: onnx.ModelProto) -> Iterator[UnsafeEntry]:
    """Yield every function that bears the name of a standard operator."""
    for domain, name in sorted(local_functions(model)):
        known = "" if domain == STANDARD else domain
        if onnx.defs.has(name, known):
            what = "a function of the model under the name of an operator that runtimes know"
            where = printable_excerpt(f"{domain}::{name}")
            yield UnsafeEntry(UnsafeCode.FUNCTION_SHADOWS, where, what, UnsafeSeverity.WARNING)


def scan_unused_bytes(model: onnx.ModelProto, size: int) -> Iterator[UnsafeEntry]:
    """Yield bytes of the file that no reader of ONNX uses; the model loses them and its weights.

    ``size`` is that of the file. A field that stands twice counts once, and what it replaces is
    bytes that parsing drops.
    """
    raw = []
    for tensor in model.graph.initializer:
        taken_out = len(tensor.raw_data) if tensor.HasField("raw_data") else None
        tensor.ClearField("raw_data")
        raw.append(taken_out)
    parsed = _size_with(model, raw)
    if size > parsed:
        what = f"{size - parsed} bytes that parsing drops, as of a field that stands twice"
        yield UnsafeEntry(UnsafeCode.DROPPED_BYTES, "the file", what, UnsafeSeverity.WARNING)
    model.DiscardUnknownFields()
    unknown = parsed - _size_with(model, raw)
    if unknown:
        what = f"{unknown} bytes in fields that ONNX {onnx.__version__} does not know"
        yield UnsafeEntry(UnsafeCode.UNKNOWN_FIELDS, "the file", what, UnsafeSeverity.WARNING)


def _size_with(model: onnx.ModelProto, raw: Sequence[int | None]) -> int:
    """Return the size of a model as if its initializers had raw data of these sizes.

    Protobuf tells a size by writing all of it, twice; of weights of a gigabyte that takes two.
    """
    bare = [tensor.ByteSize() for tensor in model.graph.initializer]
    full = [
        size + (0 if data is None else _field(data)) for size, data in zip(bare, raw, strict=True)
    ]
    graph = model.graph.ByteSize() if model.HasField("graph") else None
    if graph is None:
        return int(model.ByteSize())
    grown = graph + sum(map(_field, full)) - sum(map(_field, bare))
    return int(model.ByteSize()) - _field(graph) + _field(grown)


def _field(size: int) -> int:
    """Return how many bytes a field of so many bytes takes, with a number below 16."""
    return 1 + max(1, -(-size.bit_length() // 7)) + size


def list_all_tensors(model: onnx.ModelProto) -> tuple[PlacedTensor, ...]:
    """Return every tensor that holds or names data; attributes of other kinds bring empty ones."""
    return tuple(item for item in walk_tensors(model) if item.name or item.tensor.ByteSize())
