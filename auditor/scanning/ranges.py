"""Which bytes of external files tensors read: what overlaps, and what nobody reads."""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from auditor.scanning.externals import facts_of, is_readable
from auditor.scanning.graphs import PlacedTensor
from auditor.scanning.hiding import beyond, size_of
from auditor.scanning.paths import inside
from auditor.scanning.unsafe import Unsafe, UnsafeCode, Weight, shown

MOST_PADDING = 2**26
"""Exporters align tensors with zeros; more than this is not read, and padding by no measure."""


@dataclass(frozen=True, slots=True, order=True)
class _Range:
    first: int
    last: int
    where: str


def scan_ranges(placed: Sequence[PlacedTensor], folder: Path) -> Iterator[Unsafe]:
    """Yield what is odd about the parts of external files that tensors name.

    Two tensors may share one range whole, as tied weights do; parts that only overlap are odd. So
    are bytes that no tensor reads, unless they are zeros that align what follows.
    """
    files: dict[str, list[_Range]] = {}
    for item in placed:
        facts = facts_of(item.tensor)
        plain = inside(facts.get("location", ""))
        if plain is None or not is_readable(item.tensor, folder):
            continue
        wanted, first = size_of(item.tensor), int(facts.get("offset", "0"))
        length = int(facts.get("length", "0"))
        if length:
            yield from beyond(item, length, wanted, "bytes")
        size = (folder / plain).stat().st_size
        last = first + (length or (size - first if wanted is None else wanted))
        files.setdefault(plain, []).append(_Range(first, last, item.where))
    for name, ranges in sorted(files.items()):
        yield from _overlaps(name, sorted(set(ranges)))
        yield from _unread(folder / name, name, sorted(ranges))


def _overlaps(name: str, ranges: Sequence[_Range]) -> Iterator[Unsafe]:
    last, holder = 0, ""
    for before, item in pairwise([_Range(0, 0, ""), *ranges]):
        shared = (before.first, before.last) == (item.first, item.last)
        if item.first < last and not shared and item.last > item.first:
            what = f"reads a part of {shown(name)} that {holder} reads too, and not the same part"
            yield Unsafe(UnsafeCode.EXTERNAL_OVERLAP, item.where, what, Weight.WARNING)
        if item.last > last:
            last, holder = item.last, item.where


def _unread(path: Path, name: str, ranges: Sequence[_Range]) -> Iterator[Unsafe]:
    size = path.stat().st_size
    unread, covered = 0, 0
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for item in [*ranges, _Range(size, size, "")]:
            if item.first > covered and not _is_padding(mapped, covered, item.first):
                unread += item.first - covered
            covered = max(covered, item.last)
    if unread:
        what = f"holds {unread} bytes, and not only zeros, that no tensor reads"
        yield Unsafe(UnsafeCode.EXTERNAL_UNREAD, shown(name), what, Weight.WARNING)


def _is_padding(mapped: mmap.mmap, first: int, last: int) -> bool:
    if last - first > MOST_PADDING:
        return False
    return not np.frombuffer(mapped[first:last], np.uint8).any()
