"""Check of the artifact's signature (OpenSSF Model Signing), by a key or a trust policy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.explanations import (
    MOST_TOLD,
    Explanation,
    ExplanationContext,
    count_rest,
    entry_text,
    list_entries,
    tell_details,
)
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.errors import suggest_install
from auditor.trust.policies.evaluate_signature import (
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
from auditor.trust.signatures.model_signing import verify_model
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
class ModelSignatureCheck(Check):
    """Verifies the signature over the artifact's files with the key or trust policy of your audit.

    ``verified`` is false for an unsigned artifact and for a signer that you did not name. Neither
    is a Gap: both are facts about the artifact. ``details.identity`` is the signer, and null unless
    verified.

    The profile ``strict`` enforces every MUST of the format; ``compat`` accepts older habits of
    signers with a warning. If you use a trust policy, its rule for the model sets the profile and
    further requirements. All of them are judged at the time of the check, which the evidence keeps.
    The signature counts as of the time that its timestamps prove by the clocks that the policy
    trusts. Source: OpenSSF Model Signing 1.0, section 8.
    """

    profile: Literal["strict", "compat"] = "strict"

    id: ClassVar[str] = "provenance.signature"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Signature of the artifact"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ARTIFACT})
    emits: ClassVar[Mapping[str, Metric]] = {
        "verified": Metric(
            "Valid signature of the artifact", Unit.NONE, higher_is_better=True, exact=True
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

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: one signature."""
        return CheckCost(seconds=0.01)

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
            key = decode_evidence_bytes(seen["key"])
            if presented.bundle is None:
                found = SignatureVerification(
                    (VerificationIssue(IssueCode.UNSIGNED, "the audit names no signature"),)
                )
            elif key is None:
                text = "the artifact is signed, and the audit names no key to verify with"
                found = SignatureVerification((VerificationIssue(IssueCode.NO_KEY, text),))
            else:
                found = verify_model(presented.bundle, key, measured, profile=profile)
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

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Tell by which trust policy the signature was judged, and what stands against it."""
        return tell_details(scene, "Details of the signature", _said)


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


def _said(m: Measurement) -> Iterator[str]:
    trust = m.details.get("trust")
    if isinstance(trust, Mapping):
        named = f"{entry_text(trust, 'name')} {entry_text(trust, 'version')}"
        rule = entry_text(trust, "rule") or "none of its rules is for this model"
        standing = entry_text(trust, "standing").replace("_", " ")
        yield f"Judged by the trust policy {named} ({standing} here): {rule}."
    listed = list_entries(m.details.get("findings"))
    for item in listed[:MOST_TOLD]:
        yield f"{entry_text(item, 'code')}: {entry_text(item, 'text')}."
    yield from count_rest(len(listed))


CHECK: type[Check] = ModelSignatureCheck
