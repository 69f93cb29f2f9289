"""Strict JSON and base64, with one meaning for every parser."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import NoReturn, TypeVar, cast

from auditor.trust.verification_result import IssueCode, VerificationError, quote_value

MOST_BYTES = 64 * 2**20
"""No signature of a real model is larger: 100,000 files need some 20 MB."""

T = TypeVar("T")


def read_json_object(raw: bytes, place: str) -> Mapping[str, object]:
    """Read ``raw`` as one JSON object: UTF-8, no key twice, no NaN. Raises
    ``VerificationError``.
    """
    if len(raw) > MOST_BYTES:
        raise VerificationError(
            IssueCode.TOO_LARGE, f"{place} has {len(raw)} bytes, more than {MOST_BYTES}"
        )
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except VerificationError as error:
        raise VerificationError(error.code, f"{place}: {error.problem}") from None
    except (ValueError, RecursionError) as error:
        raise VerificationError(
            IssueCode.FORMAT, f"{place} is not JSON: {str(error)[:200]}"
        ) from None
    return require_type(found, dict, place)


def require_type(value: object, kind: type[T], place: str) -> T:
    """Return ``value`` where it is of ``kind``; a boolean is no number. Raises
    ``VerificationError``.
    """
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise VerificationError(IssueCode.FORMAT, f"{place} must be {_WORDS[kind]}")
    return value


def refuse_unknown_members(value: Mapping[str, object], known: frozenset[str], place: str) -> None:
    """Raise ``VerificationError`` where an object has a member that the format does not know."""
    strange = sorted(value.keys() - known)
    if strange:
        raise VerificationError(
            IssueCode.FORMAT, f"{place} has the unknown member {quote_value(strange[0])}"
        )


def read_base64(value: object, place: str) -> bytes:
    """Decode standard base64 that is spelled the one canonical way. Raises
    ``VerificationError``.
    """
    text = require_type(value, str, place)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(IssueCode.BASE64, f"{place} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        # Spare bits or missing padding: two spellings of one value let a copy pass for another.
        raise VerificationError(
            IssueCode.BASE64, f"{place} is not base64 in its canonical spelling"
        )
    return raw


def write_json_object(value: Mapping[str, object]) -> bytes:
    """Write JSON of texts, whole numbers, lists and objects so that equal values give equal bytes.

    For such values, and member names in ASCII, this is the form of RFC 8785.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen: dict[str, object] = {}
    for key, value in pairs:
        if key in seen:
            raise VerificationError(
                IssueCode.DUPLICATE_KEY, f"the member {quote_value(key)} stands twice in one object"
            )
        seen[key] = value
    return seen


def _refuse_constant(name: str) -> NoReturn:
    raise VerificationError(IssueCode.FORMAT, f"{name} is not a JSON number")


_WORDS = cast(
    "dict[type, str]",
    {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"},
)
