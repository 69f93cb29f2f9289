"""Whether the artifact's signature holds: OpenSSF Model Signing by a key, in a profile."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Shard, Subject
from auditor.signatures.objections import Code, Objection, Verification
from auditor.signatures.oms import Measured, verify
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Hash, Serialisation

METHOD = "oms-1.0-key-"
MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class Signature:
    """Verifies the signature over the artifact's files with the key that the audit names.

    ``verified`` is false for an unsigned artifact, and for one whose signer nobody named: neither
    is a Gap, as both are facts about the artifact. ``details.identity`` is the key's, and null
    unless verified. The profile ``strict`` holds every MUST of the format; ``compat`` takes older
    habits of signers with a warning. Source: OpenSSF Model Signing 1.0, section 8.
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
        """Return the bundle, the key and the files' digests: all that verifying takes."""
        material = subject.signature
        files = () if subject.artifact is None else subject.artifact.files
        measured = material.measured
        return {
            "signature": {
                "bundle": _encode(material.bundle),
                "key": _encode(material.key),
                "files": [file.to_json() for file in files],
                **({} if measured is None else {"measured": measured.to_json()}),
            }
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Verify anew from the evidence alone."""
        seen = cast("Mapping[str, Json]", evidence["signature"])
        files = _read_files(cast("Sequence[Mapping[str, Json]]", seen["files"]))
        measured = _read_measured(files, seen.get("measured"))
        profile = Profile(self.profile)
        found = _look(_decode(seen["bundle"]), _decode(seen["key"]), measured, profile)
        if Code.UNMEASURED in found.codes:
            return (_UNMEASURED,)
        findings = [item.to_json() for item in found.objections[:MOST_FINDINGS]]
        return (
            Measurement(
                metric="verified",
                value=found.verified,
                method=METHOD + profile,
                n=len(files),
                details={
                    "identity": found.identity if found.verified else None,
                    "findings": findings,
                    "findings_in_all": len(found.objections),
                },
            ),
        )


def _look(
    bundle: bytes | None, key: bytes | None, files: Measured, profile: Profile
) -> Verification:
    if bundle is None:
        return Verification((Objection(Code.UNSIGNED, "the audit names no signature"),))
    if key is None:
        text = "the artifact is signed, and the audit names no key to verify with"
        return Verification((Objection(Code.NO_KEY, text),))
    return verify(bundle, key, files, profile=profile)


def _encode(raw: bytes | None) -> Json:
    """Keep bytes as text where they are text, so that people can read the evidence."""
    if raw is None:
        return None
    try:
        return {"text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _decode(value: Json) -> bytes | None:
    if value is None:
        return None
    kept = cast("Mapping[str, str]", value)
    return kept["text"].encode() if "text" in kept else base64.b64decode(kept["base64"])


def _read_files(listed: Sequence[Mapping[str, Json]]) -> tuple[FileDigest, ...]:
    return tuple(
        FileDigest(str(item["name"]), int(cast("int", item["size"])), str(item["sha256"]))
        for item in listed
    )


def _read_measured(files: tuple[FileDigest, ...], value: Json) -> Measured:
    whole = Measured.of(files)
    if value is None:
        return whole
    found = cast("Mapping[str, Json]", value)
    how = Serialisation(Hash(str(found["hash"])), cast("int | None", found["shard"]))
    return Measured(whole.sizes, cast("Mapping[str, str]", found["digests"]), how)


_UNMEASURED = Gap(
    reason=Reason.NEEDS_EXTRA,
    detail="The signer hashed the files with blake3, which was not installed.",
    cure="pip install 'auditor[blake3]', and audit again.",
)

CHECK: type[Signature] = Signature
