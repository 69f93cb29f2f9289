"""Canonical JSON (RFC 8785), digests over it, and one converter of dataclasses to JSON and back.

``to_json = write_fields`` gives a class its JSON form, which ``read_json`` reads: its fields under
their own names, by their types. A ``ClassVar`` text, such as ``kind``, is written too, and read as
nothing else. A class whose form differs has a ``to_json`` and a ``from_json`` of its own.
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, IntEnum
from functools import cache
from operator import attrgetter, methodcaller
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

import rfc8785

from auditor.domain.digests import Digest
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


def compute_digest(raw: bytes) -> Digest:
    """Return ``sha256:`` and the hexadecimal digest of ``raw``."""
    return Digest.of_hex(hashlib.sha256(raw).hexdigest())


def digest_json(value: Json) -> Digest:
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
_OMIT = "omit"
OmitUnset: TypeAlias = Annotated[T, _OMIT]
"""A field that is written only where it differs from its default, and is then not null."""
UNCHANGED = "Take the folder as auditor wrote it, unchanged."
SCALARS = frozenset({bool, int, float, str})


def build_field_error(place: str, expected: str) -> RecordError:
    """Return the error that says what stands at ``place`` instead of what was expected."""
    return RecordError(f"{place} is not {expected}", cure=UNCHANGED)


class JsonPart:
    """One JSON object of a record, whose fields are asked for by type."""

    def __init__(self, value: Json, place: str) -> None:
        if not isinstance(value, dict | Mapping):  # of a dict it is known sooner
            raise build_field_error(place, "an object")
        self.value = value
        self.place = place

    def get(self, name: str, kind: type[T]) -> T:
        """Return a field of the given type; whole numbers serve as floats."""
        return read_json(kind, self.value.get(name), f"{self.place}.{name}")

    def maybe(self, name: str, kind: type[T]) -> T | None:
        """Return a field of the given type, or ``None`` where it is null or absent."""
        return None if self.value.get(name) is None else self.get(name, kind)

    def name(self, name: str) -> str:
        """Return a field that is a name, which is no longer than names may be."""
        found = self.get(name, str)
        refuse_long_name(found, f"{self.place}.{name}")
        return found

    def mapping(self, name: str) -> JsonObject:
        """Return a field that is an object."""
        return self.part(name).value

    def part(self, name: str) -> "JsonPart":
        """Return a field that is an object, for typed access."""
        return JsonPart(self.value.get(name), f"{self.place}.{name}")

    def list_of(self, name: str, make: Callable[["JsonPart"], T]) -> tuple[T, ...]:
        """Return a field that is a list of objects, each made into a value."""
        found = self.value.get(name)
        if not isinstance(found, list):
            raise build_field_error(f"{self.place}.{name}", "a list")
        return tuple(
            make(JsonPart(item, f"{self.place}.{name}[{i}]")) for i, item in enumerate(found)
        )

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a list of texts."""
        return self.get(name, tuple[str, ...])

    def choice(self, name: str, kind: type[E]) -> E:
        """Return a field that is a member of an enumeration."""
        return self.get(name, kind)


def refuse_long_name(name: str, place: str) -> None:
    """Raise ``RecordError`` for a name that is longer than names may be."""
    mistake = explain_too_long(name)
    if mistake:
        raise RecordError(f"{place}: {mistake}", cure="Audit it again under a shorter name.")


Name: TypeAlias = Annotated[str, refuse_long_name]
"""A text that is no longer than names may be. What stands beside a type checks what was read."""


def read_json(kind: type[T], found: Json, place: str) -> T:
    """Return the value of a type whose JSON form was ``found`` at a place.

    Raises ``RecordError`` for what is missing, null, not finite or of another type.
    """
    return cast("T", _describe_type(cast("Any", kind), __name__).read(found, place))


