from auditor.checks.fairness.groups import GroupFairnessCheck
from auditor.domain.json import Json
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_panels import BlockPanel
from auditor.reports.figures.panel import FigurePanel, to_figure_panel
from auditor.reports.html.check_blocks import no_evidence


def of(metric: str, value: float, group: str = "", **details: Json) -> Measurement:
    where = {"group_column": "race"} | ({"group": group} if group else {})
    return Measurement(
        metric=metric,
        value=value,
        low=value / 2,
        high=min(1.0, value * 2),
        confidence=0.95,
        method="clopper-pearson",
        n=40,
        unit=Unit.NONE if metric == "impact_ratio" else Unit.SHARE,
        params=where,
        details=details,
        target="cpu",
        check="fairness.groups",
    )


def panels(*readings: Measurement) -> list[FigurePanel]:
    parts = GroupFairnessCheck.block(readings, no_evidence).parts
    return [to_figure_panel(part, "cpu", "k") for part in parts if isinstance(part, BlockPanel)]


SMALL = {"b": {"n": 12, "of": "rows whose label is the favourable class", "would_decide": 390}}
DRAWN = {"value": 0.45, "low": 0.4, "high": 0.5, "method": "m"}


def test_a_gap_names_its_groups_and_who_is_too_small_for_it() -> None:
    gap = of("tpr_gap", 0.2, highest="a", lowest="b", undecided_by=SMALL)
    (panel,) = panels(gap)
    assert panel.title == "Gaps between groups: race"
    (row,) = panel.rows
    assert row[1:] == ("20 %", "10\N{EN DASH}40 %", "a", "b", "b")
    (note,) = panel.notes
    assert (
        "rows whose label is the favourable class: b has 12 (about 390 would show whether there "
        "is a gap)." in note
    )


def test_what_cannot_be_had_and_who_is_left_out_is_told_once() -> None:
    base = {"note": "Not all can hold."}
    (panel,) = panels(
        of("ppv_gap", 0.2, base_rates=base),
        of("equalised_odds_gap", 0.2, base_rates=base),
        of("impact_ratio", 0.5, below_four_fifths=["b"], left_out={"unknown": {"k": 1, "n": 4}}),
    )
    fifths, left_out, impossible = panel.notes
    assert "as counted: b." in fifths
    assert left_out == "Not compared, but shown: unknown, 1 of 4 rows selected."
    assert impossible == "Not all can hold."


def test_small_groups_are_marked_and_stand_beside_what_all_say_of_them() -> None:
    (panel,) = panels(of("tpr", 0.5, "a"), of("tpr", 0.9, "b", small=True, shrunk=DRAWN))
    assert [row[0] for row in panel.rows] == ["a", "b (small)"]
    assert panel.rows[1][3] == "45 % (40\N{EN DASH}50 %)"
    assert panel.drawing is not None
    assert "drawn towards all groups" in str(panel.drawing.svg())
    assert "Squares" in panel.caption


def test_figures_without_small_groups_have_neither_squares_nor_a_legend() -> None:
    (panel,) = panels(of("tpr", 0.5, "a"), of("tpr", 0.6, "b"))
    assert panel.header == ("", "Figure", "Interval", "How sure")
    assert panel.drawing is not None
    assert "drawn towards" not in str(panel.drawing.svg())


def test_details_of_another_shape_are_passed_over() -> None:
    odd = of("tpr_gap", 0.2, undecided_by=3, base_rates="no", left_out=[1])
    ratio = of("impact_ratio", 0.5, below_four_fifths=7, left_out={"x": 1})
    (panel,) = panels(odd, ratio)
    assert panel.notes == ()
