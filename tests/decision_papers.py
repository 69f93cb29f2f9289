"""Records, what people signed of them, and folders in which both lie."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bare_records import bare_record, bare_request
from trust_papers import signer
from waiver_papers import NOW, WORDS, read

from auditor.domain.approvals import Approval, ApprovalAnswer
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import compute_digest
from auditor.domain.policies import RuleEffect, Severity
from auditor.domain.records import AuditRecord
from auditor.domain.requests import PolicyRef
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.waivers import SignedWaiver, Waiver
from auditor.policy.evaluate.engine import apply_waivers, build_waiver_subject
from auditor.reports.folder import EVIDENCE, SIGNER, RecordFolder
from auditor.trust.signatures.decisions import sign_approval, sign_waiver, verify_waiver
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.human_decisions import SignedApproval, read_signed_approval

AUDITOR, ANNA, BOB, EVE = map(signer, (7101, 7102, 7103, 7104))
MODEL = Artifact("model", "1", (FileDigest("model.onnx", 3, "ab" * 32),))


def finding(rule: str = "accurate", target: str = "cpu", **changes: Any) -> Finding:  # noqa: ANN401 -- any field
    """Return a finding that failed, changed where asked."""
    usual = Finding(
        rule=rule,
        title="t",
        target=target,
        measure="quality.accuracy/accuracy",
        outcome=Outcome.FAILED,
        effect=RuleEffect.DENY,
        severity=Severity.HIGH,
        readings=(),
        controls=(),
        message="It failed.",
        remediation="",
        limits="",
    )
    return replace(usual, **changes)


def record(*findings: Finding, waivers: Iterable[SignedWaiver] = ()) -> AuditRecord:
    """Return a record of the model of waivers' papers, whose findings these waivers waive."""
    given = tuple(waivers)
    request = bare_request(
        name=str(WORDS["model"]),
        artifact=MODEL,
        targets=(TargetSpec("cpu"), TargetSpec("edge")),
        policy=PolicyRef(str(WORDS["policy"]), "1", compute_digest(b"policy")),
        waivers=tuple(item.ref for item in given),
    )
    leave = [item.waiver for item in given]
    return bare_record(
        request=request,
        fingerprints={"cpu": Fingerprint({"cpu": "cpu"}, {"isolation": "landlock"})},
        findings=apply_waivers(findings, leave, build_waiver_subject(request), NOW),
        registered=NOW,
        finished=NOW,
    )


def waiver(**changes: Any) -> Waiver:  # noqa: ANN401 -- any setting of the document
    """Return a waiver of every version of the model."""
    return read(**{"artifact": "any", **changes})


def signed(said: Waiver, by: KeySigner = ANNA, file: str = "w.json") -> SignedWaiver:
    """Sign a waiver."""
    return verify_waiver(sign_waiver(said, by), by.public_pem(), file)


def approval(of: AuditRecord, **changes: Any) -> Approval:  # noqa: ANN401 -- any field
    """Return Bob's yes to a record, changed where asked."""
    usual = Approval(
        record=of.digest,
        record_id=of.id,
        by="Bob",
        role="model risk",
        answer=ApprovalAnswer.YES,
        reason="All findings are known.",
        created="2026-02-01T00:00:00Z",
    )
    return replace(usual, **changes)


def said(what: Approval, by: KeySigner = BOB, where: str = "a.json") -> SignedApproval:
    """Sign an approval, as it is found somewhere."""
    return read_signed_approval(sign_approval(what, by), by.public_pem(), where)


def lay_out(path: Path, waivers: Iterable[SignedWaiver] = ()) -> RecordFolder:
    """Lay out a record's folder as far as what people decided is looked up there."""
    (path / EVIDENCE).mkdir(parents=True)
    (path / SIGNER).write_bytes(AUDITOR.public_pem())
    for item in waivers:
        for raw in (item.bundle, item.key):
            (path / EVIDENCE / compute_digest(raw).removeprefix("sha256:")).write_bytes(raw)
    return RecordFolder(path)
