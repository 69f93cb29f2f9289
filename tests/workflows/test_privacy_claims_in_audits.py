"""A claim file is an input like any other: read strictly, digested, and named by the request."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from auditor.errors import AuditFileError, PrivacyClaimError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.workflows.prepare import PreparedAudit, prepare_audit, read_overridden_audit_file
from auditor.workflows.wiring import build_path_resolver, build_resolvers

AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: m}
task: {classes: ["no", "yes"]}
data:
  evaluation: {path: scored.npz, labels: y, predictions: said}
claims: {accuracy: 0.9, privacy: {path: dp_claim.json, signature: c.sig}}
"""
CLAIM = {
    "epsilon": 6.03, "delta": 1e-5, "noise_multiplier": 1.0, "sampling_rate": 0.0356,
    "steps": 560, "clip": 1.0, "sampling": "poisson", "adjacency": "add_remove",
    "accountant": "prv",
}  # fmt: skip


def prepared(folder: Path, claim: bytes) -> PreparedAudit:
    (folder / "dp_claim.json").write_bytes(claim)
    (folder / "c.sig").write_bytes(b"a signature")
    said = np.array(["no", "yes", "yes", "no"])
    np.savez(folder / "scored.npz", y=said, said=said)
    parts = build_resolvers(folder)
    only = ("privacy.dp_claim",)
    file = read_overridden_audit_file(AUDIT.encode(), "audit.yaml", parts, only=only)
    with prepare_audit(file, build_path_resolver(folder / "audit.yaml"), parts) as found:
        return found


def test_the_claim_and_its_signature_are_inputs_by_their_digests(tmp_path: Path) -> None:
    raw = json.dumps(CLAIM).encode()
    found = prepared(tmp_path, raw)
    listed = {item.path: item.file.sha256 for item in found.request.inputs}
    assert listed["dp_claim.json"] == hashlib.sha256(raw).hexdigest()
    assert "c.sig" in listed
    stated = found.materials.privacy_claim
    assert stated is not None
    assert stated.claim.epsilon == 6.03
    assert stated.file.sha256 == listed["dp_claim.json"]
    assert stated.signature.bundle == b"a signature"
    assert stated.signature.key is None
    assert found.materials.claims == {"accuracy": 0.9}
    said = {"epsilon": 6.03, "delta": CLAIM["delta"], "file": f"sha256:{stated.file.sha256}"}
    assert found.request.claims == {"accuracy": 0.9, "privacy": said}


def test_a_broken_claim_is_named_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(PrivacyClaimError, match=r"dp_claim\.json:1: epsilon"):
        prepared(tmp_path, json.dumps({**CLAIM, "epsilon": -1}).encode())


def test_a_claim_that_is_not_there_is_named_by_the_setting(tmp_path: Path) -> None:
    parts = build_resolvers(tmp_path)
    said = np.array(["no", "yes"])
    np.savez(tmp_path / "scored.npz", y=said, said=said)
    file = read_audit_file(AUDIT.encode(), "audit.yaml", parts.resolve_target)
    with (
        pytest.raises(AuditFileError, match=r"claims\.privacy\.path: dp_claim\.json does not"),
        prepare_audit(file, build_path_resolver(tmp_path / "audit.yaml"), parts),
    ):
        pass
