"""SHA-256 digests as texts name them."""

import hashlib
import re
from pathlib import Path
from typing import Self

from auditor.errors import RecordError

_PREFIX = "sha256:"
DIGEST_PATTERN = _PREFIX + "[0-9a-f]{64}"
_FORM = re.compile(DIGEST_PATTERN)
ENTITY_PREFIX = re.compile(r"(?:([a-z][a-z0-9-]*):)?([0-9a-f]{4,64})")
"""A digest or its first digits, with the kind of thing before it, or not."""
DIGEST_CURE = "Write a SHA-256 as `sha256:` and 64 lower-case hexadecimal digits."


def is_digest(text: str) -> bool:
    """Whether a text is ``sha256:`` and 64 lower-case hexadecimal digits."""
    return _FORM.fullmatch(text) is not None


class Digest(str):
    """A SHA-256 digest, as the text ``sha256:`` and 64 lower-case hexadecimal digits.

    Made of any other text it raises ``RecordError``, so that what names a file by its digits names
    nothing else.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Return the digest that a text is."""
        if not is_digest(text):
            raise RecordError(f"{text[:80]!r} is not a digest", cure=DIGEST_CURE)
        return super().__new__(cls, text)

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the digest of a file's bytes. Raises ``OSError``."""
        with path.open("rb") as file:
            return cls.of_hex(hashlib.file_digest(file, "sha256").hexdigest())

    @classmethod
    def of_hex(cls, digits: str) -> Self:
        """Return the digest of 64 hexadecimal digits."""
        return cls(_PREFIX + digits)

    @property
    def hex(self) -> str:
        """The hexadecimal digits alone."""
        return self.removeprefix(_PREFIX)
