"""The statements that are signed about one small record, as bundles by the names of their files."""

from collections.abc import Mapping

from signature_forge import FILES

from auditor.domain.artifacts import Artifact
from auditor.domain.budgets import Budget
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.reports.attestations import build_statements
from auditor.reports.formats.attestations import SVR_PREDICATE as SVR_TYPE
from auditor.reports.formats.attestations import TEST_RESULT_PREDICATE as RESULTS_TYPE
from auditor.reports.formats.attestations import VSA_PREDICATE as VSA_TYPE
from auditor.trust.signatures.keys import Signer
from auditor.trust.signatures.records import sign_statement

TYPES = {
    "verdict.vsa.json": VSA_TYPE,
    "verdict.svr.json": SVR_TYPE,
    "test-result.json": RESULTS_TYPE,
}
ROOT = b"".join(bytes.fromhex(item.sha256) for item in sorted(FILES))
"""The bytes whose SHA-256 stands for the model as a whole among a statement's subjects."""
POLICY = Policy(
    name="p", version="1", owner="o", digest="sha256:" + "0" * 64, document={}, source="p", rules=()
)
RECORD = AuditRecord(
    id="aud-0",
    derived_from=None,
    assurance=AssuranceLevel.A0,
    request=AuditRequest(
        name="m",
        version="1",
        artifact=Artifact("m", "1", FILES),
        targets=(TargetSpec("cpu"),),
        datasets=(),
        policy=PolicyRef("p", "1", POLICY.digest),
        audit_file="sha256:" + "1" * 64,
        seed=1,
        budget=Budget.CI,
    ),
    confidence=0.95,
    fingerprints={},
    observations=(),
    readings=(),
    findings=(),
    lineage=(),
    tool={},
    registered="2026-01-01T00:00:00Z",
    finished="2026-01-01T00:00:00Z",
)


def bundles(signer: Signer) -> Mapping[str, bytes]:
    """Each statement about the record, signed."""
    told = build_statements(RECORD, POLICY, {}.__getitem__)
    assert told.keys() == TYPES.keys()
    return {name: sign_statement(statement, signer) for name, statement in told.items()}
