"""What the figures of the report are made of."""

from dataclasses import dataclass

from auditor.domain.readings import Measurement
from auditor.rendering.numbers import figure, number
from auditor.rendering.phrases import BOUNDS
from auditor.rendering.plots.svg import Drawing

HOTTEST = 9
Row = tuple[str, ...]
Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a grid, its interval, and how strongly it is tinted (0 to ``HOTTEST``)."""

    text: str
    interval: str = ""
    heat: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """Figures by row and column, tinted so that the eye finds the worst."""

    header: Row
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A drawing or a grid, what it says in words, and its figures as a table.

    ``notes`` are paragraphs below the caption; a ``wide`` panel takes the whole width.
    """

    title: str
    target: str
    caption: str
    drawing: Drawing | None = None
    grid: Grid | None = None
    header: Row = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A long table that stands folded below the panels; ``hidden`` rows are in the record only."""

    title: str
    header: Row
    rows: tuple[Row, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Panels about one question; ``lead`` says what is true of all of them."""

    title: str
    lead: tuple[str, ...] = ()
    panels: tuple[Panel, ...]
    logs: tuple[Log, ...] = ()


def ends(m: Measurement) -> Ends | None:
    """Return the value of a measurement and its interval's ends, or ``None`` for no number."""
    if isinstance(m.value, bool | str) or m.value is None:
        return None
    low = m.value if m.low is None else m.low
    return m.value, low, m.value if m.high is None else m.high


def coordinate(m: Measurement, *names: str) -> float | None:
    """Return the first numeric coordinate among ``names``."""
    for name in names:
        value = m.params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def said(m: Measurement) -> Row:
    """Return a figure as a bound, its interval and how sure it is, as cells of a table."""
    words = figure(m)
    value = BOUNDS[m.bound] + words.value
    found = ends(m)
    alone = "" if found is None else number(found[0], m.unit)
    remark = f"{words.sure} (doubted)" if m.doubted else words.sure
    return value, words.interval or alone, remark
