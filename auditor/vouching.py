"""Take what vouches for a model: its signature, its timestamps, and whom to verify it by."""

from dataclasses import replace
from pathlib import Path

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.auditfiles import AuditFile
from auditor.domain.requests import InputFile
from auditor.domain.trust import TrustGiven
from auditor.errors import AuditFileError
from auditor.pointing import Locate, setting, there
from auditor.signatures.der import MOST_BYTES
from auditor.signatures.timestamps import SUFFIX
from auditor.signing.artifacts import measure_as_claimed, measure_as_signed
from auditor.trustfiles import load_trust_policy

MADE_BY = {
    "signature": "Make it with `auditor sign`",
    "key": "Sign the model with `auditor sign`, and name the public half of the key as that says",
    "trust": "Write it as docs/trust.md says",
}
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
    timestamps, stamped = _timestamps(file, locate)
    trust, beside = _trust(file, locate)
    material = SignatureMaterial(
        found.get("signature"), found.get("key"), trust=trust, timestamps=timestamps
    )
    return _measured(material, folder, artifact), (*inputs, *stamped, *beside)


def _timestamps(file: AuditFile, locate: Locate) -> tuple[bytes | None, Inputs]:
    """Read the timestamps beside the signature, if any: an input under the signature's own path."""
    written = file.model.signature
    if written is None:
        return None, ()
    signature = locate(written)
    path = signature.with_name(signature.name + SUFFIX)
    if not path.is_file():
        return None, ()
    with path.open("rb") as opened:
        raw = opened.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise AuditFileError(
            f"{setting(file, 'model', 'signature')}: {written}{SUFFIX} has more than {MOST_BYTES} "
            "bytes, and is no file of timestamps",
            cure="Make it with `auditor timestamp add`, or remove it.",
        )
    return raw, (InputFile(written, FileDigest.of(Path(written).name + SUFFIX, raw)),)


def _trust(file: AuditFile, locate: Locate) -> tuple[TrustGiven | None, Inputs]:
    """Read the trust policy; every file of it is an input under the policy's own path."""
    written = file.model.trust
    if written is None:
        return None, ()
    read = load_trust_policy(_there(file, "trust", written, locate))
    given = TrustGiven(read.policy.document, tags=file.model.tags)
    return given, tuple(InputFile(written, item) for item in read.files)


def _there(file: AuditFile, name: str, written: str, locate: Locate) -> Path:
    cure = f"Mend the path, or remove model.{name}. {MADE_BY[name]}."
    return there(file, ("model", name), written, locate, cure=cure)


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
