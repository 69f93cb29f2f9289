"""Strict YAML documents that people write, with the line of every mistake."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import shorten
from types import MappingProxyType
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.domain.digests import Digest
from auditor.domain.json import Json
from auditor.domain.name_suggestions import suggest_names
from auditor.domain.text_limits import MOST_NAME, MOST_TEXT, explain_too_long
from auditor.errors import InvalidInputError

Place = tuple[str | int, ...]
MOST_NODES = 100_000
MOST_LEVELS = 100
MOST_WHOLE = 10**15
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml where there is one: it reads the same language ten times as fast."""
M = TypeVar("M", bound="StrictModel")
MOST_SHOWN = 60
"""Characters of a value that a message repeats."""
REQUEST = "the audit request"
"""What a document is called that a program made: it has no lines that anybody could look up."""
LINE = re.compile(r"^line \d+: ")
QUOTED = re.compile(r"'([^']*)'")
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "dict_type": "a section of `key: value` lines",
        "float_parsing": "a number",
        "float_type": "a number",
        "int_from_float": "a whole number",
        "int_parsing": "a whole number",
        "int_type": "a whole number",
        "list_type": "a list, such as [a, b]",
        "model_type": "a section of `key: value` lines",
        "string_type": "a text",
        "tuple_type": "a list, such as [a, b]",
    }
)
"""What a setting must be, by pydantic's name for the mistake."""
yaml.SafeDumper.add_representer(Digest, yaml.SafeDumper.represent_str)


class StrictModel(BaseModel):
    """A part of a document; unknown keys are refused, and texts are as long as names may be.

    A field that holds a path or a text for people says how long that may be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=MOST_NAME)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed YAML document with the line (from 1) at which each key or item stands.

    ``elsewhere`` says ``file:line`` of what was taken over from other documents.
    """

    source: str
    content: Mapping[str, Json]
    lines: Mapping[Place, int] = field(default_factory=dict)
    elsewhere: Mapping[Place, str] = field(default_factory=dict)

    def where(self, place: Place) -> str:
        """Say ``file:line`` of the nearest enclosing place that the document really has.

        Of a document that a program made it is the name alone.
        """
        while place and place not in self.lines and place not in self.elsewhere:
            place = place[:-1]
        if place in self.elsewhere:
            return self.elsewhere[place]
        line = self.lines.get(place)
        made = line is None or self.source == REQUEST
        return self.source if made else f"{self.source}:{line}"


def write_number(value: float) -> str:
    """Return a number as YAML reads one: `7e+04` would be a text, for want of a dot."""
    if value == int(value) and abs(value) < MOST_WHOLE:
        return str(int(value))
    return str(yaml.representer.SafeRepresenter().represent_float(value).value)


def read_yaml_document(raw: bytes, source: str, error: type[InvalidInputError]) -> YamlDocument:
    """Parse ``raw`` as one YAML mapping. Raises ``error`` with file, line and cure."""
    try:
        text = raw.decode("utf-8")
        node = _composed(text)
        lines: dict[Place, int] = {}
        content = None if node is None else _YamlBuilder(lines).build(node, ())
    except UnicodeDecodeError as mistake:
        raise error(
            f"{source} is not UTF-8 text (byte {mistake.start})", cure="Save it as UTF-8."
        ) from None
    except yaml.MarkedYAMLError as mistake:
        mark = mistake.problem_mark
        # Where something is missing, libyaml marks the line below the last.
        last = len(text.rstrip("\r\n").splitlines()) or 1
        line = 1 if mark is None else min(mark.line + 1, last)
        problem = mistake.problem or ""
        cure = "Fix the YAML at that line."
        if "nesting depth" in problem:  # as PyYAML says it from 6.0.4 on
            problem = "settings are nested too deeply"
        elif "\t" in text.splitlines()[line - 1]:
            problem, cure = "a tab where only spaces can stand", "Indent with spaces."
        raise error(f"{source}:{line}: {problem}", cure=cure) from None
    except (yaml.YAMLError, RecursionError, ValueError) as mistake:
        if source == REQUEST:
            problem = LINE.sub("", str(mistake))
            raise error(f"{source}: {problem}", cure="Fix the setting.") from None
        raise error(f"{source}: {mistake}", cure="Fix the YAML.") from None
    if not isinstance(content, dict) or not content:
        raise error(f"{source} holds no settings", cure="Write `key: value` lines into it.")
    return YamlDocument(source, cast("dict[str, Json]", content), lines)


def locate_json_lines(raw: bytes) -> Mapping[Place, int]:
    """Return the line at which each key or item of well-formed JSON stands.

    None where YAML, of which JSON is nearly a part, cannot read it.
    """
    lines: dict[Place, int] = {}
    try:
        # A tab stands only between tokens there, and YAML bears none before one.
        node = _composed(raw.decode("utf-8").replace("\t", " "))
        if node is not None:
            _YamlBuilder(lines).build(node, ())
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return lines


