"""What judging knows of an audit besides its readings: what was asked, and of whom."""

from dataclasses import replace

import pytest
from bare_records import bare_record, bare_request
from judging_cases import CONTEXT, POLICY, measured
from waiver_papers import NOW, read

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.baselines import Baseline, MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.policies import AssuranceLevel
from auditor.domain.readings import BoundKind
from auditor.domain.requests import PolicyRef
from auditor.domain.targets import EndpointSpec, TargetSpec
from auditor.domain.waivers import WaiverSubject
from auditor.errors import ConditionError
from auditor.policy.evaluate.baseline import BaselineFigure
from auditor.policy.evaluate.context import (
    JudgingContext,
    build_judging_context,
    build_target_context,
)

ARTIFACT = Artifact("model", "1.0.0", (FileDigest("model.onnx", 3, "ab" * 32),))
PROD = TargetSpec("prod", "endpoint", endpoint=EndpointSpec(url="https://models.example"))
REQUEST = bare_request(
    name="model",
    version="1.0.0",
    artifact=ARTIFACT,
    targets=(TargetSpec("cpu"), PROD),
    policy=PolicyRef("tests", "1.0.0", "sha256:0"),
    audit_file="",
    budget=Budget.FULL,
    tags=("people",),
    claims={"accuracy": 0.9},
)
RECORD = bare_record(
    request=REQUEST,
    readings=(measured(0.9, 0.85, 0.95, bound=BoundKind.AT_MOST),),
    registered=NOW,
    finished=NOW,
)


def test_a_request_says_what_is_judged_and_which_targets_are_served() -> None:
    assert build_judging_context(REQUEST, AssuranceLevel.A1, 0.9, (read(),), NOW) == JudgingContext(
        confidence=0.9,
        targets=("cpu", "prod"),
        name="model",
        version="1.0.0",
        tags=("people",),
        claims={"accuracy": 0.9},
        budget=Budget.FULL,
        assurance=AssuranceLevel.A1,
        artifact=ARTIFACT.digest,
        waivers=(read(),),
        now=NOW,
        served=frozenset({"prod"}),
        request=REQUEST,
    )


def test_predictions_alone_have_no_artifact() -> None:
    assert (
        build_judging_context(replace(REQUEST, artifact=None), AssuranceLevel.A0, 0.95).artifact
        is None
    )


def test_waivers_are_held_against_what_was_audited_and_by_which_policy() -> None:
    context = build_judging_context(REQUEST, AssuranceLevel.A0, 0.95)
    assert context.audited(POLICY) == WaiverSubject(
        "model", ARTIFACT.digest, "tests", POLICY.digest
    )


def test_a_record_is_a_baseline_and_how_was_measured_here_is_kept_beside_it() -> None:
    under = MeasurementConditions(data={"evaluation": "sha256:1"})
    context = CONTEXT.against(RECORD, under)
    assert context == replace(CONTEXT, baseline=Baseline.of(RECORD), under=under)
    alone = context.against(None, under)
    assert alone == replace(CONTEXT, under=under)
    assert alone.precedents() is None


@pytest.mark.parametrize("budget", Budget)
def test_a_search_of_another_budget_looked_otherwise(budget: Budget) -> None:
    context = replace(CONTEXT, budget=budget, confidence=0.9).against(
        RECORD, MeasurementConditions()
    )
    found = context.precedents()
    assert found is not None
    assert (found.baseline, found.model, found.confidence) == (context.baseline, "model", 0.9)
    before = found.before(measured(0.9))
    assert isinstance(before, BaselineFigure)
    assert before.same_suite is (budget is Budget.FULL)


def test_conditions_know_the_model_its_claims_and_the_target() -> None:
    context = build_judging_context(REQUEST, AssuranceLevel.A0, 0.95)
    for target, served in (("cpu", False), ("prod", True)):
        assert context.bindings({"floor": 1}, target) == {
            "params": {"floor": 1},
            "model": {"name": "model", "version": "1.0.0", "tags": ["people"]},
            "claims": {"accuracy": 0.9},
            "target": target,
            "served": served,
            "task": "classification",
            "predictions_only": False,
        }


def test_whether_a_condition_holds_is_answered_once_with_the_reason_where_there_is_none() -> None:
    asked = build_target_context(
        build_judging_context(REQUEST, AssuranceLevel.A0, 0.95), {"floor": 0.8}, "prod"
    )
    assert asked.whether("served && claims.accuracy > params.floor") is True
    assert asked.whether('target == "cpu"') is False
    mistake = asked.whether("claims.auc > 0.5")
    assert isinstance(mistake, ConditionError)
    assert asked.whether("claims.auc > 0.5") is mistake
    assert (asked.target, asked.precedents) == ("prod", None)
