"""What the profile compat takes, and what it does not."""

import json
from typing import Any

import pytest
from authority_forge import EMAIL, MOMENT, Pki, Wish
from signature_forge import FILES, Forge, file_digest

from auditor.signatures.objections import Code, Grade, Objection, Refused, Verification
from auditor.signatures.oms import verify
from auditor.signatures.profiles import Profile

LEGACY = "https://model_signing/Digests/v0.1"


def legacy(forge: Forge, subjects: list[dict[str, Any]]) -> bytes:
    statement = {**forge.statement(), "predicateType": LEGACY, "subject": subjects}
    return forge.sign(statement)


def subjects_of(*names: str) -> list[dict[str, Any]]:
    known = {item.name: item.sha256 for item in FILES}
    return [{"name": name, "digest": {"sha256": known[name]}} for name in names]


def by_compat(bundle: bytes, forge: Forge) -> Verification:
    return verify(bundle, forge.pem, FILES, profile=Profile.COMPAT)


ALL = tuple(item.name for item in FILES)


def test_an_old_manifest_covers_the_files_that_it_names(forge: Forge) -> None:
    found = by_compat(legacy(forge, subjects_of(*ALL)), forge)
    assert found.verified
    assert found.codes == (Code.LEGACY_PREDICATE,)


@pytest.mark.parametrize(
    ("subjects", "code"),
    [
        ([], Code.EMPTY),
        (subjects_of(*ALL[1:]), Code.EXTRA_FILE),
        (subjects_of(*ALL, ALL[0]), Code.DUPLICATE),
        ([*subjects_of(*ALL), {"name": "../x", "digest": {"sha256": "0" * 64}}], Code.PATH_ESCAPE),
        ([*subjects_of(*ALL[1:]), {"name": ALL[0], "digest": {"sha256": "0" * 64}}],
         Code.DIGEST_MISMATCH),
    ],
)  # fmt: skip
def test_an_old_manifest_is_held_to_the_same_rules(
    subjects: list[dict[str, Any]], code: Code, forge: Forge
) -> None:
    found = by_compat(legacy(forge, subjects), forge)
    assert not found.verified
    assert code in found.codes


def test_an_old_bundle_cannot_bring_its_own_key_to_be_believed(forge: Forge) -> None:
    bundle = json.loads(forge.sign(forge.statement()))
    bundle["verificationMaterial"]["publicKey"] = {"rawBytes": "AAAA"}
    found = by_compat(json.dumps(bundle).encode(), forge)
    assert found.verified
    assert set(found.codes) == {Code.LEGACY_KEY, Code.KEY_HINT}
    pki = Pki.made()
    assert not verify(json.dumps(bundle).encode(), pki.trusted, FILES, moment=MOMENT,
                      profile=Profile.COMPAT).verified  # fmt: skip


def test_strict_stands_for_no_objection() -> None:
    for code in Code:
        with pytest.raises(Refused, match="why") as refused:
            Profile.STRICT.tolerate(code, "why")
        said = Objection(code, "why")
        assert refused.value.objection == said
        assert Profile.STRICT.graded([said]) == (said,)


def test_compat_warns_of_a_habit_and_refuses_anything_else() -> None:
    warned = Objection(Code.CERT_EKU, "why", Grade.WARNING)
    assert Profile.COMPAT.tolerate(Code.CERT_EKU, "why") == warned
    bad = Objection(Code.SIGNATURE, "why")
    assert Profile.COMPAT.graded([Objection(Code.CERT_EKU, "why"), bad]) == (warned, bad)
    with pytest.raises(Refused, match="why"):
        Profile.COMPAT.tolerate(Code.SIGNATURE, "why")


def test_a_warning_stays_in_the_result_beside_the_identity() -> None:
    pki = Pki.made(Wish(purposes=None))
    found = verify(pki.sign(), pki.trusted, FILES, moment=MOMENT, profile=Profile.COMPAT)
    assert found.identity == f"email:{EMAIL}"
    assert [(item.code, item.grade) for item in found.objections] == [
        (Code.CERT_EKU, Grade.WARNING)
    ]


def test_nothing_of_one_verification_reaches_the_next(forge: Forge) -> None:
    statement = forge.statement()
    statement["predicate"]["serialization"]["ignore_paths"] = ["lib"]
    assert verify(forge.sign(statement), forge.pem, FILES).verified
    planted = (*FILES, file_digest("lib/hook.py", b"import os"))
    assert not verify(forge.sign(forge.statement()), forge.pem, planted).verified
