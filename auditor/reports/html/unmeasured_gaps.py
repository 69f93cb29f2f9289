"""Differences between groups of which a record has no figure, counted from its evidence.

Figures compare the favourable class, column by column. A model can treat groups alike by that and
apart by another class, or alike by each of two columns and apart by both together.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from auditor.domain.confusable_names import quote_name, quote_unclear_name
from auditor.domain.datasets import UNKNOWN, TextColumn, intersect_columns
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
MOST_PAIRS, MOST_GROUPS, MOST_TRIED = 200, 200, 3
PAIR = 2


def list_unmeasured_gaps(inputs: ReportInputs) -> tuple[str, ...]:
    """Return in words, the largest first, large differences that no figure compares."""
    found: dict[str, float] = {}
    for seen in inputs.record.observations:
        if seen.check == GROUPS:
            found.update({text: size for size, text in _list_gaps(inputs, seen)})
    return tuple(sorted(found, key=lambda text: -found[text]))


def _list_gaps(inputs: ReportInputs, seen: CheckObservation) -> Iterator[tuple[float, str]]:
    columns, stacked = inputs.evidence(seen, "columns"), inputs.evidence(seen, "codes")
    task = inputs.evidence(seen, "task")
    found = find_decisions(inputs, seen.target)
    favourable = task.get(FAVOURABLE) if isinstance(task, Mapping) else None
    if not isinstance(columns, list) or not isinstance(stacked, np.ndarray) or found is None:
        return
    decided, classes = found
    if stacked.shape[-1] != len(decided) or favourable not in classes:
        return
    members = {
        str(it["name"]): TextColumn(tuple(map(str, names)), codes)
        for it, codes in zip(columns, stacked, strict=True)
        if isinstance(it, Mapping) and isinstance(names := it.get("groups"), list)
    }
    hoped = classes.index(str(favourable))
    others = [at for at in range(len(classes)) if at != hoped] if len(classes) > PAIR else []
    for name, one in members.items():
        yield from _compare(quote_unclear_name(name), one, decided, classes, others)
    for first, second in list(combinations(members, PAIR))[:MOST_PAIRS]:
        both = intersect_columns([members[first], members[second]], UNKNOWN)
        if not any(_tells(one, both) for one in members.values()):
            by = f"{quote_unclear_name(first)} and {quote_unclear_name(second)} together"
            yield from _compare(by, both, decided, classes, [hoped])


def _tells(one: TextColumn, both: TextColumn) -> bool:
    """Whether the groups of one column alone tell those of two, so that its figures are theirs.

    Names prove nothing: whoever writes the data can call any column ``sex, race``.
    """
    if max(len(one.names), len(both.names)) > MOST_GROUPS:
        return False
    cells = tabulate((one.codes, both.codes), (len(one.names), len(both.names)))
    named = cells[:, [name != UNKNOWN for name in both.names]]
    known = np.array([name != UNKNOWN for name in one.names])
    return bool((np.count_nonzero(named[known], axis=1) <= 1).all() and not named[~known].any())


def _compare(
    by: str, members: TextColumn, decided: Codes, classes: Sequence[str], asked: Sequence[int]
) -> Iterator[tuple[float, str]]:
    """Yield how differently often groups get one of the ``asked`` classes, if surely by much.

    With the size of the difference.
    """
    if len(members.names) > MOST_GROUPS:
        return
    cells = tabulate((members.codes, decided), (len(members.names), len(classes)))
    rows = cells.sum(axis=1)
    known = np.array([name != UNKNOWN for name in members.names])
    large = np.flatnonzero((rows >= FEW_ROWS) & known)
    if len(large) < PAIR:
        return
    apart = np.ptp(cells[large] / rows[large, None], axis=0)
    for at in sorted(asked, key=lambda it: -apart[it])[:MOST_TRIED]:
        gap = max_gap(cells[large, at], rows[large], CONFIDENCE, len(classes))
        if gap.interval.low is None or gap.interval.low <= LARGE:
            continue
        ends = [
            f"{format_number(round(cells[it, at] / rows[it], 2), Unit.SHARE)} of "
            f"{quote_unclear_name(members.names[it])}"
            for it in (large[gap.lowest], large[gap.highest])
        ]
        text = f"{quote_name(classes[at])} is decided for {ends[0]} and {ends[1]} (by {by})"
        yield float(apart[at]), text
        return
