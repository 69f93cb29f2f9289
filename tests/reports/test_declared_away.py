"""The report names the rules that the audit file switches off, and what switches them off."""

import io
from dataclasses import replace
from typing import Any

import pytest
from pages import Page
from rendering_records import PASSING, POLICY, finding, inputs_of

from auditor.cli.record_output import show_closing, show_record
from auditor.domain.confusable_names import quote_unclear_name
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import Json
from auditor.domain.number_text import format_setting
from auditor.domain.pinned_settings import EASING
from auditor.domain.policies import MetricLimits, Policy
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.reports.declarations import LABELS, describe_attack_space, describe_declarations
from auditor.reports.formats.html import render_html
from auditor.reports.html.first_screen import describe_unasked
from auditor.reports.html.verdict import describe_verdict
from auditor.reports.scope_wording import build_verdict_headline, describe_scope
from auditor.reports.terminal import create_console

WHENS = {
    "people": 'task == "classification" && !model.tags.exists(t, t == "not-about-people")',
    "numbers": 'task == "classification"',
    "file": "!predictions_only",
    "claims": "has(claims.accuracy)",
    "quoted": "!model.tags.exists(t, t == 'not-about-people')",
}


def switched_off(*rules: str) -> tuple[AuditRecord, Policy]:
    model, said = POLICY.rules[0], PASSING.findings[0]
    asked = tuple(replace(model, id=rule, when=WHENS[rule]) for rule in rules)
    off: tuple[Finding, ...] = tuple(
        replace(said, rule=rule, title=rule.title(), outcome=Outcome.NOT_APPLICABLE)
        for rule in rules
    )
    record = replace(PASSING, findings=(*PASSING.findings, *off))
    return record, replace(POLICY, rules=(*POLICY.rules, *asked))


def told(*rules: str, tags: tuple[str, ...] = (), regression: bool = False) -> str:
    record, policy = switched_off(*rules)
    declared = {"task.tolerance": 1.0} if regression else None
    request = replace(record.request, tags=tags, declared=declared)
    return " | ".join(
        said.text for said in describe_declarations(replace(record, request=request), policy)
    )


def test_a_tag_a_regression_and_missing_model_files_are_named_with_their_rules() -> None:
    assert told("people", tags=("not-about-people",)) == (
        "1 rule does not apply, because the audit file declares the tag not-about-people: People."
    )
    assert told("quoted", tags=("not-about-people",)) == (
        "1 rule does not apply, because the audit file declares the tag not-about-people: Quoted."
    )
    assert told("people", "numbers", regression=True).startswith(
        "2 rules do not apply, because the audit file declares a regression: People; Numbers."
    )
    record, policy = switched_off("file")
    alone = replace(record, request=replace(record.request, artifact=None))
    (said,) = describe_declarations(alone, policy)
    assert said.lead == "1 rule does not apply, because the audit file declares predictions only"
    assert said.items == ("File",)


def test_each_declaration_is_named_with_the_rules_that_it_alone_switches_off() -> None:
    assert told("people", "numbers", tags=("not-about-people",), regression=True).split(" | ")[
        :2
    ] == [
        (
            "1 rule does not apply, because the audit file declares the tag not-about-people and a "
            "regression: People."
        ),
        "1 rule does not apply, because the audit file declares a regression: Numbers.",
    ]


@pytest.mark.parametrize(
    ("declared", "idle"), [({"task.tolerance": 1.0}, ("Claims",)), (None, ("Numbers", "Claims"))]
)
def test_the_report_and_the_terminal_list_the_same_declarations(
    declared: dict[str, Json] | None, idle: tuple[str, ...]
) -> None:
    record, policy = switched_off("people", "numbers", "file", "claims")
    request = replace(record.request, tags=("not-about-people",), artifact=None, declared=declared)
    record = replace(record, request=request)
    inputs = inputs_of(record, policy=policy)
    out = io.StringIO()
    show_record(create_console(file=out), inputs)
    lines = Page(render_html(inputs)).lines
    box = lines[lines.index("Declared, not checked") : lines.index("Limits of this verdict")]
    said = describe_declarations(record, policy)
    assert said
    for item in said:
        assert f"declared, not checked {item.lead}:" in out.getvalue()
        assert any(item.lead in line for line in box)
        for title in item.items:
            assert f"  {title}\n" in out.getvalue()
            assert title in box
    (other,) = (item for item in describe_unasked(inputs) if item.items)
    assert other.items == idle


