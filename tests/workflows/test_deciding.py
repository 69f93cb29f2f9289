"""Each waiver and approval beside a record is looked at: who signed it, what it is of, its end."""

from dataclasses import replace
from pathlib import Path

import pytest
from decision_papers import (
    ANNA,
    AUDITOR,
    BOB,
    approval,
    finding,
    lay_out,
    record,
    signed,
    waiver,
)
from waiver_papers import NOW

from auditor.domain.json import compute_digest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import RecordError
from auditor.policy.evaluate.engine import WaiverStatus
from auditor.reports.folder import APPROVALS, EVIDENCE, PUBLIC, SIGNED, RecordFolder, add_approval
from auditor.trust.signatures.decisions import sign_approval
from auditor.workflows.human_decisions import (
    build_record_context,
    check_decisions,
    evaluate_record_waivers,
)

AFTER = "2026-05-01T00:00:00Z"
BEFORE = "2026-04-30T23:59:59Z"
LEAVE = signed(waiver())
WAIVED = record(finding(), waivers=[LEAVE])
PLAIN = record(finding())


def test_a_waiver_that_was_used_says_where_until_when_by_whom_and_under_which_key(
    tmp_path: Path,
) -> None:
    folder = lay_out(tmp_path / "out", [LEAVE])
    for now, ends in (
        (None, "until 2026-05-01T00:00:00Z"),
        (BEFORE, "until 2026-05-01T00:00:00Z"),
        (AFTER, "expired on 2026-05-01T00:00:00Z"),
    ):
        assert list(check_decisions(folder, WAIVED, now)) == [
            VerificationStep(
                "waiver RISK-12",
                StepResult.HOLDS,
                f"accurate: used on cpu; {ends}; approved by anna@example.org, olga@example.org "
                f"answers; {LEAVE.ref.digest}, signed by {ANNA.identity}",
            )
        ]


def test_a_waiver_that_was_not_used_says_why(tmp_path: Path) -> None:
    other = signed(waiver(rule="robust"))
    folder = lay_out(tmp_path / "out", [other])
    (step,) = check_decisions(folder, record(finding(), waivers=[other]), None)
    assert step.result is StepResult.HOLDS
    assert step.detail.startswith("robust: unused: no finding is of robust; until 2026-05-01")


def test_a_waiver_of_the_records_own_signer_is_told(tmp_path: Path) -> None:
    own = signed(waiver(), by=AUDITOR)
    folder = lay_out(tmp_path / "out", [own])
    (tmp_path / "out" / "signer.pub").write_bytes(b"\n" + AUDITOR.public_pem() + b"\n")
    (step,) = check_decisions(folder, record(finding(), waivers=[own]), None)
    assert step == VerificationStep(
        "waiver RISK-12", StepResult.FAILED, "w.json is signed by the record's own signer"
    )


def test_a_waiver_that_is_lost_or_another_than_the_one_named_is_told(tmp_path: Path) -> None:
    lost = lay_out(tmp_path / "lost")
    (step,) = check_decisions(lost, WAIVED, NOW)
    assert (step.name, step.result) == ("waiver", StepResult.FAILED)
    assert step.detail.startswith("a waiver of the record: ")
    assert "cannot be read" in step.detail

    folder = lay_out(tmp_path / "out", [LEAVE])
    misnamed = replace(LEAVE, ref=replace(LEAVE.ref, waiver=compute_digest(b"another")))
    wrong = record(finding(), waivers=[misnamed])
    (step,) = check_decisions(folder, wrong, NOW)
    assert step == VerificationStep(
        "waiver", StepResult.FAILED, "w.json is not the waiver that the record names"
    )
    with pytest.raises(RecordError) as refused:
        evaluate_record_waivers(folder, wrong)
    assert refused.value.cure == "Take the folder as auditor wrote it, unchanged."


