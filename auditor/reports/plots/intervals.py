"""One figure a strip, one target a row: dots with whiskers on an axis that targets share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.readings import Unit
from auditor.rendering.numbers import number
from auditor.rendering.plots.axes import Axis, ticks
from auditor.rendering.plots.legends import LEGEND_STEP, Entry, legend
from auditor.rendering.plots.marks import mark
from auditor.rendering.plots.svg import Drawing, line, shortened, text

WIDTH = 360
LEFT, RIGHT = 112.0, 336.0
HEAD, PLACE, ROW, FOOT, GAP = 20.0, 14.0, 22.0, 22.0, 12.0
LONGEST_TITLE, LONGEST_PLACE, LONGEST_NAME, LONGEST_WORDS = 56, 56, 16, 42
NATIVE, PLAYED = 0, 1


@dataclass(frozen=True, slots=True)
class Dot:
    """A target's figure with the ends of its interval; ``words`` stand where there is none."""

    name: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    played: bool = False
    doubted: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One figure on every target, ``place`` says at which coordinates; ``better`` which way."""

    title: str
    place: str
    unit: Unit
    better: str
    dots: tuple[Dot, ...]

    @property
    def head(self) -> float:
        """Room above the dots."""
        return HEAD + PLACE if self.place else HEAD

    @property
    def height(self) -> float:
        """Room that the whole takes, with the gap below."""
        return self.head + ROW * len(self.dots) + FOOT + GAP


def chip_plot(key: str, title: str, lanes: Sequence[Lane]) -> Drawing:
    """Draw lanes, each with a dot that is a number at least."""
    drawn: list[Markup] = []
    top = 0.0
    for lane in lanes:
        drawn += _lane(lane, top)
        top += lane.height
    entries = _entries([dot for lane in lanes for dot in lane.dots])
    spoken = "; ".join(f"{lane.title}: {_spoken(lane)}" for lane in lanes)
    return Drawing(
        key=key,
        title=title,
        description=f"{spoken}. The table below holds the intervals.",
        width=WIDTH,
        height=round(top) + LEGEND_STEP * len(entries),
        shapes=(*drawn, *legend(entries, 0, top + 4)),
    )


def span(lane: Lane) -> tuple[float, float]:
    """Return the ends of an axis that shows what differs, and zero where it is near."""
    drawn = [dot for dot in lane.dots if not dot.words]
    low, high = min(dot.low for dot in drawn), max(dot.high for dot in drawn)
    room = (high - low or abs(high) or 1.0) * 0.12
    least = 0.0 if 0 <= low <= (high - low) else low - room
    if lane.unit is Unit.SHARE and low >= 0 and high <= 1:
        return max(0.0, least), min(1.0, high + room)
    return least, high + room


def _lane(lane: Lane, top: float) -> Iterator[Markup]:
    axis = Axis(*span(lane), LEFT, RIGHT)
    first = top + lane.head
    bottom = first + ROW * len(lane.dots)
    yield text(0, top + 12, shortened(lane.title, LONGEST_TITLE), "strip-title")
    if lane.place:
        yield text(0, top + 12 + PLACE, shortened(lane.place, LONGEST_PLACE), "tick")
    for value in ticks(axis.low, axis.high, 3):
        yield line(axis.at(value), first, axis.at(value), bottom, "grid")
        yield text(axis.at(value), bottom + 15, number(value, lane.unit), "tick", "middle")
    yield line(LEFT, bottom, RIGHT, bottom, "axis")
    yield text(0, bottom + 15, lane.better, "tick")
    for index, dot in enumerate(lane.dots):
        yield from _dot(axis, dot, first + ROW * (index + 0.5))


def _dot(axis: Axis, dot: Dot, y: float) -> Iterator[Markup]:
    yield text(LEFT - 10, y + 4, shortened(dot.name, LONGEST_NAME), "label", "end")
    if dot.words:
        yield text(LEFT + 4, y + 4, shortened(dot.words, LONGEST_WORDS), "tick halo")
        return
    kind = PLAYED if dot.played else NATIVE
    series = f"series-{kind}"
    yield line(axis.at(dot.low), y, axis.at(dot.high), y, f"whisker {series}")
    for end in (dot.low, dot.high):
        yield line(axis.at(end), y - 4, axis.at(end), y + 4, f"whisker {series}")
    yield mark(kind, axis.at(dot.value), y, f"mark {'doubted ' * dot.doubted}{series}")


def _entries(dots: Sequence[Dot]) -> list[Entry]:
    entries = []
    if any(dot.played for dot in dots):
        entries.append(Entry("series-0", "run on the target", NATIVE))
        entries.append(Entry("series-1", "run on an emulator or a simulator of the target", PLAYED))
    if any(dot.doubted for dot in dots):
        entries.append(Entry("doubted", "not to be believed"))
    return entries


def _spoken(lane: Lane) -> str:
    return ", ".join(f"{dot.name} {dot.words or number(dot.value, lane.unit)}" for dot in lane.dots)
