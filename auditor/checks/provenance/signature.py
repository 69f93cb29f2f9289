"""Whether the artifact's signature holds: OpenSSF Model Signing, by a key or a trust policy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Shard, Subject
from auditor.extras import to_install
from auditor.signatures.objections import Code, Grade, Objection, Verification
from auditor.signatures.oms import Measured, verify
from auditor.signatures.profiles import Profile
from auditor.trusting.asking import Asked, Presented
from auditor.trusting.demands import object_to_bindings
from auditor.trusting.evidence import (
    asked_of,
    extra_lacking,
    papers_asked,
    read_asked,
    read_bytes,
    read_measured,
    read_presented,
    write_bytes,
)
from auditor.trusting.judging import judge
from auditor.trusting.policies import Claimed
from auditor.trusting.stamping import stamp

METHOD, BY_POLICY = "oms-1.0-key-", "oms-1.0-trust-"
MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class Signature:
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
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(5)"),
        Control("nist-ai-rmf", "MAP 4.1"),
        Control("nist-ai-rmf", "MANAGE 3.1"),
        Control("iso-42001", "A.10.3"),
        Control("mitre-atlas", "AML.T0010.003"),
        Control("mitre-atlas", "AML.T0018"),
        Control("mitre-atlas", "AML.M0014"),
        Control("owasp-ml", "ML06"),
        Control("nist-ai-100-2", "NISTAML.05"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: Size) -> Cost:
        """Say what observing will spend: one signature."""
        return Cost(seconds=0.01)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return nothing: a yes or no has no interval."""
        return {}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Return the bundle, whom to trust, and the files' digests: all that verifying takes."""
        material, artifact = subject.signature, subject.artifact
        files = () if artifact is None else artifact.files
        measured = material.measured
        beside: dict[str, Json] = {} if measured is None else {"measured": measured.to_json()}
        if material.timestamps is not None:
            beside["timestamps"] = write_bytes(material.timestamps)
        if artifact is not None and (material.trust is not None or material.bindings):
            beside["model"] = {"name": artifact.name, "version": artifact.version}
            beside["bindings"] = [item.to_json() for item in material.bindings]
        if artifact is not None and material.trust is not None:
            asked = asked_of(material.trust, artifact.name, artifact.version)
            beside["trust"] = material.trust.to_json()
            papers = papers_asked(asked, [it.raw for it in subject.supply.documents])
            beside["papers"] = papers
            beside |= extra_lacking(material.bundle, [read_bytes(item) for item in papers])
        return {
            "signature": {
                "bundle": write_bytes(material.bundle),
                "key": write_bytes(material.key),
                "files": [file.to_json() for file in files],
                **beside,
            }
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Verify anew from the evidence alone, at the moment that it names."""
        seen = cast("Mapping[str, Json]", evidence["signature"])
        if seen.get("without") is not None:
            return (_WITHOUT,)
        files, measured = read_measured(seen)
        asked, presented = read_asked(seen), read_presented(seen)
        if asked is None:
            profile = Profile(self.profile)
            found = _by_key(presented, read_bytes(seen["key"]), measured, profile)
            found = _with_bindings(found, seen.get("model"), presented)
        else:
            profile = Profile.STRICT if asked.rule is None else asked.rule.profile
            found = judge(asked, presented, measured, files)
        if Code.UNMEASURED in found.codes:
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
    presented: Presented, key: bytes | None, files: Measured, profile: Profile
) -> Verification:
    if presented.bundle is None:
        return Verification((Objection(Code.UNSIGNED, "the audit names no signature"),))
    if key is None:
        text = "the artifact is signed, and the audit names no key to verify with"
        return Verification((Objection(Code.NO_KEY, text),))
    return verify(presented.bundle, key, files, profile=profile)


def _with_bindings(found: Verification, model: Json, presented: Presented) -> Verification:
    """Warn of a name and version that other bytes had: only a trust policy makes that a fault."""
    if model is None:
        return found
    told = cast("Mapping[str, str]", model)
    claimed = Claimed(told["name"], told["version"])
    same = [item for item in presented.bindings if item.name == claimed.name]
    doubts = [
        replace(item, grade=Grade.WARNING)
        for item in object_to_bindings(
            claimed, [it for it in same if it.version == claimed.version]
        )
    ]
    return replace(found, objections=(*found.objections, *doubts))


def _about(asked: Asked | None, presented: Presented) -> dict[str, Json]:
    """Say by which trust policy and rule it was judged, whether that was an accepted one, and by
    when it was signed where a timestamp proves that.
    """
    if asked is None:
        return {}
    standing = presented.standing.value
    rule = None if asked.rule is None else str(asked.rule)
    when = stamp(asked, presented)[0].when
    stamped = None if when is None or when.stamped is None else str(when.stamped)
    time = {} if stamped is None else {"stamped": stamped}
    return {"trust": {**asked.policy.ref.to_json(), "standing": standing, "rule": rule, **time}}


_WITHOUT = Gap(
    reason=Reason.NEEDS_EXTRA,
    detail="The signature is a keyless one (Sigstore), and sigstore was not installed.",
    cure=f"{to_install('sigstore')}, and audit again.",
)
_UNMEASURED = Gap(
    reason=Reason.NEEDS_EXTRA,
    detail="The signer hashed the files with blake3, which was not installed.",
    cure=f"{to_install('blake3')}, and audit again.",
)

CHECK: type[Signature] = Signature
