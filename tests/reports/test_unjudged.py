"""The first screen names rules that a verdict leaves open and bad figures that no rule judges."""

import io
from dataclasses import replace
from typing import Any

import pytest
from dossier_records import told
from pages import Page
from rendering_records import (
    FAILING,
    LINF,
    PASSING,
    POLICY,
    RULES,
    finding,
    inputs_of,
    measured,
)
from rich.console import Console

from auditor.cli.record_output import show_record
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.readings import BoundKind, Gap, Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.reports.formats.html import render_html
from auditor.reports.html.findings import build_cards, build_finding_references
from auditor.reports.html.risks import build_risk_rows
from auditor.reports.html.unjudged import describe_left_aside, list_unjudged_figures
from auditor.reports.html.verdict import describe_verdict
from auditor.reports.rendering_inputs import ReportInputs


def left_aside(record: AuditRecord) -> list[str]:
    return [item.text for item in describe_left_aside(inputs_of(record))]


def with_readings(*readings: Measurement) -> AuditRecord:
    return replace(PASSING, readings=(*PASSING.readings, *readings))


def error_slice(lift: float, *, confirmed: bool = True) -> Measurement:
    return replace(
        measured("fairness.groups", "selection_rate", 0.24, 0.14, 0.37),
        check="fairness.slices",
        metric="error",
        slice={"race": "black"},
        details={"confirmed": confirmed, "lift": lift},
    )


def tabular(value: float, eps: float, *, doubted: bool = False) -> Measurement:
    low, high = value - 0.05, value + 0.06
    return measured(
        "evasion.tabular", "robust_accuracy", value, low, high, params={"eps": eps}, doubted=doubted
    )


def test_a_pass_names_advisory_rules_that_are_open_and_why() -> None:
    place = next(i for i, item in enumerate(PASSING.readings) if isinstance(item, Gap))
    advisory = (
        finding("calibrated", Outcome.UNKNOWN, "Open."),
        finding("private", Outcome.UNKNOWN, "Open.", readings=(place,)),
    )
    record = replace(PASSING, findings=(*PASSING.findings, *advisory))
    said = (
        "Advisory, undecided: Stated confidence can be believed: 3 % (1\N{EN DASH}7 %); Members of "
        "the training data cannot be told: Membership inference is not built yet."
    )
    assert left_aside(record) == [said]
    lines = Page(render_html(inputs_of(record))).lines
    assert lines.index("Limits of this verdict") < lines.index("Advisory, undecided:")
    assert left_aside(PASSING) == []


def test_advisory_rules_that_failed_are_named_and_more_than_three_are_counted() -> None:
    failed = finding("calibrated", Outcome.FAILED, "Broken.")
    more = tuple(replace(failed, rule=name, title=name) for name in "abcd")
    (said,) = left_aside(replace(PASSING, findings=(*PASSING.findings, *more)))
    assert said.startswith("Advisory, failed: a: 3 %")
    assert said.endswith("; 1 more.")


def test_a_fail_names_its_undecided_required_rules() -> None:
    said = left_aside(FAILING)
    rate = "16 % (4\N{EN DASH}27 %) by race"
    assert said[0] == f"Required, undecided: Groups are selected at similar rates: {rate}."
    assert said[1].startswith("Advisory, undecided: Stated confidence can be believed: 3 %")


def test_a_figure_that_breaks_the_limit_of_a_rule_on_another_check_is_named() -> None:
    record = with_readings(tabular(0.18, 0.02), tabular(0.045, 0.05))
    (said,) = left_aside(record)
    assert said == (
        "Measured, but no rule judges it: Accuracy under attack (eps = 0.02) is at most 18 %, "
        "and a rule on another check requires at least 50 % (Accuracy under attacks with "
        "realistic table rows)."
    )


def test_the_worst_of_each_family_comes_before_a_second_of_one() -> None:
    selected = measured("fairness.groups", "selection_rate_gap", 0.4, 0.3, 0.5)
    gap = replace(selected, params={"group_column": "sex"})
    more = (replace(gap, check=f"fairness.{name}") for name in ("errors", "slices", "clusters"))
    record = with_readings(gap, *more, tabular(0.18, 0.02))
    named = [check for check, _ in list_unjudged_figures(inputs_of(record))]
    assert named[:2] == ["fairness.groups", "evasion.tabular"]
    assert named[2:] == ["fairness.errors", "fairness.slices", "fairness.clusters"]


def test_a_rule_that_did_not_apply_is_not_held_against_another_check() -> None:
    record = with_readings(tabular(0.18, 0.02))
    off = tuple(
        replace(item, outcome=Outcome.NOT_APPLICABLE) if item.rule == "robust-linf" else item
        for item in record.findings
    )
    elsewhere = tuple(
        replace(item, target="edge") if item.rule == "robust-linf" else item
        for item in record.findings
    )

    def named(findings: tuple[Finding, ...]) -> bool:
        found = list_unjudged_figures(inputs_of(replace(record, findings=findings)))
        return "evasion.tabular" in dict(found)

    assert (named(record.findings), named(off), named(elsewhere)) == (True, False, False)


