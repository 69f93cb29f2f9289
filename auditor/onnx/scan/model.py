"""Safety scan of a parsed ONNX model: its operators, domains and hidden content."""

import base64
import binascii
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import onnx
from google.protobuf.message import (
    DecodeError,
)

from auditor.domain.artifacts import ModelStructure
from auditor.onnx.scan.external_data import (
    external_location,
    external_tensors,
    scan_external_tensors,
    scan_ranges,
)
from auditor.onnx.scan.graph_walk import (
    MOST,
    count_elements,
    count_operators,
    decode_text,
    local_functions,
    opset_versions,
    walk_graphs,
    walk_nodes,
    walk_tensors,
)
from auditor.onnx.scan.hidden_content import (
    list_all_tensors,
    scan_control_flow,
    scan_hidden_tensors,
    scan_shadowed_operators,
    scan_unused_bytes,
)
from auditor.onnx.scan.integer_saturation import find_integer_weights
from auditor.onnx.scan.pickles import looks_like_pickle, looks_like_text_pickle
from auditor.onnx.scan.unsafe_entries import UnsafeCode, UnsafeEntry, printable_excerpt

KNOWN_DOMAINS = frozenset(
    {
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.preview",
        "ai.onnx.preview.training",
        "ai.onnx.training",
        "com.microsoft",
    }
)
"""Domains whose operators ship with ONNX Runtime itself; any other needs a library loaded."""
PYTHON_OPERATORS = frozenset({"PyOp", "PyCustomOp", "PythonOp", "PythonOpGrad"})
COMPILED_OPERATORS = frozenset({("com.microsoft", "EPContext")})
MOST_TEXT = 2**20
"""Descriptions and metadata are for people; a longer one carries something else."""
_HEADS = ((b"\x7fELF", "a program"), (b"MZ\x90", "a program"), (b"PK\x03\x04", "an archive"))


def scan_model(path: Path, folder: Path) -> ModelStructure:
    """Parse an ONNX file that lies in ``folder``, and say what it holds. Nothing is run.

    Raises ``OSError`` where it cannot be read.
    """
    model = onnx.ModelProto()
    try:
        # Its bytes are let go of at once: what is parsed holds the weights a second time.
        size = model.ParseFromString(path.read_bytes())
    except (DecodeError, ValueError):
        found = UnsafeEntry(UnsafeCode.UNREADABLE, "the file", "cannot be parsed as an ONNX model")
        return ModelStructure(kind="onnx", unsafe=(found.to_entry(),))
    external = external_tensors(model)
    found_in = chain(
        scan_external_tensors(external, folder),
        scan_ranges(external, folder),
        _operators(model),
        _texts(model),
        scan_hidden_tensors(model, list_all_tensors(model)),
        scan_shadowed_operators(model),
        scan_control_flow(model),
        scan_unused_bytes(model, size),
    )
    counts = sorted(count_operators(model).items())
    return ModelStructure(
        kind="onnx",
        opsets=opset_versions(model),
        operators={f"{domain}::{name}": count for (domain, name), count in counts},
        external=tuple(dict.fromkeys(external_location(item.tensor) for item in external)),
        parameters=min(
            sum(count_elements(item.tensor) for item in walk_tensors(model) if item.name), MOST
        ),
        producer=(
            f"{decode_text(model.producer_name)} {decode_text(model.producer_version)}".strip()
        ),
        integers=tuple(item.to_entry() for item in find_integer_weights(model, folder)),
        unsafe=tuple(item.to_entry() for item in found_in),  # last: it takes the weights out
    )


def _operators(model: onnx.ModelProto) -> Iterator[UnsafeEntry]:
    own = local_functions(model)
    for (domain, name), count in sorted(count_operators(model).items()):
        where = printable_excerpt(f"{domain}::{name}")
        if name in PYTHON_OPERATORS:
            what = f"{count} node(s) that call Python code outside the file"
            yield UnsafeEntry(UnsafeCode.PYTHON_OPERATOR, where, what)
        elif (domain, name) in COMPILED_OPERATORS:
            what = f"{count} node(s) of compiled code that nothing but its device can read"
            yield UnsafeEntry(UnsafeCode.COMPILED_OPERATOR, where, what)
        elif domain not in KNOWN_DOMAINS and (domain, name) not in own:
            what = f"{count} node(s) whose code is in a library outside the file"
            yield UnsafeEntry(UnsafeCode.CUSTOM_DOMAIN, where, what)


def _texts(model: onnx.ModelProto) -> Iterator[UnsafeEntry]:
    for where, value in _labelled(model):
        if len(value) > MOST_TEXT:
            yield UnsafeEntry(UnsafeCode.OVERSIZED_TEXT, where, f"a text of {len(value)} bytes")
        payload = _payload(value)
        if payload:
            yield UnsafeEntry(UnsafeCode.EMBEDDED_PAYLOAD, where, f"a text that holds {payload}")


def _labelled(model: onnx.ModelProto) -> Iterator[tuple[str, bytes]]:
    holders: list[tuple[str, object]] = [("model", model)]
    holders += [
        (f"graph {printable_excerpt(decode_text(item.name))}", item) for item in walk_graphs(model)
    ]
    holders += [
        (f"function {printable_excerpt(decode_text(item.name))}", item) for item in model.functions
    ]
    holders += [
        (f"node {printable_excerpt(decode_text(item.name))}", item) for item in walk_nodes(model)
    ]
    holders += [(item.where, item.tensor) for item in walk_tensors(model)]
    for where, holder in holders:
        yield f"{where}: doc_string", _octets(getattr(holder, "doc_string", ""))
        for entry in getattr(holder, "metadata_props", ()):
            yield (
                f"{where}: metadata {printable_excerpt(decode_text(entry.key))}",
                _octets(entry.value),
            )


def _octets(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def _payload(value: bytes) -> str:
    """Say what a text holds that is no text, as it stands or in base64; empty for plain text."""
    stripped = value.strip()
    try:
        decoded = base64.b64decode(stripped, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    # Text tools store raw bytes as Latin-1 characters.
    latin = stripped.decode("utf-8", "replace").encode("latin-1", "replace")
    for candidate in (stripped, decoded, latin):
        if looks_like_pickle(candidate) or looks_like_text_pickle(candidate):
            return "a pickle"
        for head, what in _HEADS:
            if candidate.startswith(head):
                return what
    return ""
