"""What a report draws of figures over time."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, HOSTILE, inputs_of, measured

from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_panels import PeriodPoint
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.html.measurements import build_figure_sections
from auditor.reports.plots.line_plots import draw_period_plot

LOOKS = [
    {"at": "2016", "n": 500, "error": 0.1, "low": 0.07, "high": 0.14, "log_evidence": -0.7},
    {"at": "2017", "n": 1000, "error": 0.15, "low": 0.12, "high": 0.18, "log_evidence": 5.25},
]


def said(check: str, metric: str, *ends: Any, **more: Any) -> Measurement:  # noqa: ANN401 -- of a measurement
    """A measurement of a check that the record's other readings know nothing of."""
    of = measured("quality.accuracy", "accuracy", *ends, **more)
    return replace(of, check=check, metric=metric)


YEARS = [
    said("quality.periods", metric, value, value - 0.01, value + 0.01, params={"period": year})
    for metric, values in (("accuracy", (0.83, 0.82)), ("debiased_l2", (0.01, 0.02)))
    for year, value in zip(("2016", "2017"), values, strict=True)
]
WATCHED = said(
    "data.decay",
    "error",
    0.15,
    0.12,
    0.18,
    details={"looks": LOOKS, "limit": 0.1, "alarm_at": 3.0, "against": "the claimed accuracy"},
)
ALARM = replace(
    said("data.decay", "alarm", None, details={"first_at": "2017"}), value=True, unit=Unit.NONE
)
COLUMN = said(
    "data.drift",
    "distance",
    0.2,
    0.1,
    0.3,
    params={"column": HOSTILE},
    details={"adjusted_p_value": 1e-9},
)
MOVED = replace(
    said("data.drift", "moved", 0.5, 0.3, 0.7, params={"column": HOSTILE}), unit=Unit.NONE
)


def panels(*readings: Measurement) -> list[FigurePanel]:
    record = replace(FAILING, readings=readings)
    return [
        panel
        for section in build_figure_sections(inputs_of(record))
        if section.title == "Over time"
        for panel in section.panels
    ]


def test_accuracy_and_calibration_are_drawn_period_by_period() -> None:
    accuracy, calibration = panels(*YEARS)
    assert accuracy.title == "Accuracy from period to period"
    assert [row[0] for row in accuracy.rows] == ["2016", "2017"]
    assert calibration.drawing is not None
    assert "2017: 2 %" in calibration.drawing.description


def test_accuracy_of_a_regression_is_explained() -> None:
    (accuracy,) = panels(*(it for it in YEARS if it.metric == "accuracy"))
    said = "Of a regression, accuracy is the share of predictions within the tolerance."
    assert accuracy.caption.endswith(said)
    assert said not in panels(*YEARS)[0].caption


def test_the_errors_are_drawn_with_their_limit_and_the_alarm_is_told() -> None:
    (panel,) = panels(WATCHED, ALARM)
    assert "Evidence of 3.0 was reached at 2017: the error is above the limit." in panel.caption
    assert panel.drawing is not None
    assert 'class="limit"' in str(panel.drawing.svg())
    assert panel.rows[1][:3] == ("2017", "1,000", "15.0 %")


def test_no_alarm_is_said_to_prove_nothing() -> None:
    (panel,) = panels(WATCHED, replace(ALARM, value=False, details={}))
    assert "was not reached, which proves nothing" in panel.caption


def test_a_column_has_its_effect_and_its_p_value_in_one_row() -> None:
    (panel,) = panels(COLUMN, MOVED)
    assert panel.rows[0][1:] == (
        "20 %",
        "10\N{EN DASH}30 %",
        "0.5 (0.3\N{EN DASH}0.7)",
        "below 0.0001",
    )
    assert panel.drawing is not None
    assert "<script" not in str(panel.drawing.svg())


def test_looks_that_are_malformed_are_not_drawn() -> None:
    assert panels(replace(WATCHED, details={"looks": "none"})) == []
    assert panels(replace(WATCHED, details={"looks": [{"at": "2016"}]})) == []


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=60), st.floats(0, 1))
def test_any_course_can_be_drawn(drawn: list[tuple[float, float, float]], limit: float) -> None:
    moments = [
        PeriodPoint(f"week {at}", sorted(ends)[1], min(ends), max(ends))
        for at, ends in enumerate(drawn)
    ]
    assert "nan" not in str(draw_period_plot("key", "title", moments, Unit.SHARE, limit).svg())


@pytest.mark.parametrize(("count", "marks"), [(5, True), (60, False)])
def test_a_long_course_is_a_line_without_marks(count: int, marks: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    moments = [PeriodPoint(str(at), 0.5, 0.4, 0.6) for at in range(count)]
    drawn = str(draw_period_plot("key", "title", moments, Unit.SHARE).svg())
    assert ('class="mark' in drawn) is marks
