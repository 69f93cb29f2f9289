"""Whether the artifact's signature holds: OpenSSF Model Signing, by a key or a trust policy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.errors import suggest_install
from auditor.trust.policies.evaluate import (
    apply_timestamps,
    evaluate_signature,
    find_binding_issues,
)
from auditor.trust.policies.evidence import (
    build_trust_query,
    decode_evidence_bytes,
    describe_missing_extra,
    encode_evidence_bytes,
    list_requested_documents,
    read_model_attestations,
    read_model_digests,
    read_trust_query,
)
from auditor.trust.policies.query import ModelAttestations, TrustQuery
from auditor.trust.policies.trust_policy import ModelClaim
from auditor.trust.signatures.model_signing import ModelFileDigests, verify_model
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationIssue,
    VerificationProfile,
)

METHOD, BY_POLICY = "oms-1.0-key-", "oms-1.0-trust-"
MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class ModelSignatureCheck:
    """Verifies the signature over the artifact's files, by the key or trust policy of the audit.

    ``verified`` is false for an unsigned artifact, and for one whose signer nobody named: neither
    is a Gap, as both are facts about the artifact. ``details.identity`` is the signer's, and null
    unless verified. The profile ``strict`` holds every MUST of the format; ``compat`` takes older
    habits of signers with a warning. Under a trust policy its rule for the model says which profile
    and what else is asked, and all is judged at the moment of looking, which the evidence keeps.
    The signature counts as of the time that timestamps beside it prove by the policy's clocks.
    Source: OpenSSF Model Signing 1.0, section 8.
    """

    profile: Literal["strict", "compat"] = "strict"

    id: ClassVar[str] = "provenance.signature"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Signature of the artifact"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ARTIFACT})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "verified": Metric(
            "The artifact's signature holds", Unit.NONE, higher_is_better=True, exact=True
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MAP 4.1"),
        FrameworkControl("nist-ai-rmf", "MANAGE 3.1"),
        FrameworkControl("iso-42001", "A.10.3"),
        FrameworkControl("mitre-atlas", "AML.T0010.003"),
        FrameworkControl("mitre-atlas", "AML.T0018"),
        FrameworkControl("mitre-atlas", "AML.M0014"),
        FrameworkControl("owasp-ml", "ML06"),
        FrameworkControl("nist-ai-100-2", "NISTAML.05"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: one signature."""
        return CheckCost(seconds=0.01)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return nothing: a yes or no has no interval."""
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Return the bundle, whom to trust, and the files' digests: all that verifying takes."""
        material, artifact = subject.signature, subject.artifact
        files = () if artifact is None else artifact.files
        measured = material.measured
        beside: dict[str, Json] = {} if measured is None else {"measured": measured.to_json()}
        if material.timestamps is not None:
            beside["timestamps"] = encode_evidence_bytes(material.timestamps)
        if artifact is not None and (material.trust is not None or material.bindings):
            beside["model"] = {"name": artifact.name, "version": artifact.version}
            beside["bindings"] = [item.to_json() for item in material.bindings]
        if artifact is not None and material.trust is not None:
            asked = build_trust_query(material.trust, artifact.name, artifact.version)
            beside["trust"] = material.trust.to_json()
            papers = list_requested_documents(asked, [it.raw for it in subject.supply.documents])
            beside["papers"] = papers
            beside |= describe_missing_extra(
                material.bundle, [decode_evidence_bytes(item) for item in papers]
            )
        return {
            "signature": {
                "bundle": encode_evidence_bytes(material.bundle),
                "key": encode_evidence_bytes(material.key),
                "files": [file.to_json() for file in files],
                **beside,
            }
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Verify anew from the evidence alone, at the moment that it names."""
        seen = cast("Mapping[str, Json]", evidence["signature"])
        if seen.get("without") is not None:
            return (_WITHOUT,)
        files, measured = read_model_digests(seen)
        asked, presented = read_trust_query(seen), read_model_attestations(seen)
        if asked is None:
            profile = VerificationProfile(self.profile)
            found = _by_key(presented, decode_evidence_bytes(seen["key"]), measured, profile)
            found = _with_bindings(found, seen.get("model"), presented)
        else:
            profile = VerificationProfile.STRICT if asked.rule is None else asked.rule.profile
            found = evaluate_signature(asked, presented, measured, files)
        if IssueCode.UNMEASURED in found.codes:
            return (_UNMEASURED,)
        return (
            Measurement(
                metric="verified",
                value=found.verified,
                method=(METHOD if asked is None else BY_POLICY) + profile,
                n=len(files),
                details={
                    "identity": found.identity if found.verified else None,
                    "findings": [item.to_json() for item in found.objections[:MOST_FINDINGS]],
                    "findings_in_all": len(found.objections),
                    **_about(asked, presented),
                },
            ),
        )


def _by_key(
    presented: ModelAttestations,
    key: bytes | None,
    files: ModelFileDigests,
    profile: VerificationProfile,
) -> SignatureVerification:
    if presented.bundle is None:
        return SignatureVerification(
            (VerificationIssue(IssueCode.UNSIGNED, "the audit names no signature"),)
        )
    if key is None:
        text = "the artifact is signed, and the audit names no key to verify with"
        return SignatureVerification((VerificationIssue(IssueCode.NO_KEY, text),))
    return verify_model(presented.bundle, key, files, profile=profile)


def _with_bindings(
    found: SignatureVerification, model: Json, presented: ModelAttestations
) -> SignatureVerification:
    """Warn of a name and version that other bytes had: only a trust policy makes that a fault."""
    if model is None:
        return found
    told = cast("Mapping[str, str]", model)
    claimed = ModelClaim(told["name"], told["version"])
    same = [item for item in presented.bindings if item.name == claimed.name]
    doubts = [
        replace(item, grade=IssueGrade.WARNING)
        for item in find_binding_issues(
            claimed, [it for it in same if it.version == claimed.version]
        )
    ]
    return replace(found, objections=(*found.objections, *doubts))


def _about(asked: TrustQuery | None, presented: ModelAttestations) -> dict[str, Json]:
    """Say by which trust policy and rule it was judged, whether that was an accepted one, and by
    when it was signed where a timestamp proves that.
    """
    if asked is None:
        return {}
    standing = presented.standing.value
    rule = None if asked.rule is None else str(asked.rule)
    when = apply_timestamps(asked, presented)[0].when
    stamped = None if when is None or when.stamped is None else str(when.stamped)
    time = {} if stamped is None else {"stamped": stamped}
    return {"trust": {**asked.policy.ref.to_json(), "standing": standing, "rule": rule, **time}}


_WITHOUT = Gap(
    reason=GapReason.NEEDS_EXTRA,
    detail="The signature is a keyless one (Sigstore), and sigstore was not installed.",
    cure=f"{suggest_install('sigstore')}, and audit again.",
)
_UNMEASURED = Gap(
    reason=GapReason.NEEDS_EXTRA,
    detail="The signer hashed the files with blake3, which was not installed.",
    cure=f"{suggest_install('blake3')}, and audit again.",
)

CHECK: type[ModelSignatureCheck] = ModelSignatureCheck
