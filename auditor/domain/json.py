"""Typed access to the fields of a JSON document that nobody has checked yet."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TypeVar, cast

from auditor.domain.bounds import too_long
from auditor.domain.canonical import Json, JsonObject
from auditor.errors import RecordError

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class Part:
    """One JSON object of a record, whose fields are asked for by type."""

    def __init__(self, value: Json, place: str) -> None:
        if not isinstance(value, Mapping):
            raise wrong(place, "an object")
        self.value = value
        self.place = place

    def get(self, name: str, kind: type[T]) -> T:
        """Return a field of the given type; whole numbers serve as floats."""
        found = self.value.get(name)
        if kind is float and isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
            raise wrong(f"{self.place}.{name}", kind.__name__)
        return found

    def name(self, name: str) -> str:
        """Return a field that is a name, which is no longer than names may be."""
        found = self.get(name, str)
        mistake = too_long(found)
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
        return Part(self.value.get(name), f"{self.place}.{name}").value

    def part(self, name: str) -> "Part":
        """Return a field that is an object, for typed access."""
        return Part(self.value.get(name), f"{self.place}.{name}")

    def list_of(self, name: str, make: Callable[["Part"], T]) -> tuple[T, ...]:
        """Return a field that is a list of objects, each made into a value."""
        found = self._items(name)
        return tuple(make(Part(item, f"{self.place}.{name}[{i}]")) for i, item in enumerate(found))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a list of texts."""
        return tuple(str(item) for item in self._items(name))

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return a field that is a list of whole numbers."""
        found = self._items(name)
        if not all(isinstance(item, int) and not isinstance(item, bool) for item in found):
            raise wrong(f"{self.place}.{name}", "a list of whole numbers")
        return cast("tuple[int, ...]", tuple(found))

    def choice(self, name: str, kind: type[E]) -> E:
        """Return a field that is a member of an enumeration."""
        text = self.get(name, str)
        try:
            return kind(text)
        except ValueError:
            raise wrong(
                f"{self.place}.{name}", "one of " + ", ".join(str(e.value) for e in kind)
            ) from None

    def _items(self, name: str) -> Sequence[Json]:
        found = self.value.get(name)
        if not isinstance(found, list):
            raise wrong(f"{self.place}.{name}", "a list")
        return found


def wrong(place: str, expected: str) -> RecordError:
    """Return the error that says what stands at ``place`` instead of what was expected."""
    return RecordError(
        f"{place} is not {expected}", cure="Take the folder as auditor wrote it, unchanged."
    )
