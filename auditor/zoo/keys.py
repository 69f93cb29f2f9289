"""Keys of the moment, which follow from a seed: whoever knows the seed can sign with them."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from auditor.domain.artifacts import FileDigest
from auditor.signatures.keys import KeySigner
from auditor.signatures.signers import sign_files
from auditor.zoo.papers import MODEL

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256 (FIPS 186-4, D.1.2.3)."""


def signer_of(seed: int, who: str) -> KeySigner:
    """Return somebody's signer: the same seed and name give the same key."""
    raw = hashlib.sha512(f"auditor selftest {who} {seed}".encode()).digest()
    secret = int.from_bytes(raw) % (ORDER - 1) + 1
    return KeySigner(ec.derive_private_key(secret, ec.SECP256R1()))


def sign(artifact: bytes, folder: Path, signer: KeySigner, *, name: str = MODEL) -> None:
    """Write ``model.sig`` of a model's bytes into a folder."""
    bundle = sign_files([FileDigest.of(MODEL, artifact)], signer, name=name)
    (folder / "model.sig").write_bytes(bundle)
