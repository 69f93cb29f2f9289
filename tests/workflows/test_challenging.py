"""Counterexamples count on the record's own target; what refutes a verdict shuts its gate."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_gates import GOOD

from auditor.attacks.counterexamples.given import Kind
from auditor.challenging import NotTried, chosen_target, try_examples
from auditor.checks.evasion.corruption import Corruption
from auditor.checks.evasion.linf import Linf
from auditor.checks.evasion.spatial import Spatial
from auditor.checks.evasion.tabular import Tabular
from auditor.checks.quality.accuracy import Accuracy
from auditor.claimed import Claims, claimless, undecided, untried
from auditor.contested import refuse_contested, rests_on, uncontested
from auditor.datasets.examples import parse_examples
from auditor.domain.canonical import digest
from auditor.domain.challenges import Challenge, Moved, Outcome, Result, Trial, read_challenge
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.json_parts import Part
from auditor.domain.observed import Seen
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, Measurement, Reason
from auditor.domain.records import AuditRecord, Observation
from auditor.domain.steps import StepResult
from auditor.domain.targets import Fingerprint
from auditor.errors import RecordError, UsageError
from auditor.measuring import parameters
from auditor.signatures.challenges import open_challenge, sign_challenge
from auditor.signatures.keys import KeySigner

SIGNER = KeySigner(ec.derive_private_key(81, ec.SECP256R1()))
OTHER = KeySigner(ec.derive_private_key(82, ec.SECP256R1()))
KEY = SIGNER.public_pem()
LOST = Gap(reason=Reason.NEEDS_MODEL, detail="It crashed.", cure="Mend it.")


def tried_on(model: object, record: AuditRecord = GOOD) -> object:
    subject = SimpleNamespace(target=SimpleNamespace(name="cpu"), model=model)
    claims = Claims(record, (), cast("Policy", None))
    return try_examples(claims, (), cast("Any", subject), "key:x", "2026-01-01T00:00:00Z")


def test_a_model_that_does_not_open_decides_nothing() -> None:
    found = tried_on(LOST)
    assert isinstance(found, NotTried)
    assert "It crashed." in found.reason


def test_another_machine_decides_nothing() -> None:
    found = tried_on(SimpleNamespace(fingerprint=Fingerprint({"cpu": "another"}, {})))
    assert isinstance(found, NotTried)
    assert "not the record's target" in found.reason


def test_a_target_that_did_not_open_then_decides_nothing_now() -> None:
    unopened = replace(GOOD, fingerprints={})
    found = tried_on(SimpleNamespace(fingerprint=Fingerprint({"cpu": "cpu"}, {})), unopened)
    assert isinstance(found, NotTried)


def test_of_several_targets_one_must_be_named() -> None:
    assert chosen_target(GOOD, "edge").name == "edge"
    for name in (None, "phone"):
        with pytest.raises(UsageError, match="target"):
            chosen_target(GOOD, name)


def challenge(outcome: Outcome, record: str = GOOD.digest) -> Challenge:
    return Challenge(
        record=record, record_id="aud-1", artifact=digest(b"model"), target="cpu",
        identity=digest(b"cpu"), examples=digest(b"examples"),
        trials=(Trial(0, "r1", "evasion.linf", Result.HOLDS, "yes", 0.05, 0.1),),
        disproved=(), moved=(Moved("robust", "cpu", "withstood", "failed"),), outcome=outcome,
        signer=SIGNER.identity, tried="2026-01-01T00:00:00Z",
    )  # fmt: skip


def shut(*told: Challenge, record: AuditRecord = GOOD, strict: bool = False, at: str = "") -> str:
    found = {
        f"{at or 'challenges/'}{place}": sign_challenge(item, SIGNER)
        for place, item in enumerate(told)
    }
    step = uncontested(record, found, KEY, strict=strict)
    return step.detail if step.result is StepResult.FAILED else ""


@pytest.mark.parametrize(
    ("outcome", "strict", "closed"),
    [
        (Outcome.REFUTED, False, True),
        (Outcome.LOWERED, False, False),
        (Outcome.LOWERED, True, True),
        (Outcome.FAILED, True, False),
    ],
)
def test_a_refuted_verdict_shuts_and_a_lowered_figure_where_that_is_asked(
    outcome: Outcome, *, strict: bool, closed: bool
) -> None:
    assert bool(shut(challenge(outcome), strict=strict)) is closed


def test_the_reason_says_what_moved_where_and_who_tried_it() -> None:
    said = shut(challenge(Outcome.REFUTED))
    assert "1 example holds; robust was withstood and is failed on cpu" in said
    assert "the record's own signer" in said


def test_one_of_many_is_enough() -> None:
    assert shut(challenge(Outcome.FAILED), challenge(Outcome.REFUTED), challenge(Outcome.LOWERED))


def test_what_is_judged_from_a_challenged_record_is_no_better() -> None:
    judged = replace(GOOD, derived_from=digest(b"first"))
    assert shut(challenge(Outcome.REFUTED, digest(b"first")), record=judged)
    with pytest.raises(RecordError, match="was challenged"):
        refuse_contested(GOOD, {"challenges/x": b""})
    refuse_contested(GOOD, {})


def test_a_challenge_to_another_record_was_put_there_for_a_reason() -> None:
    assert "to another record" in shut(challenge(Outcome.LOWERED, digest(b"other")))


def test_the_same_evidence_of_one_model_on_one_target_is_known_by_its_digest() -> None:
    seen = Observation("cpu", "evasion.linf", 1, {}, 1, {"rows": digest(b"rows")})
    found = replace(GOOD, observations=(seen,))
    artifact = GOOD.request.artifact
    told = replace(
        challenge(Outcome.REFUTED, digest(b"other")),
        artifact=None if artifact is None else artifact.digest,
        identity=GOOD.fingerprints["cpu"].identity,
        evidence=(seen.basis,),
    )
    assert rests_on(found, told)
    assert rests_on(replace(found, observations=(replace(seen, seed=2),)), told)
    assert not rests_on(replace(found, observations=(replace(seen, check="evasion.l2"),)), told)
    for other in (
        replace(told, evidence=()),
        replace(told, evidence=(digest(b"else"),)),
        replace(told, artifact=digest(b"another model")),
        replace(told, identity=digest(b"another machine")),
        replace(told, target="edge"),
    ):
        assert not rests_on(found, other)
    unnamed = {name: part for name, part in told.to_json().items() if name != "evidence"}
    assert read_challenge(Part(unnamed, "challenge")) == replace(told, evidence=())


def test_what_cannot_be_read_shuts_too() -> None:
    raw = sign_challenge(challenge(Outcome.LOWERED), SIGNER)
    for damaged in (b"", b"{}", raw[:-9], raw.replace(b"payloadType", b"payloadTypo")):
        step = uncontested(GOOD, {"challenges/x": damaged}, KEY, strict=False)
        assert step.result is StepResult.FAILED


def test_whoever_signed_it_a_challenge_reads_back_as_it_was() -> None:
    told = challenge(Outcome.REFUTED)
    assert open_challenge(sign_challenge(told, OTHER)) == told
    assert read_challenge(Part(told.to_json(), "challenge")) == told


def test_a_challenge_that_refutes_invalidates_the_record_in_its_lineage() -> None:
    relations = {
        outcome: {edge.relation for edge in challenge(outcome).provenance(digest(b"b")).edges}
        for outcome in Outcome
    }
    assert "wasInvalidatedBy" in relations[Outcome.REFUTED]
    assert "wasInvalidatedBy" not in relations[Outcome.LOWERED] | relations[Outcome.FAILED]
    assert all("wasInfluencedBy" in found for found in relations.values())


def seen(check: Check, target: str, evidence: Evidence) -> Seen:
    return Seen(Observation(target, check.id, 1, parameters(check), 1, {}), check, evidence)


def stated(check: str, metric: str, target: str = "cpu") -> Measurement:
    return Measurement(metric=metric, value=1.0, method="count", n=1, target=target, check=check)


TURNED = {"settings": {"budgets": ["small"], "views": [[]], "size": [8, 8]}}
RATES = (stated("evasion.spatial", "robust_accuracy"), stated("evasion.corruption", "accuracy"))
CLAIMED = Claims(
    replace(GOOD, readings=RATES),
    (
        *(seen(Spatial(), target, TURNED) for target in ("cpu", "edge")),
        seen(Corruption(), "cpu", {}),
        seen(Tabular(), "cpu", {"settings": {"undefined": "The rows are no table."}}),
        LOST,
    ),
    cast("Policy", None),
)


def test_what_no_example_of_a_file_is_tried_under_is_named_with_the_reason() -> None:
    (views, average) = untried(CLAIMED, "cpu", Kind.INPUTS)
    assert (views.check, views.robust) == ("evasion.spatial", True)
    assert "challenged by another file" in views.why
    assert (average.check, average.robust) == ("evasion.corruption", False)
    assert "cannot be challenged by examples because it is an average" in average.why
    (average,) = untried(CLAIMED, "cpu", Kind.VIEWS)
    assert average.check == "evasion.corruption"
    assert untried(CLAIMED, "edge", Kind.INPUTS) == ()


@pytest.mark.parametrize(
    ("tried", "kind", "open_still"),
    [
        ("quality.accuracy", Kind.INPUTS, True),
        ("evasion.linf", Kind.INPUTS, False),
        ("evasion.spatial", Kind.VIEWS, False),
    ],
)
def test_robustness_that_was_not_tried_is_decided_by_no_share(
    tried: str, kind: Kind, *, open_still: bool
) -> None:
    more = (seen(Linf(), "cpu", {}), seen(Accuracy(), "cpu", {}))
    claims = replace(CLAIMED, results=(*CLAIMED.results, *more))
    beside = untried(CLAIMED, "cpu", kind)
    trial = Trial(0, "r1", tried, Result.NOT_MISCLASSIFIED, "yes")
    told = replace(challenge(Outcome.FAILED), trials=(trial,))
    assert undecided(claims, told, beside) is open_still


def test_where_nothing_can_be_refuted_each_check_says_why() -> None:
    offered = parse_examples(npz(inputs=np.zeros((1, 3)), rows=["r1"]), "x.npz")
    problem = claimless(CLAIMED, "cpu", offered).problem
    assert "the record claims nothing of cpu that x.npz could refute" in problem
    for words in ("evasion.spatial is challenged", "evasion.corruption cannot", "are no table"):
        assert words in problem


def npz(**arrays: Any) -> bytes:  # noqa: ANN401 -- what numpy takes for an array
    raw = io.BytesIO()
    np.savez(raw, **arrays)
    return raw.getvalue()


def test_a_named_budget_stays_with_its_trial() -> None:
    trial = Trial(0, "r1", "evasion.spatial", Result.HOLDS, "yes", budget="small")
    told = replace(challenge(Outcome.REFUTED), trials=(trial,))
    assert open_challenge(sign_challenge(told, OTHER)) == told
    old = told.to_json()
    for item in cast("list[dict[str, Any]]", old["trials"]):
        del item["budget"]
    assert read_challenge(Part(old, "challenge")).trials[0].budget is None
