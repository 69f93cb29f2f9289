"""Tables of results: texts at a glance in a terminal and a notebook, every column for programs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_audits import write_example

import auditor
from auditor.domain.findings import Outcome, Verdict
from auditor.errors import UsageError
from auditor.policy.plan import RuleProspect
from auditor.reports.wording import OUTCOMES
from auditor.workflows.audit_report import ComparisonReport
from auditor.workflows.result_tables import PROSPECTS, ResultTable, TableLayout

CHECKS = ("quality.accuracy", "fairness.groups", "privacy.membership")


@dataclass(frozen=True)
class Row:
    target: str
    text: str = ""
    empty: str = ""


ROWS: TableLayout[Row] = TableLayout({"text": pl.String}, vars, vars)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> auditor.AuditSpec:
    write_example(folder := tmp_path_factory.mktemp("example"))
    return auditor.AuditSpec.load(folder / "audit.yaml").override(
        policy="baseline", budget="smoke", only=CHECKS
    )


@pytest.fixture(scope="module")
def report(spec: auditor.AuditSpec) -> auditor.AuditReport:
    return spec.audit(key=auditor.Key.ephemeral(), progress=False)


def test_a_table_shows_no_empty_column_and_a_target_only_where_there_are_two() -> None:
    alone = ResultTable([Row("cpu", "a"), Row("cpu", "b")], ROWS)
    both = ResultTable([Row("cpu", "a"), Row("gpu", "b")], ROWS)
    assert repr(alone).split() == ["text", "────", "a", "b"]
    assert repr(both).split()[:2] == ["target", "text"]
    assert "empty" not in both._repr_html_()


def test_a_long_table_says_how_much_more_there_is_and_a_program_gets_all_of_it() -> None:
    table = ResultTable([Row("cpu", str(at)) for at in range(50)], ROWS)
    assert repr(table).endswith("… and 10 more; .to_polars() has all.")
    assert "… and 10 more" in table._repr_html_()
    assert len(table.to_polars()) == len(table.to_pandas()) == 50


def test_an_empty_table_is_shown_as_one() -> None:
    empty = ResultTable((), ROWS)
    assert (len(empty), empty.to_polars().height) == (0, 0)
    assert "<table" in empty._repr_html_()
    assert repr(empty) is not None


def test_texts_of_others_are_shown_and_never_obeyed() -> None:
    table = ResultTable([Row("cpu", "[bold]\x1b[31m<script>")], ROWS)
    assert "[bold]" in repr(table)
    assert "\x1b" not in repr(table)
    assert "&lt;script&gt;" in table._repr_html_()


def test_findings_are_told_in_words_and_kept_by_the_record_s_values(
    report: auditor.AuditReport,
) -> None:
    unknown = [it for it in report.findings if it.outcome is Outcome.UNKNOWN]
    assert unknown
    assert OUTCOMES[Outcome.UNKNOWN].lower() in repr(report.findings)
    outcomes = report.findings.to_polars()["outcome"].to_list()
    assert outcomes == [it.outcome.value for it in report.record.findings]
    assert list(report.findings.to_pandas()["outcome"]) == outcomes


def test_a_narrow_terminal_cuts_off_no_figure(
    report: auditor.AuditReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = repr(report.readings).splitlines()
    assert all(len(line) <= 80 for line in lines)
    (figure,) = [it for it in lines if "39–58 %" in it]  # noqa: RUF001 -- as it is shown
    assert figure.split()[-1] == "120"
    assert "n" in lines[0].split()


def test_readings_have_their_interval_and_gaps_their_reason(
    report: auditor.AuditReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = repr(report.readings)
    heads = shown.splitlines()[0].split()
    assert heads == ["check", "metric", "where", "value", "interval", "n", "note"]
    assert "needs_training_data" in shown
    table = report.readings.to_polars()
    gap = table.filter(pl.col("check") == "privacy.membership").to_dicts()[0]
    assert (gap["gap"], gap["value"]) == ("needs_training_data", None)
    assert gap["cure"]
    assert table.filter(pl.col("metric") == "accuracy")["n"][0] == 120


def test_evidence_is_read_by_check_and_gives_the_figure_again(report: auditor.AuditReport) -> None:
    seen = report.evidence("quality.accuracy")
    right = np.asarray(seen["decided"]) == np.asarray(seen["labels"])
    found = report.readings.to_polars().filter(check="quality.accuracy", metric="accuracy")
    assert found["value"].to_list() == [right.mean()]
    with pytest.raises(UsageError, match=r"no evidence of quality.acuracy.*quality.accuracy"):
        report.evidence("quality.acuracy")
    with pytest.raises(UsageError, match=r"no evidence of privacy.membership"):
        report.evidence("privacy.membership")
    with pytest.raises(UsageError, match=r"no evidence of quality.accuracy"):
        report.evidence("quality.accuracy", target="gpu")


def test_a_plan_shows_its_rules_and_checks_and_is_read_by_target(spec: auditor.AuditSpec) -> None:
    plan = spec.plan()
    assert list(plan) == ["cpu"]
    assert [it.check for it in plan["cpu"].checks] == [it.check for it in plan.checks()]
    assert "Plan for cpu: at most " in repr(plan)
    assert "needs_training_data" in repr(plan)
    assert plan._repr_html_().count("<table") == 2
    prospects: list[Any] = plan.rules().to_polars()["prospect"].to_list()
    assert set(prospects) <= {it.value for it in RuleProspect}
    assert set(PROSPECTS) == set(RuleProspect)
    gaps = plan.checks("cpu").to_polars().filter(pl.col("gap").is_not_null())
    assert gaps["check"].to_list() == ["privacy.membership"]


def test_steps_and_a_comparison_are_tables_too(report: auditor.AuditReport, tmp_path: Path) -> None:
    folder = report.save(tmp_path / "report")
    steps = auditor.verify(folder, key=folder / "signer.pub")
    assert repr(steps).startswith("It holds.\nresult")
    assert "<table" in steps._repr_html_()
    same = auditor.compare(folder, folder)
    assert same
    assert not same.got_worse
    assert set(same.figures.to_polars()["moved"]) == {"same"}
    assert not same.findings.to_polars()["changed"].any()
    assert repr(same.findings).splitlines()[0].split() == ["rule", "effect", "before", "after"]


@pytest.mark.parametrize("outcome", Outcome)
def test_a_report_is_true_only_if_its_verdict_is_a_pass(
    report: auditor.AuditReport, outcome: Outcome
) -> None:
    findings = tuple(replace(it, outcome=outcome) for it in report.record.findings)
    judged = auditor.AuditReport(replace(report.record, findings=findings), report.policy, {})
    assert bool(judged) is (judged.verdict is Verdict.PASS)


def test_a_comparison_is_true_only_if_nothing_got_worse(
    report: auditor.AuditReport, tmp_path: Path
) -> None:
    folder = report.save(tmp_path / "report")
    same = auditor.compare(folder, folder)
    lost = replace(same.view.comparison, verdicts=(Verdict.PASS, Verdict.FAIL))
    worse = ComparisonReport(replace(same.view, comparison=lost))
    assert worse.got_worse
    assert not worse
