from dataclasses import replace

import pytest
from attacked_records import ATTACKED, CLASSES, DOUBTED, MASKED, parts, robust
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, POLICY, RULES, SILENT, inputs_of

from auditor.domain.findings import Outcome
from auditor.domain.number_text import NORMS, format_change_size, sort_norms
from auditor.domain.policies import MetricLimits
from auditor.domain.records import AuditRecord
from auditor.reports.figures.panel import FigurePanel, FigureSection
from auditor.reports.figures.robustness import choose_telling_budget
from auditor.reports.html.measurements import build_figure_sections

ATTACK, FAULTS = "Under attack", "Under noise, faults and other views"


def section(title: str, record: AuditRecord = ATTACKED) -> FigureSection:
    return next(item for item in build_figure_sections(inputs_of(record)) if item.title == title)


def panel(start: str, title: str = ATTACK, record: AuditRecord = ATTACKED) -> FigurePanel:
    found = [item for item in section(title, record).panels if item.title.startswith(start)]
    assert len(found) == 1, [item.title for item in section(title, record).panels]
    return found[0]


def drawn(found: FigurePanel) -> str:
    assert found.drawing is not None
    return str(found.drawing.svg())


def test_each_norm_has_one_panel_with_every_attack_of_it() -> None:
    titles = [item.title for item in section(ATTACK).panels]
    assert titles[:4] == [
        "Accuracy under attack: L∞ (every feature changes a little)",
        "Accuracy under attack: L2 (small Euclidean distance)",
        "Accuracy under attack: L0 (a few features change freely)",
        "Accuracy under attack: attacks with realistic table rows",
    ]
    linf = panel("Accuracy under attack: L∞")
    assert [row[0] for row in linf.rows if row[1] == "0.1"] == [
        "Bounded attack with gradients (APGD)",
        "Bounded attack by queries alone (Square)",
        "attacks from the Adversarial Robustness Toolbox, FastGradientMethod",
        "attacks from the Adversarial Robustness Toolbox, HopSkipJump",
        "proved, crown",
    ]


def test_several_attacks_of_one_check_are_one_line_through_the_strongest() -> None:
    linf = panel("Accuracy under attack: L∞")
    assert linf.drawing is not None
    assert "Adversarial Robustness Toolbox: 60 % at 0.1" in linf.drawing.description
    assert "70 %" not in linf.drawing.description


def test_a_proof_of_the_same_model_is_the_lower_edge_and_says_which_rows_it_looked_at() -> None:
    linf = panel("Accuracy under attack: L∞")
    assert "curve proven" in drawn(linf)
    assert "zone" in drawn(linf)
    assert "The proof looked at 20 rows and attacks at 450" in linf.caption


def test_what_is_certified_of_a_smoothed_classifier_stands_apart_and_says_so() -> None:
    smoothed = panel("Certified accuracy of the smoothed")
    assert "The model as it is deployed is not that classifier" in smoothed.caption
    squares = panel("Accuracy under attack: L2 (small Euclidean distance)")
    assert "proven" not in drawn(squares)
    assert all("smoothing" not in row[0] for row in squares.rows)


def test_a_doubted_curve_says_why_it_is_not_to_be_believed() -> None:
    doubted = panel("Accuracy under attack: L2", record=DOUBTED)
    assert doubted.notes[0] == f"Hollow marks are not to be believed: {MASKED}."
    assert "mark doubted series-0" in drawn(doubted)
    assert "(doubted)" in doubted.rows[0][-1]
    assert "mark doubted" not in drawn(panel("Accuracy under attack: L2"))


def test_whether_gradients_mislead_is_said_where_it_was_looked_at() -> None:
    assert "not found" in section(ATTACK).lead[1]
    assert "There are signs" in section(ATTACK, DOUBTED).lead[1]
    assert len(section(ATTACK, FAILING).lead) == 1


def test_limits_of_rules_are_marked_in_their_own_norm_only() -> None:
    rule = replace(
        RULES[0], id="l2", check="evasion.l2", where={"eps": 0.5}, limits=MetricLimits(least=0.4)
    )
    inputs = inputs_of(ATTACKED, policy=replace(POLICY, rules=(*RULES, rule)))
    found = {
        item.title: drawn(item).count('class="limit"')
        for item in next(s for s in build_figure_sections(inputs) if s.title == ATTACK).panels[:3]
    }
    assert list(found.values()) == [2, 2, 0]  # the mark and its line in the legend


def test_the_cheapest_attack_the_stages_needed_and_the_effort_are_said_in_one_paragraph() -> None:
    (note,) = panel("Accuracy under attack: L2 (small Euclidean distance)").notes
    assert note == (
        "The cheapest attack that worked: climb, 20 steps, 2.44 queries and gradients a broken row "
        "at a budget of 0.5 ranges (L2) (108 rows broken). A policy needs no more than these "
        "stages on this model, of 2: climb, 20 steps. Spent in all: 1,170 queries, 11,700 "
        "gradients, 9 phantoms."
    )


