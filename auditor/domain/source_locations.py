"""Source locations of the audit file and the policy in the owner's repository."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from auditor.domain.json import Json, OmitUnset, build_field_error, read_json, write_fields

UPWARDS = re.compile(r"(^|/)\.\.?(/|$)")


@dataclass(frozen=True, slots=True, order=True)
class SourceLine:
    """One line of a file: its number, from 1, and how many characters it has."""

    number: int
    width: int

    def to_json(self) -> list[Json]:
        """Return the record's form."""
        return [self.number, self.width]

    @classmethod
    def from_json(cls, found: Json, place: str) -> "SourceLine":
        """Read the line back. Raises ``RecordError`` for what is none."""
        said = read_json(tuple[int, ...], found, place)
        if len(said) != 2 or said[0] < 1 or said[1] < 0:  # noqa: PLR2004 -- a pair
            raise build_field_error(place, "the number of a line and its width")
        return cls(*said)


def _refuse_foreign_path(path: str, place: str) -> None:
    if not path or path.startswith("/") or "\\" in path or UPWARDS.search(path):
        raise build_field_error(place, "a path from the root of a repository")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file by its path from the root of its repository, and the line of each part that it has.

    The parts of a policy are its rules, by id; those of an audit file are its settings, as
    ``model.artifact``. ``first`` is where all stands that has no line of its own.
    """

    path: Annotated[str, _refuse_foreign_path]
    first: SourceLine
    lines: Mapping[str, SourceLine] = field(default_factory=dict)

    def line(self, *parts: str) -> SourceLine:
        """Return the line of the first of ``parts`` that has one."""
        found = (self.lines[part] for part in parts if part in self.lines)
        return next(found, self.first)

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class SourceLocations:
    """Where what was asked is written; ``policy`` is ``None`` for a pack, or a file elsewhere."""

    audit_file: SourceFile
    policy: OmitUnset[SourceFile | None] = None

    to_json = write_fields
