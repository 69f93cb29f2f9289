"""Signature and documents of an artifact judged by a trust policy, from evidence alone."""

from dataclasses import replace
from typing import Any, cast

import pytest
from trust_papers import (
    BUILD,
    FILES,
    RELEASE,
    RULE,
    SLSA,
    STRANGER,
    Change,
    document,
    headed,
    named,
    provenance,
    revoking,
    ruled,
    signature,
)
from unopened_subjects import unopened

from auditor.checks.provenance.lineage import CHECK as LINEAGE
from auditor.checks.provenance.signature import CHECK as SIGNATURE
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.supply_chain import ModelSupply, SupplyDocument, SupplyPart, list_supply_items
from auditor.domain.trust_context import ModelBinding, TrustContext, TrustPolicyStatus
from auditor.errors import TrustPolicyError
from auditor.trust.signatures.keys import KeySigner

ANY = ruled(models=["*"])
MOMENT = "2026-06-01T00:00:00Z"
OTHER = ModelBinding("m", "1", "sha256:" + "a" * 64, "2026-01-01T00:00:00Z")
PROVENANCE = ruled(
    models=["*"],
    require=[*RULE["require"], {"predicate": SLSA, "any_of": [{"key": "build"}]}],
)


def given(*changes: Change, **settings: Any) -> TrustContext:  # noqa: ANN401 -- any field
    usual = TrustContext(document(*changes), moment=MOMENT, standing=TrustPolicyStatus.ACCEPTED)
    return replace(usual, **settings)


def subject_of(
    trust: TrustContext | None,
    bundle: bytes | None = None,
    papers: tuple[bytes, ...] = (),
    bindings: tuple[ModelBinding, ...] = (),
) -> Subject:
    signed = signature() if bundle is None else bundle
    key = RELEASE.public_pem() if trust is None else None
    documents = tuple(
        SupplyDocument(FileDigest.of(f"{at}.intoto.json", raw), raw)
        for at, raw in enumerate(papers)
    )
    return unopened(
        *FILES,
        signature=SignatureMaterial(signed, key, trust=trust, bindings=bindings),
        supply=ModelSupply(
            documents, list_supply_items(SupplyPart.MODEL, FILES, "sha256:" + "0" * 64)
        ),
    )


def kept(check: Any, subject: Subject) -> Evidence:  # noqa: ANN401 -- either check
    """What a check saw, as a record's folder keeps it."""
    return {
        name: decode_evidence(encode_evidence(it).raw)
        for name, it in check().observe(subject, CheckShard()).items()
    }


def verified(subject: Subject) -> Measurement:
    (found,) = SIGNATURE().figures(kept(SIGNATURE, subject), 0.95)
    assert isinstance(found, Measurement)
    return found


def codes(found: Measurement) -> list[str]:
    return [item["code"] for item in cast("list[dict[str, str]]", found.details["findings"])]


def test_the_reading_names_signer_policy_and_rule() -> None:
    found = verified(subject_of(given(ANY)))
    assert (found.value, found.method) == (True, "oms-1.0-trust-strict")
    assert found.details["identity"] == RELEASE.identity
    trust = cast("dict[str, object]", found.details["trust"])
    assert (trust["name"], trust["version"], trust["standing"]) == ("acme", 3, "accepted")
    assert trust["rule"] == "rules[0] (*)"


