"""Canonical JSON (RFC 8785) and the digests that are taken over it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import rfc8785

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]


def canonical(value: Json) -> bytes:
    """Serialise ``value`` so that equal values give equal bytes (RFC 8785).

    Raises ``ValueError`` for NaN, infinities, and integers beyond 2^53.
    """
    try:
        return rfc8785.dumps(cast("Any", _plain(value)))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def parse(raw: bytes) -> Json:
    """Read JSON strictly: no NaN, no infinity, no duplicate keys. Raises ``ValueError``."""
    return cast("Json", json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse_constant))


def digest(raw: bytes) -> str:
    """Return ``sha256:`` and the hexadecimal digest of ``raw``."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def digest_json(value: Json) -> str:
    """Return the digest of the canonical form of ``value``."""
    return digest(canonical(value))


def _plain(value: Json) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        message = f"the key {twice!r} stands twice in one object"
        raise ValueError(message)
    return dict(pairs)


def _refuse_constant(name: str) -> object:
    message = f"{name} is not a number that JSON knows"
    raise ValueError(message)
