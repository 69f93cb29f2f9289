from dataclasses import replace

import pytest
from shown_records import record_of, rule, shown, table_of

from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import Gap, GapReason
from auditor.reports.html.coverage import split_requested_gaps

GAP = Gap(
    reason=GapReason.NEEDS_LABELS,
    detail="No labels.",
    cure="Name them.",
    target="cpu",
    check="quality.accuracy",
)


ASKED = rule("quality.accuracy/accuracy", limits=MetricLimits(least=0.8))


def test_what_a_rule_waits_for_is_told_and_the_rest_is_counted() -> None:
    other = replace(GAP, check="data.drift", detail="No earlier data.")
    said = shown(ASKED, GAP, other, other, width=100)
    assert "No labels" in said
    assert "No earlier data" not in said
    assert "2 figures that no rule requires are missing" in said


def test_a_check_that_crashed_is_told_though_no_rule_asks_for_it() -> None:
    said = shown(
        ASKED, replace(GAP, check="data.drift", reason=GapReason.CHECK_CRASHED, detail="It fell.")
    )
    assert "It fell" in said
    assert "figures that no rule" not in said


@pytest.mark.parametrize(
    ("gap", "asked"),
    [
        (GAP, True),
        (replace(GAP, metric="accuracy"), True),
        (replace(GAP, metric="auc"), False),
        (replace(GAP, check="quality.claims"), False),
    ],
)
def test_a_rule_asks_for_its_own_metric(gap: Gap, asked: bool) -> None:  # noqa: FBT001 -- of a table
    assert split_requested_gaps(record_of(ASKED, [gap])) == (([gap], []) if asked else ([], [gap]))


def test_what_was_asked_for_by_name_is_told() -> None:
    gap = replace(GAP, check="data.drift")
    assert split_requested_gaps(record_of(ASKED, [gap], only=("data.drift",))) == ([gap], [])


def test_a_rule_that_does_not_apply_waits_for_nothing() -> None:
    idle = record_of(ASKED, [GAP])
    findings = tuple(replace(item, outcome=Outcome.NOT_APPLICABLE) for item in idle.findings)
    assert split_requested_gaps(replace(idle, findings=findings)) == ([], [GAP])


@pytest.mark.parametrize(
    ("only", "outcome", "measure", "said"),
    [
        (("data.drift",), Outcome.UNKNOWN, ASKED.measure, True),
        ((ASKED.check,), Outcome.UNKNOWN, ASKED.measure, False),
        ((), Outcome.UNKNOWN, ASKED.measure, False),
        (("data.drift",), Outcome.NOT_APPLICABLE, ASKED.measure, False),
        (("data.drift",), Outcome.UNKNOWN, "policy/budget", False),
    ],
)
def test_a_rule_whose_check_was_left_out_by_only_says_so(
    only: tuple[str, ...],
    outcome: Outcome,
    measure: str,
    said: bool,  # noqa: FBT001 -- of a table
) -> None:
    record = record_of(ASKED, [], only)
    finding = replace(record.findings[0], readings=(), outcome=outcome, measure=measure)
    text = table_of(replace(record, findings=(finding,)), ASKED, width=160)
    assert ("not run: left out by --only" in text) == said
