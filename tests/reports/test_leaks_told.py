"""What a reader is told of leaks: columns of members, copies, and rows near to members."""

from dataclasses import replace

from rendering_records import FAILING, inputs_of

from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.formats.html import render_html
from auditor.reports.html.measurements import build_figure_sections

TITLE = "What it gives away"


def reading(check: str, metric: str, value: float, **more: object) -> Measurement:
    plain = Measurement(
        metric=metric, value=value, low=value - 0.1, high=value + 0.1, confidence=0.95,
        bound=BoundKind.AT_LEAST, method="paper", n=300, unit=Unit.SHARE, target="cpu",
        check=f"privacy.{check}", version=1,
    )  # fmt: skip
    return replace(plain, **more)


def panels(*readings: Reading) -> dict[str, FigurePanel]:
    record = replace(FAILING, readings=(*FAILING.readings, *readings))
    render_html(inputs_of(record))
    found = [it for it in build_figure_sections(inputs_of(record)) if it.title == TITLE]
    return {panel.title: panel for section in found for panel in section.panels}


def test_a_column_stands_with_what_the_imputer_knows() -> None:
    details = {"members_accuracy": 0.75, "members_baseline": 0.69}
    leak = reading("attribute", "advantage", 0.06, params={"column": "sex"}, details=details)
    panel = panels(leak)["Attribute leak by column"]
    ((column, value, _, _, members, imputer),) = panel.rows
    assert (column, members, imputer) == ("sex", "75 %", "69 %")
    assert "6" in value
    assert panel.drawing is not None


def test_copies_stand_by_growing_numbers_of_queries() -> None:
    found = [
        reading(
            "extraction", "fidelity", value, params={"strategy": "mixup", "queries": queries},
            details={"taught_by_labels": 0.8},
        )
        for value, queries in ((0.9, 1000), (0.85, 100))
    ]  # fmt: skip
    panel = panels(*found)["Fidelity of the copies"]
    assert [row[0] for row in panel.rows] == ["100 by mixup", "1000 by mixup"]
    assert [row[-1] for row in panel.rows] == ["80 %", "80 %"]


def test_what_was_made_up_stands_with_its_p_value() -> None:
    near = reading(
        "inversion", "member_proximity", 0.3, params={"attack": "scores", "prior": "none"},
        details={"p_value": 0.25}, doubted=True,
    )  # fmt: skip
    panel = panels(near)["Distance of reconstructed rows to members"]
    assert panel.rows[0][0] == "scores"
    assert panel.rows[0][-1] == "0.25"
    assert "doubted" in panel.rows[0][3]


def test_a_record_without_leaks_has_no_such_section() -> None:
    assert panels(reading("attribute", "verdict", 0.0)) == {}
