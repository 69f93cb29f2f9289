"""The first screen says which rows were judged, who chose them, and which groups were compared."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pages import Page
from rendering_records import BLOBS, FAILING, OBSERVATION, PASSING, POLICY, inputs_of, measured

from auditor.cli.record_output import show_record
from auditor.domain.evidence import encode_evidence
from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.pinned_settings import AuditPins
from auditor.domain.policies import (
    DroppedRule,
    ParentPolicy,
    RuleOrigin,
    SettingChange,
    StrictnessChange,
)
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt
from auditor.domain.targets import ModelInterface
from auditor.reports.formats.html import render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.first_screen import (
    describe_declared,
    describe_loosened,
    describe_unasked,
)
from auditor.reports.html.judged_data import (
    build_data_facts,
    describe_constant_decisions,
    describe_contradiction,
)
from auditor.reports.html.verdict import describe_verdict
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.terminal import create_console

DIGEST = PASSING.request.datasets[0].digest
AUTHOR = "450 rows, chosen by the author of the audit file; the policy "


def facts(inputs: ReportInputs) -> dict[str, str]:
    return {fact.name: fact.text for fact in build_data_facts(inputs)}


def with_columns(names: list[Json], declared: dict[str, Json] | None = None) -> ReportInputs:
    """A record with evidence that names the inputs of the model."""
    blob = encode_evidence(names)
    evidence = {**OBSERVATION.evidence, "features": blob.digest}
    record = replace(
        PASSING,
        observations=(replace(OBSERVATION, evidence=evidence),),
        request=replace(PASSING.request, declared=declared),
    )
    return inputs_of(record, blob={**BLOBS, blob.digest: blob.raw}.__getitem__)


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        (AuditPins(), f"{AUTHOR}does not pin them"),
        (AuditPins(evaluation=(DIGEST,)), "450 rows, pinned by the policy"),
        (AuditPins(evaluation=("sha256:" + "0" * 64,)), f"{AUTHOR}pins other rows"),
        (AuditPins(sets=("holdout",)), f"{AUTHOR}pins other rows"),
    ],
)
def test_the_rows_and_who_chose_them_stand_first_among_the_limits_of_the_verdict(
    pins: AuditPins, said: str
) -> None:
    inputs = inputs_of(PASSING, policy=replace(POLICY, pins=pins))
    assert facts(inputs)["Evaluation data"] == said
    lines = Page(render_html(inputs)).lines
    place = lines.index("Limits of this verdict")
    first = [line.removeprefix("Evaluation data: ") for line in lines[place : place + 4]]
    assert any(line.startswith(said) for line in first)
    assert said in render_markdown(inputs).replace("\\", "")


def test_rows_that_the_auditor_holds_are_named_as_such() -> None:
    attempt = AuditAttempt(number=2, sets=("holdout",), held=("evaluation",))
    record = replace(PASSING, request=replace(PASSING.request, attempt=attempt))
    assert facts(inputs_of(record))["Evaluation data"] == "450 rows, held by the auditor (holdout)"


def test_a_record_without_evaluation_rows_says_nothing_of_them() -> None:
    record = replace(PASSING, request=replace(PASSING.request, datasets=()))
    assert "Evaluation data" not in facts(inputs_of(record))


def compared(counts: dict[str, Json]) -> AuditRecord:
    readings = tuple(
        replace(item, details={"counts": counts})
        if isinstance(item, Measurement) and item.metric == "selection_rate_gap"
        else item
        for item in FAILING.readings
    )
    return replace(FAILING, readings=readings)


def test_the_groups_that_were_compared_are_named() -> None:
    assert facts(inputs_of(FAILING))["Groups compared"] == "race"
    two: dict[str, Json] = {"black": {"k": 1, "n": 2}, "white": {"k": 1, "n": 2}}
    assert (
        facts(inputs_of(compared(two)))["Groups compared"]
        == "race (black 50 % of the rows, white 50 %)"
    )
    many: dict[str, Json] = {str(number): None for number in range(9)}
    assert facts(inputs_of(compared(many)))["Groups compared"] == "race (9 groups)"
    none = replace(
        PASSING,
        findings=(),
        readings=tuple(item for item in PASSING.readings if item.check != "fairness.groups"),
    )
    assert facts(inputs_of(none))["Groups compared"] == "none"


def test_a_group_of_hardly_any_rows_is_seen_to_be_one() -> None:
    few: dict[str, Json] = {"black": {"k": 1, "n": 2}, "none": {"k": 1, "n": 998}}
    assert (
        facts(inputs_of(compared(few)))["Groups compared"]
        == "race (black under 1 % of the rows, “none” 100 %)"
    )


@pytest.mark.parametrize("role", ["evaluation", "training"])
def test_columns_with_one_value_in_the_evaluation_rows_are_named(role: str) -> None:
    counted = replace(
        next(item for item in PASSING.readings if isinstance(item, Measurement)),
        check="data.balance",
        metric="constant_columns",
        value=2,
        params={"data": role},
        details={"columns": ["year", "all of it"]},
    )
    record = replace(PASSING, readings=(*PASSING.readings, counted))
    said = facts(inputs_of(record)).get("One value in every evaluation row")
    named = "year, “all of it”; the audit does not show what the model decides at other values"
    assert said == (named if role == "evaluation" else None)


def test_columns_named_like_attributes_of_people_are_named_where_none_compared_them() -> None:
    name = "Columns that look like groups, not compared"
    assert name not in facts(with_columns(["income", "race"]))
    assert facts(with_columns(["income", "race", "ageYears"]))[name] == "ageYears"
    many: list[Json] = [f"sex_{letter}" for letter in "abcdefgh"]
    assert facts(with_columns(many))[name].endswith("sex_f and 2 more")
    declared: dict[str, Json] = {"input.immutable": ["gender", "income"]}
    assert facts(with_columns(["income"], declared))[name] == "gender"


def test_columns_that_were_not_compared_stand_beside_a_verdict_whose_rules_on_groups_are_kept() -> (
    None
):
    lead = "Rules about groups passed, and columns that look like groups were not compared"

    def told(record: AuditRecord) -> list[str]:
        return [it.text for it in describe_declared(inputs_of(record)) if it.lead == lead]

    request = replace(PASSING.request, uncompared=("ageYears",))

    def judged(outcome: Outcome, record: AuditRecord) -> AuditRecord:
        found = tuple(
            replace(it, outcome=outcome) if it.measure.startswith("fairness.") else it
            for it in record.findings
        )
        return replace(record, findings=found)

    record = replace(PASSING, request=request)
    assert told(judged(Outcome.PASSED, record)) == [f"{lead}: ageYears."]
    assert told(judged(Outcome.UNKNOWN, record)) == []
    assert told(judged(Outcome.PASSED, PASSING)) == []


def test_columns_that_the_request_names_contradict_a_tag_that_denies_people() -> None:
    tag = "not-about-people"
    rules = tuple(
        replace(it, when=f"!model.tags.exists(t, t == '{tag}')")
        if it.id == "fair-selection"
        else it
        for it in POLICY.rules
    )
    findings = tuple(
        replace(it, outcome=Outcome.NOT_APPLICABLE) if it.rule == "fair-selection" else it
        for it in PASSING.findings
    )
    readings = tuple(
        replace(it, check="quality.other") if it.check.startswith("fairness.") else it
        for it in PASSING.readings
    )
    request = replace(PASSING.request, tags=(tag,), uncompared=("race", "sex"))
    record = replace(PASSING, request=request, findings=findings, readings=readings)
    inputs = inputs_of(record, policy=replace(POLICY, rules=rules))
    assert describe_contradiction(inputs) == (
        "The file has columns race, sex; they were not compared. This contradicts the tag."
    )


@pytest.mark.parametrize(
    ("decided", "low", "said"),
    [
        ([1] * 99 + [0], 0.9, ("The model decides “yes” for 99", "would be right for 85")),
        ([1] * 60 + [0] * 40, 0.84, ("would be right for 85",)),
        ([1] * 60 + [0] * 40, 0.9, ()),
    ],
)
def test_a_model_that_gives_one_answer_is_named_beside_the_verdict(
    decided: list[int], low: float, said: tuple[str, ...]
) -> None:
    blobs = [encode_evidence(np.array(decided)), encode_evidence({"classes": ["no", "yes"]})]
    evidence = {name: it.digest for name, it in zip(("decided", "task"), blobs, strict=True)}
    seen = replace(OBSERVATION, check="quality.accuracy", evidence=evidence)
    details: dict[str, Json] = {"majority_accuracy": 0.85, "majority_class": "yes"}
    readings = tuple(
        replace(it, low=low, details=details)
        if isinstance(it, Measurement) and it.metric == "accuracy"
        else it
        for it in PASSING.readings
    )
    record = replace(PASSING, observations=(seen,), readings=readings)
    known = {**BLOBS, **{it.digest: it.raw for it in blobs}}
    told = describe_constant_decisions(inputs_of(record, blob=known.__getitem__))
    assert len(told) == bool(said)
    assert all(text in told[0] for text in said)


ONE_NUMBER = "Always predicting 0 would be within the tolerance for 95 % of the rows."
FEW_FAR = (
    "Without the 5 % of the rows with the most unusual labels, the model explains none of the "
    "variance."
)


@pytest.mark.parametrize(
    ("sign", "far", "tolerance", "said"),
    [
        (1, True, 0.5, ()),
        (1, False, 40.0, ("Always predicting 0 would be within the tolerance for 100 %",)),
        (-1, True, 40.0, (ONE_NUMBER, FEW_FAR)),
        (-1, False, 0.5, ("Always predicting 0 would be within the tolerance for 24.6 %",)),
        (1, False, 0.5, ()),
    ],
)
def test_a_regression_that_one_number_or_few_far_rows_carry_is_named(
    sign: int, tolerance: float, said: tuple[str, ...], *, far: bool
) -> None:
    truth = np.linspace(-2, 2, 191)
    predicted = sign * truth
    if far:
        ends = np.repeat([-90.0, 90.0], 5)
        truth, predicted = np.concatenate([truth, ends]), np.concatenate([predicted, ends])
    items: dict[str, Any] = {
        "truth": truth,
        "predicted": predicted,
        "task": {"tolerance": tolerance},
    }
    blobs = {name: encode_evidence(item) for name, item in items.items()}
    evidence = {name: it.digest for name, it in blobs.items()}
    seen = replace(OBSERVATION, check="quality.errors", evidence=evidence)
    record = replace(PASSING, observations=(seen,))
    known = {**BLOBS, **{it.digest: it.raw for it in blobs.values()}}
    told = " ".join(describe_constant_decisions(inputs_of(record, blob=known.__getitem__)))
    assert all(text in told for text in said)
    assert bool(told) is bool(said)


@pytest.mark.parametrize(
    ("value", "rows", "said"), [(1.0, 450, True), (0.99, 450, False), (1.0, 90, False)]
)
def test_labels_that_always_agree_are_questioned_and_their_column_is_named(
    value: float, rows: int, *, said: bool
) -> None:
    request = replace(PASSING.request, labels="model_says")
    details: dict[str, Json] = {"majority_accuracy": 0.5, "majority_class": "yes"}
    readings = tuple(
        replace(it, value=value, low=0.9, n=rows, details=details)
        if isinstance(it, Measurement) and it.metric == "accuracy"
        else it
        for it in PASSING.readings
    )
    inputs = inputs_of(replace(PASSING, request=request, readings=readings))
    named = "Every decision is right: make sure that the labels (“model_says”) were not made by"
    assert any(named in text for text in describe_constant_decisions(inputs)) is said
    assert facts(inputs)["Evaluation data"].startswith("450 rows, labels in “model_says”, chosen")


def test_outputs_that_were_not_read_are_named_beside_what_was_not_asked() -> None:
    name, found = next(iter(PASSING.fingerprints.items()))
    face = ModelInterface(
        "x", (4,), "float32", None, "as_is", "y", "logits", "seen", (), ("boxes",)
    )
    record = replace(PASSING, fingerprints={name: replace(found, interface=face)})
    said = [str(it) for it in describe_unasked(inputs_of(record))]
    assert any("boxes" in text for text in said)
    assert not any("boxes" in str(it) for it in describe_unasked(inputs_of(PASSING)))


def with_left_out(outcome: Outcome) -> AuditRecord:
    gap = measured(
        "fairness.groups",
        "selection_rate_gap",
        0.02,
        0.0,
        0.07,
        params={"group_column": "sex"},
        details={
            "counts": {"M": {"k": 992, "n": 2078}, "X": {"k": 879, "n": 1922}},
            "left_out": {"F": {"k": 114, "n": 1300}},
        },
    )
    found = tuple(
        replace(it, outcome=outcome) if it.measure.startswith("fairness.") else it
        for it in PASSING.findings
    )
    return replace(PASSING, readings=(*PASSING.readings, gap), findings=found)


def test_groups_that_kept_rules_leave_out_stand_beside_the_verdict_with_their_rate() -> None:
    def told(record: AuditRecord) -> list[str]:
        said = [it.text for it in describe_declared(inputs_of(record))]
        return [text for text in said if "leave out these groups" in text]

    kept = with_left_out(Outcome.PASSED)
    (said,) = told(kept)
    assert said == (
        "Rules about groups passed, and leave out these groups: sex = F: 1,300 rows, of which "
        "9 % have the favourable decision; of compared groups 46 % to 48 %."
    )
    assert told(with_left_out(Outcome.FAILED)) == told(PASSING) == []
    assert (
        "sex (M 39 % of the rows, X 36 %; not compared: F 25 %)"
        in facts(inputs_of(kept))["Groups compared"]
    )


def test_a_policy_that_asks_less_than_the_one_it_extends_says_so_beside_the_verdict() -> None:
    less = SettingChange("least_share", "nothing", "0.33", StrictnessChange.LOOSENED)
    more = SettingChange("least_budget", "smoke", "ci", StrictnessChange.TIGHTENED)
    rule = replace(POLICY.rules[0], title="Right", origin=RuleOrigin("house", "2", (less, more)))
    parent = ParentPolicy("house", "2", "sha256:0", (less, more))
    dropped = DroppedRule("fair", "Groups are alike", "house", "mine", "Small groups")
    policy = replace(POLICY, rules=(rule,), inherits=(parent,), dropped=(dropped,))
    (said,) = describe_loosened(policy)
    assert said.lead == "The policy asks less than house 2, which it extends"
    assert said.items == (
        "not asked: Groups are alike",
        "Right: least_share: nothing \N{RIGHTWARDS ARROW} 0.33",
        "least_share: nothing \N{RIGHTWARDS ARROW} 0.33",
    )
    out = io.StringIO()
    show_record(create_console(file=out), inputs_of(PASSING, policy=policy))
    assert "limits The policy asks less than house 2" in out.getvalue()
    stricter = replace(parent, changes=(more,))
    assert describe_loosened(replace(POLICY, inherits=(stricter,))) == ()


def test_columns_beside_kept_rules_are_named_once() -> None:
    request = replace(PASSING.request, uncompared=("ageYears",))
    kept = tuple(
        replace(it, outcome=Outcome.PASSED) if it.measure.startswith("fairness.") else it
        for it in PASSING.findings
    )
    wording = describe_verdict(inputs_of(replace(PASSING, request=request, findings=kept)))
    told = [item.text for item in wording.declared] + list(wording.limits)
    assert len([text for text in told if "ageYears" in text]) == 1
