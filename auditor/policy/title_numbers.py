"""Lint of titles: a number that reads as the rule's limit and is another one."""

import math
import re
from collections.abc import Iterator

from auditor.domain.policies import MetricLimits
from auditor.domain.readings import Unit
from auditor.errors import PolicyError
from auditor.policy.lint_remarks import LintRemark
from auditor.policy.schema import convert_to_unit
from auditor.policy.unvalidated_policy import LIMIT, RuleDraft

NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\d.]*(?:-|st|nd|rd|th)\w*)")
"""A number by itself: neither *99th* nor *8-bit* nor *L2*."""
UNIT = re.compile(r"\s?(%|[A-Za-zµ/]+)")


def lint_title(entry: RuleDraft, limits: MetricLimits) -> Iterator[LintRemark]:
    """Say where a title has a number that is neither a limit of its rule nor a place of it.

    A title with ``{limit}`` states the limit that the rule has.
    """
    title = entry.rule.title or ""
    if LIMIT in title:
        return
    places = (value for value in entry.rule.where.values() if isinstance(value, int | float))
    known = [end for end in (limits.least, limits.most, *places) if end is not None]
    for found in NUMBER.finditer(title):
        unit = UNIT.match(title, found.end())
        written, number = _read(entry, found[0], "" if unit is None else unit[1])
        if not any(math.isclose(number, other) for other in known):
            yield entry.warning(
                "title",
                f"the title has the number {written}, and the limit of the rule is {entry.asked}",
                f"Write `{LIMIT}` in the title, where the limit stands.",
            )


def _read(entry: RuleDraft, number: str, unit: str) -> tuple[str, float]:
    """Return a number with its unit, and its value in the unit of the rule's metric.

    A word after a number is no unit.
    """
    of = Unit.NONE if entry.metric is None else entry.metric.unit
    written = f"{number} {unit}"
    try:
        return written, convert_to_unit(written, of, entry.rule.measure)
    except PolicyError:
        return written if unit == "%" else number, float(number)
