"""Data classes for the report's figures (panels, grids, logs), and helpers for their labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.json import Json
from auditor.domain.readings import Measurement
from auditor.reports.doubts import UNSTEADY, list_doubt_reasons
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import format_measurement, format_number
from auditor.reports.plots.svg import SvgDrawing
from auditor.reports.wording import BOUNDS, check_title

HOTTEST = 9
Row = tuple[str, ...]
Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class GridCell:
    """A figure of a grid, its interval, and how strongly it is tinted (0 to ``HOTTEST``)."""

    text: str
    interval: str = ""
    heat: int = 0


@dataclass(frozen=True, slots=True)
class FigureGrid:
    """Figures by row and column, tinted so that the eye finds the worst."""

    header: Row
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePanel:
    """A drawing or a grid, what it says in words, and its figures as a table.

    ``notes`` are paragraphs below the caption; a ``wide`` panel takes the whole width.
    """

    title: str
    target: str
    caption: str
    drawing: SvgDrawing | None = None
    grid: FigureGrid | None = None
    header: Row = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureLog:
    """A long table that stands folded below the panels; ``hidden`` rows are in the record only."""

    title: str
    header: Row
    rows: tuple[Row, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSection:
    """Panels about one question; ``lead`` says what is true of all of them."""

    title: str
    lead: tuple[str, ...] = ()
    panels: tuple[FigurePanel, ...]
    logs: tuple[FigureLog, ...] = ()


def interval_ends(m: Measurement) -> Ends | None:
    """Return the value of a measurement and its interval's ends, or ``None`` for no number."""
    if isinstance(m.value, bool | str) or m.value is None:
        return None
    low = m.value if m.low is None else m.low
    return m.value, low, m.value if m.high is None else m.high


def first_coordinate(m: Measurement, *names: str) -> float | None:
    """Return the first numeric coordinate among ``names``."""
    for name in names:
        value = m.params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def format_figure_cells(m: Measurement) -> Row:
    """Return a figure as a bound, its interval and how sure it is, as cells of a table."""
    words = format_measurement(m)
    value = BOUNDS[m.bound] + words.value
    found = interval_ends(m)
    alone = "" if found is None else format_number(found[0], m.unit)
    remark = f"{words.sure} (doubted)" if m.doubted else words.sure
    return value, words.interval or alone, remark


NAMED_BY = "Accuracy under "
MOST_REASONS = 3


def series_name(inputs: ReportInputs, check: str) -> str:
    """Name an attack by its check's title, without what all of them begin with."""
    title = check_title(inputs, check)
    return title.removeprefix(NAMED_BY)


def list_doubts(measured: Sequence[Measurement]) -> tuple[str, ...]:
    """Say why doubted figures are not to be believed, each reason once."""
    found = dict.fromkeys(_doubt(m.details) for m in measured if m.doubted)
    if not found:
        return ()
    told = "; ".join(list(found)[:MOST_REASONS])
    return (f"Hollow marks are not to be believed: {told}.",)


def _doubt(details: Mapping[str, Json]) -> str:
    steady = details.get("deterministic", True)
    return list_doubt_reasons(details) or ("the check doubts them" if steady else UNSTEADY)