def test_a_limit_without_an_eps_says_nothing_of_another_check() -> None:
    patch = replace(tabular(0.18, 0.02), check="evasion.patch", params={"side": 0.2})
    words = replace(RULES[0], where={})
    inputs = inputs_of(with_readings(patch), policy=replace(POLICY, rules=(words, *RULES[1:])))
    assert list_unjudged_figures(inputs) == ()


def test_a_rule_for_classifiers_says_nothing_of_a_regression() -> None:
    figure = measured(LINF, "robust_accuracy", 0.18, 0.13, 0.24, params={"eps": 0.02})
    off = replace(
        next(item for item in PASSING.findings if item.rule == "robust-linf"),
        outcome=Outcome.NOT_APPLICABLE,
    )
    record = replace(PASSING, readings=(figure,), findings=(off,))
    rules = (replace(RULES[0], when='task == "classification"'),)

    def named(task: str) -> int:
        declared = {"task.tolerance": 1.0} if task == "regression" else {}
        request = replace(record.request, declared=declared)
        inputs = inputs_of(replace(record, request=request), policy=replace(POLICY, rules=rules))
        return len(list_unjudged_figures(inputs))

    assert (named("classification"), named("regression")) == (1, 0)


def test_the_terminal_names_bad_figures_that_no_rule_judges() -> None:
    def shown(record: AuditRecord) -> str:
        written = io.StringIO()
        show_record(Console(file=written, width=80), inputs_of(record))
        return written.getvalue()

    said = shown(with_readings(tabular(0.18, 0.02)))
    lead, figure = "unjudged Measured, but no rule judges it:", "(eps = 0.02) is at most 18 %"
    assert said.index(lead) < said.index(figure) < said.index("accurate ")
    assert lead not in shown(PASSING)


def test_the_terminal_names_what_narrows_a_verdict() -> None:
    def shown(**request: Any) -> str:  # noqa: ANN401 -- any field of a request
        written = io.StringIO()
        found = tuple(
            replace(it, outcome=Outcome.PASSED) if it.measure.startswith("fairness.") else it
            for it in PASSING.findings
        )
        asked = replace(PASSING.request, **request)
        record = replace(PASSING, request=asked, findings=found)
        show_record(Console(file=written, width=80), inputs_of(record))
        return written.getvalue()

    assert "Only these checks ran" not in (whole := shown())
    assert "columns that look like groups" not in whole
    assert "not checked Only these checks ran: quality.accuracy." in shown(
        only=("quality.accuracy",)
    )
    columns = "not checked Rules about groups passed, and columns that look like groups were not"
    assert f"{columns} compared:\n  age\n" in shown(uncompared=("age", "income"))
    less = shown(budget=Budget.CI, max_minutes=1.0)
    assert "limits Less time was allowed than the budget gives" in less


def test_many_rows_that_repeat_each_other_are_named() -> None:
    def named(value: float, chance: float | None, data: str = "evaluation") -> str:
        details = {} if chance is None else {"by_chance": chance}
        share = measured("quality.accuracy", "accuracy", value, params={"data": data})
        repeats = replace(
            share,
            check="data.duplicates",
            metric="near_share",
            details=details,
            bound=BoundKind.AT_LEAST,
        )
        return " ".join(
            text for _, text in list_unjudged_figures(inputs_of(with_readings(repeats)))
        )

    said = "Rows that nearly repeat another row (data = evaluation): at least 62 %"
    assert named(0.62, 0.02).startswith(said)
    assert named(0.62, None)
    assert named(0.62, 0.6) == named(0.05, 0.0) == named(0.62, 0.0, "training") == ""


def test_judged_rows_of_the_training_data_are_named() -> None:
    share = measured("quality.accuracy", "accuracy", 1.0)
    leaked = replace(share, check="data.leakage", metric="exact_share", details={"by_chance": 0.02})
    (named,) = list_unjudged_figures(inputs_of(with_readings(leaked)))
    assert named[0] == "data.leakage"
    assert named[1].startswith("Evaluation rows that are also in the training data: 100 %")
    few = replace(leaked, value=0.05)
    assert list_unjudged_figures(inputs_of(with_readings(few))) == ()


