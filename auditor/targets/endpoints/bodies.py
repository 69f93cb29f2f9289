"""JSON bodies: read without trust, and reached into by dotted paths."""

import json
from collections.abc import Mapping
from typing import Any

from auditor.errors import ModelFailedError
from auditor.targets.frames import is_text

CURE = "See that the address is that of the model server, and that it speaks this protocol."


def to_body(value: Any) -> bytes:  # noqa: ANN401 -- any JSON
    """Return the bytes of a JSON body."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def read_body(title: str, body: "bytes | memoryview") -> Any:  # noqa: ANN401 -- any JSON
    """Return what a body holds; NaN is read as such. Raises ``ModelFailedError``."""
    raw = bytes(body)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ModelFailedError(f"{title} answers with what is no JSON", cure=CURE) from None
    if not is_text(raw, found):
        raise ModelFailedError(f"{title} answers with text that is none", cure=CURE)
    return found


def read_object(title: str, body: "bytes | memoryview") -> Mapping[str, Any]:
    """Return the JSON object that a body holds. Raises ``ModelFailedError``."""
    found = read_body(title, body)
    if not isinstance(found, dict):
        raise ModelFailedError(f"{title} answers with JSON that is no object", cure=CURE)
    return found


def put(path: str, value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Return ``value`` under the keys of a dotted path; as it is where the path is empty."""
    for key in reversed(path.split(".") if path else []):
        value = {key: value}
    return value


def reach(title: str, body: Any, path: str) -> Any:  # noqa: ANN401 -- any JSON
    """Return what lies at a dotted path; numbers count items of lists from 0.

    Raises ``ModelFailedError`` that says how far the path leads.
    """
    found = body
    for depth, key in enumerate(path.split(".") if path else []):
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            led = ".".join(path.split(".")[:depth]) or "its top"
            there = (
                f" ({', '.join(sorted(map(str, found))[:10])})" if isinstance(found, dict) else ""
            )
            raise ModelFailedError(
                f"the answer of {title} has no {key!r} at {led}{there}",
                cure="Set `endpoint.scores_at` to the dotted path of the scores.",
            )
    return found
