"""Tar archives: where their members would unpack to, and what these hold."""

import io
import tarfile
import zlib
from collections.abc import Iterator

from auditor.scanning.paths import inside
from auditor.scanning.unsafe import Unsafe, UnsafeCode, shown
from auditor.scanning.zips import MOST_MEMBER, Member

MAGIC, MAGIC_AT = b"ustar", 257
MOST_MEMBERS = 100_000
_BROKEN = (tarfile.TarError, zlib.error, ValueError, OverflowError, OSError, EOFError, KeyError)


def open_tar(raw: bytes, where: str) -> Iterator[Unsafe | Member]:
    """Yield what is wrong with an archive, and each member that is a plain file."""
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            seen: set[str] = set()
            for count, member in enumerate(archive):
                if count >= MOST_MEMBERS:
                    what = f"more than {MOST_MEMBERS} members"
                    yield Unsafe(UnsafeCode.UNREADABLE, where, what)
                    return
                place = f"{where}!{shown(member.name)}"
                yield from _object_to(member, place, seen)
                seen.add(member.name)
                yield from _open(archive, member, place)
    except _BROKEN as error:
        yield Unsafe(UnsafeCode.UNREADABLE, where, f"a malformed tar archive: {shown(error)}")


def _object_to(member: tarfile.TarInfo, place: str, seen: set[str]) -> Iterator[Unsafe]:
    plain = member.name.removeprefix("./").removesuffix("/")
    if inside(plain) is None and not (member.isdir() and plain in {"", "."}):
        yield Unsafe(UnsafeCode.ARCHIVE_PATH, place, "unpacks outside the folder chosen for it")
    if member.name in seen:
        what = "stands twice: readers differ in which counts"
        yield Unsafe(UnsafeCode.ARCHIVE_TWICE, place, what)
    if member.issym() or member.islnk():
        what = f"unpacks as a link to {shown(member.linkname)}"
        yield Unsafe(UnsafeCode.ARCHIVE_LINK, place, what)
    elif not member.isfile() and not member.isdir():
        yield Unsafe(UnsafeCode.ARCHIVE_LINK, place, "unpacks as a device or a pipe")


def _open(
    archive: tarfile.TarFile, member: tarfile.TarInfo, place: str
) -> Iterator[Unsafe | Member]:
    if not member.isfile():
        return
    if member.issparse():
        yield Unsafe(UnsafeCode.UNREADABLE, place, f"a sparse file of {member.size} bytes")
        return
    with archive.extractfile(member) or io.BytesIO() as file:
        yield Member(member.name, place, file.read(MOST_MEMBER))