def test_every_waiver_is_told_with_what_came_of_it(tmp_path: Path) -> None:
    second = signed(waiver(rule="robust", ticket="RISK-13"), file="second.json")
    folder = lay_out(tmp_path / "out", [LEAVE, second])
    both = record(finding(), waivers=[LEAVE, second])
    assert [(it.ref.file, used.use) for it, used in evaluate_record_waivers(folder, both)] == [
        ("w.json", WaiverStatus.USED),
        ("second.json", WaiverStatus.UNMATCHED),
    ]
    names = [step.name for step in check_decisions(folder, both, NOW)]
    assert names == ["waiver RISK-12", "waiver RISK-13"]


def test_judging_knows_of_a_record_its_waivers_and_the_time_at_which_it_ended(
    tmp_path: Path,
) -> None:
    folder = lay_out(tmp_path / "out", [LEAVE])
    known = build_record_context(folder, WAIVED, 0.9)
    assert (known.confidence, known.now, known.waivers) == (0.9, NOW, (LEAVE.waiver,))
    assert known.baseline is None
    assert known.under.isolation == {"cpu": "landlock"}
    assert known.request == WAIVED.request
    before = PLAIN.canonical()
    (tmp_path / "out" / EVIDENCE / compute_digest(before).removeprefix("sha256:")).write_bytes(
        before
    )
    against = replace(WAIVED, request=replace(WAIVED.request, baseline=compute_digest(before)))
    found = build_record_context(folder, against, 0.9)
    assert found.baseline is not None
    assert found.baseline.digest == PLAIN.digest


def put(folder: RecordFolder, bundle: bytes, key: bytes, name: str = "") -> str:
    """Put an approval into a folder, under a name of its own where asked."""
    place = add_approval(folder.path, bundle, key)
    if name:
        for suffix in (SIGNED, PUBLIC):
            file = f"{place.name.removesuffix(SIGNED)}{suffix}"
            (place.parent / file).rename(place.parent / f"{name}{suffix}")
    return name or place.name.removesuffix(SIGNED)


def test_an_approval_says_what_was_said_until_when_and_under_which_key(tmp_path: Path) -> None:
    yes = approval(PLAIN, expires="2026-05-01T00:00:00Z")
    words = "approved by Bob (model risk) at 2026-02-01T00:00:00Z: All findings are known."
    folder = lay_out(tmp_path / "out")
    put(folder, sign_approval(yes, BOB), BOB.public_pem())
    for now, ends in (
        (None, ""),
        (BEFORE, ""),
        (AFTER, "; expired on 2026-05-01T00:00:00Z"),
    ):
        told = f"{words}{ends}; signed by {BOB.identity}"
        assert list(check_decisions(folder, PLAIN, now)) == [
            VerificationStep("approval", StepResult.HOLDS, told)
        ]


def test_an_approval_of_another_record_or_under_another_name_is_told(tmp_path: Path) -> None:
    name = "f" * 64
    folder = lay_out(tmp_path / "out")
    put(folder, sign_approval(approval(PLAIN), BOB), BOB.public_pem(), name)
    other = replace(WAIVED, id="aud-2")
    (step,) = check_decisions(folder, replace(other, request=PLAIN.request), NOW)
    file = f"{APPROVALS}/{name}{SIGNED}"
    assert step == VerificationStep(
        "approval",
        StepResult.FAILED,
        f"{file} does not have the digest that is its name; {file} is of another record, aud-1",
    )


def test_an_approval_that_is_changed_or_lacks_its_half_is_told(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "out")
    name = put(folder, sign_approval(approval(PLAIN), BOB), ANNA.public_pem())
    (step,) = check_decisions(folder, PLAIN, NOW)
    assert (step.name, step.result) == ("approval", StepResult.FAILED)
    assert "is signed by another key than the one given" in step.detail

    (tmp_path / "out" / APPROVALS / f"{name}{SIGNED}").unlink()
    assert list(check_decisions(RecordFolder(tmp_path / "out"), PLAIN, NOW)) == [
        VerificationStep(
            "approval", StepResult.FAILED, f"{APPROVALS}/{name}{PUBLIC} is the key of nothing"
        )
    ]
    (tmp_path / "out" / APPROVALS / f"{name}{PUBLIC}").unlink()
    assert list(check_decisions(RecordFolder(tmp_path / "out"), PLAIN, NOW)) == []
