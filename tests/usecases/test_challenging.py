"""Counterexamples count on the record's own target; what refutes a verdict shuts its gate."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_gates import GOOD

from auditor.challenging import Claims, NotTried, chosen_target, try_examples, untried
from auditor.checks.evasion.linf import Linf
from auditor.checks.evasion.tabular import Tabular
from auditor.checks.quality.accuracy import Accuracy
from auditor.contested import refuse_contested, rests_on, uncontested
from auditor.domain.canonical import digest
from auditor.domain.challenges import Challenge, Moved, Outcome, Result, Trial, read_challenge
from auditor.domain.json_parts import Part
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, Reason
from auditor.domain.records import AuditRecord, Observation
from auditor.domain.steps import StepResult
from auditor.domain.targets import Fingerprint
from auditor.errors import RecordError, UsageError
from auditor.measuring import Seen
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


def test_robustness_under_which_no_example_is_tried_is_named() -> None:
    checks = (Tabular(), Linf(), Accuracy())
    results = tuple(
        Seen(Observation(target, type(check).id, 1, {}, 1, {}), check, {})
        for check in checks
        for target in ("cpu", "edge")
    )
    claims = Claims(GOOD, (*results, LOST), cast("Policy", None))
    assert untried(claims, "cpu") == ("evasion.tabular",)
