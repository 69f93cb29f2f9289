"""Fetch the files of a record, each under the name and the digest that its list says."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from auditor.client.line import Call, Line
from auditor.client.values import ServedFile
from auditor.errors import RecordError
from auditor.folders import FOLDERS, FORMS, HEX, KNOWN, MOST_BYTES

STRANGE = "See whose service it is: no auditor service hands that out."


def fetch(
    line: Line, where: str, files: Sequence[ServedFile], folder: Path, told: Callable[[int], None]
) -> None:
    """Write the files of a record, listed at the path ``where``, below ``folder``; ``told`` hears
    how many bytes came.

    Raises ``RecordError`` for a name that no record has and for other bytes than were listed, and
    as ``Line.ask``.
    """
    for item in files:
        if not _is_known(item.name) or not 0 <= item.size <= MOST_BYTES:
            raise RecordError(
                f"{line.url} hands out {item.name[:80]!r}, which is no file of a record",
                cure=STRANGE,
            )
        place = folder / item.name
        place.parent.mkdir(parents=True, exist_ok=True)
        line.trying(lambda item=item, place=place: _write(line, where, item, place))  # type: ignore[misc]  # bound at once
        told(item.size)


def _write(line: Line, where: str, item: ServedFile, place: Path) -> None:
    with place.open("wb") as file:
        found = _read(line, where, item, file)
    if found != item.digest:
        raise RecordError(
            f"{line.url} sent {item.name} with the digest {found}, and lists {item.digest}",
            cure=STRANGE,
        )


def _read(line: Line, where: str, item: ServedFile, file: BinaryIO) -> str:
    seen, size = hashlib.sha256(), 0
    with line.stream(Call("GET", f"{where}/{quote(item.name)}")) as response:
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > item.size:
                break
            seen.update(chunk)
            file.write(chunk)
    return f"sha256:{seen.hexdigest()}" if size == item.size else f"of {size} bytes or more"


def _is_known(name: str) -> bool:
    folder, slash, rest = name.partition("/")
    if not slash:
        return name in KNOWN - FOLDERS
    return folder in FOLDERS and FORMS.get(folder, HEX).fullmatch(rest) is not None
