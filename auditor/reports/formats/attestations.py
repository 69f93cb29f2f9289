"""What every statement about an audit shares: its subjects, who verified, and by which digests."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.canonical import Json, digest
from auditor.domain.evidence import decode
from auditor.domain.policies import Policy
from auditor.domain.readings import Measurement
from auditor.domain.record_scopes import bound_artifact
from auditor.domain.records import AuditRecord
from auditor.domain.targets import EvidenceLevel
from auditor.signatures.bundles import parse_bundle
from auditor.signatures.objections import Refused
from auditor.signatures.profiles import Profile
from auditor.trusting.evidence import read_bytes

SIGNATURE = "provenance.signature"
LINEAGE = "provenance.lineage"
VERDICT = "urn:auditor:ext:verdict"
RECORD = "urn:auditor:ext:record"
PAYLOAD = "model.sig#payload"


@dataclass(frozen=True, slots=True)
class ReadBeside:
    """What checks read beside the model, by digest: its signature file and its documents.

    ``payload`` is that of the statement which the model's signer signed, where the signature was
    found to hold: unlike a root over contents it binds the files' names.
    """

    signature: str | None = None
    payload: str | None = None
    documents: tuple[FileDigest, ...] = ()


NOTHING = ReadBeside()


def read_beside(record: AuditRecord, blob: Callable[[str], bytes]) -> ReadBeside:
    """Return what the checks of a record read beside the model; ``blob`` gives their evidence.

    What no check looked at is not named, though it lay there: nothing rests on it.
    """
    bundle = _bundle(record, blob)
    looked = {item.check for item in record.observations}
    return ReadBeside(
        signature=None if bundle is None else digest(bundle),
        payload=_payload(record, bundle),
        documents=record.request.documents if LINEAGE in looked else (),
    )


def _bundle(record: AuditRecord, blob: Callable[[str], bytes]) -> bytes | None:
    named = next((item for item in record.observations if item.check == SIGNATURE), None)
    if named is None or named.committed:
        return None  # what is committed may be withheld, and is named nowhere else
    seen = cast("Mapping[str, Json]", decode(blob(named.evidence["signature"])))
    return read_bytes(seen["bundle"])


def _payload(record: AuditRecord, bundle: bytes | None) -> str | None:
    holds = any(
        isinstance(item, Measurement) and (item.check, item.value) == (SIGNATURE, True)
        for item in record.readings
    )
    if bundle is None or not holds:
        return None
    try:
        return digest(parse_bundle(bundle, Profile.COMPAT).envelope.payload)
    except Refused:
        return None


def subjects(record: AuditRecord, beside: ReadBeside) -> Sequence[Json]:
    """Return what a statement speaks of: each deployed file, then the model as a whole.

    The whole is named by its OMS root (SHA-256 over the concatenated digests of its files,
    OpenSSF Model Signing 1.0), and by the payload of its own signature where that holds. A
    record that does not speak for the artifact on every target names itself alone: what a server
    answered is shown of no file.
    """
    artifact = bound_artifact(record)
    if artifact is None:
        return [{"name": "record.json", "digest": digest_set(record.digest)}]
    return named_files(record, artifact, beside)


def named_files(record: AuditRecord, artifact: Artifact, beside: ReadBeside) -> Sequence[Json]:
    """Return an artifact as the subjects of a statement."""
    files = sorted(artifact.files)
    root = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()
    whole = f"{record.request.name}@{record.request.version}"
    found: list[Json] = [{"name": file.name, "digest": {"sha256": file.sha256}} for file in files]
    found.append({"name": whole, "digest": {"sha256": root}})
    if beside.payload is not None:
        found.append({"name": PAYLOAD, "digest": digest_set(beside.payload)})
    return found


def verifier_id(record: AuditRecord) -> str:
    """Return the URI of who verified: the key that the record is attributed to."""
    named = next((edge.destination for edge in record.lineage if edge.role == "signer"), "unknown")
    return f"urn:auditor:key:{quote(named.removeprefix('key:'), safe=':')}"


def policy_uri(policy: Policy) -> str:
    """Return the URI of a policy: its name and version."""
    return f"urn:auditor:policy:{quote(policy.name, safe='')}:{quote(policy.version, safe='')}"


def digest_set(named: str) -> dict[str, Json]:
    """Return ``sha256:…`` as in-toto writes digests."""
    return {"sha256": named.removeprefix("sha256:")}


def evidence_told(record: AuditRecord) -> Mapping[str, EvidenceLevel]:
    """Return how far figures speak of each target that was opened, as the record says it."""
    prints = sorted(record.fingerprints.items())
    return {name: found.evidence for name, found in prints if found.evidence is not None}


def evidence_property(record: AuditRecord) -> Sequence[str]:
    """Return the property that names the weakest level of a record's targets, if each has one."""
    told = evidence_told(record)
    if not told or len(told) < len(record.request.targets):
        return ()
    weakest = max(told.values(), key=list(EvidenceLevel).index)
    return (f"AUDITOR_EVIDENCE_{weakest.name}",)
