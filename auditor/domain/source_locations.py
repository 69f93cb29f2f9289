"""Places: where in the owner's repository the audit file and the policy were written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.domain.json import Json, JsonPart, build_field_error

UPWARDS = re.compile(r"(^|/)\.\.?(/|$)")


@dataclass(frozen=True, slots=True, order=True)
class SourceLine:
    """One line of a file: its number, from 1, and how many characters it has."""

    number: int
    width: int

    def to_json(self) -> list[Json]:
        """Return the record's form."""
        return [self.number, self.width]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file by its path from the root of its repository, and the line of each part that it has.

    The parts of a policy are its rules, by id; those of an audit file are its settings, as
    ``model.artifact``. ``first`` is where all stands that has no line of its own.
    """

    path: str
    first: SourceLine
    lines: Mapping[str, SourceLine] = field(default_factory=dict)

    def line(self, *parts: str) -> SourceLine:
        """Return the line of the first of ``parts`` that has one."""
        found = (self.lines[part] for part in parts if part in self.lines)
        return next(found, self.first)

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        lines: dict[str, Json] = {name: line.to_json() for name, line in self.lines.items()}
        return {"path": self.path, "first": self.first.to_json(), "lines": lines}


@dataclass(frozen=True, slots=True)
class SourceLocations:
    """Where what was asked is written; ``policy`` is ``None`` for a pack, or a file elsewhere."""

    audit_file: SourceFile
    policy: SourceFile | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        policy = {} if self.policy is None else {"policy": self.policy.to_json()}
        return {"audit_file": self.audit_file.to_json(), **policy}


def read_source_locations(part: JsonPart) -> SourceLocations:
    """Read places back. Raises ``RecordError`` for what is no place below a repository's root."""
    policy = _file(part.part("policy")) if "policy" in part.value else None
    return SourceLocations(_file(part.part("audit_file")), policy)


def _file(part: JsonPart) -> SourceFile:
    path = part.get("path", str)
    if not path or path.startswith("/") or "\\" in path or UPWARDS.search(path):
        raise build_field_error(f"{part.place}.path", "a path from the root of a repository")
    lines = part.part("lines")
    return SourceFile(
        path, _line(part, "first"), {name: _line(lines, name) for name in lines.value}
    )


def _line(part: JsonPart, name: str) -> SourceLine:
    found = part.numbers(name)
    if len(found) != 2 or found[0] < 1 or found[1] < 0:  # noqa: PLR2004 -- a pair
        raise build_field_error(f"{part.place}.{name}", "the number of a line and its width")
    return SourceLine(*found)
