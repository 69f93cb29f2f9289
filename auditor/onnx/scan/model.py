"""What parsing an ONNX model shows: its operators, its domains, and what hides in it."""

import base64
import binascii
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import onnx
from google.protobuf.message import (
    DecodeError,
)

from auditor.domain.artifacts import Structure
from auditor.scanning.externals import external_tensors, location_of, scan_externals
from auditor.scanning.graphs import (
    MOST,
    elements,
    functions,
    graphs,
    nodes,
    operators,
    opsets,
    tensors,
    text,
)
from auditor.scanning.hiding import (
    all_tensors,
    scan_bytes,
    scan_control_flow,
    scan_hidden,
    scan_shadows,
)
from auditor.scanning.integers import integer_weights
from auditor.scanning.pickles import looks_like_pickle, looks_like_text_pickle
from auditor.scanning.ranges import scan_ranges
from auditor.scanning.unsafe import Unsafe, UnsafeCode, shown

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


def scan_model(path: Path, folder: Path) -> Structure:
    """Parse an ONNX file that lies in ``folder``, and say what it holds. Nothing is run.

    Raises ``OSError`` where it cannot be read.
    """
    model = onnx.ModelProto()
    try:
        # Its bytes are let go of at once: what is parsed holds the weights a second time.
        size = model.ParseFromString(path.read_bytes())
    except (DecodeError, ValueError):
        found = Unsafe(UnsafeCode.UNREADABLE, "the file", "cannot be parsed as an ONNX model")
        return Structure(kind="onnx", unsafe=(found.to_entry(),))
    external = external_tensors(model)
    found_in = chain(
        scan_externals(external, folder),
        scan_ranges(external, folder),
        _operators(model),
        _texts(model),
        scan_hidden(model, all_tensors(model)),
        scan_shadows(model),
        scan_control_flow(model),
        scan_bytes(model, size),
    )
    counts = sorted(operators(model).items())
    return Structure(
        kind="onnx",
        opsets=opsets(model),
        operators={f"{domain}::{name}": count for (domain, name), count in counts},
        external=tuple(dict.fromkeys(location_of(item.tensor) for item in external)),
        parameters=min(sum(elements(item.tensor) for item in tensors(model) if item.name), MOST),
        producer=f"{text(model.producer_name)} {text(model.producer_version)}".strip(),
        integers=tuple(item.to_entry() for item in integer_weights(model, folder)),
        unsafe=tuple(item.to_entry() for item in found_in),  # last: it takes the weights out
    )


def _operators(model: onnx.ModelProto) -> Iterator[Unsafe]:
    own = functions(model)
    for (domain, name), count in sorted(operators(model).items()):
        where = shown(f"{domain}::{name}")
        if name in PYTHON_OPERATORS:
            what = f"{count} node(s) that call Python code outside the file"
            yield Unsafe(UnsafeCode.PYTHON_OPERATOR, where, what)
        elif (domain, name) in COMPILED_OPERATORS:
            what = f"{count} node(s) of compiled code that nothing but its device can read"
            yield Unsafe(UnsafeCode.COMPILED_OPERATOR, where, what)
        elif domain not in KNOWN_DOMAINS and (domain, name) not in own:
            what = f"{count} node(s) whose code is in a library outside the file"
            yield Unsafe(UnsafeCode.CUSTOM_DOMAIN, where, what)


def _texts(model: onnx.ModelProto) -> Iterator[Unsafe]:
    for where, value in _labelled(model):
        if len(value) > MOST_TEXT:
            yield Unsafe(UnsafeCode.OVERSIZED_TEXT, where, f"a text of {len(value)} bytes")
        payload = _payload(value)
        if payload:
            yield Unsafe(UnsafeCode.EMBEDDED_PAYLOAD, where, f"a text that holds {payload}")


def _labelled(model: onnx.ModelProto) -> Iterator[tuple[str, bytes]]:
    holders: list[tuple[str, object]] = [("model", model)]
    holders += [(f"graph {shown(text(item.name))}", item) for item in graphs(model)]
    holders += [(f"function {shown(text(item.name))}", item) for item in model.functions]
    holders += [(f"node {shown(text(item.name))}", item) for item in nodes(model)]
    holders += [(item.where, item.tensor) for item in tensors(model)]
    for where, holder in holders:
        yield f"{where}: doc_string", _octets(getattr(holder, "doc_string", ""))
        for entry in getattr(holder, "metadata_props", ()):
            yield f"{where}: metadata {shown(text(entry.key))}", _octets(entry.value)


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
