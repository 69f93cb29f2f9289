"""Evidence bundles: a record's files in one ZIP that has exactly one form, read with suspicion.

Members are sorted by name, stored as they are, dated 1980, and without anything beside them, as
PKWARE's APPNOTE.TXT 6.3.10 lays out. So the same files give the same bytes everywhere, nothing
swells on reading, and no two programs can see two contents: whatever is not the one form is
refused. ``verify.py`` in every record's folder reads the same form.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from auditor._resources import scratch_folder
from auditor.errors import RecordError, UsageError
from auditor.reports.folder import (
    APPROVALS,
    APPROVED,
    CHALLENGED,
    CHALLENGES,
    EVIDENCE,
    HEX,
    MOST_BYTES,
    OPENINGS,
    ROWS,
    RecordFolder,
)

NAME = re.compile(
    rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}|({EVIDENCE}|{OPENINGS}|{ROWS})/{HEX.pattern}"
    rf"|{CHALLENGES}/{CHALLENGED.pattern}|{APPROVALS}/{APPROVED.pattern}"
)
"""What a member may be called: no path that leads anywhere else, nor one that only looks alike."""
MOST_FILES = 2**16 - 1
MOST_IN_ALL = 2**32 - 1
"""Beyond these the format needs extensions, which readers take differently."""
PIECE = 2**20
_END = 22
_LOCAL, _ENTRY = 30, 46


@dataclass(frozen=True, slots=True)
class BundleMember:
    """One file in a bundle: how large it is, its CRC-32, and where its header begins."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def header(self) -> bytes:
        """What stands before its bytes."""
        return struct.pack("<4s5H3L2H", b"PK\x03\x04", *self._facts) + self.name.encode()

    @property
    def entry(self) -> bytes:
        """What the directory at the end says of it: a regular file that everyone may read."""
        place = (0, 0, 0, 0o100644 << 16, self.offset)
        fixed = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 3 << 8 | 20, *self._facts, *place)
        return fixed + self.name.encode()

    @property
    def end(self) -> int:
        """Where its bytes end."""
        return self.offset + _LOCAL + len(self.name) + self.size

    @property
    def _facts(self) -> tuple[int, ...]:
        # Version 2.0, no flags, stored, midnight of 1980-01-01; no extra fields.
        return (20, 0, 0, 0, 1 << 5 | 1, self.crc, self.size, self.size, len(self.name), 0)


def pack_bundle(files: Mapping[str, bytes]) -> bytes:
    """Return the bundle of ``files`` (by relative name).

    Raises ``UsageError`` where a name is not one of a record's, or a bundle cannot hold them.
    """
    members: list[BundleMember] = []
    for name, raw in sorted(files.items()):
        if not NAME.fullmatch(name) or len(raw) > MOST_BYTES:
            raise UsageError(
                f"{name[:100]!r} is too large for a bundle, or no file of a record",
                cure="Export a folder as `auditor audit` wrote it.",
            )
        offset = members[-1].end if members else 0
        members.append(BundleMember(name, len(raw), zlib.crc32(raw), offset))
    size = sum(_LOCAL + _ENTRY + 2 * len(item.name) + item.size for item in members)
    if len(members) > MOST_FILES or size > MOST_IN_ALL:
        raise UsageError(
            f"{len(members)} files of {size} bytes are more than a bundle can hold",
            cure="Hand over the folder itself.",
        )
    bodies = b"".join(item.header + files[item.name] for item in members)
    return bodies + _directory(members, len(bodies))


def _directory(members: list[BundleMember], offset: int) -> bytes:
    entries = b"".join(item.entry for item in members)
    count = len(members)
    sizes = (0, 0, count, count, len(entries), offset, 0)
    return entries + struct.pack("<4s4H2LH", b"PK\x05\x06", *sizes)


@contextmanager
def unpack_bundle(path: Path) -> Iterator[RecordFolder]:
    """Unpack a bundle into a folder that is there while the context lasts.

    Raises ``RecordError`` for whatever is not the one form; its names lead nowhere else.
    """
    with scratch_folder() as place:
        try:
            with path.open("rb") as file:
                for item in _members(file):
                    _unpack(file, item, place / item.name)
        except OSError as error:
            raise _refused(f"{path.name}: {error.strerror}") from None
        yield RecordFolder(place)


def _members(file: BinaryIO) -> list[BundleMember]:
    size = file.seek(0, 2)
    file.seek(max(0, size - _END))
    end = file.read()
    if len(end) != _END or not end.startswith(b"PK\x05\x06"):
        _refuse("it is not a ZIP, or something follows it")
    count, length, start = struct.unpack("<H2L", end[10:20])
    if start + length + _END != size:
        _refuse("its directory is not where its end says")
    file.seek(start)
    raw = file.read(length)
    members = []
    at, offset, last = 0, 0, ""
    for _ in range(count):
        fixed = raw[at + 16 : at + 30]
        if len(fixed) != 14:  # noqa: PLR2004 -- CRC-32, two sizes, and the length of the name
            _refuse("its directory ends in the middle")
        crc, _, entries_size, entries_length = struct.unpack("<3LH", fixed)
        name = raw[at + _ENTRY : at + _ENTRY + entries_length].decode("ascii", "replace")
        if not NAME.fullmatch(name) or entries_size > MOST_BYTES:
            _refuse(f"{name[:100]!a} is too large, or no file of a record")
        if name <= last:
            _refuse(f"{name} stands twice in it, or out of order")
        member = BundleMember(name, entries_size, crc, offset)
        members.append(member)
        at, offset, last = at + len(member.entry), member.end, name
    if not members or members[-1].end != start or _directory(members, start) != raw + end:
        _refuse("it holds bytes that belong to no file")
    for item in members:
        file.seek(item.offset)
        if file.read(len(item.header)) != item.header:
            _refuse(f"the header of {item.name} is not the one of its entry")
    return members


def _unpack(file: BinaryIO, item: BundleMember, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    file.seek(item.end - item.size)
    left, crc = item.size, 0
    with place.open("xb") as out:
        while left and (piece := file.read(min(left, PIECE))):
            left, crc = left - len(piece), zlib.crc32(piece, crc)
            out.write(piece)
    if left or crc != item.crc:
        _refuse(f"{item.name} is not whole")


def _refuse(reason: str) -> NoReturn:
    raise _refused(reason)


def _refused(reason: str) -> RecordError:
    return RecordError(
        f"the bundle cannot be read: {reason}",
        cure="Take it as `auditor export` wrote it; one that was packed anew is verified unpacked.",
    )
