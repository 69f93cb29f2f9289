"""Canonical JSON (RFC 8785), digests over it, and typed access to unchecked documents."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias, TypeVar, cast

import rfc8785

from auditor.domain.text_limits import explain_too_long
from auditor.errors import RecordError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]


def encode_canonical(value: Json) -> bytes:
    """Serialise ``value`` so that equal values give equal bytes (RFC 8785).

    Raises ``ValueError`` for NaN, infinities, and integers beyond 2^53.
    """
    try:
        return rfc8785.dumps(cast("Any", _plain(value)))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def parse_json(raw: bytes) -> Json:
    """Read JSON strictly: no NaN, no infinity, no duplicate keys. Raises ``ValueError``."""
    return cast("Json", json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse_constant))


def compute_digest(raw: bytes) -> str:
    """Return ``sha256:`` and the hexadecimal digest of ``raw``."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def digest_json(value: Json) -> str:
    """Return the digest of the canonical form of ``value``."""
    return compute_digest(encode_canonical(value))


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


T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class JsonPart:
    """One JSON object of a record, whose fields are asked for by type."""

    def __init__(self, value: Json, place: str) -> None:
        if not isinstance(value, Mapping):
            raise build_field_error(place, "an object")
        self.value = value
        self.place = place

    def get(self, name: str, kind: type[T]) -> T:
        """Return a field of the given type; whole numbers serve as floats."""
        found = self.value.get(name)
        if kind is float and isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
            raise build_field_error(f"{self.place}.{name}", kind.__name__)
        return found

    def name(self, name: str) -> str:
        """Return a field that is a name, which is no longer than names may be."""
        found = self.get(name, str)
        mistake = explain_too_long(found)
        if mistake:
            raise RecordError(
                f"{self.place}.{name}: {mistake}", cure="Audit it again under a shorter name."
            )
        return found

    def maybe(self, name: str, kind: type[T]) -> T | None:
        """Return a field of the given type, or ``None`` where it is null or absent."""
        return None if self.value.get(name) is None else self.get(name, kind)

    def mapping(self, name: str) -> JsonObject:
        """Return a field that is an object."""
        return JsonPart(self.value.get(name), f"{self.place}.{name}").value

    def part(self, name: str) -> "JsonPart":
        """Return a field that is an object, for typed access."""
        return JsonPart(self.value.get(name), f"{self.place}.{name}")

    def list_of(self, name: str, make: Callable[["JsonPart"], T]) -> tuple[T, ...]:
        """Return a field that is a list of objects, each made into a value."""
        found = self._items(name)
        return tuple(
            make(JsonPart(item, f"{self.place}.{name}[{i}]")) for i, item in enumerate(found)
        )

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a list of texts."""
        return tuple(str(item) for item in self._items(name))

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return a field that is a list of whole numbers."""
        found = self._items(name)
        if not all(isinstance(item, int) and not isinstance(item, bool) for item in found):
            raise build_field_error(f"{self.place}.{name}", "a list of whole numbers")
        return cast("tuple[int, ...]", tuple(found))

    def choice(self, name: str, kind: type[E]) -> E:
        """Return a field that is a member of an enumeration."""
        text = self.get(name, str)
        try:
            return kind(text)
        except ValueError:
            raise build_field_error(
                f"{self.place}.{name}", "one of " + ", ".join(str(e.value) for e in kind)
            ) from None

    def _items(self, name: str) -> Sequence[Json]:
        found = self.value.get(name)
        if not isinstance(found, list):
            raise build_field_error(f"{self.place}.{name}", "a list")
        return found


def build_field_error(place: str, expected: str) -> RecordError:
    """Return the error that says what stands at ``place`` instead of what was expected."""
    return RecordError(
        f"{place} is not {expected}", cure="Take the folder as auditor wrote it, unchanged."
    )
