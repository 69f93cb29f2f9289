"""Figures of what a model gives away."""

from dataclasses import replace

from rendering_records import FAILING, inputs_of

from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.html.measurements import build_figure_sections


def panels(*readings: Measurement) -> tuple[FigurePanel, ...]:
    inputs = inputs_of(replace(FAILING, readings=readings))
    title = "What it gives away"
    return next((item.panels for item in build_figure_sections(inputs) if item.title == title), ())


def area(check: str, value: float, metric: str = "auc", **params: str | float) -> Measurement:
    return Measurement(
        metric=metric, value=value, low=value - 0.05, high=value + 0.05, method="m", n=40,
        unit=Unit.SHARE, bound=BoundKind.AT_LEAST if metric == "auc" else BoundKind.ESTIMATE,
        params=params, check=check, target="cpu",
    )  # fmt: skip


def attacked(value: float, **params: str) -> Measurement:
    given = {"attack": "rmia", "shadows": "network", "rounding": "none", "group": "all", **params}
    return area("privacy.membership", value, **given)


def verdict(said: str) -> Measurement:
    return Measurement(
        metric="verdict", value=said, method="m", n=40, check="privacy.membership", target="cpu",
        params={"attack": "all", "shadows": "all"},
    )  # fmt: skip


def test_every_attack_stands_beside_chance_and_what_all_say() -> None:
    (found,) = panels(
        attacked(0.6),
        attacked(0.55, rounding="one decimal"),
        attacked(0.7, group="sex=f"),
        verdict("shown"),
    )
    assert [row[0] for row in found.rows] == ["rmia, network", "rmia, network, sex=f"]
    assert "All together: shown." in found.caption
    assert found.drawing is not None
    assert "rmia, network: 60 %" in found.drawing.description


def test_each_way_of_altering_stands_with_what_it_hides_and_costs() -> None:
    none = {"mitigation": "none", "strength": 0.0}
    rounding = {"mitigation": "rounding", "strength": 1.0}
    check = "privacy.obfuscation"
    (found,) = panels(
        area(check, 0.6, **none),
        area(check, 0.58, **rounding),
        area(check, -0.02, "auc_change", **rounding),
        area(check, 0.01, "smece_change", **rounding),
    )
    assert [row[0] for row in found.rows] == ["none", "rounding 1"]
    assert found.rows[0][2:] == ("", "", "", "")
    assert found.rows[1][2] == "-2 %"
    assert found.rows[1][3] == "1 %"


def test_nothing_measured_is_no_section() -> None:
    assert panels(verdict("shown")) == ()
