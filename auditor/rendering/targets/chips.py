"""What a change of chip does: accuracy, calibration, fairness, robustness and flips by target."""

from collections.abc import Collection, Sequence

from auditor.rendering.figures.doubts import doubts
from auditor.rendering.figures.panel import Panel, Row, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import BOUNDS
from auditor.rendering.placements import untimed_targets
from auditor.rendering.plots.chips import Dot, Lane, chip_plot
from auditor.rendering.targets.compared import Compared, compared

MOST_TARGETS = 12
TITLE = "What a change of chip does"
HEADER = ("Figure", "Target", "Value", "Interval", "How sure")
CAPTION = (
    "The same file, the same rows, another target. Where the whiskers of two targets lie apart, "
    "the chip made the difference; where they overlap, these rows alone do not tell."
)
PAIRED = (
    "Decisions that differ are counted row by row, so that they show a change which accuracy hides "
    "when as many turn right as wrong."
)


def chip_panel(inputs: RenderedInputs, key: str) -> Panel | None:
    """Return one panel with a strip a figure, or nothing where no target has any of them."""
    found = tuple(compared(inputs))
    if not found:
        return None
    names = [spec.name for spec in inputs.record.request.targets]
    played = untimed_targets(inputs)
    shown = names[:MOST_TARGETS]
    hidden = len(names) - len(shown)
    more = (f"{hidden} more targets are in the table only.",) if hidden else ()
    flips = any(item.title.startswith("Decisions") for item in found)
    return Panel(
        title=TITLE,
        target="",
        caption=CAPTION,
        drawing=chip_plot(
            key, TITLE, [_lane(item, shown, played) for item in _drawn(found, shown)]
        ),
        header=HEADER,
        rows=tuple(_row(item, name) for item in found for name in names),
        notes=(
            *([PAIRED] if flips else []),
            *doubts([m for item in found for m in item.found.values()]),
            *more,
        ),
    )


def _drawn(found: Sequence[Compared], names: Sequence[str]) -> list[Compared]:
    return [item for item in found if any(name in item.found for name in names)]


def _lane(item: Compared, names: Sequence[str], played: Collection[str]) -> Lane:
    better = "more is better" if item.higher else "less is better"
    dots = tuple(_dot(item, name, played=name in played) for name in names)
    bounds = {BOUNDS[m.bound].strip() for m in item.found.values()} - {""}
    return Lane(", ".join([item.title, *bounds]), item.place, item.unit, better, dots)


def _dot(item: Compared, name: str, *, played: bool) -> Dot:
    m = item.found.get(name)
    found = None if m is None else ends(m)
    if m is None or found is None:
        return Dot(name, words=f"no figure: {item.missing.get(name, '')}")
    return Dot(name, *found, played=played, doubted=m.doubted)


def _row(item: Compared, name: str) -> Row:
    m = item.found.get(name)
    if m is None:
        return item.name, name, "no figure", "", item.missing.get(name, "")
    return item.name, name, *said(m)
