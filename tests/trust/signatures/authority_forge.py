"""Authorities that issue whatever certificates they are told to, the same bytes every time."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from signature_forge import FILES, Forge, key_of

from auditor.domain.artifacts import FileDigest
from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.trusted_signers import (
    SignerIdentity,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.signatures.x509 import X509Certificate, read_certificate

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MOMENT = VerificationTime(NOW)
EMAIL = "ml-release@acme.example"
URI = "https://acme.example/teams/release"
CODE, SERVER, CLIENT, MAIL, ANY = (
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)
SIGNS = ("digital_signature",)
ISSUES = ("key_cert_sign", "crl_sign")
USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Wish:
    """What a certificate says of itself; the defaults are those of a good signer."""

    name: str = "Release signer"
    serial: int = 3
    ca: bool | None = False
    path_length: int | None = None
    usage: Sequence[str] | None = SIGNS
    purposes: Sequence[x509.ObjectIdentifier] | None = (CODE,)
    names: Sequence[x509.GeneralName] = (
        x509.RFC822Name(EMAIL),
        x509.UniformResourceIdentifier(URI),
    )
    since: timedelta = timedelta(days=-30)
    until: timedelta = timedelta(days=335)
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    extra: Sequence[tuple[x509.ExtensionType, bool]] = ()


ROOT = Wish("Acme root", 1, ca=True, usage=ISSUES, purposes=None, names=(),
            since=timedelta(days=-900), until=timedelta(days=2000))  # fmt: skip
INTERMEDIATE = Wish("Acme issuing", 2, ca=True, path_length=0, usage=ISSUES, purposes=None,
                    names=(), since=timedelta(days=-300), until=timedelta(days=900))  # fmt: skip


@dataclass(frozen=True)
class Issued:
    """A certificate and the key that it speaks of."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def read(self) -> X509Certificate:
        return read_certificate(self.der)


def subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def issue(wish: Wish, key: PrivateKey, issuer: Issued | None = None) -> Issued:
    """Issue a certificate; without an issuer it signs itself."""
    by = key if issuer is None else issuer.key
    above = subject(wish.name) if issuer is None else issuer.certificate.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(wish.name))
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(wish.serial)
        .not_valid_before(NOW + wish.since)
        .not_valid_after(NOW + wish.until)
    )
    for extension, critical in extensions_of(wish):
        builder = builder.add_extension(extension, critical=critical)
    deterministic = isinstance(by, ec.EllipticCurvePrivateKey)
    return Issued(builder.sign(by, wish.hash, ecdsa_deterministic=deterministic or None), key)


def extensions_of(wish: Wish) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if wish.ca is not None:
        length = wish.path_length if wish.ca else None
        found.append((x509.BasicConstraints(ca=wish.ca, path_length=length), True))
    if wish.usage is not None:
        found.append((x509.KeyUsage(**{use: use in wish.usage for use in USES}), True))
    if wish.purposes is not None:
        found.append((x509.ExtendedKeyUsage(list(wish.purposes)), False))
    if wish.names:
        found.append((x509.SubjectAlternativeName(list(wish.names)), False))
    return [*found, *wish.extra]


@dataclass(frozen=True)
class Pki:
    """A root, an authority below it, a signer below that, and whoever else is asked for."""

    root: Issued
    intermediate: Issued
    leaf: Issued

    @classmethod
    def made(
        cls,
        leaf: Wish = Wish(),
        intermediate: Wish = INTERMEDIATE,
        root: Wish = ROOT,
        curve: ec.EllipticCurve | None = None,
    ) -> "Pki":
        top = issue(root, key_of(ec.SECP256R1(), 901).key)
        middle = issue(intermediate, key_of(ec.SECP256R1(), 902).key, top)
        return cls(top, middle, issue(leaf, key_of(curve or ec.SECP256R1(), 903).key, middle))

    @classmethod
    def lasting(cls, curve: ec.EllipticCurve | None = None) -> "Pki":
        """One that is good whenever the tests run."""
        years = timedelta(days=36_500)
        middle, top = replace(INTERMEDIATE, until=years), replace(ROOT, until=years)
        return cls.made(Wish(until=years), middle, top, curve)

    @property
    def chain(self) -> tuple[Issued, ...]:
        return (self.leaf, self.intermediate)

    @property
    def trusted(self) -> TrustedSigners:
        return TrustedSigners(
            roots=(self.root.pem,), identities=(SignerIdentity.parse(f"email:{EMAIL}"),)
        )

    @property
    def own_key(self) -> ec.EllipticCurvePrivateKey:
        assert isinstance(self.leaf.key, ec.EllipticCurvePrivateKey)
        return self.leaf.key

    def sign(
        self,
        statement: dict[str, Any] | None = None,
        chain: Sequence[Issued | bytes] | None = None,
        files: Sequence[FileDigest] = FILES,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """A bundle of this signer, with whatever certificates are asked for."""
        signer = KeySigner(key or self.own_key)
        said = statement or Forge(signer).statement(files)
        payload = json.dumps(said).encode()
        ders = [item if isinstance(item, bytes) else item.der for item in chain or self.chain]
        listed = [{"rawBytes": base64.b64encode(der).decode()} for der in ders]
        bundle = Forge(signer).bundle(payload)
        bundle["verificationMaterial"] = {
            "x509CertificateChain": {"certificates": listed},
            "tlogEntries": [],
        }
        signature = signer.sign(pae(IN_TOTO, payload))
        bundle["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(signature).decode()}]
        return json.dumps(bundle).encode()
