"""Conditions in CEL, the Common Expression Language; the one module that knows its engine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from auditor.domain.cel_limits import (
    ConditionSizes,
    find_condition_sizes,
    list_condition_names,
    refuse_condition,
    refuse_values,
)
from auditor.domain.json import Json
from auditor.errors import ConditionError, PolicyError

_COMPLAINT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class VariableKind(StrEnum):
    """What a variable of a condition holds."""

    TEXT = "text"
    FLAG = "flag"
    MAP = "map"
    MAPS = "maps"


Variables = Mapping[str, VariableKind]

ABOUT_MODEL: Variables = MappingProxyType(
    {
        "params": VariableKind.MAP,
        "model": VariableKind.MAP,
        "claims": VariableKind.MAP,
        "target": VariableKind.TEXT,
        "served": VariableKind.FLAG,
        "task": VariableKind.TEXT,
        "predictions_only": VariableKind.FLAG,
    }
)
"""What ``when`` and ``applies_to`` may speak of: nothing that was measured. ``served`` says that
the target is an endpoint or a cascade, ``predictions_only`` that no model was given."""

ABOUT_READINGS: Variables = MappingProxyType(
    {**ABOUT_MODEL, "reading": VariableKind.MAP, "readings": VariableKind.MAPS}
)
"""What ``require`` may speak of."""

_TYPES = {
    VariableKind.TEXT: cel.Type.STRING,
    VariableKind.FLAG: cel.Type.BOOL,
    VariableKind.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    VariableKind.MAPS: cel.Type.List(cel.Type.Map(cel.Type.STRING, cel.Type.DYN)),
}


@dataclass(frozen=True, slots=True)
class CelCondition:
    """A compiled question with the answer yes or no; safe to share between threads."""

    text: str
    speaks_of: frozenset[str]
    most: ConditionSizes
    _program: cel.Expression = field(repr=False, compare=False)

    def evaluate(self, bindings: Mapping[str, Json]) -> bool:
        """Answer for these values, where every number counts as a double.

        Raises ``ConditionError`` when a value is missing, has the wrong kind, is too large, or the
        work budget (10,000 loop steps) is spent: none of that is an answer.
        """
        there = self.speaks_of & bindings.keys()
        return self.answer({name: convert_to_doubles(bindings[name]) for name in there})

    def answer(self, values: Mapping[str, Json]) -> bool:
        """Answer for values whose numbers are doubles already, as ``evaluate`` does."""
        given = {name: values[name] for name in self.speaks_of if name in values}
        refuse_values(given, self.most)
        try:
            answer = self._program.eval(data=given)
        except RuntimeError as mistake:  # how the engine reports a spent budget
            raise _undecided(self.text, str(mistake)) from None
        found = answer.plain_value()
        if isinstance(found, bool):
            return found
        failed = answer.type() == cel.Type.ERROR
        raise _undecided(self.text, str(found) if failed else f"{found!r} is not yes or no")


def compile_condition(text: str, variables: Variables) -> CelCondition:
    """Compile ``text``; equal questions are compiled once.

    Raises ``PolicyError`` that names line and column, with a caret under the mistake.
    """
    return _compile(text, tuple(sorted(variables.items())))


def convert_to_doubles(value: Json) -> Json:
    """Return ``value`` with every number as a float, so that a reload changes no answer.

    Canonical JSON writes 1.0 as ``1``, which reads back as an integer; CEL keeps the two apart.
    """
    if isinstance(value, str):
        return str(value)  # the engine knows no text of a class of its own, as a digest is
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): convert_to_doubles(item) for key, item in value.items()}
    return [convert_to_doubles(item) for item in value]


@lru_cache(maxsize=4096)
def _compile(text: str, variables: tuple[tuple[str, VariableKind], ...]) -> CelCondition:
    refuse_condition(text)
    names = ", ".join(name for name, _ in variables)
    try:
        program = _environment(variables).compile(text)
    except RuntimeError as mistake:
        raise PolicyError(
            _complaint(text, str(mistake)),
            cure=f"Mend the condition; the names it may use are {names}.",
        ) from None
    if program.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise PolicyError(
            f"the condition `{text}` gives a {program.return_type().name().lower()}, not yes or no",
            cure="Compare it with something, so that it is true or false.",
        )
    speaks_of = frozenset(name for name, _ in variables) & list_condition_names(text)
    return CelCondition(text, speaks_of, find_condition_sizes(text), program)


@lru_cache(maxsize=16)
def _environment(variables: tuple[tuple[str, VariableKind], ...]) -> cel.Env:
    types = {name: _TYPES[kind] for name, kind in variables}
    return cel.NewEnv(variables=types, extensions=[ext_strings.ExtStrings()])


def _complaint(text: str, engine: str) -> str:
    found = _COMPLAINT.search(engine)
    if found is None or found.group(1) == "-1":
        return f"the condition `{text[:80]}` does not compile: {_plain(engine)}"
    line, column, reason = int(found.group(1)), int(found.group(2)), _plain(found.group(3))
    written = text.splitlines()[line - 1] if text.strip() else text
    caret = " " * (column - 1) + "^"
    return f"line {line}, column {column} of the condition: {reason}\n  {written}\n  {caret}"


def _plain(engine: str) -> str:
    text = engine.splitlines()[0].removesuffix("[INVALID_ARGUMENT]").strip()
    return text.replace(" (in container '')", "").removeprefix("INVALID_ARGUMENT: ")


def _undecided(text: str, engine: str) -> ConditionError:
    return ConditionError(
        f"the condition `{text}` has no answer: {_plain(engine)}",
        cure="Ask only for what every reading of this metric has.",
    )
