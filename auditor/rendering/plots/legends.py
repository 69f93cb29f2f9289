"""What marks, lines and areas of a plot stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import dot, line, rect, shortened, text

LEGEND_STEP = 18
LONGEST_NAME = 54


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend: the class of what is drawn, its name, and its mark's shape."""

    kind: str
    name: str
    shape: int = 0


def legend(entries: Sequence[Entry], x: float, y: float) -> list[Markup]:
    """Draw a legend whose first line stands at ``y``."""
    drawn: list[Markup] = []
    for place, entry in enumerate(entries):
        at = y + place * LEGEND_STEP
        drawn += _sample(entry, x, at)
        drawn.append(text(x + 26, at + 4, shortened(entry.name, LONGEST_NAME), "legend"))
    return drawn


def _sample(entry: Entry, x: float, y: float) -> list[Markup]:
    if entry.kind == "limit":
        return [line(x, y, x + 18, y, "limit")]
    if entry.kind == "clean":
        return [dot(x + 9, y, "clean", 5)]
    if entry.kind == "zone":
        return [rect(x, y - 6, 18, 12, "zone")]
    if entry.kind == "doubted":
        return [dot(x + 9, y, "mark doubted series-0")]
    return [
        line(x, y, x + 18, y, f"curve {entry.kind}"),
        mark(entry.shape, x + 9, y, f"mark {entry.kind}"),
    ]
