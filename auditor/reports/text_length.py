"""Shortens summaries to the length that the systems that show them permit."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from auditor.reports.wording import shorten_text

MOST_BYTES = 1_000_000
"""GitHub takes 1 MiB as the summary of a step, and refuses all of a longer one."""
LONGEST_LINE = 2_000
"""Of a summary that is too long otherwise."""


def fit_lines(lines: Sequence[str], tail: Sequence[str]) -> list[str]:
    """Return lines and their tail; of too many, the long ones are cut and the last left out."""
    if _size([*lines, *tail]) <= MOST_BYTES:
        return [*lines, *tail]
    shorter = [shorten_text(line, LONGEST_LINE) for line in lines]
    sizes = accumulate(_size([line]) for line in shorter)
    kept = sum(size <= MOST_BYTES - LONGEST_LINE - _size(tail) for size in sizes)
    lost = f"Lines are cut here, and {len(lines) - kept} left out: `record.json` has all."
    return [*shorter[:kept], "", lost, *tail]


def count_octets(text: str) -> int:
    """Return how many bytes a text takes as it is written, in UTF-8."""
    return len(text.encode("utf-8", errors="replace"))


def _size(lines: Iterable[str]) -> int:
    return sum(count_octets(line) + 1 for line in lines)
