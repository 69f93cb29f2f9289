"""Safety scan of ONNX external data: unsafe paths, byte ranges, overlaps and unread bytes."""

import mmap
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx

from auditor.onnx.scan.graph_walk import PlacedTensor, decode_text, walk_tensors
from auditor.onnx.scan.hidden_content import declared_size, report_size_mismatch
from auditor.onnx.scan.paths import MEMORY, has_symbolic_link, path_inside_folder
from auditor.onnx.scan.unsafe_entries import (
    UnsafeCode,
    UnsafeEntry,
    UnsafeSeverity,
    printable_excerpt,
)

OUTSIDE = frozenset(
    {UnsafeCode.EXTERNAL_OUTSIDE, UnsafeCode.EXTERNAL_LINK, UnsafeCode.EXTERNAL_MEMORY}
)
"""The codes that say that loading reaches out of the model's folder."""


def external_tensors(model: onnx.ModelProto) -> list[PlacedTensor]:
    """Return every tensor that says it is kept elsewhere, by mark or by path."""
    external = onnx.TensorProto.EXTERNAL
    return [
        placed
        for placed in walk_tensors(model)
        if placed.tensor.data_location == external or placed.tensor.external_data
    ]


def external_location(tensor: onnx.TensorProto) -> str:
    """Return an external tensor's path as spelled; empty where it names none."""
    return external_data_fields(tensor).get("location", "")


def scan_external_tensors(placed: list[PlacedTensor], folder: Path) -> Iterator[UnsafeEntry]:
    """Yield what is wrong with external tensors, once for each path and kind of mistake."""
    seen: set[tuple[UnsafeCode, str]] = set()
    for item in placed:
        location = external_location(item.tensor)
        found = _object_to_path(location, folder) or _object_to_range(item.tensor, folder)
        if found is not None and (found[0], location) not in seen:
            seen.add((found[0], location))
            yield UnsafeEntry(found[0], item.where, f"{printable_excerpt(location)} {found[1]}")


def read_external_tensor(tensor: onnx.TensorProto, folder: Path) -> bytes | None:
    """Return the bytes of a tensor that is kept in a file of ``folder``, ``None`` for no such."""
    facts = external_data_fields(tensor)
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
    plain = path_inside_folder(location)
    if plain is None and location:
        return UnsafeCode.EXTERNAL_OUTSIDE, "leaves the model's folder"
    if plain is None:
        return UnsafeCode.EXTERNAL_MISSING, "is no path"
    if has_symbolic_link(folder, plain):
        return UnsafeCode.EXTERNAL_LINK, "is reached through a symbolic link"
    if _size(folder / plain) is None:
        return UnsafeCode.EXTERNAL_MISSING, "is not there as a plain file in the model's folder"
    return None


def _object_to_range(tensor: onnx.TensorProto, folder: Path) -> tuple[UnsafeCode, str] | None:
    facts = external_data_fields(tensor)
    size = _size(folder / facts["location"])
    offset, length = facts.get("offset", "0"), facts.get("length", "0")
    numbers = offset.isascii() and offset.isdecimal() and length.isascii() and length.isdecimal()
    if not numbers or len(offset + length) > 40:  # noqa: PLR2004 -- two numbers of 64 bits
        return UnsafeCode.EXTERNAL_RANGE, "is read at an offset or length that is no number"
    wanted = int(length) or declared_size(tensor) or 0
    if size is None or int(offset) + wanted > size:
        return UnsafeCode.EXTERNAL_RANGE, f"has {size} bytes, and is read up to a later one"
    return None


def is_readable(tensor: onnx.TensorProto, folder: Path) -> bool:
    """Whether a tensor names a part of a file that is there, in the model's own folder."""
    location = external_location(tensor)
    return _object_to_path(location, folder) is None and _object_to_range(tensor, folder) is None


def external_data_fields(tensor: onnx.TensorProto) -> Mapping[str, str]:
    """Return what an external tensor says of where its data are, as spelled."""
    return {decode_text(entry.key): decode_text(entry.value) for entry in tensor.external_data}


def _size(path: Path) -> int | None:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


MOST_PADDING = 2**26
"""Exporters align tensors with zeros; more than this is not read, and padding by no measure."""


@dataclass(frozen=True, slots=True, order=True)
class _ByteRange:
    first: int
    last: int
    where: str


def scan_ranges(placed: Sequence[PlacedTensor], folder: Path) -> Iterator[UnsafeEntry]:
    """Yield what is odd about the parts of external files that tensors name.

    Two tensors may share one range whole, as tied weights do; parts that only overlap are odd. So
    are bytes that no tensor reads, unless they are zeros that align what follows.
    """
    files: dict[str, list[_ByteRange]] = {}
    for item in placed:
        facts = external_data_fields(item.tensor)
        plain = path_inside_folder(facts.get("location", ""))
        if plain is None or not is_readable(item.tensor, folder):
            continue
        wanted, first = declared_size(item.tensor), int(facts.get("offset", "0"))
        length = int(facts.get("length", "0"))
        if length:
            yield from report_size_mismatch(item, length, wanted, "bytes")
        size = (folder / plain).stat().st_size
        last = first + (length or (size - first if wanted is None else wanted))
        files.setdefault(plain, []).append(_ByteRange(first, last, item.where))
    for name, ranges in sorted(files.items()):
        yield from _overlaps(name, sorted(set(ranges)))
        yield from _unread(folder / name, name, sorted(ranges))


def _overlaps(name: str, ranges: Sequence[_ByteRange]) -> Iterator[UnsafeEntry]:
    last, holder = 0, ""
    for before, item in pairwise([_ByteRange(0, 0, ""), *ranges]):
        shared = (before.first, before.last) == (item.first, item.last)
        if item.first < last and not shared and item.last > item.first:
            what = (
                f"reads a part of {printable_excerpt(name)} that {holder} reads too, and not the "
                "same part"
            )
            yield UnsafeEntry(UnsafeCode.EXTERNAL_OVERLAP, item.where, what, UnsafeSeverity.WARNING)
        if item.last > last:
            last, holder = item.last, item.where


def _unread(path: Path, name: str, ranges: Sequence[_ByteRange]) -> Iterator[UnsafeEntry]:
    size = path.stat().st_size
    unread, covered = 0, 0
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for item in [*ranges, _ByteRange(size, size, "")]:
            if item.first > covered and not _is_padding(mapped, covered, item.first):
                unread += item.first - covered
            covered = max(covered, item.last)
    if unread:
        what = f"holds {unread} bytes, and not only zeros, that no tensor reads"
        yield UnsafeEntry(
            UnsafeCode.EXTERNAL_UNREAD, printable_excerpt(name), what, UnsafeSeverity.WARNING
        )


def _is_padding(mapped: mmap.mmap, first: int, last: int) -> bool:
    if last - first > MOST_PADDING:
        return False
    return not np.frombuffer(mapped[first:last], np.uint8).any()
