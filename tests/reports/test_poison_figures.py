"""What a report draws of poison."""

from dataclasses import replace
from typing import Any

from rendering_records import FAILING, HOSTILE, inputs_of, measured

from auditor.domain.readings import BoundKind, Measurement
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.html.measurements import build_figure_sections

PLANTED, DATA = "If the training data were poisoned", "The data"


def said(metric: str, value: float, attack: str, rate: float, **details: Any) -> Measurement:  # noqa: ANN401 -- of a measurement
    params = {"attack": attack, "rate": rate, "retrained": "head"}
    of = measured(
        "quality.accuracy", "accuracy", value, value - 0.05, value + 0.05,
        params=params, details={"without_poison": 0.02, **details},
    )  # fmt: skip
    return replace(of, check="poisoning.susceptibility", metric=metric, bound=BoundKind.AT_LEAST)


def panels(section: str, *readings: Measurement) -> list[FigurePanel]:
    record = replace(FAILING, readings=readings)
    return [
        panel
        for found in build_figure_sections(inputs_of(record))
        if found.title == section
        for panel in found.panels
    ]


def test_success_is_drawn_over_the_rate_with_a_band_and_cost_stands_in_the_table() -> None:
    readings = [
        said("attack_success_rate", value, attack, rate, lower_bound="the last layer alone")
        for attack, values in (("patch", (0.4, 0.9)), ("blend", (0.1, 0.3)))
        for rate, value in zip((0.01, 0.05), values, strict=True)
    ]
    (panel,) = panels(PLANTED, *readings, said("accuracy_drop", 0.06, "flip", 0.05))
    assert panel.drawing is not None
    drawn = str(panel.drawing.svg())
    assert "a patch in the corner: 40 % at 0.01, 90 % at 0.05" in panel.drawing.description
    assert drawn.count('class="band') == 2
    assert "no poison" in drawn
    assert "attack success rate" in drawn
    assert panel.rows[-1][:3] == ("any labels flipped", "0.05", "accuracy lost")
    assert panel.notes == ("The last layer alone.",)


def test_doubted_figures_are_hollow_and_say_why() -> None:
    doubtful = replace(
        said("attack_success_rate", 0.4, "targeted", 0.01, doubt="one repeat"), doubted=True
    )
    (panel,) = panels(PLANTED, doubtful)
    assert "one repeat" in panel.notes[0]
    assert "not to be believed" in str(panel.drawing.svg() if panel.drawing else "")


def test_cost_alone_is_no_curve() -> None:
    assert panels(PLANTED, said("accuracy_drop", 0.06, "flip", 0.05)) == []


def test_named_training_rows_are_listed_once() -> None:
    suspects = [{"id": HOSTILE, "label": "3", "suggested": "8"}]
    of = measured("quality.accuracy", "accuracy", 0.1, 0.05, 0.2, details={"suspects": suspects})
    found = [
        replace(of, check="poisoning.training_scan", metric="suspect_share", params={"method": it})
        for it in ("references", "joint")
    ]
    (panel,) = panels(DATA, *found)
    assert panel.rows == ((HOSTILE, "3", "8"),)