def read_fields(kind: type[T], part: JsonPart, **given: object) -> T:
    """Return a dataclass from the fields of ``part``; those that are ``given`` are not read.

    Raises ``RecordError`` as ``read_json`` does.
    """
    tags, known = _describe_class(cast("Any", kind))
    said, place = part.value, part.place
    for name, tag in tags.items():
        if said.get(name) != tag:
            raise build_field_error(f"{place}.{name}", repr(tag))
    for name, (read, _, plain), omit, _ in known:
        if name in given or (omit and name not in said):
            continue
        found = said.get(name)
        if found is None and omit:
            raise build_field_error(f"{place}.{name}", "a value")
        if found is None and name not in said and NoneType not in plain:
            # The error that names the field that is not there, and what it would have to be
            problem = f"{place} has no field {name!r}"
            try:
                read(None, f"{place}.{name}")
            except RecordError as error:
                problem = f"{problem}: {error.problem}"
            raise RecordError(problem, cure=UNCHANGED)
        given[name] = found if type(found) in plain else read(found, f"{place}.{name}")
    return kind(**given)


def write_fields(value: Any) -> dict[str, Json]:  # noqa: ANN401 -- any dataclass
    """Return the JSON form of a dataclass, field by field."""
    tags, known = _describe_class(value.__class__)
    found: dict[str, Json] = dict(tags)
    for name, (_, write, _), omit, default in known:
        item = getattr(value, name)
        if not (omit and item == default):
            found[name] = item if write is None else write(item)
    return found


def refuse_unknown_fields(kind: type, part: JsonPart) -> None:
    """Raise ``RecordError`` where ``part`` has a field that the class has not."""
    tags, known = _describe_class(kind)
    strangers = sorted(part.value.keys() - tags.keys() - {it.name for it in known})
    if strangers:
        problem = f"{part.place} has a field {strangers[0]!r} that is unknown"
        raise RecordError(problem, cure=UNCHANGED)


class _JsonForm(NamedTuple):
    """How values of a type are read, by their place, and written; without a writer as they are.

    What is of a ``plain`` type is read as it is.
    """

    read: Callable[[Any, str], Any]
    write: Callable[[Any], Any] | None = None
    plain: frozenset[type] = frozenset()


class _FieldForm(NamedTuple):
    name: str
    form: _JsonForm
    omit: bool
    default: object


@cache
def _describe_class(kind: type) -> tuple[Mapping[str, str], tuple[_FieldForm, ...]]:
    """Return the texts that stand in the form of every value, and the forms of the fields."""
    hints: Mapping[str, object] = vars(kind).get("__annotations__", {})
    tags = {name: getattr(kind, name) for name, it in hints.items() if get_origin(it) is ClassVar}
    known = (
        _FieldForm(
            it.name,
            _describe_type(it.type, kind.__module__),
            _OMIT in getattr(it.type, "__metadata__", ()),
            it.default if it.default_factory is MISSING else it.default_factory(),
        )
        for it in cast("tuple[Any, ...]", fields(cast("Any", kind)))
        if it.init
    )
    return tags, tuple(known)