@pytest.mark.parametrize(
    ("trust", "code"),
    [
        (given(), "NO_RULE"),
        (given(ANY, headed(expires="2026-06-01")), "POLICY_EXPIRED"),
        (given(ANY, moment=None), "POLICY_EXPIRED"),
        (given(ANY, standing=TrustPolicyStatus.OLDER), "POLICY_ROLLBACK"),
        (given(ANY, standing=TrustPolicyStatus.CHANGED), "POLICY_CHANGED"),
        (given(ANY, standing=TrustPolicyStatus.NEWER), "POLICY_UNACCEPTED"),
        (given(ruled(models=["*"], min_version="2")), "VERSION_FLOOR"),
        (given(ruled(models=["*"], timestamp="required")), "NO_TIME"),
        (given(ruled(models=["*"], signed_name=True)), "NAME"),
        (given(ruled(models=["*"], tags=["released"])), "NO_RULE"),
        (given(ANY, revoking("keys", named(RELEASE))), "REVOKED"),
        (given(PROVENANCE), "PREDICATE_MISSING"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_refusal_has_its_code_and_names_nobody(trust: TrustContext, code: str) -> None:
    found = verified(subject_of(trust))
    assert (found.value, codes(found), found.details["identity"]) == (False, [code], None)


def test_tags_of_the_audit_file_count() -> None:
    tagged = given(ruled(models=["*"], tags=["released"]), tags=("released",))
    assert verified(subject_of(tagged)).value is True


def test_statements_are_found_among_the_documents() -> None:
    papers = (b"---\nlicense: mit\n---\n", provenance())
    evidence = kept(SIGNATURE, subject_of(given(PROVENANCE), papers=papers))
    seen = cast("dict[str, Any]", evidence["signature"])
    assert len(seen["papers"]) == 1
    (found,) = SIGNATURE().figures(evidence, 0.95)
    assert isinstance(found, Measurement)
    assert found.value is True
    without = kept(SIGNATURE, subject_of(given(ANY), papers=papers))
    assert cast("dict[str, Any]", without["signature"])["papers"] == []


def test_the_evidence_is_judged_at_its_own_moment_whenever_that_is_done() -> None:
    long_ago = given(
        ANY,
        headed(expires="2020-02-01"),
        lambda d: d["keys"]["release"].update(not_after="2020-01-15"),
        moment="2020-01-10T00:00:00Z",
    )
    assert verified(subject_of(long_ago)).value is True
    assert codes(verified(subject_of(replace(long_ago, moment="2020-01-20T00:00:00Z")))) == [
        "KEY_TIME"
    ]


def test_other_bytes_under_the_same_name_and_version_are_told_of() -> None:
    found = verified(subject_of(given(ANY), bindings=(OTHER,)))
    assert (found.value, codes(found)) == (True, ["VERSION_BOUND"])
    binding = given(ANY, lambda d: d.update(bind_versions=True))
    refused = verified(subject_of(binding, bindings=(OTHER,)))
    assert (refused.value, codes(refused)) == (False, ["VERSION_BOUND"])


def test_under_a_key_alone_they_are_a_warning() -> None:
    found = verified(subject_of(None, bindings=(OTHER,)))
    assert (found.value, codes(found)) == (True, ["VERSION_BOUND"])
    # A model that changed its name is no other model.
    renamed = replace(OTHER, name="other")
    assert codes(verified(subject_of(None, bindings=(renamed,)))) == []


def test_evidence_with_a_policy_that_is_none_gives_no_figure() -> None:
    evidence = kept(SIGNATURE, subject_of(given(ANY)))
    seen = cast("dict[str, Any]", evidence["signature"])
    seen["trust"]["policy"]["rules"] = []
    seen["trust"]["policy"]["auditors"] = []
    with pytest.raises(TrustPolicyError):
        SIGNATURE().figures(evidence, 0.95)


def test_what_needs_an_extra_that_was_not_there_is_a_gap() -> None:
    evidence = kept(SIGNATURE, subject_of(given(ANY)))
    seen = cast("dict[str, Any]", evidence["signature"])
    (found,) = SIGNATURE().figures({"signature": {**seen, "without": "sigstore"}}, 0.95)
    assert isinstance(found, Gap)
    assert found.reason is GapReason.NEEDS_EXTRA


def lineage(trust: TrustContext, *papers: bytes) -> tuple[object, list[dict[str, Any]]]:
    """How many inputs a signature vouches for, and the documents whose does not hold."""
    found = LINEAGE().figures(kept(LINEAGE, subject_of(trust, papers=papers)), 0.95)
    by_name = {item.metric: item for item in found if isinstance(item, Measurement)}
    unsigned = cast("list[dict[str, Any]]", by_name["unsigned"].details["documents"])
    return by_name["confirmed_signed"].value, unsigned


TESTS = "https://in-toto.io/attestation/test-result/v0.1"
TESTED = ruled(
    models=["*"],
    require=[*RULE["require"], {"predicate": TESTS, "any_of": [{"key": "build"}]}],
)


def paper(key: KeySigner = BUILD) -> bytes:
    return provenance(key, predicate=TESTS)


def test_a_document_counts_as_signed_by_whom_the_policy_lets_sign_its_type() -> None:
    assert lineage(given(TESTED), paper()) == (1, [])


REFUSED: dict[str, tuple[TrustContext, bytes, str, str]] = {
    "another key of the policy": (given(TESTED), paper(RELEASE), "refused", "KEY"),
    "a stranger's": (given(TESTED), paper(STRANGER), "refused", "KEY"),
    "a type that nobody may sign": (given(ANY), paper(), "not_verified", "NO_RULE"),
    "no rule for the model": (given(), paper(), "not_verified", "NO_RULE"),
    "an ended policy": (
        given(TESTED, headed(expires="2026-05-01")), paper(), "not_verified", "POLICY_EXPIRED",
    ),
    "a policy rolled back": (
        given(TESTED, standing=TrustPolicyStatus.OLDER), paper(), "not_verified", "POLICY_ROLLBACK",
    ),
    "a revoked key": (
        given(TESTED, revoking("keys", named(BUILD))), paper(), "refused", "REVOKED",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("trust", "raw", "standing", "code"), REFUSED.values(), ids=REFUSED)
def test_a_document_of_anybody_else_vouches_for_nothing(
    trust: TrustContext, raw: bytes, standing: str, code: str
) -> None:
    vouched, (unsigned,) = lineage(trust, raw)
    assert (vouched, unsigned["signature"]) == (0, standing)
    assert [item["code"] for item in unsigned["remarks"]] == [code]
