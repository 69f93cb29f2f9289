"""A record that says the least a record may, and its request: tests change what they are about."""

from typing import Any

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import TargetSpec

ARTIFACT = Artifact("m", "1", (FileDigest("model.onnx", 3, "ab" * 32),))
REGISTERED, FINISHED = "2026-05-10T09:00:00Z", "2026-05-10T10:00:00Z"


def bare_request(**changes: Any) -> AuditRequest:  # noqa: ANN401 -- any field
    """Return a request to audit ``ARTIFACT`` on a processor, changed where asked."""
    usual: dict[str, Any] = {
        "name": "m",
        "version": "1",
        "artifact": ARTIFACT,
        "targets": (TargetSpec("cpu"),),
        "datasets": (),
        "policy": PolicyRef("p", "1", "sha256:" + "1" * 64),
        "audit_file": "sha256:" + "2" * 64,
        "seed": 7,
        "budget": Budget.CI,
    }
    return AuditRequest(**{**usual, **changes})


def bare_record(**changes: Any) -> AuditRecord:  # noqa: ANN401 -- any field
    """Return a record of ``bare_request`` in which nothing was seen, changed where asked."""
    usual: dict[str, Any] = {
        "id": "aud-1",
        "derived_from": None,
        "assurance": AssuranceLevel.A0,
        "request": bare_request(),
        "confidence": 0.95,
        "fingerprints": {},
        "observations": (),
        "readings": (),
        "findings": (),
        "lineage": (),
        "tool": {},
        "registered": REGISTERED,
        "finished": FINISHED,
    }
    return AuditRecord(**{**usual, **changes})
