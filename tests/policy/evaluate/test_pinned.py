"""Pins of a policy that an audit does not keep, and the findings that tell them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from judging_cases import CONTEXT, POLICY, measured

from auditor.domain.budgets import Budget
from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.pinned_settings import AuditPins
from auditor.domain.policies import RuleEffect, Severity
from auditor.domain.requests import AuditAttempt, AuditRequest, DatasetRef, PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.evaluate.pin_violations import PinViolation, find_pin_violations

ONE, OTHER = "sha256:1", "sha256:2"
REQUEST = AuditRequest(
    name="model",
    version="1.0.0",
    artifact=None,
    targets=(TargetSpec("cpu"),),
    datasets=(DatasetRef("training", OTHER, 9000), DatasetRef("evaluation", ONE, 1000)),
    policy=PolicyRef("tests", "1.0.0", "sha256:0"),
    audit_file="",
    seed=7,
    budget=Budget.CI,
)


def broken(pins: AuditPins, request: AuditRequest = REQUEST) -> list[PinViolation]:
    return list(find_pin_violations(pins, request))


def test_a_policy_that_pins_nothing_is_kept_by_an_audit_of_nothing() -> None:
    assert broken(AuditPins()) == []
    assert broken(AuditPins(), replace(REQUEST, datasets=())) == []


@pytest.mark.parametrize(
    ("pinned", "told"),
    [
        ((ONE,), None),
        ((OTHER, ONE), None),
        ((OTHER,), OTHER),
        ((OTHER, "sha256:3"), "sha256:2 or sha256:3"),
    ],
)
def test_the_evaluation_data_are_one_of_those_that_are_pinned(
    pinned: tuple[str, ...], told: str | None
) -> None:
    wanted = [] if told is None else [PinViolation("evaluation data", told, ONE)]
    assert broken(AuditPins(evaluation=pinned)) == wanted


def test_other_data_are_never_taken_for_the_evaluation_data() -> None:
    alone = replace(REQUEST, datasets=REQUEST.datasets[:1])
    assert broken(AuditPins(evaluation=(OTHER,)), alone) == [
        PinViolation("evaluation data", OTHER, "none")
    ]
    assert broken(AuditPins(least_rows=1), alone) == [
        PinViolation("evaluation rows", "1 at least", "0")
    ]


@pytest.mark.parametrize(("least", "told"), [(0, None), (1000, None), (1001, "1,001 at least")])
def test_rows_are_as_many_as_are_pinned_at_least(least: int, told: str | None) -> None:
    wanted = [] if told is None else [PinViolation("evaluation rows", told, "1,000")]
    assert broken(AuditPins(least_rows=least)) == wanted


@pytest.mark.parametrize(
    ("pinned", "sets", "held", "found"),
    [
        (("a",), ("a",), ("evaluation",), None),
        (("a",), ("b", "a"), ("evaluation", "production"), None),
        (("b", "a"), ("a", "b"), ("evaluation",), None),
        (("a",), ("b",), ("evaluation",), "b"),
        (("a", "b"), ("b",), ("evaluation",), "b"),
        (("a",), ("a",), (), "none"),
        (("a",), ("a",), ("production",), "none"),
        (("a",), (), ("evaluation",), "none"),
        ((), ("a",), ("production",), None),
    ],
)
def test_sealed_sets_count_where_the_auditor_holds_the_evaluation_rows(
    pinned: Sequence[str], sets: Sequence[str], held: Sequence[str], found: str | None
) -> None:
    attempt = AuditAttempt(number=1, sets=tuple(sets), held=tuple(held))
    wanted = [] if found is None else [PinViolation("sealed sets", ", ".join(pinned), found)]
    assert broken(AuditPins(sets=tuple(pinned)), replace(REQUEST, attempt=attempt)) == wanted


def test_an_audit_outside_of_a_service_has_no_sealed_set() -> None:
    assert broken(AuditPins(sets=("a",))) == [PinViolation("sealed sets", "a", "none")]


@pytest.mark.parametrize(
    ("pinned", "declared", "asked", "found"),
    [
        ({}, {}, None, None),
        ({}, {"task.threshold": 0.5}, None, None),  # as good as not declared
        ({"task.threshold": 0.4}, {"task.threshold": 0.4}, None, None),
        ({"task.threshold": 0.4}, {}, "task.threshold: 0.4", "none"),
        ({}, {"task.threshold": 0.4}, "none", "task.threshold: 0.4"),
        (
            {"task.threshold": 0.4},
            {"task.threshold": 0.3, "model.key": "k"},
            "task.threshold: 0.4",
            "model.key: k; task.threshold: 0.3",
        ),
        ({"model.key": "k"}, None, "model.key: k", "a record that does not say all of them"),
        ({}, None, "none", "a record that does not say all of them"),
    ],
)
def test_settings_are_those_that_are_pinned_and_no_others(
    pinned: Mapping[str, Json],
    declared: Mapping[str, Json] | None,
    asked: str | None,
    found: str | None,
) -> None:
    request = replace(REQUEST, declared=declared)
    wanted = [] if asked is None else [PinViolation("settings", asked, found or "")]
    assert broken(AuditPins(settings=pinned), request) == wanted


def test_settings_that_are_not_pinned_may_be_anything() -> None:
    assert broken(AuditPins(), replace(REQUEST, declared={"task.threshold": 0.1})) == []


def test_a_broken_pin_leaves_every_target_undecided_whatever_was_measured() -> None:
    policy = replace(POLICY, pins=AuditPins(least_rows=2000, evaluation=(OTHER,)))
    context = replace(CONTEXT, targets=("cpu", "gpu"), request=REQUEST)
    readings = measured(0.9, 0.85, 0.95), measured(0.9, 0.85, 0.95, target="gpu")
    found = judge_readings(policy, lambda _: readings, context)
    assert [(item.rule, item.target, item.limits) for item in found] == [
        ("policy.pins", "cpu", f"evaluation data: {OTHER}"),
        ("policy.pins", "gpu", f"evaluation data: {OTHER}"),
        ("policy.pins", "cpu", "evaluation rows: 2,000 at least"),
        ("policy.pins", "gpu", "evaluation rows: 2,000 at least"),
        ("accurate", "cpu", "at least 0.8"),
        ("accurate", "gpu", "at least 0.8"),
    ]
    rows = found[2]
    assert (rows.outcome, rows.effect, rows.severity) == (
        Outcome.UNKNOWN,
        RuleEffect.DENY,
        Severity.HIGH,
    )
    assert rows.title == "The audit has the evaluation rows that the policy pins"
    assert rows.message == (
        "Pinned: evaluation rows: 2,000 at least. Found: 1,000. The policy judges no other audit."
    )
    assert rows.remediation == "Audit again with the evaluation rows that the policy pins."
    assert rows.would_decide == {"needs": "evaluation rows: 2,000 at least"}
    assert (rows.measure, rows.readings, rows.controls) == ("policy/pins", (), ())


def test_a_policy_that_is_tested_without_a_request_keeps_no_pins() -> None:
    policy = replace(POLICY, pins=AuditPins(least_rows=2000))
    (found,) = judge_readings(policy, lambda _: [measured(0.9, 0.85, 0.95)], CONTEXT)
    assert found.outcome is Outcome.PASSED
