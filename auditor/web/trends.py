"""How the figures that decide a model's rules moved from audit to audit."""

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.domain.readings import Unit
from auditor.rendering.figures.panel import Panel
from auditor.rendering.numbers import number
from auditor.rendering.plots.courses import Moment, course_plot
from auditor.web.facts import RecordFacts, Row

MOST, LEAST, DIGITS = 12, 2, 4
CAPTION = "Band and whiskers are the intervals. Other data, another budget or policy move it too."
HEADER = ("Version", "Decided on", "Figure", "Interval")


@dataclass(frozen=True, slots=True)
class Trend:
    """One rule on one target over several records."""

    target: str
    panel: Panel


def trends(records: Sequence[RecordFacts]) -> tuple[Trend, ...]:
    """Return the course of each required rule's figure; ``records`` come the oldest first.

    Policies are apart: a rule of one is no rule of another. A rule that the newest audit did not
    measure is followed too.
    """
    policies = dict.fromkeys(one.audited.policy for one in reversed(records))
    found = list[Trend | None]()
    for policy in policies:
        own = [one for one in records if one.audited.policy == policy]
        said = f" ({policy})" if len(policies) > 1 else ""
        for row in _asked(own):
            found.append(_trend(f"trend-{len(found)}", row, own, said))
    return tuple(item for item in found if item is not None)[:MOST]


def _asked(records: Sequence[RecordFacts]) -> Sequence[Row]:
    """Return the newest figure of each required rule on each target."""
    newest: dict[tuple[str, str], Row] = {}
    for one in reversed(records):
        for row in one.rows:
            if row.required and row.point is not None:
                newest.setdefault((row.rule, row.target), row)
    return list(newest.values())


def _trend(key: str, asked: Row, records: Sequence[RecordFacts], said: str) -> Trend | None:
    unit = Unit.NONE if asked.point is None else asked.point.unit
    told = [(one, row) for one in records for row in one.rows if _same(row, asked, unit)]
    if len(told) < LEAST:
        return None
    moments = [
        Moment(one.version, point.value, point.low, point.high, point.doubted)
        for one, row in told
        if (point := row.point) is not None
    ]
    if not any(m.low < m.high for m in moments) and len({m.value for m in moments}) == 1:
        return None  # an exact figure that never moved has no course
    rows = [(one.version, one.finished, row.value, row.interval) for one, row in reversed(told)]
    title = asked.title + said
    drawing = course_plot(key, title, moments, unit)
    panel = Panel(title=title, target=asked.target, caption=CAPTION, drawing=drawing,
                  header=HEADER, rows=tuple(rows), notes=_doubts(moments, unit))  # fmt: skip
    return Trend(asked.target, panel)


def _same(row: Row, asked: Row, unit: Unit) -> bool:
    return (row.rule, row.target) == (asked.rule, asked.target) and (
        row.point is not None and row.point.unit is unit
    )


def _doubts(moments: Sequence[Moment], unit: Unit) -> tuple[str, ...]:
    doubted = [m for m in moments if m.doubted]
    told = ", ".join(f"{number(round(m.value, DIGITS), unit)} of {m.name}" for m in doubted)
    return (f"Doubted, and so drawn hollow: {told}.",) if told else ()