def test_settings_are_shown_in_words_and_without_brackets() -> None:
    declared: dict[str, Json] = {
        "input.immutable": ["age", "sex"],
        "input.relations": 2,
        "task.costs": {"yes": {"no": 5.0}},
        "task.threshold": 0.4,
    }
    record = replace(PASSING, request=replace(PASSING.request, declared=declared))
    (said,) = describe_declarations(record, POLICY)
    assert said.lead == "Settings of the audit file that can make rules easier to pass"
    assert said.items == (
        "decision threshold (task.threshold): 0.4 (default: 0.5)",
        "costs of wrong decisions (task.costs): deciding no where yes is true costs 5",
        "columns that attacks may not change (input.immutable): age, sex",
        "number of relations between columns that attacks must keep (input.relations): 2",
    )
    long: dict[str, Json] = {"input.immutable": ["a" * 100, "b" * 100]}
    record = replace(PASSING, request=replace(PASSING.request, declared=long))
    (said,) = describe_declarations(record, POLICY)
    assert len(said.items[0]) < 200
    assert said.items[0].endswith("…")


@pytest.mark.parametrize(("chosen", "told"), [(5, True), (9, False)])
def test_an_impact_ratio_that_the_other_class_would_break_is_told(
    chosen: int, *, told: bool
) -> None:
    counts: dict[str, Json] = {"F": {"k": 90, "n": 100}, "M": {"k": 100 - chosen, "n": 100}}
    reading = Measurement(
        check="fairness.groups", metric="impact_ratio", value=0.9, method="", n=200,
        params={"group_column": "sex of all"},
        details={"counts": counts, "favourable": "0", "positive": "1"},
    )  # fmt: skip
    kept = replace(PASSING.findings[0], outcome=Outcome.PASSED, readings=(0,))
    rule = replace(POLICY.rules[0], id=kept.rule, limits=MetricLimits(least=0.8))
    policy = replace(POLICY, rules=(rule,))
    lead = "If the other class were the favourable one"

    def said(outcome: Outcome, *, binary: bool = True) -> list[str]:
        details = reading.details if binary else {"counts": counts, "favourable": "0"}
        record = replace(
            PASSING,
            readings=(replace(reading, details=details),),
            findings=(replace(kept, outcome=outcome),),
        )
        return [it.lead for it in describe_declarations(record, policy) if it.lead.startswith(lead)]

    ratio = f"{lead}, the impact ratio by “sex of all” would be 0.5, and the rule “{kept.title}” "
    assert said(Outcome.PASSED) == ([f"{ratio}requires at least 0.8."] if told else [])
    assert said(Outcome.FAILED) == said(Outcome.PASSED, binary=False) == []


def test_every_setting_that_eases_has_a_name_in_words() -> None:
    assert set(LABELS) == set(EASING)


def test_the_usual_task_and_claims_switch_no_rule_off() -> None:
    assert told("numbers", "file", "claims") == ""


