"""Texts of the report that no record changes: glossary, plain words, what no tool can evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from auditor.documents import read_document
from auditor.errors import InvalidInputError
from auditor.shipped import shipped


@dataclass(frozen=True, slots=True)
class OutsideRow:
    """Something that a regulation or a standard asks for and that people must write or do.

    ``here`` is what the report adds to it, empty where it adds nothing.
    """

    ref: str
    asks: str
    here: str
    you: str


@dataclass(frozen=True, slots=True)
class PlainWords:
    """What a check looks at, and what helps where it finds something bad."""

    about: str
    cures: tuple[str, ...]


@lru_cache(maxsize=1)
def plain_words() -> Mapping[str, PlainWords]:
    """Return what checks of hardware look at, by check."""
    listed: dict[str, dict[str, Any]] = _read("hardware.yaml")
    return {
        check: PlainWords(told["about"], tuple(told["cures"])) for check, told in listed.items()
    }


@lru_cache(maxsize=1)
def outside() -> Mapping[str, tuple[OutsideRow, ...]]:
    """Return what no measurement of a model can evidence alone, by heading."""
    listed: dict[str, list[dict[str, Any]]] = _read("outside.yaml")
    return {
        heading: tuple(
            OutsideRow(row["ref"], row["asks"], row.get("here", ""), row["you"]) for row in rows
        )
        for heading, rows in listed.items()
    }


@lru_cache(maxsize=1)
def glossary() -> Mapping[str, str]:
    """Return the report's own words and what they mean."""
    found: dict[str, str] = _read("glossary.yaml")
    return found


def _read(name: str) -> Any:  # noqa: ANN401 -- each caller says the shape of its own file
    return read_document((shipped("reports") / name).read_bytes(), name, InvalidInputError).content
