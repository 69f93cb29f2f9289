"""What an ONNX file says of itself: its model's name and version, and the names of its classes."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from auditor.onnx.scan.graph_walk import walk_nodes

CLASS_ATTRIBUTES = (
    "classlabels_strings",
    "classlabels_int64s",
    "classlabels_ints",
)
CLASS_KEYS = ("names", "classes", "class_names", "labels", "id2label")
NAME_KEYS = ("name", "model_name", "title")
VERSION_KEYS = ("version", "model_version")
MOST_CLASSES = 10_000
LONGEST = 256


@dataclass(frozen=True, slots=True)
class DeclaredIdentity:
    """A model's name, version and classes in the order of its scores, as its own file has them."""

    name: str | None = None
    version: str | None = None
    classes: tuple[str, ...] = ()


def read_declared_identity(path: Path) -> DeclaredIdentity:
    """Parse an ONNX file and return what it says of itself; nothing where it cannot be parsed.

    Raises ``OSError`` where the file cannot be read.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except (DecodeError, ValueError):
        return DeclaredIdentity()
    properties = {str(item.key).lower(): str(item.value) for item in model.metadata_props}
    name = next((properties[key] for key in NAME_KEYS if properties.get(key)), None)
    version = next((properties[key] for key in VERSION_KEYS if properties.get(key)), None)
    if version is None and model.model_version > 0:
        version = str(model.model_version)
    listed = next((properties[key] for key in CLASS_KEYS if properties.get(key)), "")
    return DeclaredIdentity(
        None if name is None else name[:LONGEST],
        None if version is None else version[:LONGEST],
        _parse_names(listed) or _node_classes(model),
    )


def _node_classes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the classes that nodes of ``ai.onnx.ml`` list; nothing where nodes disagree."""
    found = set(_listed_classes(model))
    return found.pop() if len(found) == 1 else ()


def _listed_classes(model: onnx.ModelProto) -> Iterator[tuple[str, ...]]:
    for node in walk_nodes(model):
        if node.domain != "ai.onnx.ml":
            continue
        for item in node.attribute:
            if item.name in CLASS_ATTRIBUTES and (item.strings or item.ints):
                texts = [text.decode("utf-8", errors="replace") for text in item.strings]
                yield tuple(texts or map(str, item.ints))[:MOST_CLASSES]


def _parse_names(text: str) -> tuple[str, ...]:
    """Read names of classes as JSON or as Python writes them: a list, or numbers with names."""
    if len(text) > LONGEST * MOST_CLASSES:
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ()
    if isinstance(found, dict):
        places = {str(key): value for key, value in found.items()}
        found = [places.get(str(at)) for at in range(len(places))]
    if not isinstance(found, list | tuple) or not all(isinstance(it, str | int) for it in found):
        return ()
    return tuple(str(it) for it in found[:MOST_CLASSES])