def test_decisions_that_depend_on_the_batch_are_named() -> None:
    share = measured("quality.accuracy", "accuracy", 0.04, params={"varied": "rows"})
    unsteady = replace(share, check="hardware.determinism", metric="label_disagreement")
    (named,) = list_unjudged_figures(inputs_of(with_readings(unsteady)))
    assert named[1].startswith("Rows with a different decision in another run (varied = rows): 4 %")
    rare = replace(unsteady, value=0.002)
    assert list_unjudged_figures(inputs_of(with_readings(rare))) == ()


@pytest.mark.parametrize(
    "reading",
    [
        tabular(0.47, 0.02),
        tabular(0.8, 0.02),
        tabular(0.01, 0.2),
        tabular(0.18, 0.02, doubted=True),
        error_slice(1.4),
        error_slice(3.0, confirmed=False),
    ],
)
def test_a_figure_that_shows_nothing_worse_is_not_named(reading: Measurement) -> None:
    assert list_unjudged_figures(inputs_of(with_readings(reading))) == ()


def test_a_figure_that_a_rule_judges_is_not_named_again() -> None:
    record = with_readings(tabular(0.18, 0.02), error_slice(2.9))
    rules = [
        replace(RULES[0], id="tabular", check="evasion.tabular", where={"eps": 0.02}),
        replace(RULES[0], id="slices", check="fairness.slices", metric="worst_slice_error"),
    ]
    judged = tuple(
        replace(PASSING.findings[0], rule=rule.id, measure=rule.measure) for rule in rules
    )
    inputs = inputs_of(
        replace(record, findings=(*record.findings, *judged)),
        policy=replace(POLICY, rules=(*RULES, *rules)),
    )
    assert list_unjudged_figures(inputs) == ()


def test_a_limit_of_one_changed_word_says_nothing_of_two() -> None:
    rule = replace(RULES[0], id="words", check="evasion.text", where={"words": 1})
    off = replace(
        PASSING.findings[0],
        rule=rule.id,
        measure=rule.measure,
        outcome=Outcome.NOT_APPLICABLE,
    )

    def named(words: int) -> int:
        low = replace(tabular(0.18, 0.02), check="evasion.text", metric=rule.metric)
        record = with_readings(replace(low, params={"words": words}))
        record = replace(record, findings=(*record.findings, off))
        inputs = inputs_of(record, policy=replace(POLICY, rules=(*RULES, rule)))
        return len(list_unjudged_figures(inputs))

    assert (named(1), named(2)) == (1, 0)


def test_a_rule_that_a_declaration_switches_off_judges_nothing() -> None:
    gap = measured(
        "fairness.groups", "selection_rate_gap", 0.4, 0.3, 0.5, params={"group_column": "race"}
    )
    off = tuple(
        replace(item, outcome=Outcome.NOT_APPLICABLE) if item.rule == "fair-selection" else item
        for item in PASSING.findings
    )
    assert list_unjudged_figures(inputs_of(with_readings(gap))) == ()
    record = replace(with_readings(gap), findings=off)
    ((check, said),) = list_unjudged_figures(inputs_of(record))
    assert check == "fairness.groups"
    assert "is 40 %, and a rule that does not apply requires at most 10 %" in said


def test_large_differences_between_groups_are_named_where_no_rule_compares_groups() -> None:
    def named(metric: str, *figure: float) -> str:
        gap = measured(
            "fairness.groups", "selection_rate_gap", *figure, params={"group_column": "race"}
        )
        if metric.endswith("_ratio"):
            gap = replace(gap, metric=metric, unit=Unit.NONE)
        silent = [item for item in PASSING.findings if item.rule != "fair-selection"]
        record = replace(with_readings(gap), findings=tuple(silent))
        bare = tuple(rule for rule in RULES if rule.id != "fair-selection")
        found = list_unjudged_figures(inputs_of(record, policy=replace(POLICY, rules=bare)))
        return found[0][1] if found else ""

    assert "is 40 % (30\N{EN DASH}50 %), and no rule compares groups" in named(
        "selection_rate_gap", 0.4, 0.3, 0.5
    )
    assert named("selection_rate_gap", 0.12, 0.05, 0.2) == ""
    assert "0.5 (0.4\N{EN DASH}0.6), and no rule compares groups" in named(
        "impact_ratio", 0.5, 0.4, 0.6
    )
    assert named("impact_ratio", 0.9, 0.7, 1.0) == ""


def test_a_rule_on_one_column_of_groups_leaves_another_column_unjudged() -> None:
    gaps = [
        measured(
            "fairness.groups", "selection_rate_gap", 0.4, 0.3, 0.5, params={"group_column": it}
        )
        for it in ("race", "sex")
    ]

    def judged(where: dict[str, str]) -> ReportInputs:
        rules = tuple(
            replace(rule, where=where) if rule.id == "fair-selection" else rule for rule in RULES
        )
        return inputs_of(with_readings(*gaps), policy=replace(POLICY, rules=rules))

    def named(where: dict[str, str]) -> list[str]:
        return [said for _, said in list_unjudged_figures(judged(where))]

    def limits(where: dict[str, str]) -> tuple[str, ...]:
        return describe_verdict(judged(where)).limits

    (said,) = named({"group_column": "sex"})
    assert "Groups compared, but judged by no rule: race." in limits({"group_column": "sex"})
    assert not any("judged by no rule" in it for it in limits({}))
    assert said == (
        "Largest gap in selection rate (groups of race) is 40 % (30\N{EN DASH}50 %), "
        "and no rule compares these groups (Figures by group)"
    )
    assert named({}) == []


