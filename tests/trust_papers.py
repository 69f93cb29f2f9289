"""A trust policy, those whom it names, and what they signed."""

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from auditor.domain.artifacts import FileDigest
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest
from auditor.trust.policies.evaluate_signature import evaluate_signature
from auditor.trust.policies.query import ModelAttestations, QueryTime, TrustQuery
from auditor.trust.policies.read import read_trust_policy
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_signing import PREDICATE, ModelFileDigests, sign_files
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.verification_result import SignatureVerification

Document = dict[str, Any]
Change = Callable[[Document], object]
SLSA = "https://slsa.dev/provenance/v1"
TODAY = datetime(2026, 6, 1, tzinfo=UTC)


def signer(number: int) -> KeySigner:
    return KeySigner(ec.derive_private_key(number, ec.SECP256R1()))


RELEASE, BUILD, CI, OWNER, STRANGER = map(signer, (7001, 7002, 7003, 7004, 7005))


def save(key: KeySigner, path: Path) -> None:
    """Write a pair of keys: the private one at the path, the public one beside it."""
    path.parent.mkdir(exist_ok=True)
    private = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private)
    path.with_suffix(".pub").write_bytes(key.public_pem())


def named(key: KeySigner) -> str:
    """A key's digest, as revocations write it."""
    return key.identity.removeprefix("key:")


def files_of(*contents: str) -> tuple[FileDigest, ...]:
    return tuple(FileDigest.of(f"{text}.onnx", text.encode()) for text in contents)


FILES, OTHER_FILES = files_of("credit"), files_of("lottery")
CREDIT = ModelClaim("credit-risk", "3.2.0")

RULE: Document = {
    "models": ["credit-*"],
    "require": [{"predicate": PREDICATE, "any_of": [{"key": "release"}]}],
}
POLICY: Document = {
    "apiVersion": "auditor/v1",
    "kind": "TrustPolicy",
    "metadata": {
        "name": "acme",
        "version": 3,
        "owner": "risk@acme.example",
        "expires": "2027-01-01",
    },
    "keys": {
        "release": {"pem": RELEASE.public_pem().decode()},
        "build": {"pem": BUILD.public_pem().decode()},
        "ci": {"pem": CI.public_pem().decode()},
    },
    "rules": [RULE],
    "auditors": [{"key": "ci", "highest": "A1"}],
}


def document(*changes: Change) -> Document:
    """The policy's document with changes to it."""
    found = deepcopy(POLICY)
    for change in changes:
        change(found)
    return found


def ruled(**settings: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    """Change the first rule."""
    return lambda found: found["rules"][0].update(settings)


def headed(**settings: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    """Change the metadata."""
    return lambda found: found["metadata"].update(settings)


def revoking(kind: str, *entries: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    return lambda found: found.update(revoked={kind: list(entries)})


def policy(*changes: Change) -> TrustPolicy:
    return read_trust_policy(document(*changes), lambda place: f"trust.yaml:{place}")


def signature(
    key: KeySigner = RELEASE, files: tuple[FileDigest, ...] = FILES, name: str = "model"
) -> bytes:
    return sign_files(files, key, name=name)


def provenance(
    key: KeySigner = BUILD,
    files: tuple[FileDigest, ...] = FILES,
    predicate: str = SLSA,
    said: dict[str, object] | None = None,
) -> bytes:
    """A signed statement about a model's files."""
    subjects = tuple(SubjectDigest(item.name, item.sha256) for item in files)
    return sign_bundle(InTotoStatement(subjects, predicate, said or {}).emit(), key)


def payload_digest(bundle: bytes) -> str:
    envelope = json.loads(bundle)["dsseEnvelope"]
    return sha256(base64.b64decode(envelope["payload"])).hexdigest()


def authority() -> bytes:
    """A certificate that signs itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme")])
    builder = x509.CertificateBuilder(
        name, name, OWNER.key.public_key(), 1, TODAY, TODAY + timedelta(days=365)
    )
    return builder.sign(OWNER.key, SHA256()).public_bytes(Encoding.PEM)


def judged(
    trust: TrustPolicy,
    bundle: bytes | None = None,
    claimed: ModelClaim = CREDIT,
    *,
    files: tuple[FileDigest, ...] = FILES,
    looked: datetime = TODAY,
    stamped: VerificationTime | None = None,
    presented: ModelAttestations | None = None,
) -> SignatureVerification:
    """What comes of a signature under an accepted trust policy."""
    asked = TrustQuery(trust, claimed, QueryTime(looked, stamped))
    shown = presented or ModelAttestations(
        bundle or signature(files=files), standing=TrustPolicyStatus.ACCEPTED
    )
    return evaluate_signature(asked, shown, ModelFileDigests.of(files), files)
