"""YAML documents that people write: read strictly, with the line of every mistake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.domain.json import Json
from auditor.domain.name_suggestions import suggest_names
from auditor.domain.text_limits import MOST_NAME, MOST_TEXT, explain_too_long
from auditor.errors import InvalidInputError

Place = tuple[str | int, ...]
MOST_NODES = 100_000
MOST_LEVELS = 100
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml where there is one: it reads the same language ten times as fast."""
M = TypeVar("M", bound="StrictModel")


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
        """Say ``file:line`` of the nearest enclosing place that the document really has."""
        while place and place not in self.lines and place not in self.elsewhere:
            place = place[:-1]
        if place in self.elsewhere:
            return self.elsewhere[place]
        line = self.lines.get(place)
        return self.source if line is None else f"{self.source}:{line}"


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
        raise error(
            f"{source}:{line}: {mistake.problem}", cure="Mend the YAML at that line."
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as mistake:
        raise error(f"{source}: {mistake}", cure="Mend the YAML.") from None
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
        found = [_words(document, mistake, shape) for mistake in mistakes.errors()]
        raise error("; ".join(found), cure="Mend the lines named.") from None


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
    elif mistake["type"] == "string_too_long":
        reason = explain_too_long(str(mistake["input"]), mistake["ctx"]["max_length"])
    return f"{document.where(place)}: {name}: {reason}"


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
            return self._mapping(node, place)
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

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        built: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            _refuse_long(key, line)
            if key in built:
                message = f"line {line}: {key!r} stands twice"
                raise ValueError(message)
            built[key] = self.build(value_node, (*place, key))
            self.lines[*place, key] = line
        return built


def _refuse_long(text: str, line: int, most: int = MOST_NAME) -> None:
    mistake = explain_too_long(text, most)
    if mistake:
        message = f"line {line}: {mistake}"
        raise ValueError(message)
