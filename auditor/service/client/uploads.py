"""Uploads files that a service lacks, streamed, and resumed after a broken connection."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from auditor.domain.digests import Digest
from auditor.errors import DatasetError, ServiceRefusedError, ServiceUnreachableError
from auditor.service.client.http import HttpTransport, ServiceRequest
from auditor.service.domain.submissions import UploadKind

CHUNK = 2**20
WHOLE, PART, NONE = 200, 204, 404
TAKEN = "upload_conflict"
FOLDERS = {UploadKind.ARTIFACT: "artifacts", UploadKind.DATASET: "datasets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSource:
    """A file to send: its kind, digest, name and size in bytes, and how it is opened."""

    kind: UploadKind
    digest: str
    name: str
    size: int
    opened: Callable[[], AbstractContextManager[BinaryIO]]

    @property
    def path(self) -> str:
        """Where a service keeps it."""
        return f"/v1/{FOLDERS[self.kind]}/{self.digest}"


def needs_upload(line: HttpTransport, item: UploadSource) -> bool:
    """Whether a service lacks a file, or a part of it. Raises as ``HttpTransport.ask``."""
    return line.ask(_head(item)).status != WHOLE


def upload_file(line: HttpTransport, item: UploadSource, told: Callable[[int], None]) -> None:
    """Send a file, or the rest of one; ``told`` hears how many bytes went.

    Raises as ``HttpTransport.ask``, and ``DatasetError`` for a file that has become shorter.
    """
    line.trying(lambda: _once(line, item, told))


def _once(line: HttpTransport, item: UploadSource, told: Callable[[int], None]) -> None:
    answer = line.once(_head(item))
    if answer.status == WHOLE:
        return
    offset = int(answer.headers["upload-offset"]) if answer.status == PART else 0
    headers = {
        "Upload-Offset": str(offset),
        "Upload-Length": str(item.size),
        "Upload-Name": quote(_bare(item), safe=""),
        "Content-Length": str(item.size - offset),
    }
    with item.opened() as file:
        body = _rest(item, file, offset, told)
        try:
            line.once(ServiceRequest("PUT", item.path, headers=headers, body=body))
        except ServiceRefusedError as error:
            if error.kind != TAKEN:
                raise
            # What was sent when the line broke may still be on its way into the part.
            raise ServiceUnreachableError(error.problem, cure=error.cure) from error


def _bare(item: UploadSource) -> str:
    """Return the file's own name, as services take one; they show it to people alone."""
    name = PurePosixPath(item.name).name.lstrip(".")
    return name if name.isprintable() and name else Digest(item.digest).hex


def _rest(
    item: UploadSource, file: BinaryIO, offset: int, told: Callable[[int], None]
) -> Iterator[bytes]:
    file.seek(offset)
    left = item.size - offset
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise DatasetError(
                f"{item.name} became shorter during the upload",
                cure="Do not change the file during the upload. Try again.",
            )
        left -= len(chunk)
        yield chunk
        told(len(chunk))


def _head(item: UploadSource) -> ServiceRequest:
    return ServiceRequest("HEAD", item.path, expected=frozenset({PART, NONE}))
