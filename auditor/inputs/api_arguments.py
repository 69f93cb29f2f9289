"""Arguments of the Python API: read strictly, and named in errors as the caller knows them."""

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeGuard, TypeVar

import numpy as np

from auditor._yaml import MOST_LEVELS
from auditor.domain.json import Json
from auditor.domain.name_suggestions import suggest_near_names
from auditor.errors import AuditorError, InvalidInputError, UsageError

P = ParamSpec("P")
R = TypeVar("R")
StrPath = str | os.PathLike[str]
Paths = Sequence[StrPath] | StrPath
SHOWN = 40
MOST_PATH, MOST_NAME = 4095, 255
"""Bytes of a path and of its parts, on the systems that there are."""
MOST_BITS = 1024
"""Of a whole number, which is as large as the largest float then."""
OPTION = re.compile(r"( with )?--([a-z]+(?:-[a-z]+)*)")
ARGUMENTS = {
    **{name: name for name in ("assurance", "baseline", "inputs", "key", "only", "out", "policy")},
    **{name: name.replace("-", "_") for name in ("baseline-key", "ledger-key", "allow-recipe")},
    **{name: name.replace("-", "_") for name in ("allow-unsandboxed", "allow-target-code")},
    "approvals-key": "approval_keys",
    "target": "targets",
    "trust": "trust",
    "waiver": "waivers",
    "waiver-key": "waiver_keys",
    "witness-key": "witness_keys",
}
"""Each option of a command that messages name, and the argument that Python has for it."""


def read_path(value: object, argument: str, error: type[InvalidInputError] = UsageError) -> Path:
    """Return the path that an argument is. Raises ``error`` for what is none, and for ``''``."""
    return Path(read_path_name(value, argument, error))


def read_path_name(
    value: object, argument: str, error: type[InvalidInputError] = UsageError, *, uri: bool = False
) -> str:
    """Return a path as it is written: ``./baseline`` is never the pack ``baseline``.

    It may be as long as a ``uri``. Raises ``error``.
    """
    text = _read_path_text(value)
    if text is None:
        raise error(
            f"{argument} is {describe_value(value)}, not a path",
            cure="Pass a path, as text or pathlib.Path; save what is in memory first.",
        )
    if not text or "\0" in text or not _is_encodable(text, uri=uri):
        raise error(
            f"{argument} is {describe_value(text)}, which no file is called",
            cure="Pass the path of a file or a folder.",
        )
    return text


def _read_path_text(value: object) -> str | None:
    try:
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    except TypeError:  # of what says that it is a path, and is not
        return None
    return text if isinstance(text, str) else None


def _is_encodable(text: str, *, uri: bool) -> bool:
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return uri or (len(raw) <= MOST_PATH and max(map(len, raw.split(b"/"))) <= MOST_NAME)


def read_optional_path_name(value: object, argument: str) -> str | None:
    """Return a path as it is written, if it is given. Raises ``UsageError``."""
    return None if value is None else read_path_name(value, argument)


def read_optional_path(value: object, argument: str) -> Path | None:
    """Return the path that an argument is, if it is given. Raises ``UsageError``."""
    return None if value is None else read_path(value, argument)


def read_paths(value: object, argument: str) -> tuple[Path, ...]:
    """Return one path, or several, as a tuple. Raises ``UsageError``."""
    items = value if _is_listed(value) else (value,)
    return tuple(read_path(item, argument) for item in items)


def read_names(value: object, argument: str) -> tuple[str, ...]:
    """Return one name, or several, as a tuple. Raises ``UsageError``."""
    items = value if _is_listed(value) else (value,)
    names = tuple(item for item in items if isinstance(item, str))
    for item in items:
        if not isinstance(item, str):
            raise UsageError(
                f"{argument} is or holds {describe_value(item)}, which is not a name",
                cure=f"Pass names: {argument}=['…'].",
            )
    return names


def read_name(value: object, argument: str, kind: str) -> str:
    """Return the text that an argument is. Raises ``UsageError``, which says the ``kind`` of it."""
    if not isinstance(value, str):
        raise UsageError(
            f"{argument} is {describe_value(value)}, not {kind}", cure=f"Pass {kind}, as text."
        )
    return value