def test_a_rule_on_one_figure_of_a_column_leaves_another_figure_unjudged() -> None:
    rule = next(it for it in RULES if it.id == "fair-selection")
    selected = measured("fairness.groups", "selection_rate_gap", 0.5, 0.4, 0.6)
    selected = replace(selected, params={"group_column": "race"})
    readings = [
        replace(selected, metric="tpr_gap", value=0.02, low=0.0, high=0.04),
        replace(selected, metric="fpr_gap", value=0.3, low=0.2, high=0.4),
        selected,
    ]
    odds = replace(readings[0], metric="equalised_odds_gap", value=0.3, low=0.2, high=0.4)
    other = replace(readings[2], params={"group_column": "sex"}, value=0.2, low=0.15, high=0.3)

    def named(metric: str, *more: Measurement) -> list[str]:
        only = replace(rule, metric=metric)
        findings = tuple(
            replace(it, measure=only.measure) if it.rule == rule.id else it
            for it in PASSING.findings
        )
        record = replace(with_readings(*readings, *more), findings=findings)
        rules = tuple(only if it.id == rule.id else it for it in RULES)
        inputs = inputs_of(record, policy=replace(POLICY, rules=rules))
        return [said for _, said in list_unjudged_figures(inputs)]

    lead = "Largest gap in selection rate (groups of race) is 50 % (40\N{EN DASH}60 %)"
    title = "(Figures by group)"
    assert named("tpr_gap") == [f"{lead}, and no rule judges this figure {title}"]
    both = [f"{lead}, and no rule judges this figure; also large by sex {title}"]
    assert named("tpr_gap", other) == both
    (said,) = named("selection_rate_gap")
    assert "Fpr gap (groups of race)" in said
    # The gap of equalised odds is the larger of two: a rule on it judges both
    assert named("selection_rate_gap", odds)
    (said,) = named("equalised_odds_gap", odds)
    assert "selection rate" in said


def test_a_confirmed_slice_with_twice_the_mistakes_is_named() -> None:
    (said,) = left_aside(with_readings(error_slice(2.88)))
    assert said == (
        "Measured, but no rule judges it: race = black: 24 % of the decisions are wrong "
        "(14\N{EN DASH}37 %), 2.9 times the share of all other rows (Slices on which the "
        "model is worse)."
    )


def test_slices_of_a_regression_are_told_in_its_own_words() -> None:
    record = with_readings(error_slice(2.88))
    regression = replace(record, request=replace(record.request, declared={"task.tolerance": 1.0}))
    (said,) = left_aside(regression)
    assert "24 % of the predictions are off by more than the tolerance (14" in said


def test_a_term_of_the_policy_that_is_not_met_says_what_the_audit_has() -> None:
    unmet = replace(
        finding("accurate", Outcome.UNKNOWN, ""),
        rule="policy.least_budget",
        title="The audit has the budget",
        measure="policy/budget",
        readings=(),
        message="Required: budget ci or more. Found: budget smoke. The policy accepts no such "
        "audit.",
    )
    failing = replace(FAILING, findings=(*FAILING.findings, unmet))
    assert any("The audit has the budget: budget smoke" in said for said in left_aside(failing))
    card = next(it for it in build_cards(inputs_of(failing)) if it.finding is unmet)
    assert (card.value, card.found) == ("budget smoke", ("Budget smoke.",))
    written = io.StringIO()
    undecided = replace(PASSING, findings=(*PASSING.findings, unmet))
    show_record(Console(file=written, width=80), inputs_of(undecided))
    assert "Found: budget smoke. Required:" in written.getvalue()


def test_a_risk_is_not_said_to_be_held_down_beside_a_bad_figure_that_no_rule_judges() -> None:
    def standing(record: AuditRecord) -> str:
        inputs = told(record)
        rows = build_risk_rows(inputs, build_finding_references(inputs, build_cards(inputs)))
        return next(row.said for row in rows if row.risk.id == "R-open")

    kept = "Every rule about it is kept, as far as these attacks can tell"
    assert standing(PASSING).startswith(f"{kept};")
    assert standing(with_readings(tabular(0.18, 0.02))).startswith(
        f"{kept}, but figures that no rule judges are worse"
    )