def test_how_small_a_change_breaks_half_is_said_in_the_units_of_its_norm() -> None:
    rows = {row[:2]: row[2] for row in panel("Smallest change that breaks").rows}
    assert rows == {
        ("L∞ (every feature changes a little)", "Bounded attack with gradients (APGD)"): (
            "at most 0.113 of the range"
        ),
        (
            "L∞ (every feature changes a little)",
            "attacks from the Adversarial Robustness Toolbox",
        ): ("not found: 60 % still right at 2 of the range"),
        (
            "L2 (small Euclidean distance)",
            "L2 attacks (small Euclidean distance)",
        ): "at most 0.55 ranges (L2)",
        ("L0 (a few features change freely)", "L0 attacks (a few features changed freely)"): (
            "at most 2 features"
        ),
        ("attacks with realistic table rows", "attacks with realistic table rows"): (
            "at most 0.05"
        ),
    }


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_who_is_broken_is_asked_at_the_largest_budget_that_leaves_some(values: list[float]) -> None:
    readings = [
        robust("evasion.l2", value, {"eps": 0.1 * (place + 1), "norm": "l2"})
        for place, value in enumerate(values)
    ]
    chosen = choose_telling_budget(readings)
    between = [place for place, value in enumerate(values) if 0.05 < value < 0.95]
    assert chosen is readings[between[-1] if between else len(values) // 2]


def test_the_least_robust_classes_come_first_and_the_rest_is_counted() -> None:
    by_class, by_sex = panel("Robust accuracy by class"), panel("Robust accuracy by sex")
    assert [row[0] for row in by_class.rows] == list(CLASSES)
    assert drawn(by_class).count('class="mark series-0"') == 14
    assert "3 more, none less robust, are in the table only." in by_class.caption
    assert "at a budget of 0.5 ranges (L2)" in by_class.caption
    assert [row[0] for row in by_sex.rows] == ["female", "male"]


def test_one_class_alone_is_no_breakdown() -> None:
    only = robust("evasion.l2", 0.5, {"eps": 0.5, "norm": "l2"}, by_class=parts(["1"]))
    found = section(ATTACK, replace(ATTACKED, readings=(only,)))
    assert not [item for item in found.panels if item.title.startswith("Who")]


def test_what_moves_is_a_share_of_broken_rows_and_how_far_where_it_moved() -> None:
    rows = [row[1:] for row in panel("Features that attacks change").rows]
    assert rows == [
        ("income", "50 %", "\N{MINUS SIGN}0.25"),
        ("purpose", "25 %", "another choice"),
        ("debt", "25 %", "0.2"),
    ]


def test_corruptions_are_a_table_of_figures_with_the_worst_kind_first() -> None:
    faults = panel("Accuracy under noise", FAULTS)
    assert faults.grid is not None
    assert faults.grid.header == ("Kind", "severity 1", "severity 5", "mean")
    assert [name for name, _ in faults.grid.rows] == ["fog", "jpeg noise"]
    fog, noise = (cells for _, cells in faults.grid.rows)
    assert [cell.text for cell in fog] == ["95 %", "49 %", "72 %"]
    assert [cell.heat for cell in fog] == [0, 5, 3]
    assert noise[1].text == "no figure"
    assert "Accuracy under the worst kind, fog: 72 % (60\N{EN DASH}80 %)." in faults.notes
    assert "Not asked: unit error, missing (it is for tables)." in faults.notes


def test_views_go_by_their_budget_worst_and_on_average() -> None:
    views = panel("Accuracy under the worst rotation", FAULTS)
    assert [row[:3] for row in views.rows] == [
        ("no change", "Accuracy before any change", "99 %"),
        ("medium", "Accuracy under the worst view", "at most 66 %"),
        ("medium", "Accuracy over random views", "92 %"),
    ]
    assert views.rows[1][-1] == "angle 20, shift 0.06"


def test_the_log_names_every_attack_at_every_budget() -> None:
    (log,) = section(ATTACK).logs
    assert log.title == "Log of the attacks (10 entries)"
    assert log.header[1:4] == ("Attack", "Budget (eps)", "Rows standing")
    assert log.rows[0] == (
        "Accuracy under L2 attacks (small Euclidean distance)",
        "climb, 20 steps", "0.25", "195", "40", "195", "3,900", "3", "0",
    )  # fmt: skip


def test_a_log_too_long_to_read_says_what_it_leaves_out() -> None:
    many = replace(ATTACKED, readings=ATTACKED.readings * 30)
    (log,) = section(ATTACK, many).logs
    assert len(log.rows) + log.hidden == 300
    assert log.hidden > 0


def test_a_record_without_figures_has_no_sections() -> None:
    assert build_figure_sections(inputs_of(SILENT)) == ()


@pytest.mark.parametrize("norm", [*NORMS, "", "l7"])
@given(size=st.floats(0, 1e6))
def test_a_change_is_written_with_its_number_first(norm: str, size: float) -> None:
    assert float(format_change_size(norm, size).split(" ")[0]) == pytest.approx(size, rel=0.01)


def test_known_norms_come_in_our_order_and_others_after_them() -> None:
    assert sort_norms(["zz", "l0", "aa", "linf", "l0"]) == ("linf", "l0", "aa", "zz")


def test_of_more_attacks_than_can_be_told_apart_those_that_found_least_are_in_the_table() -> None:
    many = [
        robust("evasion.l2", 0.1 * rank, {"eps": 0.5, "norm": "l2", "start": f"s{rank}"})
        for rank in (7, 1, 2, 3, 4, 5)
    ]
    found = panel("Accuracy under attack", record=replace(ATTACKED, readings=tuple(many)))
    assert found.caption == "Attacks that found less (1) are in the table only."
    assert "start = s7" not in drawn(found)
    assert len(found.rows) == 6


def test_a_rule_that_does_not_apply_has_no_limit_in_a_plot() -> None:
    at = "Accuracy under attack: L∞"
    assert 'class="limit"' in drawn(panel(at))
    off = tuple(
        replace(it, outcome=Outcome.NOT_APPLICABLE) if it.rule == "robust-linf" else it
        for it in ATTACKED.findings
    )
    assert 'class="limit"' not in drawn(panel(at, record=replace(ATTACKED, findings=off)))