def read_flag(value: object, argument: str) -> bool:
    """Return whether an argument is set: a text such as ``'no'`` counts as neither.

    Raises ``UsageError``.
    """
    if not isinstance(value, bool):
        raise UsageError(
            f"{argument} is {describe_value(value)}, neither True nor False",
            cure=f"Pass {argument}=True or {argument}=False.",
        )
    return value


def read_setting(value: object, place: str, level: int = 0) -> Json:
    """Return a setting as an audit file can hold it: arrays, paths and dates become plain.

    Raises ``UsageError`` that names the ``place`` of what no file holds.
    """
    if level > MOST_LEVELS:
        raise UsageError(
            f"{place[:SHOWN]}… is nested deeper than {MOST_LEVELS} levels", cure="Make it flatter."
        )
    plain = _make_plain(value)
    match plain:
        case None | bool():
            return plain
        case float():
            return float(plain)
        case int() if plain.bit_length() <= MOST_BITS:
            return int(plain)
        case str() | bytes():
            return _read_text(plain, place)
        case Mapping():
            return _read_mapping(plain, place, level)
        case list() | tuple():
            return [read_setting(it, f"{place}.{at}", level + 1) for at, it in enumerate(plain)]
    raise UsageError(
        f"{place} is {describe_value(value)}, which no audit file can hold",
        cure="Pass numbers, texts, True or False, and lists and mappings of them.",
    )


def describe_value(value: object) -> str:
    """Say what a caller passed, in a few words."""
    if value is None:
        return "None"
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str | bool | int | float):
        shown = repr(value)
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    return f"an object of the class {type(value).__qualname__}"


def name_arguments(text: str, known: frozenset[str] = frozenset()) -> str:
    """Return a message with the arguments of Python in place of a command's options.

    ``known`` are the names of those that the caller has; a command in backticks stays as it is.
    """

    def name(found: re.Match[str]) -> str:
        before, argument = found[1] or "", ARGUMENTS.get(found[2])
        if argument is None:
            return found[0]
        near = (argument, argument.removesuffix("s"), f"{argument}s")
        if argument == "out" and before and known and argument not in known:
            return ""
        return f"{before}{next((it for it in near if it in known), argument)}=…"

    parts = text.split("`")
    return "`".join(it if at % 2 else OPTION.sub(name, it) for at, it in enumerate(parts))


def speak_python(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function of the API name its own arguments in errors, and no option of a command.

    A call that lacks an argument, or has one that there is not, raises ``UsageError``.
    """
    signature, name = inspect.signature(function), function.__qualname__.removesuffix(".__init__")
    known = frozenset(signature.parameters)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as mistake:
            strange = next((it for it in kwargs if it not in known), "")
            raise UsageError(
                f"auditor.{name}: {mistake}{suggest_near_names(strange, sorted(known))}",
                cure=f"`help(auditor.{name})` lists the arguments.",
            ) from None
        try:
            return function(*args, **kwargs)
        except AuditorError as error:
            error.problem = name_arguments(error.problem, known)
            error.cure = name_arguments(error.cure, known)
            error.args = (error.problem, error.cure)
            raise

    return called


def _make_plain(value: object) -> object:
    """Return what an array, an enumeration, a path or a date is in plain Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    return _read_path_text(value) or value


def _is_listed(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _read_text(text: str | bytes, place: str) -> str:
    if isinstance(text, bytes):
        raise UsageError(f"{place} holds bytes, not text", cure="Pass it as text: value.decode().")
    try:
        return text.encode().decode()  # of a subclass, too, the text itself
    except UnicodeEncodeError:
        raise UsageError(
            f"{place} holds half a character (a surrogate), which no file holds",
            cure="Pass other text, or rename the file.",
        ) from None


def _read_mapping(value: Mapping[object, object], place: str, level: int) -> dict[str, Json]:
    made: dict[str, Json] = {}
    for key, item in value.items():
        if isinstance(key, bool) or not isinstance(key, str | int | np.integer):
            raise UsageError(
                f"{place} has the key {describe_value(key)}, which is not a name",
                cure="Write its keys as texts.",
            )
        name = _read_text(str(key), place)
        if name in made:
            raise UsageError(f"{place} has the key {name!r} twice", cure="Remove one of the two.")
        made[name] = read_setting(item, f"{place}.{name}", level + 1)
    return made
