"""The verdict as a SLSA Verification Summary (VSA v1) that any in-toto tool reads.

Sources: https://slsa.dev/spec/v1.1/verification_summary and in-toto Statement v1. An inconclusive
verdict is ``FAILED``, because the format has no third answer and a gate must stay shut; the
extension fields, named by URIs as the format asks, say which it was.
"""

from collections.abc import Mapping
from urllib.parse import quote

from auditor.domain.canonical import Json
from auditor.domain.policies import Policy
from auditor.domain.record_scopes import bound_artifact
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome, Verdict
from auditor.rendering.attested import (
    NOTHING,
    VERDICT,
    ReadBeside,
    digest_set,
    evidence_property,
    evidence_told,
    policy_uri,
    subjects,
    verifier_id,
)
from auditor.signatures.statements import STATEMENT

PREDICATE = "https://slsa.dev/verification_summary/v1"
ARTIFACT = "urn:auditor:ext:artifact-digest"
WAIVED = "urn:auditor:ext:waived-rules"
ATTEMPT = "urn:auditor:ext:attempt"
SEALED = "urn:auditor:ext:sealed"
SEED_SEALED = "urn:auditor:ext:seed-sealed"
VALID_FOR = "urn:auditor:ext:valid-for-days"
EVIDENCE = "urn:auditor:ext:evidence"


def vsa_statement(
    record: AuditRecord, policy: Policy, beside: ReadBeside = NOTHING
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned, about the subjects that ``subjects`` names.

    Its input attestations are the record, its waivers, and what was read beside the model: the
    model's signature, whether it holds or not, and the documents that came with it.
    """
    return {
        "_type": STATEMENT,
        "subject": subjects(record, beside),
        "predicateType": PREDICATE,
        "predicate": _predicate(record, policy, beside),
    }


def _predicate(record: AuditRecord, policy: Policy, beside: ReadBeside) -> dict[str, Json]:
    request = record.request
    return {
        "verifier": {
            "id": verifier_id(record),
            "version": {"auditor": str(record.tool.get("version", "unknown"))},
        },
        "timeVerified": record.finished,
        "resourceUri": _resource(record),
        "policy": {"uri": policy_uri(policy), "digest": digest_set(request.policy.digest)},
        "inputAttestations": _inputs(record, beside),
        "verificationResult": "PASSED" if record.verdict is Verdict.PASS else "FAILED",
        "verifiedLevels": _levels(record),
        "slsaVersion": "1.1",
        **_extensions(record, policy),
    }


def _resource(record: AuditRecord) -> str:
    """Return what was verified: the model, or what answered in the place of its file."""
    request = record.request
    named = f"{quote(request.name, safe='')}@{quote(request.version, safe='')}"
    bound = bound_artifact(record) == request.artifact
    return f"pkg:generic/{named}" if bound else f"urn:auditor:endpoint:{named}"


def _inputs(record: AuditRecord, beside: ReadBeside) -> list[Json]:
    named = {f"urn:auditor:record:{record.id}": record.digest}
    if beside.signature is not None:
        named["urn:auditor:model-signature"] = beside.signature
    inputs: list[Json] = [{"uri": uri, "digest": digest_set(item)} for uri, item in named.items()]
    for waiver in record.request.waivers:
        uri = f"urn:auditor:waiver:{quote(waiver.file, safe='')}"
        inputs.append({"uri": uri, "digest": digest_set(waiver.digest)})
    for document in beside.documents:
        uri = f"urn:auditor:document:{quote(document.name, safe='')}"
        inputs.append({"uri": uri, "digest": {"sha256": document.sha256}})
    return inputs


def _levels(record: AuditRecord) -> list[Json]:
    if record.verdict is not Verdict.PASS:
        return ["FAILED"]
    return [f"AUDITOR_ASSURANCE_{record.assurance.name}", *evidence_property(record)]


def _extensions(record: AuditRecord, policy: Policy) -> dict[str, Json]:
    artifact = bound_artifact(record)
    waived = sorted({item.rule for item in record.findings if item.outcome is Outcome.WAIVED})
    said: dict[str, Json] = {VERDICT: record.verdict.value, WAIVED: waived}
    if artifact is not None:
        said[ARTIFACT] = artifact.digest
    if policy.valid_for_days is not None:
        said[VALID_FOR] = policy.valid_for_days
    if levels := evidence_told(record):
        said[EVIDENCE] = {name: level.value for name, level in levels.items()}
    if record.request.attempt is not None:
        said |= {
            ATTEMPT: record.request.attempt.number,
            SEALED: record.request.sealed,
        }
        if record.request.attempt.sealed and not record.request.sealed:
            said[SEED_SEALED] = True
    return said
