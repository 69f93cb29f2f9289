"""Selective disclosure: how far a record binds its evidence, and what it keeps to itself."""

from collections.abc import Mapping
from enum import StrEnum

from auditor.domain.json import Json

NAMING = frozenset({"examples", "groups", "leaked", "row", "suspects", "worst_rows"})
"""Details that list rows by their ids; a mapping of that name holds counts, and stays."""


class DisclosureMode(StrEnum):
    """How far a record binds its evidence, so that parts of it can be withheld later."""

    ROWS = "rows"


def strip_row_details(details: Mapping[str, Json]) -> dict[str, Json]:
    """Return a reading's details without those that name rows."""
    return {
        name: value
        for name, value in details.items()
        if name not in NAMING or isinstance(value, Mapping)
    }
