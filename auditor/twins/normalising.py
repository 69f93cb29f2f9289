"""Brings a parsed ONNX model into the one form that a twin reads.

A model keeps its own opset, because ``onnx.version_converter`` lacks adapters and errs for
operators that the twin knows in every opset anyway; only files older than opset 7 are converted,
one opset at a time (several at once fail where shapes of old operators cannot be inferred), and
no further than to opset 7, whose operators broadcast as NumPy does.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import inliner, numpy_helper, version_converter

from auditor.errors import TwinError

STANDARD = ""
OLDEST_OPSET = 7
EXPANSIONS = 16
"""How often functions may call functions that have to be written out."""
TYPES: Mapping[str, type[np.generic]] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def domain_of(item: onnx.NodeProto | onnx.OperatorSetIdProto) -> str:
    """Return the domain of a node or of an import; the standard one also goes by ``ai.onnx``."""
    return STANDARD if item.domain == "ai.onnx" else str(item.domain)


def normalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in opset 7 or newer, with the functions written out that need it.

    Those are the model's own functions, and functions of the standard that no operator of the
    twin computes. Raises ``TwinError`` for a file older than opset 7 that does not convert.
    """
    model = _modern(model)
    if model.functions:
        model = inliner.inline_local_functions(model, convert_version=True)
    return _written_out(model)


def held(node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """Return the value of a node that is or repeats a constant; ``None`` for any other."""
    if domain_of(node) != STANDARD:
        return None
    if node.op_type == "Identity":
        return constants.get(node.input[0])
    if node.op_type != "Constant":
        return None
    for item in node.attribute:
        if item.name == "value":
            return np.asarray(numpy_helper.to_array(item.t))
        if item.name == "sparse_value":
            return dense(item.sparse_tensor)
        if item.name in TYPES:
            return np.asarray(onnx.helper.get_attribute_value(item), dtype=TYPES[item.name])
    return None


def dense(sparse: onnx.SparseTensorProto) -> NDArray[Any]:
    """Return a sparse tensor with its zeros."""
    values = np.asarray(numpy_helper.to_array(sparse.values))
    places = np.asarray(numpy_helper.to_array(sparse.indices))
    full = np.zeros(tuple(sparse.dims), dtype=values.dtype)
    if places.ndim == 1:
        full.reshape(-1)[places] = values
    else:
        full[tuple(places.T)] = values
    return full


def _modern(model: onnx.ModelProto) -> onnx.ModelProto:
    found = [item.version for item in model.opset_import if domain_of(item) == STANDARD]
    if not found or found[0] >= OLDEST_OPSET:
        return model
    try:
        for opset in range(found[0] + 1, OLDEST_OPSET + 1):
            model = version_converter.convert_version(model, opset)
    except (RuntimeError, version_converter.ConvertError) as mistake:
        raise TwinError(
            f"the model uses opset {found[0]} of ai.onnx, older than {OLDEST_OPSET}, "
            f"and does not convert: {mistake}",
            cure="Export the model again.",
        ) from mistake
    return model


def _written_out(model: onnx.ModelProto) -> onnx.ModelProto:
    names = _functions(model)
    for _ in range(EXPANSIONS):
        if not names:
            break
        try:
            model = inliner.inline_selected_functions(
                _with_defaults(model, names), names, inline_schema_functions=True
            )
        except RuntimeError:
            break  # the inliner cannot bear an absent input: who needs the operator names it
        before, names = names, _functions(model)
        if names == before:
            break  # the functions need types that the model does not say
    return model


def _with_defaults(model: onnx.ModelProto, names: list[tuple[str, str]]) -> onnx.ModelProto:
    """Return the model with functions' defaults spelt out: the inliner leaves them unbound."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    opsets = {domain_of(item): item.version for item in copy.opset_import}
    for node in _nodes(copy.graph.node):
        name = (domain_of(node), node.op_type)
        if name not in names:
            continue
        schema = onnx.defs.get_schema(node.op_type, opsets.get(name[0], 1), name[0])
        told = {item.name for item in node.attribute}
        node.attribute.extend(
            item.default_value
            for item in schema.attributes.values()
            if item.name not in told and item.default_value.name
        )
    return copy


def _functions(model: onnx.ModelProto) -> list[tuple[str, str]]:
    """Return the standard's functions in a model that no operator of the twin computes."""
    opsets = {domain_of(item): item.version for item in model.opset_import}
    used = {(domain_of(node), node.op_type) for node in _nodes(model.graph.node)}
    return sorted(
        name for name in used if _is_function(*name, opsets) and not _known(*name, opsets)
    )


def _is_function(domain: str, operator: str, opsets: Mapping[str, int]) -> bool:
    try:
        schema = onnx.defs.get_schema(operator, opsets.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return False
    known = schema.has_function or schema.has_context_dependent_function  # type: ignore[attr-defined]  # missing in onnx's stubs
    return bool(known)


def _known(domain: str, operator: str, opsets: Mapping[str, int]) -> bool:
    try:
        from auditor.twins.registry import known  # noqa: PLC0415 -- needs torch
    except ImportError:
        return True  # who builds a twin says that torch is missing
    opset = opsets.get(domain, 1)
    return any(
        (claim.domain, claim.name) == (domain, operator) and claim.since <= opset
        for claim in known()
    )


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Walk nodes and those of their sub-graphs."""
    for node in nodes:
        yield node
        for item in node.attribute:
            yield from _nodes(item.g.node)