def test_predictions_alone_approve_no_model_file() -> None:
    alone = replace(PASSING, request=replace(PASSING.request, artifact=None))
    assert alone.verdict is Verdict.PASS
    waived = "1 of 4 required rules did not pass and is waived"
    assert build_verdict_headline(alone) == (
        f"Approved by predictions alone; no model file is approved; by exception: {waived}"
    )
    said = describe_verdict(inputs_of(alone)).sentences[0]
    assert said.startswith(
        f"Recorded predictions of “{alone.request.name} {alone.request.version}” were judged, "
        "not a model: they are approved. Policy"
    )
    out = io.StringIO()
    advisory = finding("calibrated", Outcome.UNKNOWN, "Open.")
    more = replace(alone, findings=(*alone.findings, advisory))
    show_closing(create_console(file=out), "Audited", more)
    assert out.getvalue() == (
        "Audited: PASS by exception of recorded predictions, not of a model "
        "(1 withstood, 2 passed, 1 waived; advisory: 1 undecided)\n"
    )
    (scope,) = describe_scope(alone)
    assert scope.endswith("It opens no gate for a model file.")
    assert build_verdict_headline(PASSING) == f"Approved by exception: {waived}"
    kept = tuple(it for it in PASSING.findings if it.outcome is not Outcome.WAIVED)
    assert build_verdict_headline(replace(PASSING, findings=kept)) == "Approved for deployment"
    assert describe_scope(PASSING) == ()


def withstood(outcome: Outcome, **details: object) -> AuditRecord:
    """A record with one reading of an attack, and two findings on it."""
    known: dict[str, Any] = {"coordinates": 8, "movable": 6, "eps_absolute": [0.4, 160], **details}
    reading = Measurement(
        check="evasion.linf", metric="robust_accuracy", value=0.8, method="", n=9,
        params={"eps": 0.02}, details=known,
    )  # fmt: skip
    finding = replace(PASSING.findings[0], outcome=outcome, readings=(0,))
    return replace(PASSING, readings=(reading,), findings=(finding, finding))


def test_what_attacks_could_move_is_told_once_where_a_model_withstood_them() -> None:
    (moved,) = describe_attack_space(withstood(Outcome.WITHSTOOD))
    assert moved == (
        "The attacks of evasion.linf at eps 0.02 could move 6 of 8 inputs, each by at most 2 % of "
        "its declared range: by 0.4 where that range is narrowest, and by 160 where it is widest. "
        "The audit checks only that the ranges hold the evaluation rows; narrower ranges and fixed "
        "inputs make attacks weaker."
    )
    (wide,) = describe_attack_space(withstood(Outcome.WITHSTOOD, eps_absolute=[0.018, 6000]))
    assert "by 0.018 where that range is narrowest, and by 6,000 where it is widest" in wide
    (alike,) = describe_attack_space(withstood(Outcome.WITHSTOOD, eps_absolute=[0.02, 0.02]))
    assert "each by at most 0.02, which is 2 % of its declared range" in alike
    (table,) = describe_attack_space(
        withstood(Outcome.PASSED, coordinates=None, eps_absolute=None, movable=3)
    )
    assert table.startswith(
        "The attacks of evasion.linf at eps 0.02 could move 3 inputs. The audit checks only"
    )
    record = withstood(Outcome.WITHSTOOD)
    queries = replace(record.findings[0], readings=(1,))
    other = replace(record.readings[0], check="evasion.linf_query")
    both = replace(record, readings=(*record.readings, other), findings=(*record.findings, queries))
    (joined,) = describe_attack_space(both)
    assert joined.startswith("The attacks of evasion.linf and evasion.linf_query at eps 0.02 could")
    assert describe_attack_space(withstood(Outcome.FAILED)) == ()
    assert describe_attack_space(withstood(Outcome.WITHSTOOD, movable=None)) == ()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sex", "sex"),
        ("none", "“none”"),
        ("None", "“None”"),
        ("sex (F; M); age (<45; 45+)", "“sex (F; M); age (<45; 45+)”"),
        ("none (default: none)", "“none (default: none)”"),
        ("sex” (f), age", '“sex" (f), age”'),
    ],
)
def test_a_column_cannot_take_a_name_that_reads_as_words_of_the_report(
    name: str, shown: str
) -> None:
    assert quote_unclear_name(name) == shown
    assert format_setting([name]) == format_setting(name) == shown
    assert format_setting({name: 0.5}) == f"{shown} 0.5"
