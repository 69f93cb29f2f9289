"""Who may waive and approve, where a trust policy says it: its auditors, each by role."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from trust_papers import CI, OWNER, RELEASE, document, headed, named, revoking, ruled, save, signer

from auditor.domain.approvals import Approval, ApprovalAnswer
from auditor.domain.record_json import read_record
from auditor.reports.folder import RECORD, add_approval
from auditor.trust.signatures.decisions import sign_approval

Command = Callable[..., Any]
ANNA, BOB = signer(7101), signer(7102)
ONLY = ("--only", "provenance.signature", "--only", "quality.accuracy")
AUDITORS = [
    {"key": "ci", "highest": "A0"},
    {"key": "anna", "roles": ["waiver"]},
    {"key": "bob", "roles": ["approval"]},
]
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "policy.yaml",
    "--record", "out", "--trust", "trust.yaml",
)  # fmt: skip


def write(path: Path, *changes: Any) -> None:  # noqa: ANN401 -- changes of a document
    found = document(headed(expires="2999-01-01"), ruled(models=["line"]), *changes)
    for name, key in (("anna", ANNA), ("bob", BOB)):
        found["keys"][name] = {"pem": key.public_pem().decode()}
    found["auditors"] = AUDITORS
    path.write_text(yaml.safe_dump(found))


@pytest.fixture
def place(auditor: Command, inside: Path, home: Path) -> Path:
    """A failing audit under a trust policy by which Anna waives and Bob approves."""
    save(CI, home / "signer.key")
    for name, key in (("release", RELEASE), ("owner", OWNER), ("anna", ANNA), ("bob", BOB)):
        save(key, inside / f"{name}.key")
    named_in = "artifact: model.onnx, signature: model.sig, trust: trust.yaml"
    for name, change in (("audit.yaml", ("artifact: model.onnx", named_in)),
                         ("policy.yaml", ("0.6", "0.97"))):  # fmt: skip
        (inside / name).write_text((inside / name).read_text().replace(*change))
    write(inside / "trust.yaml")
    assert auditor("sign", "model.onnx", "--out", "model.sig", "--key", "release.key").code == 0
    assert auditor("audit", "audit.yaml", *ONLY, "--out", "failed").code == 1
    return inside


def waive(auditor: Command, key: str, out: str) -> None:
    ended = auditor(
        "waive", "failed", "--rule", "accuracy", "--reason", "It is replaced soon.",
        "--ticket", "T-1", "--owner", "olga", "--approver", key, "--expires", "30d",
        "--key", f"{key}.key", "--out", out,
    )  # fmt: skip
    assert ended.code == 0, ended.said


@pytest.mark.slow
def test_each_decides_in_their_role_and_in_no_other(auditor: Command, place: Path) -> None:
    waive(auditor, "bob", "bobs.json")
    refused = auditor("audit", "audit.yaml", *ONLY, "--waiver", "bobs.json", "--out", "no")
    assert (refused.code, "not signed by any of the 1 keys for waivers" in refused.said) == (
        2,
        True,
    )
    waive(auditor, "anna", "w.json")
    both = auditor("audit", "audit.yaml", *ONLY, "--waiver", "w.json", "--waiver-key", "bob.pub")
    assert (both.code, "only one of them can say who may waive" in both.said) == (2, True)
    ended = auditor("audit", "audit.yaml", *ONLY, "--waiver", "w.json", "--out", "out")
    assert ended.code == 0, ended.said
    told = auditor("verify", "out", "--trust", "trust.yaml")
    assert (told.code, "holds waivers 1 are of people who may waive" in told.said) == (0, True)
    assert auditor("reproduce", "out").code == 0
    assert auditor(*GATE).code == 0
    asked = (*GATE, "--require-approval")
    assert auditor(*asked).code == 1
    approve = ("approve", "out", "--role", "risk", "--yes", "--reason", "It is all known.", "--by")
    assert auditor(*approve, "anna", "--key", "anna.key").code == 0
    shut = auditor(*asked)
    assert (shut.code, "who does not have the role approval" in shut.said) == (1, True)
    assert auditor(*approve, "bob", "--key", "bob.key").code == 0
    assert auditor(*asked).code == 0


def test_a_key_that_the_trust_policy_revoked_since_waives_no_more(
    auditor: Command, place: Path
) -> None:
    waive(auditor, "anna", "w.json")
    assert auditor("judge", "failed", "--waiver", "w.json", "--trust", "trust.yaml",
                   "--out", "out").code == 0  # fmt: skip
    assert auditor(*GATE).code == 0
    write(place / "trust.yaml", headed(version=4), revoking("keys", named(ANNA)))
    shut = auditor(*GATE)
    assert (shut.code, "REVOKED" in shut.said) == (1, True)
    told = auditor("verify", "out", "--trust", "trust.yaml")
    assert (told.code, "failed waivers" in told.said) == (1, True)
    refused = auditor("judge", "failed", "--waiver", "w.json", "--trust", "trust.yaml",
                      "--out", "no")  # fmt: skip
    assert (refused.code, "w.json does not count: REVOKED" in refused.said) == (2, True)
    refused = auditor("audit", "audit.yaml", *ONLY, "--waiver", "w.json", "--out", "no")
    assert (refused.code, "w.json does not count: REVOKED" in refused.said) == (2, True)


def test_who_audits_may_not_approve_by_writing_their_key_otherwise(
    auditor: Command, place: Path, home: Path
) -> None:
    """The record's signer, whom the trust policy lets approve the records of others."""
    auditors = [{"key": "ci", "highest": "A0", "roles": ["record", "approval"]}, *AUDITORS[1:]]
    found = yaml.safe_load((place / "trust.yaml").read_text())
    (place / "trust.yaml").write_text(yaml.safe_dump({**found, "auditors": auditors}))
    waive(auditor, "anna", "w.json")
    given = ("--waiver", "w.json", "--trust", "trust.yaml", "--out", "out")
    assert auditor("judge", "failed", *given).code == 0
    assert auditor(*GATE).code == 0
    record = read_record((place / "out" / RECORD).read_bytes())
    said = Approval(
        record=record.digest, record_id=record.id, by="Carl", role="risk",
        answer=ApprovalAnswer.YES, reason="It is all known.", created=record.finished,
    )  # fmt: skip
    add_approval(place / "out", sign_approval(said, CI), b"Carl\n" + CI.public_pem())
    shut = auditor(*GATE, "--require-approval")
    assert (shut.code, "signed by the record's own signer" in shut.said) == (1, True), shut.said
