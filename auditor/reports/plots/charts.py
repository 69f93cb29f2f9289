"""Draws the charts that a check may show."""

from auditor.domain.report_panels import (
    Chart,
    ClassReliabilityChart,
    IntervalChart,
    PeriodChart,
    ReliabilityChart,
    RobustnessChart,
    ShareBarChart,
)
from auditor.reports.plots.intervals import draw_bars, draw_interval_rows
from auditor.reports.plots.line_plots import draw_period_plot
from auditor.reports.plots.reliability import draw_class_diagrams, draw_reliability_diagram
from auditor.reports.plots.robustness import draw_robustness_plot
from auditor.reports.plots.svg import SvgDrawing


def draw_chart(key: str, title: str, chart: Chart) -> SvgDrawing:
    """Draw a chart; ``key`` tells it from others of a page."""
    match chart:
        case IntervalChart():
            return draw_interval_rows(
                key, title, chart.rows, chart.unit, ideal=chart.ideal, entries=chart.entries
            )
        case RobustnessChart():
            return draw_robustness_plot(key, chart)
        case PeriodChart():
            return draw_period_plot(key, title, chart.points, chart.unit, chart.limit)
        case ReliabilityChart():
            return draw_reliability_diagram(
                key, chart.bins, chart.histogram, chart.curve, chart.beside
            )
        case ClassReliabilityChart():
            return draw_class_diagrams(key, chart.classes)
        case ShareBarChart():
            return draw_bars(key, title, chart.groups)