@cache
def _describe_type(kind: Any, module: str) -> _JsonForm:  # noqa: ANN401 -- a type's expression
    """Return how values of a type are read and written; ``module`` knows the names in texts."""
    origin, inside = get_origin(kind), get_args(kind)
    if kind == Json:
        return _JsonForm(lambda found, _: found, None, SCALARS | {dict, list, NoneType})
    if isinstance(kind, str):
        return _describe_type(vars(sys.modules[module])[kind], module)
    if origin is Annotated:
        checks = tuple(it for it in inside[1:] if callable(it))
        return _describe_checked(_describe_type(inside[0], module), checks)
    if origin in {Union, UnionType}:
        return _describe_union(inside, module)
    if kind in SCALARS:
        return _describe_scalars((kind,))
    if origin is tuple and inside[1:] == (...,):
        return _describe_list(_describe_type(inside[0], module))
    if origin in {Mapping, dict}:
        return _describe_mapping(_describe_type(inside[1], module))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _describe_enum(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        own = getattr(kind, "from_json", None)
        return _JsonForm(
            own or (lambda found, place: read_fields(kind, JsonPart(found, place))),
            methodcaller("to_json") if hasattr(kind, "to_json") else write_fields,
        )
    raise TypeError(f"{kind} has no JSON form")


def _describe_scalars(kinds: tuple[type, ...]) -> _JsonForm:
    expected, whole = " or ".join(it.__name__ for it in kinds), float in kinds and int not in kinds
    if kinds == (int,):
        expected = "int (a whole number)"

    def read(found: object, place: str) -> object:
        value = _make_float(found) if whole and type(found) is int else found
        known = type(value) in kinds or (str in kinds and isinstance(value, str))
        if not known or (type(value) is float and not math.isfinite(value)):
            raise build_field_error(place, expected)
        return value

    return _JsonForm(read, None, frozenset(kinds) - {float})


def _make_float(number: int) -> float | None:
    """Return a whole number as a float; nothing where that would be another number."""
    try:
        return float(number) if float(number) == number else None
    except OverflowError:
        return None


def _describe_checked(form: _JsonForm, checks: Sequence[Callable[[Any, str], None]]) -> _JsonForm:
    def read(found: object, place: str) -> object:
        value = form.read(found, place)
        for check in checks:
            check(value, place)
        return value

    return _JsonForm(read, form.write, form.plain & {NoneType}) if checks else form


def _describe_union(kinds: tuple[Any, ...], module: str) -> _JsonForm:
    known = tuple(it for it in kinds if it is not NoneType)
    if SCALARS.issuperset(known):
        form = _describe_scalars(known)
    elif len(known) == 1:
        form = _describe_type(known[0], module)
    else:
        form = _describe_tagged(known)
    if len(known) == len(kinds):
        return form
    read, write, plain = form
    return _JsonForm(
        lambda found, place: None if found is None else read(found, place),
        None if write is None else lambda value: None if value is None else write(value),
        plain | {NoneType},
    )


def _describe_tagged(kinds: tuple[type, ...]) -> _JsonForm:
    """Return the form of classes that are told apart by their first ``ClassVar`` text."""
    by_tag = {next(iter(_describe_class(it)[0].items())): it for it in kinds}
    expected = "one of " + ", ".join(tag for _, tag in by_tag)

    def read(found: Json, place: str) -> object:
        said = JsonPart(found, place).value
        for (name, tag), kind in by_tag.items():
            if said.get(name) == tag:
                return read_json(kind, found, place)
        raise build_field_error(f"{place}.{name}", expected)

    return _JsonForm(read, methodcaller("to_json"))


def _describe_list(form: _JsonForm) -> _JsonForm:
    read_item, write, plain = form

    def read(found: object, place: str) -> tuple[object, ...]:
        if not isinstance(found, list):
            raise build_field_error(place, "a list")
        if plain.issuperset(map(type, found)):
            return tuple(found)
        return tuple([read_item(item, f"{place}[{at}]") for at, item in enumerate(found)])

    return _JsonForm(read, list if write is None else lambda value: list(map(write, value)))


def _describe_mapping(form: _JsonForm) -> _JsonForm:
    read_item, write, plain = form

    def read(found: Json, place: str) -> dict[str, object]:
        said = JsonPart(found, place).value
        if plain.issuperset(map(type, said.values())):
            return dict(said)
        return {name: read_item(item, f"{place}.{name}") for name, item in said.items()}

    if write is None:
        return _JsonForm(read, dict)
    return _JsonForm(read, lambda value: {name: write(item) for name, item in value.items()})


def _describe_enum(kind: type[Enum]) -> _JsonForm:
    attribute = "name" if issubclass(kind, IntEnum) else "value"
    known = {getattr(it, attribute): it for it in kind}

    def read(found: object, place: str) -> Enum:
        if not isinstance(found, str) or found not in known:
            raise build_field_error(place, "one of " + ", ".join(known))
        return known[found]

    return _JsonForm(read, attrgetter(attribute))
