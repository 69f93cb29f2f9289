"""What somebody who meets a report for the first time must not stumble over."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import rendering_records as records
from pages import Page
from rendering_records import FAILING, FINDINGS, OPEN, READINGS, finding, index_of, inputs_of

from auditor.checks.hardware.parity import LOOK
from auditor.checks.registry import discover_checks
from auditor.domain.findings import Outcome
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.records import AuditRecord
from auditor.reports.formats.html import render_html
from auditor.reports.formats.junit import render_junit
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.coverage import build_gap_rows
from auditor.reports.html.findings import FindingCard, build_cards
from auditor.reports.wording import choose_verb, mark_code
from auditor.targets.target_specs import OPTIMIZATIONS

LATENCY = index_of("hardware.latency", "p99")
NOISE = "3.20% of the calls were interrupted by other processes"


def with_reading(place: int, reading: Reading, *findings: Any) -> AuditRecord:  # noqa: ANN401 -- findings
    readings = (*READINGS[:place], reading, *READINGS[place + 1 :])
    return replace(FAILING, readings=readings, findings=findings or FINDINGS)


def altered(place: int, **fields: object) -> Measurement:
    found = READINGS[place]
    assert isinstance(found, Measurement)
    return replace(found, **fields)  # type: ignore[arg-type]  # any field of a measurement


def card_of(record: AuditRecord, rule: str) -> FindingCard:
    return next(card for card in build_cards(inputs_of(record)) if card.finding.rule == rule)


def text_of(record: AuditRecord) -> str:
    return Page(render_html(inputs_of(record))).text()


def test_the_advice_on_fusing_names_a_value_that_targets_take() -> None:
    assert LOOK.code.removeprefix("graph_optimization: ") in OPTIMIZATIONS


def test_what_stands_between_backticks_is_code_and_stays_escaped() -> None:
    assert mark_code("set `<b>` & go") == "set <code>&lt;b&gt;</code> &amp; go"
    assert mark_code("one ` alone") == "one ` alone"
    assert mark_code("`a\u202eb`") == "<code>a\\u{202e}b</code>"
    told = finding("accurate", Outcome.FAILED, "Set `task.classes`.")
    markup = render_html(inputs_of(replace(FAILING, findings=(told,))))
    assert "Set <code>task.classes</code>." in markup


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["1", "0"], "Were the classes the other way round, accuracy would be 97 %"),
        (["b", "c", "a"], "Were the classes in the order b, c, a, accuracy would be 97 %"),
        (list("abcdefghijklmn"), "Were the classes in another order, accuracy would be 97 %"),
    ],
)
def test_a_wrong_order_of_classes_is_said_with_the_verdict_and_beside_the_figure(
    classes: list[str], said: str
) -> None:
    place = index_of("quality.accuracy", "accuracy")
    other: Mapping[str, Any] = {"classes": classes, "accuracy": 0.97}
    wrong = altered(place, value=0.03, low=0.01, high=0.05, details={"other_order": other})
    record = with_reading(place, wrong, finding("accurate", Outcome.FAILED, "It breaks."))
    assert card_of(record, "accurate").remedy.startswith(said)
    for text in (text_of(record), render_markdown(inputs_of(record))):
        assert text.count(said) >= 2
        assert "check task.classes." in text.replace("\\", "")
    assert "Were the classes" not in text_of(FAILING)


def test_of_one_score_the_line_to_check_is_that_of_the_positive_class() -> None:
    place = index_of("quality.accuracy", "accuracy")
    other = {"classes": ["1", "0"], "accuracy": 1}
    record = with_reading(place, altered(place, value=0.0, low=0.0, details={"other_order": other}))
    known = records.FINGERPRINT.interface
    assert known is not None
    one = replace(records.FINGERPRINT, interface=replace(known, scores="binary_probability"))
    told = text_of(replace(record, fingerprints={"cpu": one}))
    assert "accuracy would be 100 %: check task.positive." in told


def test_a_doubted_time_says_why_and_what_would_help_instead_of_the_policys_remedy() -> None:
    doubted = altered(LATENCY, doubted=True, details={"doubts": [NOISE, "windows disagreed"]})
    unknown = replace(
        finding("fast", Outcome.UNKNOWN, "Doubted."), remediation="Buy a faster chip."
    )
    record = with_reading(LATENCY, doubted, unknown)
    card = card_of(record, "fast")
    assert f"cannot keep a rule: {NOISE}; windows disagreed." in card.found[0]
    assert card.remedy.startswith("Audit again on a quiet machine")
    assert card.story is not None
    assert not card.story.cures  # more threads mend no noise
    text = text_of(record)
    # On the card, where it is listed, and among what would decide what is open.
    assert text.count("Audit again on a quiet machine") == 3
    assert "Buy a faster chip" not in text


def test_a_model_that_does_not_repeat_itself_is_named_as_the_reason_of_a_doubt() -> None:
    place = index_of("evasion.linf", "robust_accuracy", eps=0.1)
    record = with_reading(place, altered(place, doubted=True, details={}))
    unsteady = replace(records.OBSERVATION, deterministic=False)
    told = text_of(replace(record, observations=(unsteady,)))
    why = "the model answers differently when asked again, or for few rows at a time"
    assert f"cannot keep a rule: {why}." in told


@pytest.mark.parametrize(
    ("require", "answer"),
    [("reading.value", "yes"), ("reading.value == true", "yes"), ("!reading.value", "no")],
)
def test_a_question_is_asked_with_its_answer_and_not_with_its_condition(
    require: str, answer: str
) -> None:
    rules = tuple(
        replace(rule, require=require) if rule.id == "signed" else rule for rule in records.RULES
    )
    policy = replace(records.POLICY, rules=rules)
    card = next(
        item
        for item in build_cards(inputs_of(FAILING, policy=policy))
        if item.finding.rule == "signed"
    )
    assert (card.asked, card.condition) == (f"Signature verified: {answer}", "")


def test_settings_that_are_empty_are_not_listed_as_spent() -> None:
    params: dict[str, Any] = {"decision": None, "eps": [], "label": "", "rows": 500, "seeds": 0}
    observed = replace(records.OBSERVATION, params=params)
    card = card_of(replace(FAILING, observations=(observed,)), "robust-linf")
    assert card.spent == "budget smoke, rows 500, seeds 0, queries spent 4500"


def test_no_plural_is_followed_by_is() -> None:
    titles = {
        metric.title: choose_verb(metric.title, metric.unit)
        for check in discover_checks().values()
        for metric in check.emits.values()
        if metric.unit is Unit.SHARE
    }
    border = "Border inputs with the same decision each time"
    many = ("Decisions that differ", "Calls without an answer", border)
    one = ("Accuracy", "Certified accuracy within a budget")
    assert {titles[title] for title in many} == {":"}
    assert {titles[title] for title in one} == {" is"}
    assert choose_verb("Log loss", Unit.NAT) == " is"


def _gap(
    check: str, detail: str, reason: GapReason = GapReason.NEEDS_LABELS, target: str = "cpu"
) -> Gap:
    return Gap(reason=reason, detail=detail, cure="Do this.", target=target, check=check)


def test_checks_that_lack_the_same_share_one_card_and_one_line() -> None:
    checks = ("quality.accuracy", "quality.calibration", "fairness.groups")
    record = replace(
        FAILING, findings=(), readings=tuple(_gap(check, "There are none.") for check in checks)
    )
    (row,) = build_gap_rows(inputs_of(record))
    assert row.names == tuple(records.CHECKS[check].title for check in checks)
    assert (row.details, row.where) == (("There are none.",), ", all on cpu")
    assert text_of(record).count("Do this.") == 1
    assert render_markdown(inputs_of(record)).count("Do this.") == 1


def test_what_is_too_costly_on_one_target_is_one_card_with_each_checks_own_sum() -> None:
    over = GapReason.OVER_BUDGET
    record = replace(
        records.TWO_TARGETS,
        findings=(),
        readings=(
            _gap("evasion.linf", "90 s.", over),
            _gap("evasion.l2", "80 s.", over),
            _gap("evasion.l2", "70 s.", over, "cpu-4"),
        ),
    )
    here, there = build_gap_rows(inputs_of(record))
    assert here.details == (
        "Bounded attack with gradients (APGD): 90 s.",
        f"{records.CHECKS['evasion.l2'].title}: 80 s.",
    )
    assert (there.details, there.where) == (("70 s.",), " on cpu-4")


def test_many_figures_of_one_check_are_counted() -> None:
    gap = _gap("evasion.l2", "None.")
    gaps = tuple(replace(gap, metric=f"measured_{number}") for number in range(5))
    (few,) = build_gap_rows(inputs_of(replace(FAILING, findings=(), readings=gaps[:3])))
    assert len(few.names) == 3
    (many,) = build_gap_rows(inputs_of(replace(FAILING, findings=(), readings=gaps)))
    assert many.names == (f"{records.CHECKS['evasion.l2'].title}: 5 figures",)


def test_checks_that_lack_the_same_on_other_targets_name_theirs() -> None:
    record = replace(
        records.TWO_TARGETS,
        findings=(),
        readings=(
            _gap("evasion.linf", "None."),
            _gap("evasion.linf", "None.", target="cpu-4"),
            _gap("evasion.l2", "None.", target="cpu-4"),
        ),
    )
    (row,) = build_gap_rows(inputs_of(record))
    assert row.where == ""
    assert row.names[0] == "Bounded attack with gradients (APGD) on cpu, cpu-4"
    assert row.names[1].endswith(" on cpu-4")


def test_where_nothing_was_measured_the_cure_of_the_gap_is_the_remedy_and_said_once() -> None:
    card = card_of(OPEN, "private")
    assert card.remedy == "Use a version that has it."
    assert not any("Use a version" in sentence for sentence in card.found)


def test_a_check_that_was_left_out_of_the_run_is_to_be_run_and_its_model_not_mended() -> None:
    silent = replace(finding("accurate", Outcome.UNKNOWN, "No reading."), readings=())
    only = replace(FAILING.request, only=("hardware.latency",))
    record = replace(FAILING, request=only, findings=(silent,))
    helps = "Audit again without --only, or with --only quality.accuracy too"
    assert card_of(record, "accurate").remedy.startswith(helps)
    junit = render_junit(record).decode()
    assert helps in junit
    assert "Train on more data" not in junit


def test_what_passed_or_does_not_apply_has_no_remedy() -> None:
    assert card_of(FAILING, "accurate").remedy == ""
    record = replace(FAILING, findings=(finding("accurate", Outcome.NOT_APPLICABLE, "Not asked."),))
    assert card_of(record, "accurate").remedy == ""
    assert card_of(FAILING, "robust-linf").remedy.startswith("Adversarial training")
