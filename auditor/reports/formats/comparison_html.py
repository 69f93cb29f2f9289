"""Two records side by side as a page of the report's style: no network, no script."""

from collections.abc import Mapping

from auditor.domain.readings import Unit
from auditor.moving.values import Way
from auditor.rendering.figures.panel import Panel, ends
from auditor.rendering.juxtaposed.lists import BOUND, beside_lists
from auditor.rendering.juxtaposed.words import (
    WAYS,
    Juxtaposed,
    MovedRow,
    difference_rows,
    headline,
    is_bound,
    moved_rows,
    named,
    summary,
    tone,
    turned_rows,
    verdict_words,
)
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.plots.svg import Drawing
from auditor.rendering.report import environment, style_of
from auditor.rendering.runs import Fact, short
from auditor.rendering.verdicts import moment

MOST_PANELS = 24
MOST_ROWS = 500


def render_juxtaposed_html(shown: Juxtaposed) -> str:
    """Render the page; everything from the records is escaped."""
    sheet, policy = style_of()
    told = {"style": sheet, "content_security": policy}
    page = environment().get_template("compare.html.j2")
    return page.render(**told, **told_of(shown)).rstrip() + "\n"


def told_of(shown: Juxtaposed) -> Mapping[str, object]:
    """Return what ``compared.html.j2`` speaks of: the page without its frame."""
    found, rows = shown.comparison, moved_rows(shown)
    moved = [row for row in rows if row.moved.way is not Way.SAME]
    still = [row for row in rows if row.moved.way is Way.SAME]
    return {
        "short": short,
        "ways": WAYS,
        "tone": tone(found).value,
        "headline": headline(found),
        "sentences": (
            verdict_words(found),
            *summary(found),
            *((BOUND,) if is_bound(moved) else ()),
        ),
        "several_targets": len(shown.after.record.request.targets) > 1,
        "unverified": shown.unverified,
        "taken": shown.taken,
        "sides": (("Before", _facts(shown, after=False)), ("After", _facts(shown, after=True))),
        "names": [_name(shown, after=False), _name(shown, after=True)],
        "moved": moved[:MOST_ROWS],
        "panels": [_panel(row, index) for index, row in enumerate(moved) if row.moved.change],
        "most_panels": MOST_PANELS,
        "still": [_cells(row) for row in still[:MOST_ROWS]],
        "hidden": len(rows) - len(moved[:MOST_ROWS]) - len(still[:MOST_ROWS]),
        "turned": turned_rows(found),
        "differences": difference_rows(found),
        "incomparable": [
            (named(shown.after.checks, item.check), item.target, item.reason)
            for item in found.incomparable
        ],
        "lists": beside_lists(shown),
    }


def _name(shown: Juxtaposed, *, after: bool) -> str:
    request = (shown.after if after else shown.before).record.request
    return f"{request.name} {request.version}"


def _facts(shown: Juxtaposed, *, after: bool) -> tuple[Fact, ...]:
    inputs = shown.after if after else shown.before
    record, policy = inputs.record, inputs.record.request.policy
    return (
        Fact("Model", _name(shown, after=after)),
        Fact("Verdict", record.verdict.value),
        Fact("Policy", f"{policy.name} {policy.version}"),
        Fact("Decided on", moment(record.finished)),
        Fact("Record", short(record.digest), code=True),
        Fact("Decided by key", short(inputs.signer) or "not named", code=bool(inputs.signer)),
    )


def _cells(row: MovedRow) -> tuple[str, ...]:
    return (
        f"{row.title}, {row.measure}",
        row.moved.after.target,
        row.before,
        row.after,
        row.change,
        row.basis,
    )


def _panel(row: MovedRow, index: int) -> Panel:
    return Panel(
        title=row.name,
        target=row.moved.after.target,
        caption=f"{WAYS[row.moved.way]}: {row.change}; {row.basis}; {row.moved.after.check}.",
        drawing=_drawing(row, index),
        header=("", "Figure"),
        rows=(("Before", row.before), ("After", row.after)),
    )


def _drawing(row: MovedRow, index: int) -> Drawing | None:
    old, new = ends(row.moved.before), ends(row.moved.after)
    if old is None or new is None:
        return None
    drawn = [Row("Before", *old), Row("After", *new, series=1)]
    unit: Unit = row.moved.after.unit
    return interval_rows(f"moved-{index}", f"{row.name}, before and after", drawn, unit)
