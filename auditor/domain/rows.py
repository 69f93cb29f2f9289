"""What of a check's evidence is about single rows, so that these can be withheld."""

from dataclasses import dataclass

from auditor.domain.checks import Check

IDS = "ids"
"""The item that names the rows, in every check that says which of its items go by row."""


@dataclass(frozen=True, slots=True)
class ByRow:
    """What a check says of its evidence.

    ``each`` names the items whose first axis runs over ``ids`` (lists, and objects of lists, of
    that length too), ``apart`` those that tell nothing of any row. What is named in neither is
    withheld as a whole. ``counted`` names the metrics that are a share of all rows, to which
    each row adds nothing or one.
    """

    each: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()


def by_row(check: Check | type[Check]) -> ByRow:
    """Return what a check says of its rows in a class variable ``by_row``; by default nothing."""
    said: ByRow = getattr(check, "by_row", ByRow())
    return said
