"""Waivers and approvals as signed: by whom, unchanged, and as nothing else."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from waiver_papers import new_signer, read

from auditor.domain.approvals import Approval, ApprovalAnswer, HumanFinding
from auditor.domain.json import compute_digest, encode_canonical
from auditor.errors import WaiverError
from auditor.trust.signatures.decisions import (
    build_approval_payload,
    build_finding_payload,
    build_waiver_payload,
    open_waiver,
    sign_approval,
    sign_finding,
    sign_waiver,
    verify_approval,
    verify_finding,
    verify_waiver,
)
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.workflows.human_decisions import read_signed_approval

APPROVAL = Approval(
    record="sha256:" + "d" * 64,
    record_id="aud-1",
    by="Ada Lovelace",
    role="model risk",
    answer=ApprovalAnswer.YES,
    reason="The findings are all known.",
    created="2026-03-01T00:00:00Z",
)
FOUND = HumanFinding(
    record="sha256:" + "d" * 64,
    record_id="aud-1",
    by="Ada Lovelace",
    role="clinician",
    reason="Row r17 is a scar.",
    created="2026-03-01T00:00:00Z",
)
SIGNER = new_signer()
PEM = SIGNER.public_pem()


def test_a_waiver_opens_under_the_key_that_signed_it() -> None:
    waiver = read(slice={"age": 30.5, "sex": "F"})
    bundle = sign_waiver(waiver, SIGNER)
    found = verify_waiver(bundle, SIGNER.public_pem(), "w.json")
    assert found.waiver == waiver == open_waiver(bundle, "w.json")
    assert (found.ref.digest, found.ref.waiver) == (compute_digest(bundle), waiver.digest)
    assert found.ref.key == compute_digest(SIGNER.public_pem())


def test_an_approval_opens_under_the_key_that_signed_it() -> None:
    bundle = sign_approval(APPROVAL, SIGNER)
    assert verify_approval(bundle, SIGNER.public_pem(), "a.json") == APPROVAL


def test_a_finding_opens_under_the_key_that_signed_it() -> None:
    assert verify_finding(sign_finding(FOUND, SIGNER), PEM, "f.json") == FOUND


def test_a_waiver_names_its_model_where_it_is_for_one_artifact() -> None:
    bare = {"name": "waiver", "digest": {"sha256": read().digest.removeprefix("sha256:")}}
    model = {"name": "model", "digest": {"sha256": "a" * 64}}
    assert json.loads(build_waiver_payload(read()))["subject"] == [bare, model]
    every = read(artifact="any")
    (named,) = json.loads(build_waiver_payload(every))["subject"]
    assert named["name"] == "waiver"
    assert verify_waiver(sign_waiver(every, SIGNER), PEM, "w.json").waiver == every


def resigned(payload: bytes, old: bytes, new: bytes) -> bytes:
    """Sign other words than those of a decision."""
    assert old in payload
    return sign_bundle(payload.replace(old, new), SIGNER)


OF_ANOTHER = (b'"sha256":"' + b"d" * 64, b'"sha256":"' + b"e" * 64)
NO_REASON = replace(APPROVAL, reason="fine")


REFUSED: dict[str, tuple[Callable[[bytes, bytes, str], object], bytes, str]] = {
    "an approval of another schema": (
        verify_approval,
        resigned(build_approval_payload(APPROVAL), b"auditor/approval/v1", b"auditor/approval/v2"),
        "a.json is no approval of auditor/approval/v1",
    ),
    "a finding of another schema": (
        verify_finding,
        resigned(build_finding_payload(FOUND), b"auditor/finding/v1", b"auditor/finding/v2"),
        "a.json is no finding of auditor/finding/v1",
    ),
    "an approval over another record": (
        verify_approval,
        resigned(build_approval_payload(APPROVAL), *OF_ANOTHER),
        "a.json: its subject is not the record that it speaks of",
    ),
    "a finding over another record": (
        verify_finding,
        resigned(build_finding_payload(FOUND), *OF_ANOTHER),
        "a.json: its subject is not the record that it speaks of",
    ),
    "a bad approval over another record": (
        verify_approval,
        resigned(build_approval_payload(NO_REASON), *OF_ANOTHER),
        "a.json: the reason is 'fine', which is no reason",
    ),
    "an approval by nobody": (
        verify_approval,
        resigned(build_approval_payload(APPROVAL), b'"by"', b'"bye"'),
        "a.json cannot be read: ",
    ),
    "a waiver over another artifact": (
        verify_waiver,
        resigned(
            build_waiver_payload(read()), b'"sha256":"' + b"a" * 64, b'"sha256":"' + b"b" * 64
        ),
        "a.json: its subjects are not those of the waiver",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_key_signed_and_no_decision_may_be_is_refused_in_its_own_words(case: str) -> None:
    verify, bundle, said = REFUSED[case]
    with pytest.raises(WaiverError) as refused:
        verify(bundle, PEM, "a.json")
    assert refused.value.problem.startswith(said)


def test_what_only_looks_like_an_envelope_is_no_waiver() -> None:
    with pytest.raises(WaiverError, match=r"w\.json is not a signed waiver: "):
        open_waiver(b'{"dsseEnvelope": {}}', "w.json")


@pytest.mark.parametrize("rewritten", [b"\r\n", b"\n"])
def test_a_key_written_otherwise_is_the_same_key(rewritten: bytes) -> None:
    pem = SIGNER.public_pem()
    other = b"The key of somebody else\n" + pem.replace(b"\n", rewritten, 2)
    found = verify_waiver(sign_waiver(read(), SIGNER), other, "w.json")
    assert (found.key, found.ref.key) == (pem, compute_digest(pem))
    assert read_signed_approval(sign_approval(APPROVAL, SIGNER), other, "a.json").key == pem


def test_another_key_a_change_and_a_draft_are_refused_each_in_its_own_words() -> None:
    bundle, pem = sign_waiver(read(), SIGNER), SIGNER.public_pem()
    with pytest.raises(WaiverError, match=r"w\.json is signed by another key"):
        verify_waiver(bundle, new_signer().public_pem(), "w.json")
    with pytest.raises(WaiverError, match=r"the signature of w\.json does not hold: SIGNATURE"):
        verify_waiver(changed(bundle, b"2026-05-01", b"2026-06-01"), pem, "w.json")
    with pytest.raises(WaiverError, match=r"w\.json is not signed"):
        verify_waiver(encode_canonical(read().to_json()), pem, "w.json")
    with pytest.raises(WaiverError, match="is not a signed waiver: the predicate is"):
        verify_waiver(sign_approval(APPROVAL, SIGNER), pem, "w.json")
    with pytest.raises(WaiverError, match="the predicate is"):
        verify_approval(bundle, pem, "a.json")


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        (lambda: sign_waiver(replace(read(), approver="OLGA@example.org"), SIGNER), "the owner"),
        (lambda: sign_waiver(replace(read(), expires="2030-01-01T00:00:00Z"), SIGNER), "180 days"),
        (lambda: sign_waiver(replace(read(), reason="so"), SIGNER), "no reason"),
    ],
)
def test_a_signature_makes_no_bad_waiver_good(sign: Callable[[], bytes], said: str) -> None:
    with pytest.raises(WaiverError, match=said):
        verify_waiver(sign(), SIGNER.public_pem(), "w.json")


@pytest.mark.parametrize(
    "changes", [{"reason": "fine"}, {"by": " "}, {"expires": "2026-02-01T00:00:00Z"}]
)
def test_a_signature_makes_no_bad_approval_good(changes: dict[str, str]) -> None:
    bundle = sign_approval(replace(APPROVAL, **changes), SIGNER)
    with pytest.raises(WaiverError):
        verify_approval(bundle, SIGNER.public_pem(), "a.json")


def changed(bundle: bytes, old: bytes, new: bytes) -> bytes:
    """Return the bundle with other words under the same signature."""
    content = json.loads(bundle)
    payload = base64.b64decode(content["dsseEnvelope"]["payload"])
    assert old in payload
    content["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(old, new)).decode()
    return encode_canonical(content)
