"""What moved since the baseline, as the report tells it: from what two records sign, nothing else.

No evidence of the baseline is at hand in a record's folder, so that nothing is compared row by row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.domain.baselines import compared_of
from auditor.domain.readings import Unit
from auditor.domain.records import AuditRecord
from auditor.errors import AuditorError
from auditor.moving.compare import compare
from auditor.moving.sides import Side
from auditor.moving.values import Comparison, Way
from auditor.rendering.figures.panel import ends
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.juxtaposed.lists import BOUND, apart_lines, beside_lists
from auditor.rendering.juxtaposed.words import (
    WAYS,
    Juxtaposed,
    MovedRow,
    TurnedRow,
    difference_rows,
    is_bound,
    moved_rows,
    summary,
    turned_rows,
)
from auditor.rendering.numbers import percent
from auditor.rendering.phrases import VERDICTS
from auditor.rendering.plots.moves import move_strip
from auditor.rendering.plots.svg import Drawing
from auditor.rendering.runs import short
from auditor.rendering.verdicts import moment

MOST_MOVED, MOST_LINES = 20, 50
WORST_FIRST = tuple(Way)
RESTS = (
    "Both records are taken at the figures and intervals that they sign: `auditor compare` of the "
    "two folders also compares row by row where both saw the same rows, and sees smaller changes."
)


@dataclass(frozen=True, slots=True)
class Shift:
    """One figure that moved, the way in words, and a small drawing where it is a number."""

    row: MovedRow
    way: str
    drawing: Drawing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What moved since the baseline; ``why`` says why nothing of that can be told, where it cannot.

    ``sentences`` say whose record it is and what moved in all, ``notes`` how to read that.
    ``apart`` is what could not be compared, ``lists`` what one record has alone; ``more``,
    ``more_turned`` and ``more_apart`` count what ``moved``, ``turned`` and ``apart`` leave out.
    """

    title: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...] = ()
    why: str = ""
    moved: tuple[Shift, ...] = ()
    more: int = 0
    turned: tuple[TurnedRow, ...] = ()
    more_turned: int = 0
    apart: tuple[str, ...] = ()
    more_apart: int = 0
    differences: tuple[tuple[str, str, str], ...] = ()
    lists: tuple[tuple[str, int, tuple[str, ...]], ...] = ()


def since_baseline(inputs: RenderedInputs) -> Since | None:
    """Compare a record with its baseline; nothing where it names none.

    A baseline that is not at hand, or cannot be compared with, is told as such.
    """
    request = inputs.record.request
    if request.baseline is None:
        return None
    named = f"Held against the baseline, the record {short(request.baseline)}."
    unread = Since(title="Since the baseline", sentences=(named,))
    try:
        raw = inputs.blob(request.baseline)
    except (KeyError, AuditorError):
        return replace(unread, why="its bytes are not among the evidence that is at hand here")
    try:
        before = compared_of(request, lambda _digest: raw)
    except AuditorError as error:
        return replace(unread, why=error.problem)
    return None if before is None else _against(inputs, before)


def _against(inputs: RenderedInputs, before: AuditRecord) -> Since:
    record, plain = inputs.record, _named(inputs, before)
    if before.confidence != record.confidence:
        then, now = percent(before.confidence), percent(record.confidence)
        why = f"its intervals hold at {then}, and those of this record at {now}"
        return replace(plain, why=why)
    sides = (Side(before, inputs.policy, ()), Side(record, inputs.policy, ()))
    found = compare(*sides, inputs.checks)
    shown = Juxtaposed(comparison=found, before=replace(inputs, record=before), after=inputs)
    around = replace(
        plain,
        turned=turned_rows(found)[:MOST_LINES],
        more_turned=max(0, len(turned_rows(found)) - MOST_LINES),
        apart=apart_lines(found)[:MOST_LINES],
        more_apart=max(0, len(found.incomparable) - MOST_LINES),
        differences=difference_rows(found),
        lists=tuple((name, len(all_), all_[:MOST_LINES]) for name, all_ in beside_lists(shown)),
    )
    if not found.moved:
        return replace(around, why="the two records have no figure in common")
    moved = tuple(item for item in found.moved if item.way is not Way.SAME)
    rows = moved_rows(replace(shown, comparison=replace(found, moved=moved)))
    return _with_figures(around, found, rows)


def _named(inputs: RenderedInputs, before: AuditRecord) -> Since:
    """Say whose record the baseline is, when it was decided, and how."""
    name = f"{before.request.name} {before.request.version}"
    verdict = VERDICTS[before.verdict].partition(":")[0].lower()
    told = (
        f"Held against the baseline: the record of {name}, decided on {moment(before.finished)} "
        f"({verdict}, {short(str(inputs.record.request.baseline))})."
    )
    return Since(title=f"Since {name}", sentences=(told,))


def _with_figures(around: Since, found: Comparison, rows: Sequence[MovedRow]) -> Since:
    moved = sorted(rows, key=_clearest_first)
    bound = (BOUND,) if is_bound(moved) else ()
    return replace(
        around,
        sentences=(*around.sentences, *summary(found)),
        notes=(*bound, RESTS),
        moved=tuple(_shift(row, index) for index, row in enumerate(moved[:MOST_MOVED])),
        more=max(0, len(moved) - MOST_MOVED),
    )


def _clearest_first(row: MovedRow) -> tuple[int, float]:
    """Order by way, then by how many times its interval's width a figure moved."""
    change = row.moved.change
    width = 0.0 if change is None else change.high - change.low
    times = math.inf if change is None or width <= 0 else abs(change.value) / width
    return WORST_FIRST.index(row.moved.way), -times


def _shift(row: MovedRow, index: int) -> Shift:
    old, new = ends(row.moved.before), ends(row.moved.after)
    unit: Unit = row.moved.after.unit
    drawing = None
    if old is not None and new is not None and old != new:
        drawing = move_strip(f"since-{index}", f"{row.name}, before and after", old, new, unit)
    return Shift(row, WAYS[row.moved.way], drawing)
