"""A small model's files, and a forge that signs whatever it is told to."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from auditor.domain.artifacts import FileDigest
from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.signatures.keys import KeySigner, PublicKey

CONTENTS = {"config.json": b"{}", "model.onnx": b"graph", "weights/a b.bin": b"weights"}


def file_digest(name: str, content: bytes) -> FileDigest:
    return FileDigest(name, len(content), sha256(content).hexdigest())


FILES = tuple(file_digest(name, content) for name, content in CONTENTS.items())


def key_of(curve: ec.EllipticCurve, number: int) -> KeySigner:
    """A fixed key, so that a failure can be seen again."""
    return KeySigner(ec.derive_private_key(number, curve))


@dataclass(frozen=True)
class Forge:
    """Makes bundles that are properly signed and wrong elsewhere."""

    signer: KeySigner

    @property
    def pem(self) -> bytes:
        return self.signer.public_pem()

    def statement(self, files: Sequence[FileDigest] = FILES) -> dict[str, Any]:
        resources = [
            {"name": item.name, "algorithm": "sha256", "digest": item.sha256} for item in files
        ]
        joined = b"".join(bytes.fromhex(item.sha256) for item in files)
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "model", "digest": {"sha256": sha256(joined).hexdigest()}}],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": [".git", ".github", ".gitattributes", ".gitignore"],
                },
                "resources": resources,
            },
        }

    def rooted(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """The statement with the root digest that its resources really have."""
        joined = b"".join(bytes.fromhex(i["digest"]) for i in statement["predicate"]["resources"])
        subject = [{"name": "model", "digest": {"sha256": sha256(joined).hexdigest()}}]
        return {**statement, "subject": subject}

    def bundle(self, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, Any]:
        signature = self.signer.sign(pae(payload_type, payload))
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": {"hint": PublicKey(self.signer.key.public_key()).oms_hint},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": payload_type,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }

    def sign(self, statement: Mapping[str, Any]) -> bytes:
        return json.dumps(self.bundle(json.dumps(statement).encode())).encode()
