"""Versions in order: numbers between dots, and before the release what follows a hyphen.

Source: Semantic Versioning 2.0.0, section 11, for any count of numbers.
"""

import re
from math import inf
from typing import TypeAlias

MOST = 200
_VERSION = re.compile(
    r"v?(?P<numbers>\d{1,18}(?:\.\d{1,18})*)(?:-(?P<before>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
Order: TypeAlias = tuple[tuple[int, ...], bool, tuple[tuple[float, str], ...]]


def order_of(version: str) -> Order | None:
    """Return by what a version is compared; ``None`` for one that has no place in the order.

    Trailing zeros say nothing (1.2 is 1.2.0), nor does what follows a plus sign.
    """
    found = _VERSION.fullmatch(version) if len(version) <= MOST else None
    if found is None:
        return None
    numbers = [int(part) for part in found["numbers"].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    before = found["before"]
    parts = () if before is None else tuple(_identifier(part) for part in before.split("."))
    return tuple(numbers), before is None, parts


def _identifier(part: str) -> tuple[float, str]:
    """Numbers come before words, and are compared as numbers."""
    return (int(part), "") if part.isdigit() else (inf, part)
