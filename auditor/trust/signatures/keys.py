"""Elliptic-curve keys: P-256, P-384 and P-521, each with the SHA-2 of its strength."""

import base64
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from auditor.domain.json import compute_digest
from auditor.trust.verification_result import IssueCode, VerificationError

HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
CURVES = "P-256, P-384 or P-521"


class Signer(Protocol):
    """Signs the bytes of an envelope; where its private key lives is its own affair."""

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``."""
        ...

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that we can verify with."""

    key: ec.EllipticCurvePublicKey
    pem: bytes = field(init=False)
    der: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Write the key down as SubjectPublicKeyInfo, in both forms."""
        info = PublicFormat.SubjectPublicKeyInfo
        object.__setattr__(self, "pem", self.key.public_bytes(Encoding.PEM, info))
        object.__setattr__(self, "der", self.key.public_bytes(Encoding.DER, info))

    @property
    def identity(self) -> str:
        """The name by which policies speak of the key: ``key:sha256:`` and the hex of its DER."""
        return f"key:{compute_digest(self.der)}"

    @property
    def cosign_hint(self) -> str:
        """The hint that cosign writes: base64 of SHA-256 of the DER form."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode()

    @property
    def oms_hint(self) -> str:
        """The hint that ``model_signing`` writes and asks for: hex of SHA-256 of the PEM text."""
        return hashlib.sha256(self.pem).hexdigest()

    @property
    def hints(self) -> frozenset[str]:
        """Every hint by which this key is known to be named."""
        return frozenset({self.cosign_hint, self.oms_hint, hashlib.sha256(self.der).hexdigest()})

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message``; OpenSSL asks for strict DER."""
        try:
            self.key.verify(signature, message, ec.ECDSA(HASHES[self.key.curve.name]))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a private key in memory; the same bytes give the same signature (RFC 6979)."""

    key: ec.EllipticCurvePrivateKey

    @property
    def identity(self) -> str:
        """The name by which policies speak of the key."""
        return PublicKey(self.key.public_key()).identity

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``."""
        algorithm = ec.ECDSA(HASHES[self.key.curve.name], deterministic_signing=True)
        return self.key.sign(pae, algorithm)

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return PublicKey(self.key.public_key()).pem


@lru_cache(maxsize=64)
def read_public_key(pem: bytes) -> PublicKey:
    """Read one public key from PEM. Raises ``VerificationError`` for anything else, with the code
    KEY.
    """
    if b"PRIVATE KEY" in pem:
        raise VerificationError(
            IssueCode.KEY, "the key is a private one; verifying takes the public one"
        )
    if pem.count(b"-----BEGIN") != 1:
        raise VerificationError(IssueCode.KEY, "the key is not one public key in PEM form")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise VerificationError(IssueCode.KEY, "the key is not a public key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise VerificationError(IssueCode.KEY, f"the key is not an elliptic-curve key on {CURVES}")
    return PublicKey(key)
