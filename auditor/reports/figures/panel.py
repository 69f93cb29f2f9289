"""Data classes for the report's figures (panels, grids, logs), and helpers for their labels."""

from dataclasses import dataclass

from auditor.domain.report_panels import BlockPanel, Row
from auditor.reports.plots.charts import draw_chart
from auditor.reports.plots.svg import SvgDrawing
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import check_title

HOTTEST = 9


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


def to_figure_panel(panel: BlockPanel, target: str, key: str) -> FigurePanel:
    """Return a check's panel with its chart drawn; ``key`` tells it from others of a page."""
    drawing = None if panel.chart is None else draw_chart(key, panel.title, panel.chart)
    return FigurePanel(
        title=panel.title,
        target=target,
        caption=panel.caption,
        drawing=drawing,
        header=panel.header,
        rows=panel.rows,
        notes=panel.notes,
        wide=panel.wide,
    )


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


NAMED_BY = "Accuracy under "


def series_name(inputs: ReportInputs, check: str) -> str:
    """Name an attack by its check's title, without what all of them begin with."""
    title = check_title(inputs, check)
    return title.removeprefix(NAMED_BY)
