"""Unsafe entries found by a scan: codes and severities of code or outside access."""

from dataclasses import dataclass
from enum import StrEnum

_SHOWN = 120


class UnsafeSeverity(StrEnum):
    """Whether an entry may run code or reach outside, may hide something, or is worth knowing."""

    UNSAFE = "unsafe"
    WARNING = "warning"
    INFO = "info"


class UnsafeCode(StrEnum):
    """The stable name of what was found."""

    UNREADABLE = "UNREADABLE"
    EXTERNAL_OUTSIDE = "EXTERNAL_OUTSIDE"
    EXTERNAL_LINK = "EXTERNAL_LINK"
    EXTERNAL_MEMORY = "EXTERNAL_MEMORY"
    EXTERNAL_MISSING = "EXTERNAL_MISSING"
    EXTERNAL_RANGE = "EXTERNAL_RANGE"
    EXTERNAL_OVERLAP = "EXTERNAL_OVERLAP"
    EXTERNAL_UNREAD = "EXTERNAL_UNREAD"
    CUSTOM_DOMAIN = "CUSTOM_DOMAIN"
    PYTHON_OPERATOR = "PYTHON_OPERATOR"
    COMPILED_OPERATOR = "COMPILED_OPERATOR"
    EMBEDDED_PAYLOAD = "EMBEDDED_PAYLOAD"
    OVERSIZED_TEXT = "OVERSIZED_TEXT"
    HIDDEN_INITIALIZER = "HIDDEN_INITIALIZER"
    TENSOR_EXCESS = "TENSOR_EXCESS"
    TENSOR_SHORT = "TENSOR_SHORT"
    UNKNOWN_FIELDS = "UNKNOWN_FIELDS"
    DROPPED_BYTES = "DROPPED_BYTES"
    FUNCTION_SHADOWS = "FUNCTION_SHADOWS"
    CONTROL_FLOW = "CONTROL_FLOW"
    PICKLE = "PICKLE"
    PICKLE_GLOBAL = "PICKLE_GLOBAL"
    PICKLE_EXTENSION = "PICKLE_EXTENSION"
    COMPRESSED = "COMPRESSED"
    OBJECT_ARRAY = "OBJECT_ARRAY"
    LAMBDA_LAYER = "LAMBDA_LAYER"
    ARCHIVE_PATH = "ARCHIVE_PATH"
    ARCHIVE_LINK = "ARCHIVE_LINK"
    ARCHIVE_TWICE = "ARCHIVE_TWICE"
    ARCHIVE_BOMB = "ARCHIVE_BOMB"
    ARCHIVE_ENCRYPTED = "ARCHIVE_ENCRYPTED"
    ARCHIVE_HEADERS = "ARCHIVE_HEADERS"
    ARCHIVE_OVERLAP = "ARCHIVE_OVERLAP"
    ARCHIVE_HIDDEN = "ARCHIVE_HIDDEN"
    ARCHIVE_NESTED = "ARCHIVE_NESTED"
    SCRIPT = "SCRIPT"


@dataclass(frozen=True, slots=True)
class UnsafeEntry:
    """One thing found: where it stands, and what it is."""

    code: UnsafeCode
    where: str
    what: str
    weight: UnsafeSeverity = UnsafeSeverity.UNSAFE

    def to_entry(self) -> dict[str, str]:
        """Return the entry of a ``ModelStructure``."""
        return {
            "code": self.code.value,
            "where": self.where,
            "what": self.what,
            "weight": self.weight.value,
        }


def printable_excerpt(value: object) -> str:
    """Return an untrusted text as a short, printable piece of a sentence."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
