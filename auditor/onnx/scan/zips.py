"""Safety scan of ZIP archives: ambiguous members, excessive expansion, and uncovered bytes.

Every name stands twice in an archive, at the member and in the directory at its end, and readers
differ in which they believe. Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT,
sections 4.3 and 4.4.
"""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.domain.confusable_names import fold_name
from auditor.onnx.scan.paths import path_inside_folder
from auditor.onnx.scan.unsafe_entries import (
    UnsafeCode,
    UnsafeEntry,
    UnsafeSeverity,
    printable_excerpt,
)

MOST_MEMBER = 2**30
"""The most bytes of one archive member, or of one pickle, that are read."""
MOST_RATIO = 1000
"""Deflate cannot do better than 1032:1, and weights come nowhere near."""
MOST_WHOLE_RATIO = 200
LEAST_WHOLE = 2**30
"""An archive of this size unpacked must not be ``MOST_WHOLE_RATIO`` times smaller as it lies."""
END = b"PK\x05\x06"
MOST_END = 2**16 + 21
"""The end of the directory and the longest comment behind it."""
_LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED, _STREAMED, _UTF8 = 0x1, 0x8, 0x800
_DESCRIPTOR = 24
"""The most bytes that may follow a streamed member to say how long it was."""
_WIDE = 0xFFFFFFFF
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
)


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member that could be unpacked."""

    name: str
    place: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class _LocalHeader:
    """A member's own header: where its data start, and what it says of them."""

    start: int
    name: str
    flags: int
    method: int
    sizes: tuple[int, int, int]


def open_zip_members(raw: bytes, where: str) -> Iterator[UnsafeEntry | ZipMember]:
    """Yield what is wrong with an archive, and each member that can be unpacked in bounds."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            yield from _object_to_names(members, where)
            yield from _object_to_layout(raw, archive, where)
            for member in members:
                place = f"{where}!{printable_excerpt(member.filename)}"
                yield from _open(archive, member, place)
    except BROKEN as error:
        yield UnsafeEntry(
            UnsafeCode.UNREADABLE, where, f"a malformed zip archive: {printable_excerpt(error)}"
        )


def _object_to_names(members: Sequence[zipfile.ZipInfo], where: str) -> Iterator[UnsafeEntry]:
    seen: set[str] = set()
    alike: set[str] = set()
    for member in members:
        place = f"{where}!{printable_excerpt(member.filename)}"
        name, plain = member.filename, member.orig_filename == member.filename
        if not plain or path_inside_folder(name.removesuffix("/")) is None:
            yield UnsafeEntry(
                UnsafeCode.ARCHIVE_PATH, place, "unpacks outside the folder chosen for it"
            )
        folded = fold_name(name)
        if name in seen:
            what = "stands twice: readers differ in which counts"
            yield UnsafeEntry(UnsafeCode.ARCHIVE_TWICE, place, what)
        elif folded in alike:
            what = "differs from another only in case or accents: on some systems one replaces it"
            yield UnsafeEntry(UnsafeCode.ARCHIVE_TWICE, place, what)
        if stat.S_ISLNK(member.external_attr >> 16):
            yield UnsafeEntry(UnsafeCode.ARCHIVE_LINK, place, "unpacks as a symbolic link")
        seen.add(name)
        alike.add(folded)


def _object_to_layout(raw: bytes, archive: zipfile.ZipFile, where: str) -> Iterator[UnsafeEntry]:
    """Hold the members' own headers against the directory, and look for bytes between them."""
    members = sorted(archive.infolist(), key=lambda item: item.header_offset)
    total = sum(item.file_size for item in members)
    if total > LEAST_WHOLE and total > MOST_WHOLE_RATIO * len(raw):
        yield UnsafeEntry(UnsafeCode.ARCHIVE_BOMB, where, f"unpacks to {total} bytes in all")
    covered, loose = 0, 0
    following = [*(item.header_offset for item in members[1:]), archive.start_dir]
    for member, after in zip(members, following, strict=False):
        place = f"{where}!{printable_excerpt(member.filename)}"
        if member.header_offset < 0:
            raise struct.error("a member starts before the file")
        fields = _LOCAL.unpack_from(raw, member.header_offset)
        name_size, extra_size = fields[9], fields[10]
        if fields[0] != b"PK\x03\x04":
            raise struct.error("a member has no header where the directory says")
        first = member.header_offset + _LOCAL.size
        flags = fields[2]
        name = raw[first : first + name_size].decode("utf-8" if flags & _UTF8 else "cp437")
        start = first + name_size + extra_size
        local = _LocalHeader(start, name, flags, fields[3], (fields[6], fields[7], fields[8]))
        found = ["name"] if local.name != member.orig_filename else []
        found += ["method"] if local.method != member.compress_type else []
        found += ["encryption"] if (local.flags ^ member.flag_bits) & _ENCRYPTED else []
        told = (member.CRC, member.compress_size, member.file_size)
        # A streamed member says its sizes behind its data, a wide one in an extra field.
        wide = _WIDE in local.sizes
        streamed = bool(local.flags & _STREAMED) and not any(local.sizes)
        if local.sizes != told and not wide and not streamed:
            found.append("size or checksum")
        differing = " and ".join(found)
        if differing:
            what = f"has another {differing} in its own header than in the directory"
            yield UnsafeEntry(UnsafeCode.ARCHIVE_HEADERS, place, what)
        if member.header_offset < covered:
            what = "shares its bytes with another member"
            yield UnsafeEntry(UnsafeCode.ARCHIVE_OVERLAP, place, what)
        loose += max(member.header_offset - covered, 0)
        end = local.start + member.compress_size
        if local.flags & _STREAMED:
            end = min(end + _DESCRIPTOR, max(end, after))
        covered = max(covered, end)
    between = loose + max(archive.start_dir - covered, 0)
    bytes_end = raw.rfind(END)
    behind = len(raw) - bytes_end - 22 - len(archive.comment) if bytes_end >= 0 else 0
    if between > 0 or behind > 0:
        bytes_what = f"{between} bytes that no member covers, and {max(behind, 0)} behind its end"
        yield UnsafeEntry(UnsafeCode.ARCHIVE_HIDDEN, where, bytes_what, UnsafeSeverity.WARNING)


def _open(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str
) -> Iterator[UnsafeEntry | ZipMember]:
    if member.flag_bits & _ENCRYPTED:
        what = "is encrypted, so that nobody can look into it"
        yield UnsafeEntry(UnsafeCode.ARCHIVE_ENCRYPTED, place, what)
        return
    if member.file_size > MOST_RATIO * max(member.compress_size, 1):
        yield UnsafeEntry(UnsafeCode.ARCHIVE_BOMB, place, f"unpacks to {member.file_size} bytes")
        return
    if member.filename.lower().endswith(".py"):
        yield UnsafeEntry(UnsafeCode.SCRIPT, place, "code, as TorchScript keeps it to run it")
    try:
        with archive.open(member) as file:
            raw = file.read(MOST_MEMBER)
    except BROKEN as error:
        yield UnsafeEntry(
            UnsafeCode.UNREADABLE, place, f"cannot be unpacked: {printable_excerpt(error)}"
        )
        return
    yield ZipMember(member.filename, place, raw)