def _composed(text: str) -> yaml.Node | None:
    """Return what a text says, nested no deeper than a stack bears: libyaml's composer is C.

    Raises ``ValueError`` with the line where it is nested deeper, and ``yaml.YAMLError``.
    """
    level = 0
    for event in yaml.parse(text, Loader=LOADER):
        level += isinstance(event, yaml.CollectionStartEvent)
        level -= isinstance(event, yaml.CollectionEndEvent)
        if level > MOST_LEVELS:
            line = 1 if event.start_mark is None else event.start_mark.line + 1
            message = f"line {line}: settings are nested deeper than {MOST_LEVELS} levels"
            raise ValueError(message)
    return yaml.compose(text, Loader=LOADER)


def validate_document(document: YamlDocument, shape: type[M], error: type[InvalidInputError]) -> M:
    """Read a document as ``shape``. Raises ``error`` that names every mistake, line by line."""
    try:
        return shape.model_validate(document.content, strict=False)
    except ValidationError as mistakes:
        # Of a file of another kind only that is said: nothing else in it is a mistake.
        for mistake in mistakes.errors():
            if mistake["loc"] == ("kind",) and mistake["type"] == "literal_error":
                kind = ", ".join(QUOTED.findall(mistake["ctx"]["expected"]))
                where, given = document.where(("kind",)), shorten(str(mistake["input"]), MOST_SHOWN)
                raise error(
                    f"{where}: kind: the file is of kind {given!r}, and {kind!r} is needed",
                    cure=f"Name a file of kind {kind}.",
                ) from None
        found = [_words(document, mistake, shape) for mistake in mistakes.errors()]
        cure = "Fix the lines named."
        if document.source == REQUEST:
            cure = "Fix the settings named: sections are dicts, lists are lists."
        raise error("; ".join(found), cure=cure) from None


def _words(document: YamlDocument, mistake: Any, shape: type[BaseModel]) -> str:  # noqa: ANN401 -- pydantic's own
    place = cast("Place", mistake["loc"])
    name = ".".join(str(part) for part in place)
    reason = str(mistake["msg"])
    if mistake["type"] == "extra_forbidden":
        siblings = _siblings(shape, place)
        told = (
            suggest_names(str(place[-1]), siblings)
            if siblings
            else "the documentation names others"
        )
        reason = f"there is no such setting; {told}"
    elif mistake["type"] == "missing":
        reason = "this setting is missing"
    elif mistake["type"] in {"literal_error", "enum"}:
        reason = _describe_choice(mistake["input"], mistake["ctx"]["expected"])
    elif mistake["type"] in KINDS:
        reason = f"it must be {KINDS[mistake['type']]}"
    elif mistake["type"] == "string_too_long":
        reason = explain_too_long(str(mistake["input"]), mistake["ctx"]["max_length"])
    return f"{document.where(place)}: {name}: {reason}"


def _describe_choice(given: object, expected: str) -> str:
    """Say that a value is none of those that a setting takes, and which is nearest."""
    options = QUOTED.findall(expected)
    if isinstance(given, str) and options:
        known = suggest_names(given, options, repr)
        return f"{shorten(given, MOST_SHOWN)!r} is not known here; {known}"
    return f"it must be {expected}"


def _siblings(shape: type[BaseModel], place: Place) -> tuple[str, ...]:
    for part in (name for name in place[:-1] if isinstance(name, str)):
        field_of = shape.model_fields.get(part)
        inner = None if field_of is None else _model_in(field_of.annotation)
        if inner is None:
            return ()
        shape = inner
    return tuple(item.alias or name for name, item in shape.model_fields.items())


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _YamlBuilder:
    """What a document's nodes mean; ``lines`` is told where each stands."""

    lines: dict[Place, int]
    meaning: yaml.constructor.SafeConstructor = field(
        default_factory=yaml.constructor.SafeConstructor
    )

    def build(self, node: yaml.Node, place: Place) -> object:
        self.lines[place] = line = node.start_mark.line + 1
        if len(self.lines) > MOST_NODES:
            raise ValueError("aliases make the document larger than 100,000 settings")
        if isinstance(node, yaml.MappingNode):
            built: dict[str, object] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                mapping_line = key_node.start_mark.line + 1
                _refuse_long(key, mapping_line)
                if key in built:
                    mapping_message = f"line {mapping_line}: {key!r} stands twice"
                    raise ValueError(mapping_message)
                built[key] = self.build(value_node, (*place, key))
                self.lines[*place, key] = mapping_line
            return built
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]
        try:
            value = self.meaning.construct_object(node, deep=True)
        except ValueError as mistake:  # a date that is none, a number of thousands of digits
            message = f"line {line}: {mistake}"
            raise ValueError(message) from None
        except (LookupError, AttributeError):  # what the constructors of single tags stumble over
            message = f"line {line}: {str(node.value)[:60]!r} is no {node.tag.rpartition(':')[2]}"
            raise ValueError(message) from None
        if isinstance(value, str):
            _refuse_long(value, line, MOST_TEXT)
        if isinstance(value, bool | int | float | str) or value is None:
            return value
        return str(node.value)  # dates stay the text that was written


def _refuse_long(text: str, line: int, most: int = MOST_NAME) -> None:
    mistake = explain_too_long(text, most)
    if mistake:
        message = f"line {line}: {mistake}"
        raise ValueError(message)
