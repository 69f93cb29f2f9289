"""What the profile compat takes, and what it does not."""

import json
from typing import Any

import pytest
from authority_forge import EMAIL, MOMENT, Pki, Wish
from signature_forge import FILES, Forge, file_digest

from auditor.trust.signatures.model_signing import verify_model
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
    VerificationProfile,
)

LEGACY = "https://model_signing/Digests/v0.1"


def legacy(forge: Forge, subjects: list[dict[str, Any]]) -> bytes:
    statement = {**forge.statement(), "predicateType": LEGACY, "subject": subjects}
    return forge.sign(statement)


def subjects_of(*names: str) -> list[dict[str, Any]]:
    known = {item.name: item.sha256 for item in FILES}
    return [{"name": name, "digest": {"sha256": known[name]}} for name in names]


def by_compat(bundle: bytes, forge: Forge) -> SignatureVerification:
    return verify_model(bundle, forge.pem, FILES, profile=VerificationProfile.COMPAT)


ALL = tuple(item.name for item in FILES)


def test_an_old_manifest_covers_the_files_that_it_names(forge: Forge) -> None:
    found = by_compat(legacy(forge, subjects_of(*ALL)), forge)
    assert found.verified
    assert found.codes == (IssueCode.LEGACY_PREDICATE,)


@pytest.mark.parametrize(
    ("subjects", "code"),
    [
        ([], IssueCode.EMPTY),
        (subjects_of(*ALL[1:]), IssueCode.EXTRA_FILE),
        (subjects_of(*ALL, ALL[0]), IssueCode.DUPLICATE),
        ([*subjects_of(*ALL), {"name": "../x", "digest": {"sha256": "0" * 64}}],
         IssueCode.PATH_ESCAPE),
        ([*subjects_of(*ALL[1:]), {"name": ALL[0], "digest": {"sha256": "0" * 64}}],
         IssueCode.DIGEST_MISMATCH),
    ],
)  # fmt: skip
def test_an_old_manifest_is_held_to_the_same_rules(
    subjects: list[dict[str, Any]], code: IssueCode, forge: Forge
) -> None:
    found = by_compat(legacy(forge, subjects), forge)
    assert not found.verified
    assert code in found.codes


def test_an_old_bundle_cannot_bring_its_own_key_to_be_believed(forge: Forge) -> None:
    bundle = json.loads(forge.sign(forge.statement()))
    bundle["verificationMaterial"]["publicKey"] = {"rawBytes": "AAAA"}
    found = by_compat(json.dumps(bundle).encode(), forge)
    assert found.verified
    assert set(found.codes) == {IssueCode.LEGACY_KEY, IssueCode.KEY_HINT}
    pki = Pki.made()
    assert not verify_model(
        json.dumps(bundle).encode(), pki.trusted, FILES, moment=MOMENT,
        profile=VerificationProfile.COMPAT,
    ).verified  # fmt: skip


def test_strict_stands_for_no_objection() -> None:
    for code in IssueCode:
        with pytest.raises(VerificationError, match="why") as refused:
            VerificationProfile.STRICT.tolerate(code, "why")
        said = VerificationIssue(code, "why")
        assert refused.value.objection == said
        assert VerificationProfile.STRICT.graded([said]) == (said,)


def test_compat_warns_of_a_habit_and_refuses_anything_else() -> None:
    warned = VerificationIssue(IssueCode.CERT_EKU, "why", IssueGrade.WARNING)
    assert VerificationProfile.COMPAT.tolerate(IssueCode.CERT_EKU, "why") == warned
    bad = VerificationIssue(IssueCode.SIGNATURE, "why")
    assert VerificationProfile.COMPAT.graded(
        [VerificationIssue(IssueCode.CERT_EKU, "why"), bad]
    ) == (warned, bad)
    with pytest.raises(VerificationError, match="why"):
        VerificationProfile.COMPAT.tolerate(IssueCode.SIGNATURE, "why")


def test_a_warning_stays_in_the_result_beside_the_identity() -> None:
    pki = Pki.made(Wish(purposes=None))
    found = verify_model(
        pki.sign(), pki.trusted, FILES, moment=MOMENT, profile=VerificationProfile.COMPAT
    )
    assert found.identity == f"email:{EMAIL}"
    assert [(item.code, item.grade) for item in found.objections] == [
        (IssueCode.CERT_EKU, IssueGrade.WARNING)
    ]


def test_nothing_of_one_verification_reaches_the_next(forge: Forge) -> None:
    statement = forge.statement()
    statement["predicate"]["serialization"]["ignore_paths"] = ["lib"]
    assert verify_model(forge.sign(statement), forge.pem, FILES).verified
    planted = (*FILES, file_digest("lib/hook.py", b"import os"))
    assert not verify_model(forge.sign(forge.statement()), forge.pem, planted).verified
