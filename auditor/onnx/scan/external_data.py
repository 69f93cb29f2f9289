"""Tensors kept outside the ONNX file: where their paths lead, and whether the files hold them."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx

from auditor.scanning.graphs import PlacedTensor, tensors, text
from auditor.scanning.hiding import size_of
from auditor.scanning.paths import MEMORY, inside, linked
from auditor.scanning.unsafe import Unsafe, UnsafeCode, shown

OUTSIDE = frozenset(
    {UnsafeCode.EXTERNAL_OUTSIDE, UnsafeCode.EXTERNAL_LINK, UnsafeCode.EXTERNAL_MEMORY}
)
"""The codes that say that loading reaches out of the model's folder."""


def external_tensors(model: onnx.ModelProto) -> list[PlacedTensor]:
    """Return every tensor that says it is kept elsewhere, by mark or by path."""
    external = onnx.TensorProto.EXTERNAL
    return [
        placed
        for placed in tensors(model)
        if placed.tensor.data_location == external or placed.tensor.external_data
    ]


def location_of(tensor: onnx.TensorProto) -> str:
    """Return an external tensor's path as spelled; empty where it names none."""
    return facts_of(tensor).get("location", "")


def scan_externals(placed: list[PlacedTensor], folder: Path) -> Iterator[Unsafe]:
    """Yield what is wrong with external tensors, once for each path and kind of mistake."""
    seen: set[tuple[UnsafeCode, str]] = set()
    for item in placed:
        location = location_of(item.tensor)
        found = _object_to_path(location, folder) or _object_to_range(item.tensor, folder)
        if found is not None and (found[0], location) not in seen:
            seen.add((found[0], location))
            yield Unsafe(found[0], item.where, f"{shown(location)} {found[1]}")


def read_external(tensor: onnx.TensorProto, folder: Path) -> bytes | None:
    """Return the bytes of a tensor that is kept in a file of ``folder``, ``None`` for no such."""
    facts = facts_of(tensor)
    location = facts.get("location", "")
    if _object_to_path(location, folder) or _object_to_range(tensor, folder):
        return None
    with (folder / location).open("rb") as stream:
        stream.seek(int(facts.get("offset", "0")))
        length = int(facts.get("length", "0"))
        return stream.read(length) if length else stream.read()


def _object_to_path(location: str, folder: Path) -> tuple[UnsafeCode, str] | None:
    if MEMORY in location:
        return UnsafeCode.EXTERNAL_MEMORY, "stands for an address in the runtime's own memory"
    plain = inside(location)
    if plain is None and location:
        return UnsafeCode.EXTERNAL_OUTSIDE, "leaves the model's folder"
    if plain is None:
        return UnsafeCode.EXTERNAL_MISSING, "is no path"
    if linked(folder, plain):
        return UnsafeCode.EXTERNAL_LINK, "is reached through a symbolic link"
    if _size(folder / plain) is None:
        return UnsafeCode.EXTERNAL_MISSING, "is not there as a plain file in the model's folder"
    return None


def _object_to_range(tensor: onnx.TensorProto, folder: Path) -> tuple[UnsafeCode, str] | None:
    facts = facts_of(tensor)
    size = _size(folder / facts["location"])
    offset, length = facts.get("offset", "0"), facts.get("length", "0")
    numbers = offset.isascii() and offset.isdecimal() and length.isascii() and length.isdecimal()
    if not numbers or len(offset + length) > 40:  # noqa: PLR2004 -- two numbers of 64 bits
        return UnsafeCode.EXTERNAL_RANGE, "is read at an offset or length that is no number"
    wanted = int(length) or size_of(tensor) or 0
    if size is None or int(offset) + wanted > size:
        return UnsafeCode.EXTERNAL_RANGE, f"has {size} bytes, and is read up to a later one"
    return None


def is_readable(tensor: onnx.TensorProto, folder: Path) -> bool:
    """Whether a tensor names a part of a file that is there, in the model's own folder."""
    location = location_of(tensor)
    return _object_to_path(location, folder) is None and _object_to_range(tensor, folder) is None


def facts_of(tensor: onnx.TensorProto) -> Mapping[str, str]:
    """Return what an external tensor says of where its data are, as spelled."""
    return {text(entry.key): text(entry.value) for entry in tensor.external_data}


def _size(path: Path) -> int | None:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
