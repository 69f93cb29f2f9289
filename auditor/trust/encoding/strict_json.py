"""Strict reading: JSON and base64 that have one meaning for every parser."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import NoReturn, TypeVar, cast

from auditor.signatures.objections import Code, Refused, quoted

MOST_BYTES = 64 * 2**20
"""No signature of a real model is larger: 100,000 files need some 20 MB."""

T = TypeVar("T")


def read_object(raw: bytes, place: str) -> Mapping[str, object]:
    """Read ``raw`` as one JSON object: UTF-8, no key twice, no NaN. Raises ``Refused``."""
    if len(raw) > MOST_BYTES:
        raise Refused(Code.TOO_LARGE, f"{place} has {len(raw)} bytes, more than {MOST_BYTES}")
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except Refused as error:
        raise Refused(error.code, f"{place}: {error.problem}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(Code.FORMAT, f"{place} is not JSON: {str(error)[:200]}") from None
    return expect(found, dict, place)


def expect(value: object, kind: type[T], place: str) -> T:
    """Return ``value`` where it is of ``kind``; a boolean is no number. Raises ``Refused``."""
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise Refused(Code.FORMAT, f"{place} must be {_WORDS[kind]}")
    return value


def only(value: Mapping[str, object], known: frozenset[str], place: str) -> None:
    """Raise ``Refused`` where an object has a member that the format does not know."""
    strange = sorted(value.keys() - known)
    if strange:
        raise Refused(Code.FORMAT, f"{place} has the unknown member {quoted(strange[0])}")


def read_base64(value: object, place: str) -> bytes:
    """Decode standard base64 that is spelled the one canonical way. Raises ``Refused``."""
    text = expect(value, str, place)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Code.BASE64, f"{place} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        # Spare bits or missing padding: two spellings of one value let a copy pass for another.
        raise Refused(Code.BASE64, f"{place} is not base64 in its canonical spelling")
    return raw


def write_object(value: Mapping[str, object]) -> bytes:
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
            raise Refused(
                Code.DUPLICATE_KEY, f"the member {quoted(key)} stands twice in one object"
            )
        seen[key] = value
    return seen


def _refuse_constant(name: str) -> NoReturn:
    raise Refused(Code.FORMAT, f"{name} is no JSON number")


_WORDS = cast(
    "dict[type, str]",
    {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"},
)
