"""Changes since the baseline in the report, from two signed records alone.

No evidence of the baseline is at hand in a record's folder, so that nothing is compared row by row.
"""

import math
from dataclasses import dataclass, replace

from auditor._time import format_moment
from auditor.domain.baselines import load_compared_record
from auditor.domain.number_text import format_percent
from auditor.domain.readings import Unit
from auditor.domain.records import AuditRecord
from auditor.domain.report_panels import interval_ends
from auditor.errors import AuditorError
from auditor.policy.record_comparison import RecordSide, compare_records
from auditor.policy.record_comparison_result import ComparisonDirection
from auditor.reports.html.comparison import (
    BOUND,
    WAYS,
    ComparisonView,
    FindingChangeRow,
    MetricChangeRow,
    is_bound,
    list_differences,
    list_finding_changes,
    list_metric_changes,
    list_skipped_checks,
    list_unpaired_items,
    summarize_comparison,
)
from auditor.reports.html.run_details import shorten_digest
from auditor.reports.plots.intervals import draw_change_strip
from auditor.reports.plots.svg import SvgDrawing
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import VERDICTS

MOST_MOVED, MOST_LINES = 20, 50
WORST_FIRST = tuple(ComparisonDirection)
RESTS = (
    "Both records are taken at the figures and intervals that they sign: `auditor compare` of the "
    "two folders also compares row by row where both saw the same rows, and sees smaller changes."
)


@dataclass(frozen=True, slots=True)
class FigureShift:
    """One figure that moved, the way in words, and a small drawing where it is a number."""

    row: MetricChangeRow
    way: str
    drawing: SvgDrawing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineChanges:
    """What moved since the baseline; ``why`` says why nothing of that can be told, where it cannot.

    ``sentences`` say whose record it is and what moved in all, ``notes`` how to read that.
    ``apart`` is what could not be compared, ``lists`` what one record has alone; ``more``,
    ``more_turned`` and ``more_apart`` count what ``moved``, ``turned`` and ``apart`` leave out.
    """

    title: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...] = ()
    why: str = ""
    moved: tuple[FigureShift, ...] = ()
    more: int = 0
    turned: tuple[FindingChangeRow, ...] = ()
    more_turned: int = 0
    apart: tuple[str, ...] = ()
    more_apart: int = 0
    differences: tuple[tuple[str, str, str], ...] = ()
    lists: tuple[tuple[str, int, tuple[str, ...]], ...] = ()


def compare_with_baseline(inputs: ReportInputs) -> BaselineChanges | None:
    """Compare a record with its baseline; nothing where it names none.

    A baseline that is not at hand, or cannot be compared with, is told as such.
    """
    request = inputs.record.request
    if request.baseline is None:
        return None
    named = f"Held against the baseline, the record {shorten_digest(request.baseline)}."
    unread = BaselineChanges(title="Since the baseline", sentences=(named,))
    try:
        raw = inputs.blob(request.baseline)
    except (KeyError, AuditorError):
        return replace(unread, why="its bytes are not among the evidence that is at hand here")
    try:
        before = load_compared_record(request, lambda _digest: raw)
    except AuditorError as error:
        return replace(unread, why=error.problem)
    return None if before is None else _against(inputs, before)


def _against(inputs: ReportInputs, before: AuditRecord) -> BaselineChanges:
    record, plain = inputs.record, _named(inputs, before)
    if before.confidence != record.confidence:
        then, now = format_percent(before.confidence), format_percent(record.confidence)
        why = f"its intervals hold at {then}, and those of this record at {now}"
        return replace(plain, why=why)
    sides = (RecordSide(before, inputs.policy, ()), RecordSide(record, inputs.policy, ()))
    found = compare_records(*sides, inputs.checks)
    shown = ComparisonView(comparison=found, before=replace(inputs, record=before), after=inputs)
    around = replace(
        plain,
        turned=list_finding_changes(found)[:MOST_LINES],
        more_turned=max(0, len(list_finding_changes(found)) - MOST_LINES),
        apart=list_skipped_checks(found)[:MOST_LINES],
        more_apart=max(0, len(list_skipped_checks(found)) - MOST_LINES),
        differences=list_differences(found),
        lists=tuple(
            (name, len(all_), all_[:MOST_LINES]) for name, all_ in list_unpaired_items(shown)
        ),
    )
    if not found.moved:
        return replace(around, why="the two records have no figure in common")
    moved = tuple(item for item in found.moved if item.way is not ComparisonDirection.SAME)
    rows = list_metric_changes(replace(shown, comparison=replace(found, moved=moved)))
    ranked = sorted(rows, key=_clearest_first)
    bound = (BOUND,) if is_bound(ranked) else ()
    return replace(
        around,
        sentences=(*around.sentences, *summarize_comparison(found)),
        notes=(*bound, RESTS),
        moved=tuple(_shift(row, index) for index, row in enumerate(ranked[:MOST_MOVED])),
        more=max(0, len(ranked) - MOST_MOVED),
    )


def _named(inputs: ReportInputs, before: AuditRecord) -> BaselineChanges:
    """Say whose record the baseline is, when it was decided, and how."""
    name = f"{before.request.name} {before.request.version}"
    verdict = VERDICTS[before.verdict].partition(":")[0].lower()
    told = (
        f"Held against the baseline: the record of {name}, decided on "
        f"{format_moment(before.finished)} ({verdict}, "
        f"{shorten_digest(str(inputs.record.request.baseline))})."
    )
    return BaselineChanges(title=f"Since {name}", sentences=(told,))


def _clearest_first(row: MetricChangeRow) -> tuple[int, float]:
    """Order by way, then by how many times its interval's width a figure moved."""
    change = row.moved.change
    width = 0.0 if change is None else change.high - change.low
    times = math.inf if change is None or width <= 0 else abs(change.value) / width
    return WORST_FIRST.index(row.moved.way), -times


def _shift(row: MetricChangeRow, index: int) -> FigureShift:
    old, new = interval_ends(row.moved.before), interval_ends(row.moved.after)
    unit: Unit = row.moved.after.unit
    drawing = None
    if old is not None and new is not None and old != new:
        drawing = draw_change_strip(
            f"since-{index}", f"{row.name}, before and after", old, new, unit
        )
    return FigureShift(row, WAYS[row.moved.way], drawing)
