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
from auditor.domain.trust import Standing
from auditor.signatures.bundles import seal
from auditor.signatures.claims import PREDICATE
from auditor.signatures.keys import KeySigner
from auditor.signatures.objections import Verification
from auditor.signatures.oms import Measured
from auditor.signatures.signers import sign_files
from auditor.signatures.statements import Statement, SubjectDigest
from auditor.signatures.trust import Moment
from auditor.trusting.asking import Asked, Presented, When
from auditor.trusting.judging import judge
from auditor.trusting.policies import Claimed, TrustPolicy
from auditor.trusting.reading import read_trust_policy

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
CREDIT = Claimed("credit-risk", "3.2.0")

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
    return seal(Statement(subjects, predicate, said or {}).emit(), key)


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
    claimed: Claimed = CREDIT,
    *,
    files: tuple[FileDigest, ...] = FILES,
    looked: datetime = TODAY,
    stamped: Moment | None = None,
    presented: Presented | None = None,
) -> Verification:
    """What comes of a signature under an accepted trust policy."""
    asked = Asked(trust, claimed, When(looked, stamped))
    shown = presented or Presented(bundle or signature(files=files), standing=Standing.ACCEPTED)
    return judge(asked, shown, Measured.of(files), files)
