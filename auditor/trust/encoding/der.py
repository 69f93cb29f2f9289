"""Strict DER (X.690) reader and writer.

The elements of a set may come in any order: authorities and OpenSSL do not always sort them, and
nothing here depends on it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from auditor.trust.verification_result import IssueCode, VerificationError

BOOLEAN, INTEGER, BITS, OCTETS, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
TIME, SEQUENCE, SET = 0x18, 0x30, 0x31
MOST_BYTES = 2**20
_TIME = re.compile(r"(\d{14})(?:\.(\d{0,5}[1-9]))?Z")
_LONG, _HIGH = 0x80, 0x1F


def context_tag(number: int, *, constructed: bool = True) -> int:
    """Return the tag ``[number]`` that a format gives an element in its place."""
    return 0x80 | (0x20 if constructed else 0) | number


@dataclass(frozen=True, slots=True)
class DerElement:
    """One value: its tag, what it holds, and both as they were written."""

    tag: int
    content: bytes
    raw: bytes

    def parts(self) -> "DerReader":
        """Read what a sequence, a set or a tagged element holds."""
        return DerReader(self.content)

    def integer(self) -> int:
        """Return a whole number. Raises ``VerificationError``."""
        found = int.from_bytes(self.content, "big", signed=True)
        if self.content != _whole(found):
            refuse_der("a number is not written in its one way")
        return found

    def oid(self) -> str:
        """Return an object identifier with dots. Raises ``VerificationError``."""
        if self.tag != OID or not self.content or self.content[-1] & _LONG:
            refuse_der("an object identifier is cut short")
        numbers, number = [], 0
        for byte in self.content:
            number = number << 7 | byte & 0x7F
            if not byte & _LONG:
                numbers.append(number)
                number = 0
        first = min(numbers[0] // 40, 2)
        found = ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
        if write_oid(found) != self.raw:
            refuse_der("an object identifier is not written in its one way")
        return found

    def time(self) -> datetime:
        """Return a time of GeneralizedTime in UTC. Raises ``VerificationError``."""
        match = _TIME.fullmatch(self.content.decode("ascii", "replace"))
        if self.tag != TIME or match is None:
            refuse_der("a time is not written in UTC, to the second or finer")
        try:
            at = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            refuse_der("a time is none of any calendar")
        return at + timedelta(microseconds=int((match[2] or "").ljust(6, "0") or 0))


class DerReader:
    """Takes one element after the other out of bytes."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def __bool__(self) -> bool:
        """Whether there is more."""
        return bool(self._left)

    def take(self, tag: int) -> DerElement:
        """Return the next element, which must have this tag. Raises ``VerificationError``."""
        found = self.maybe(tag)
        if found is None:
            refuse_der(f"an element of tag {tag:#x} is missing")
        return found

    def maybe(self, tag: int) -> DerElement | None:
        """Return the next element if it has this tag. Raises ``VerificationError``."""
        if not self._left or self._left[0] != tag:
            return None
        return self.next()

    def next(self) -> DerElement:
        """Return the next element, whatever its tag. Raises ``VerificationError``."""
        tag, start, end = _measured(self._left)
        found = DerElement(tag, self._left[start:end], self._left[:end])
        self._left = self._left[end:]
        return found

    def every(self) -> list[DerElement]:
        """Return all elements that are left. Raises ``VerificationError``."""
        found = []
        while self:
            found.append(self.next())
        return found

    def end(self) -> None:
        """Raise ``VerificationError`` where something is left that the format does not know."""
        if self._left:
            refuse_der("something follows where nothing should")


def write_element(tag: int, *parts: bytes) -> bytes:
    """Write an element that holds these parts."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG | len(length)]) + length + content


def write_integer(number: int) -> bytes:
    """Write a whole number."""
    return write_element(INTEGER, _whole(number))


def write_oid(text: str) -> bytes:
    """Write an object identifier that is spelled with dots. Raises ``ValueError``."""
    first, second, *rest = map(int, text.split("."))
    return write_element(OID, *(_septets(item) for item in (40 * first + second, *rest)))


def refuse_der(reason: str) -> NoReturn:
    """Raise ``VerificationError`` for what is not DER of the format that is read."""
    raise VerificationError(IssueCode.TIMESTAMP, f"the timestamp is malformed: {reason}")


def _measured(raw: bytes) -> tuple[int, int, int]:
    """Return the tag of the first element, and where what it holds begins and ends."""
    if len(raw) < 2 or raw[0] & _HIGH == _HIGH:  # noqa: PLR2004 -- a tag and a length
        refuse_der("an element has no length, or a tag that is too high")
    if raw[1] < _LONG:
        start, size = 2, raw[1]
    else:
        count = raw[1] & ~_LONG
        start, size = 2 + count, int.from_bytes(raw[2 : 2 + count], "big")
        if not 1 <= count <= 4 or size < _LONG or size >> 8 * (count - 1) == 0:  # noqa: PLR2004
            refuse_der("a length is not written in its one way")
    if start + size > len(raw):
        refuse_der("an element ends after its bytes")
    return raw[0], start, start + size


def _whole(number: int) -> bytes:
    return number.to_bytes((number + (number < 0)).bit_length() // 8 + 1, "big", signed=True)


def _septets(number: int) -> bytes:
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(number & 0x7F | _LONG)
    return bytes(reversed(found))
