"""Take what vouches for a model: its signature, and the key or the trust policy to verify it by."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.auditfiles import AuditFile
from auditor.domain.requests import InputFile
from auditor.domain.trust import TrustGiven
from auditor.errors import AuditFileError
from auditor.signing.artifacts import measure_as_claimed, measure_as_signed
from auditor.trustfiles import load_trust_policy

MADE_BY = {
    "signature": "Make it with `auditor sign`",
    "key": "Make a pair of keys with `auditor keys new`, and name its public half",
    "trust": "Write it as docs/trust.md says",
}
Locate = Callable[[str], Path]
Inputs = tuple[InputFile, ...]


def stage_signature(
    file: AuditFile, locate: Locate, folder: Path, artifact: Artifact | None
) -> tuple[SignatureMaterial, Inputs]:
    """Read what vouches for the artifact, whose copy lies in ``folder``.

    Raises ``AuditFileError`` for a file that is not there, ``TrustPolicyError`` for a bad policy.
    """
    found: dict[str, bytes] = {}
    inputs = []
    for name in ("signature", "key"):
        written = getattr(file.model, name)
        if written is not None:
            found[name] = _there(file, name, written, locate).read_bytes()
            inputs.append(InputFile(written, FileDigest.of(Path(written).name, found[name])))
    trust, beside = _trust(file, locate)
    material = SignatureMaterial(found.get("signature"), found.get("key"), trust=trust)
    return _measured(material, folder, artifact), (*inputs, *beside)


def _trust(file: AuditFile, locate: Locate) -> tuple[TrustGiven | None, Inputs]:
    """Read the trust policy; every file of it is an input under the policy's own path."""
    written = file.model.trust
    if written is None:
        return None, ()
    read = load_trust_policy(_there(file, "trust", written, locate))
    given = TrustGiven(read.policy.document, tags=file.model.tags)
    return given, tuple(InputFile(written, item) for item in read.files)


def _there(file: AuditFile, name: str, written: str, locate: Locate) -> Path:
    path = locate(written)
    if not path.is_file():
        raise AuditFileError(
            f"{file.source}: model.{name}: {written} does not exist",
            cure=f"{MADE_BY[name]}, or remove model.{name}.",
        )
    return path


def _measured(
    material: SignatureMaterial, folder: Path, artifact: Artifact | None
) -> SignatureMaterial:
    """Hash the copy once more where the signer hashed otherwise than the artifact's digest does."""
    if material.bundle is None or artifact is None:
        return material
    main = folder / artifact.files[0].name
    if material.trust is not None:
        return replace(material, measured=measure_as_claimed(main, material.bundle))
    if material.key is None:
        return material
    return replace(material, measured=measure_as_signed(main, material.bundle, material.key))
