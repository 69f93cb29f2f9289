"""Differences between groups of which a record has no figure, counted from its evidence.

Figures compare the favourable class, column by column. A model can treat groups alike by that and
apart by another class, or alike by each of two columns and apart by both together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auditor.domain.confusable_names import quote_name, quote_unclear_name
from auditor.domain.datasets import UNKNOWN
from auditor.domain.number_text import format_number
from auditor.domain.readings import Unit
from auditor.domain.records import CheckObservation
from auditor.domain.tasks import FAVOURABLE
from auditor.metrics.stats.group_gaps import max_gap, tabulate
from auditor.reports.html.judged_data import Codes, find_decisions
from auditor.reports.rendering_inputs import ReportInputs

GROUPS = "fairness.groups"
LARGE, CONFIDENCE = 0.1, 0.95
"""A difference is told where the lower end of its interval is beyond this."""
FEW_ROWS = 20
"""Groups of fewer rows are left out: their rates say little."""
MOST_PAIRS, MOST_GROUPS, MOST_TRIED = 10, 200, 3
PAIR = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """The groups of a column, or of two together, and the group ``[n]`` of each row."""

    by: str
    names: tuple[str, ...]
    codes: Codes


def list_unmeasured_gaps(inputs: ReportInputs) -> tuple[str, ...]:
    """Return in words the largest difference of each column and class that no figure compares."""
    found: dict[str, None] = {}
    for seen in inputs.record.observations:
        if seen.check == GROUPS:
            found.update(dict.fromkeys(_list_gaps(inputs, seen)))
    return tuple(found)


def _list_gaps(inputs: ReportInputs, seen: CheckObservation) -> Iterator[str]:
    columns, stacked = inputs.evidence(seen, "columns"), inputs.evidence(seen, "codes")
    task = inputs.evidence(seen, "task")
    found = find_decisions(inputs, seen.target)
    favourable = task.get(FAVOURABLE) if isinstance(task, Mapping) else None
    if not isinstance(columns, list) or not isinstance(stacked, np.ndarray) or found is None:
        return
    decided, classes = found
    if stacked.shape[-1] != len(decided) or favourable not in classes:
        return
    members = [
        _Members(str(it["name"]), tuple(map(str, names)), codes.astype(np.int64))
        for it, codes in zip(columns, stacked, strict=True)
        if isinstance(it, Mapping) and isinstance(names := it.get("groups"), list)
    ]
    hoped = classes.index(str(favourable))
    if len(classes) > PAIR:
        for one in members:
            yield from _compare(one, decided, classes, without=hoped)
    joined = {it.by for it in members}
    for first, second in list(combinations(members, PAIR))[:MOST_PAIRS]:
        if not any(first.by in it and second.by in it for it in joined - {first.by, second.by}):
            both = _join(first, second)
            yield from _compare(both, decided, classes, only=hoped)


def _join(first: _Members, second: _Members) -> _Members:
    """Return the groups of two columns together."""
    names = tuple(
        UNKNOWN if UNKNOWN in (a, b) else f"{a}, {b}" for a in first.names for b in second.names
    )
    by = f"{quote_unclear_name(first.by)} and {quote_unclear_name(second.by)} together"
    return _Members(by, names, first.codes * len(second.names) + second.codes)


def _compare(
    members: _Members, decided: Codes, classes: Sequence[str], *,
    only: int | None = None, without: int | None = None,
) -> Iterator[str]:  # fmt: skip
    """Yield the largest difference in how often a class is decided, where it is surely large."""
    if len(members.names) > MOST_GROUPS:
        return
    cells = tabulate((members.codes, decided), (len(members.names), len(classes)))
    rows = cells.sum(axis=1)
    known = np.array([name != UNKNOWN for name in members.names])
    large = np.flatnonzero((rows >= FEW_ROWS) & known)
    if len(large) < PAIR:
        return
    apart = np.ptp(cells[large] / rows[large, None], axis=0)
    if without is not None:
        apart[without] = -1.0
    tried = [only] if only is not None else np.argsort(-apart)[:MOST_TRIED].tolist()
    for at in tried:
        gap = max_gap(cells[large, at], rows[large], CONFIDENCE, len(classes))
        if gap.interval.low is None or gap.interval.low <= LARGE:
            continue
        ends = [
            f"{format_number(round(cells[it, at] / rows[it], 2), Unit.SHARE)} of "
            f"{quote_unclear_name(members.names[it])}"
            for it in (large[gap.lowest], large[gap.highest])
        ]
        by = members.by if only is not None else quote_unclear_name(members.by)
        yield f"{quote_name(classes[at])} is decided for {ends[0]} and {ends[1]} (by {by})"
        return
