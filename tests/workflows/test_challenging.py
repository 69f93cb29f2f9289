"""Counterexamples count on the record's own target; what refutes a verdict shuts its gate."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_gates import GOOD

from auditor.checks.evasion.corruption import CorruptionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.spatial import SpatialAttackCheck
from auditor.checks.evasion.tabular import TabularAttackCheck
from auditor.checks.measure import get_check_parameters
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.domain.challenges import (
    Challenge,
    ChallengeOutcome,
    CounterexampleKind,
    ExampleResult,
    ExampleTrial,
    RuleOutcomeChange,
)
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.json import compute_digest, read_json
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.targets import Fingerprint
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError, UsageError
from auditor.inputs.datasets.counterexamples import parse_counterexamples
from auditor.trust.signatures.decisions import open_challenge, sign_challenge
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.challenge import (
    ChallengeRefusal,
    RecordClaims,
    build_no_claims_error,
    choose_challenged_target,
    is_robustness_untested,
    list_untested_checks,
    run_challenge,
)
from auditor.workflows.challenge_status import (
    check_challenges,
    refuse_challenged_record,
    rests_on_challenged_evidence,
)

SIGNER = KeySigner(ec.derive_private_key(81, ec.SECP256R1()))
OTHER = KeySigner(ec.derive_private_key(82, ec.SECP256R1()))
KEY = SIGNER.public_pem()
LOST = Gap(reason=GapReason.NEEDS_MODEL, detail="It crashed.", cure="Mend it.")


def tried_on(model: object, record: AuditRecord = GOOD) -> object:
    subject = SimpleNamespace(target=SimpleNamespace(name="cpu"), model=model)
    claims = RecordClaims(record, (), cast("Policy", None))
    return run_challenge(claims, (), cast("Any", subject), "key:x", "2026-01-01T00:00:00Z")


def test_a_model_that_does_not_open_decides_nothing() -> None:
    found = tried_on(LOST)
    assert isinstance(found, ChallengeRefusal)
    assert "It crashed." in found.reason


def test_another_machine_decides_nothing() -> None:
    found = tried_on(SimpleNamespace(fingerprint=Fingerprint({"cpu": "another"}, {})))
    assert isinstance(found, ChallengeRefusal)
    assert "not the record's target" in found.reason


def test_a_target_that_did_not_open_then_decides_nothing_now() -> None:
    unopened = replace(GOOD, fingerprints={})
    found = tried_on(SimpleNamespace(fingerprint=Fingerprint({"cpu": "cpu"}, {})), unopened)
    assert isinstance(found, ChallengeRefusal)


def test_of_several_targets_one_must_be_named() -> None:
    assert choose_challenged_target(GOOD, "edge").name == "edge"
    for name in (None, "phone"):
        with pytest.raises(UsageError, match="target"):
            choose_challenged_target(GOOD, name)


def challenge(outcome: ChallengeOutcome, record: str = GOOD.digest) -> Challenge:
    return Challenge(
        record=record, record_id="aud-1", artifact=compute_digest(b"model"), target="cpu",
        identity=compute_digest(b"cpu"), examples=compute_digest(b"examples"),
        trials=(ExampleTrial(0, "r1", "evasion.linf", ExampleResult.HOLDS, "yes", 0.05, 0.1),),
        disproved=(), moved=(RuleOutcomeChange("robust", "cpu", "withstood", "failed"),),
        outcome=outcome, signer=SIGNER.identity, tried="2026-01-01T00:00:00Z",
    )  # fmt: skip


def shut(*told: Challenge, record: AuditRecord = GOOD, strict: bool = False, at: str = "") -> str:
    found = {
        f"{at or 'challenges/'}{place}": sign_challenge(item, SIGNER)
        for place, item in enumerate(told)
    }
    step = check_challenges(record, found, KEY, strict=strict)
    return step.detail if step.result is StepResult.FAILED else ""


@pytest.mark.parametrize(
    ("outcome", "strict", "closed"),
    [
        (ChallengeOutcome.REFUTED, False, True),
        (ChallengeOutcome.LOWERED, False, False),
        (ChallengeOutcome.LOWERED, True, True),
        (ChallengeOutcome.FAILED, True, False),
    ],
)
def test_a_refuted_verdict_shuts_and_a_lowered_figure_where_that_is_asked(
    outcome: ChallengeOutcome, *, strict: bool, closed: bool
) -> None:
    assert bool(shut(challenge(outcome), strict=strict)) is closed


def test_the_reason_says_what_moved_where_and_who_tried_it() -> None:
    said = shut(challenge(ChallengeOutcome.REFUTED))
    assert "1 example holds; robust was withstood and is failed on cpu" in said
    assert "the record's own signer" in said


def test_one_of_many_is_enough() -> None:
    assert shut(
        challenge(ChallengeOutcome.FAILED),
        challenge(ChallengeOutcome.REFUTED),
        challenge(ChallengeOutcome.LOWERED),
    )


def test_what_is_judged_from_a_challenged_record_is_no_better() -> None:
    judged = replace(GOOD, derived_from=compute_digest(b"first"))
    assert shut(challenge(ChallengeOutcome.REFUTED, compute_digest(b"first")), record=judged)
    with pytest.raises(RecordError, match="was challenged"):
        refuse_challenged_record(GOOD, {"challenges/x": b""})
    refuse_challenged_record(GOOD, {})


def test_a_challenge_to_another_record_was_put_there_for_a_reason() -> None:
    assert "to another record" in shut(
        challenge(ChallengeOutcome.LOWERED, compute_digest(b"other"))
    )


def test_the_same_evidence_of_one_model_on_one_target_is_known_by_its_digest() -> None:
    seen = CheckObservation("cpu", "evasion.linf", 1, {}, 1, {"rows": compute_digest(b"rows")})
    found = replace(GOOD, observations=(seen,))
    artifact = GOOD.request.artifact
    told = replace(
        challenge(ChallengeOutcome.REFUTED, compute_digest(b"other")),
        artifact=None if artifact is None else artifact.digest,
        identity=GOOD.fingerprints["cpu"].identity,
        evidence=(seen.basis,),
    )
    assert rests_on_challenged_evidence(found, told)
    assert rests_on_challenged_evidence(replace(found, observations=(replace(seen, seed=2),)), told)
    assert not rests_on_challenged_evidence(
        replace(found, observations=(replace(seen, check="evasion.l2"),)), told
    )
    for other in (
        replace(told, evidence=()),
        replace(told, evidence=(compute_digest(b"else"),)),
        replace(told, artifact=compute_digest(b"another model")),
        replace(told, identity=compute_digest(b"another machine")),
        replace(told, target="edge"),
    ):
        assert not rests_on_challenged_evidence(found, other)
    unnamed = {name: part for name, part in told.to_json().items() if name != "evidence"}
    assert read_json(Challenge, unnamed, "challenge") == replace(told, evidence=())


def test_what_cannot_be_read_shuts_too() -> None:
    raw = sign_challenge(challenge(ChallengeOutcome.LOWERED), SIGNER)
    for damaged in (b"", b"{}", raw[:-9], raw.replace(b"payloadType", b"payloadTypo")):
        step = check_challenges(GOOD, {"challenges/x": damaged}, KEY, strict=False)
        assert step.result is StepResult.FAILED


def test_whoever_signed_it_a_challenge_reads_back_as_it_was() -> None:
    told = challenge(ChallengeOutcome.REFUTED)
    assert open_challenge(sign_challenge(told, OTHER)) == told
    assert read_json(Challenge, told.to_json(), "challenge") == told


def test_a_challenge_that_refutes_invalidates_the_record_in_its_lineage() -> None:
    relations = {
        outcome: {
            edge.relation for edge in challenge(outcome).provenance(compute_digest(b"b")).edges
        }
        for outcome in ChallengeOutcome
    }
    assert "wasInvalidatedBy" in relations[ChallengeOutcome.REFUTED]
    assert (
        "wasInvalidatedBy"
        not in relations[ChallengeOutcome.LOWERED] | relations[ChallengeOutcome.FAILED]
    )
    assert all("wasInfluencedBy" in found for found in relations.values())


def seen(check: Check, target: str, evidence: Evidence) -> ObservedCheck:
    return ObservedCheck(
        CheckObservation(target, check.id, 1, get_check_parameters(check), 1, {}), check, evidence
    )


def stated(check: str, metric: str, target: str = "cpu") -> Measurement:
    return Measurement(metric=metric, value=1.0, method="count", n=1, target=target, check=check)


TURNED = {"settings": {"budgets": ["small"], "views": [[]], "size": [8, 8]}}
RATES = (stated("evasion.spatial", "robust_accuracy"), stated("evasion.corruption", "accuracy"))
CLAIMED = RecordClaims(
    replace(GOOD, readings=RATES),
    (
        *(seen(SpatialAttackCheck(), target, TURNED) for target in ("cpu", "edge")),
        seen(CorruptionCheck(), "cpu", {}),
        seen(TabularAttackCheck(), "cpu", {"settings": {"undefined": "The rows are no table."}}),
        LOST,
    ),
    cast("Policy", None),
)


def test_what_no_example_of_a_file_is_tried_under_is_named_with_the_reason() -> None:
    (views, average) = list_untested_checks(CLAIMED, "cpu", CounterexampleKind.INPUTS)
    assert (views.check, views.robust) == ("evasion.spatial", True)
    assert "challenged by another file" in views.why
    assert (average.check, average.robust) == ("evasion.corruption", False)
    assert "cannot be challenged by examples because it is an average" in average.why
    (average,) = list_untested_checks(CLAIMED, "cpu", CounterexampleKind.VIEWS)
    assert average.check == "evasion.corruption"
    assert list_untested_checks(CLAIMED, "edge", CounterexampleKind.INPUTS) == ()


@pytest.mark.parametrize(
    ("tried", "kind", "open_still"),
    [
        ("quality.accuracy", CounterexampleKind.INPUTS, True),
        ("evasion.linf", CounterexampleKind.INPUTS, False),
        ("evasion.spatial", CounterexampleKind.VIEWS, False),
    ],
)
def test_robustness_that_was_not_tried_is_decided_by_no_share(
    tried: str, kind: CounterexampleKind, *, open_still: bool
) -> None:
    more = (seen(LinfEvasionCheck(), "cpu", {}), seen(AccuracyCheck(), "cpu", {}))
    claims = replace(CLAIMED, results=(*CLAIMED.results, *more))
    beside = list_untested_checks(CLAIMED, "cpu", kind)
    trial = ExampleTrial(0, "r1", tried, ExampleResult.NOT_MISCLASSIFIED, "yes")
    told = replace(challenge(ChallengeOutcome.FAILED), trials=(trial,))
    assert is_robustness_untested(claims, told, beside) is open_still


def test_where_nothing_can_be_refuted_each_check_says_why() -> None:
    offered = parse_counterexamples(npz(inputs=np.zeros((1, 3)), rows=["r1"]), "x.npz")
    problem = build_no_claims_error(CLAIMED, "cpu", offered).problem
    assert "the record claims nothing of cpu that x.npz could refute" in problem
    for words in ("evasion.spatial is challenged", "evasion.corruption cannot", "are no table"):
        assert words in problem


def npz(**arrays: Any) -> bytes:  # noqa: ANN401 -- what numpy takes for an array
    raw = io.BytesIO()
    np.savez(raw, **arrays)
    return raw.getvalue()


def test_a_named_budget_stays_with_its_trial() -> None:
    trial = ExampleTrial(0, "r1", "evasion.spatial", ExampleResult.HOLDS, "yes", budget="small")
    told = replace(challenge(ChallengeOutcome.REFUTED), trials=(trial,))
    assert open_challenge(sign_challenge(told, OTHER)) == told
    old = told.to_json()
    for item in cast("list[dict[str, Any]]", old["trials"]):
        del item["budget"]
    assert read_json(Challenge, old, "challenge").trials[0].budget is None
