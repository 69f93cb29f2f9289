"""The verdict as a SLSA Verification Summary (VSA v1) that any in-toto tool reads.

Sources: https://slsa.dev/spec/v1.1/verification_summary and in-toto Statement v1. An inconclusive
verdict is ``FAILED``, because the format has no third answer and a gate must stay shut; the
extension fields, named by URIs as the format asks, say which it was.
"""

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

from auditor.domain.canonical import Json
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome, Verdict
from auditor.signatures.statements import STATEMENT

PREDICATE = "https://slsa.dev/verification_summary/v1"
VERDICT = "urn:auditor:ext:verdict"
ARTIFACT = "urn:auditor:ext:artifact-digest"
WAIVED = "urn:auditor:ext:waived-rules"
VALID_FOR = "urn:auditor:ext:valid-for-days"


def vsa_statement(
    record: AuditRecord, policy: Policy, *, signed_payload: str | None = None
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned.

    Subjects are each deployed file, then the model as a whole by its OMS root (SHA-256 over the
    concatenated digests of its files, OpenSSF Model Signing 1.0), then, where ``signed_payload``
    gives its digest, the payload of the model's own signature, which binds the files' names. A
    predictions-only audit speaks of the record alone.
    """
    request = record.request
    name = f"{request.name}@{request.version}"
    return {
        "_type": STATEMENT,
        "subject": _subjects(record, name, signed_payload),
        "predicateType": PREDICATE,
        "predicate": _predicate(record, policy),
    }


def _predicate(record: AuditRecord, policy: Policy) -> dict[str, Json]:
    request = record.request
    return {
        "verifier": {
            "id": f"urn:auditor:key:{_signer(record)}",
            "version": {"auditor": str(record.tool.get("version", "unknown"))},
        },
        "timeVerified": record.finished,
        "resourceUri": f"pkg:generic/{quote(request.name, safe='')}"
        f"@{quote(request.version, safe='')}",
        "policy": {
            "uri": f"urn:auditor:policy:{quote(policy.name, safe='')}"
            f":{quote(policy.version, safe='')}",
            "digest": _digest(request.policy.digest),
        },
        "inputAttestations": [
            {"uri": f"urn:auditor:record:{record.id}", "digest": _digest(record.digest)}
        ],
        "verificationResult": "PASSED" if record.verdict is Verdict.PASS else "FAILED",
        "verifiedLevels": _levels(record),
        "slsaVersion": "1.1",
        **_extensions(record, policy),
    }


def _subjects(record: AuditRecord, name: str, signed_payload: str | None) -> list[Json]:
    artifact = record.request.artifact
    if artifact is None:
        return [{"name": "record.json", "digest": _digest(record.digest)}]
    files = sorted(artifact.files)
    root = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()
    subjects: list[Json] = [
        {"name": file.name, "digest": {"sha256": file.sha256}} for file in files
    ]
    subjects.append({"name": name, "digest": {"sha256": root}})
    if signed_payload is not None:
        subjects.append({"name": "model.sig#payload", "digest": _digest(signed_payload)})
    return subjects


def _levels(record: AuditRecord) -> list[Json]:
    if record.verdict is not Verdict.PASS:
        return ["FAILED"]
    return [f"AUDITOR_ASSURANCE_{record.assurance.name}"]


def _extensions(record: AuditRecord, policy: Policy) -> dict[str, Json]:
    artifact = record.request.artifact
    waived = sorted({item.rule for item in record.findings if item.outcome is Outcome.WAIVED})
    said: dict[str, Json] = {VERDICT: record.verdict.value, WAIVED: waived}
    if artifact is not None:
        said[ARTIFACT] = artifact.digest
    if policy.valid_for_days is not None:
        said[VALID_FOR] = policy.valid_for_days
    return said


def _signer(record: AuditRecord) -> str:
    named = next((edge.destination for edge in record.lineage if edge.role == "signer"), "unknown")
    return quote(named.removeprefix("key:"), safe=":")


def _digest(text: str) -> dict[str, Json]:
    return {"sha256": text.removeprefix("sha256:")}
