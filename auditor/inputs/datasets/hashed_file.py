"""A hashed file that is read in parts, each checked against the hash of the whole."""

import hashlib
import io
from pathlib import Path
from typing import Any

from auditor.errors import DatasetError

BLOCK = 1 << 20


class HashedFile(io.RawIOBase):
    """The bytes of a file under one SHA-256, read a block at a time and never held whole.

    A block that is not what was hashed raises ``DatasetError``, so that the parsed bytes are the
    digested ones. ``shown`` names the file in messages. It is open only while a block is read.
    """

    def __init__(self, real: Path, shown: str) -> None:
        self._real, self._shown = real, shown
        self._place, self._held, self._block = 0, -1, b""
        self._digests: list[bytes] = []
        self.size, whole = 0, hashlib.sha256()
        with real.open("rb") as file:
            while block := file.read(BLOCK):
                whole.update(block)
                self._digests.append(hashlib.sha256(block).digest())
                self.size += len(block)
        self.sha256 = whole.hexdigest()

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def seekable(self) -> bool:
        """Whether any part of it can be read: always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place: from the begin, from here, or from the end."""
        self._place = max(0, offset + (0, self._place, self.size)[whence])
        return self._place

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- Buffer is Python 3.12's
        """Fill a buffer with what comes next, up to the end of the block; 0 bytes at the end."""
        at, start = divmod(self._place, BLOCK)
        if at >= len(self._digests):
            read_block = b""
        else:
            if at != self._held:
                with self._real.open("rb") as file:
                    file.seek(at * BLOCK)
                    block = file.read(BLOCK)
                if hashlib.sha256(block).digest() != self._digests[at]:
                    raise DatasetError(
                        f"{self._shown} changed while it was read",
                        cure="Leave the file alone until the audit has begun.",
                    )
                self._held, self._block = at, block
            read_block = self._block
        taken = memoryview(read_block)[start:]
        into = memoryview(buffer).cast("B")
        count = min(len(into), len(taken))
        into[:count] = taken[:count]
        self._place += count
        return count
