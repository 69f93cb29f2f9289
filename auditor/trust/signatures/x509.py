"""X.509 certificates: read strictly, and what of one certificate speaks against trusting it.

Source: RFC 5280, sections 4.1 and 4.2; OpenSSF Model Signing 1.0, section 4.1.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from auditor.signatures.aliases import spellings
from auditor.signatures.keys import CURVES, HASHES, PublicKey
from auditor.signatures.objections import Code, Objection, Refused
from auditor.signatures.trust import NameKind, SignerName

LEAST_RSA = 2048
MOST_BYTES = 64 * 1024
_STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_TLS = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }
)
_UNDERSTOOD = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.CertificatePolicies,
)
"""What may be marked critical: the first four are looked at, the others restrict nothing here."""
_BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension,
           x509.InvalidVersion, x509.UnsupportedGeneralNameType, Warning)  # fmt: skip
_STAMPING = [ExtendedKeyUsageOID.TIME_STAMPING]
E_ = TypeVar("E_", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that was read whole: its key, its extensions and its digest."""

    parsed: x509.Certificate
    extensions: x509.Extensions
    der: bytes
    digest: str
    key_digest: str
    aliases: frozenset[str]
    """The digests of all its spellings, its own among them."""

    def extension(self, kind: type[E_]) -> E_ | None:
        """Return an extension, if the certificate has it."""
        return next((item.value for item in self.extensions if isinstance(item.value, kind)), None)

    @property
    def revocable(self) -> frozenset[str]:
        """The digests by which a revocation may name it: those of all spellings, and its key's."""
        return self.aliases | {self.key_digest}

    @property
    def names(self) -> tuple[SignerName, ...]:
        """The signer's names: e-mail addresses and URIs among the subject's other names."""
        listed = self.extension(x509.SubjectAlternativeName)
        if listed is None:
            return ()
        emails = listed.get_values_for_type(x509.RFC822Name)
        uris = listed.get_values_for_type(x509.UniformResourceIdentifier)
        return (
            *(SignerName(NameKind.EMAIL, item) for item in emails),
            *(SignerName(NameKind.URI, item) for item in uris),
        )

    @property
    def key(self) -> PublicKey:
        """The key, as one that can sign a model. Raises ``Refused`` for any other kind."""
        found = self.parsed.public_key()
        if not isinstance(found, ec.EllipticCurvePublicKey) or found.curve.name not in HASHES:
            raise Refused(Code.CERT_ALGORITHM, f"the signer's key is not one on {CURVES}")
        return PublicKey(found)


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> Certificate:
    """Read a certificate in DER. Raises ``Refused`` with the code CERT_FORMAT."""
    try:
        if len(der) > MOST_BYTES:
            raise ValueError(len(der))
        with warnings.catch_warnings():
            # What the library only warns of is a certificate that no authority should issue.
            warnings.simplefilter("error")
            parsed = x509.load_der_x509_certificate(der)
            extensions = parsed.extensions
            key = parsed.public_key()
            aliases = spellings(parsed, der)
            _ = (parsed.subject, parsed.issuer, parsed.not_valid_before_utc,
                 parsed.not_valid_after_utc)  # fmt: skip  # read now, and never a surprise later
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _BROKEN:
        raise Refused(Code.CERT_FORMAT, "a certificate cannot be read") from None
    digest, key_digest = (hashlib.sha256(item).hexdigest() for item in (der, spki))
    return Certificate(parsed, extensions, der, digest, key_digest, aliases)


@lru_cache(maxsize=64)
def read_certificates(pem: bytes) -> tuple[Certificate, ...]:
    """Read every certificate of a PEM text. Raises ``Refused`` where there is none."""
    if b"PRIVATE KEY" in pem:
        raise Refused(Code.CERT_FORMAT, "the file of certificates holds a private key")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = x509.load_pem_x509_certificates(pem)
    except _BROKEN:
        raise Refused(Code.CERT_FORMAT, "the certificates are not in PEM form") from None
    return tuple(read_certificate(item.public_bytes(Encoding.DER)) for item in found)


def object_to_leaf(leaf: Certificate) -> Iterator[Objection]:
    """Yield what speaks against the signer's own certificate, whoever issued it."""
    constraints = leaf.extension(x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield Objection(Code.CERT_CA, "the signer's certificate is one of an authority (CA:TRUE)")
    usage = leaf.extension(x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        text = "the signer's certificate is not for digital signatures (keyUsage)"
        yield Objection(Code.CERT_KEY_USAGE, text)
    extended = leaf.extension(x509.ExtendedKeyUsage)
    purposes = frozenset() if extended is None else frozenset(extended)
    if ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        text = "the signer's certificate is not for signing code (extendedKeyUsage)"
        yield Objection(Code.CERT_EKU, text)
    if purposes & _TLS:
        text = "the signer's certificate is one for TLS, or for any purpose (extendedKeyUsage)"
        yield Objection(Code.CERT_TLS, text)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a chain of certificates is for: in words, what the signer's own must be, and which
    extended uses an authority may be bound to.
    """

    name: str
    object_to_leaf: Callable[[Certificate], Iterator[Objection]]
    authorities: frozenset[x509.ObjectIdentifier]


def object_to_issuer(
    issuer: Certificate, below: int, who: str, purpose: Purpose
) -> Iterator[Objection]:
    """Yield what speaks against an authority with ``below`` authorities between it and the
    signer.
    """
    constraints = issuer.extension(x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        yield Objection(Code.CERT_ISSUER, f"{who} is not one of an authority (CA:FALSE)")
    elif constraints.path_length is not None and constraints.path_length < below:
        text = f"{who} allows {constraints.path_length} authorities below it, and has {below}"
        yield Objection(Code.CERT_ISSUER, text)
    usage = issuer.extension(x509.KeyUsage)
    if usage is None or not usage.key_cert_sign:
        yield Objection(Code.CERT_ISSUER, f"{who} may not sign certificates (keyUsage)")
    extended = issuer.extension(x509.ExtendedKeyUsage)
    if extended is not None and not frozenset(extended) & purpose.authorities:
        yield Objection(Code.CERT_ISSUER, f"{who} is not for {purpose.name} (extendedKeyUsage)")
    if issuer.extension(x509.NameConstraints) is not None:
        text = f"{who} constrains names, which is not checked here"
        yield Objection(Code.CERT_EXTENSION, text)


def object_to_clock(leaf: Certificate) -> Iterator[Objection]:
    """Yield what speaks against a certificate under which times are stamped (RFC 3161, 2.3)."""
    constraints = leaf.extension(x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield Objection(Code.TIMESTAMP_CERT, "it is the certificate of an authority (CA:TRUE)")
    usage = leaf.extension(x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        yield Objection(Code.TIMESTAMP_CERT, "it is not for digital signatures (keyUsage)")
    found = [item for item in leaf.extensions if isinstance(item.value, x509.ExtendedKeyUsage)]
    if [(item.critical, list(item.value)) for item in found] != [(True, _STAMPING)]:
        text = "it is not, critically and alone, for time stamping (extendedKeyUsage)"
        yield Objection(Code.TIMESTAMP_CERT, text)


def object_to_any(certificate: Certificate, who: str) -> Iterator[Objection]:
    """Yield what speaks against any certificate: critical extensions, weak keys and hashes."""
    for item in certificate.extensions:
        if item.critical and not isinstance(item.value, (*_UNDERSTOOD, x509.NameConstraints)):
            text = f"{who} has the critical extension {item.oid.dotted_string}, unknown here"
            yield Objection(Code.CERT_EXTENSION, text)
    if not _strong_key(certificate.parsed):
        yield Objection(Code.CERT_ALGORITHM, f"{who} has a key that is weak or of no known kind")


def signed_strongly(certificate: Certificate) -> bool:
    """Whether the issuer signed over a hash that still stands."""
    try:
        found = certificate.parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return found is None or isinstance(found, _STRONG)  # Ed25519 and Ed448 name no hash


def _strong_key(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            return key.key_size >= LEAST_RSA
        case ec.EllipticCurvePublicKey():
            return key.curve.name in HASHES
        case _:
            return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _any_or(usage: x509.ObjectIdentifier) -> frozenset[x509.ObjectIdentifier]:
    return frozenset({usage, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


CODE = Purpose("signing code", object_to_leaf, _any_or(ExtendedKeyUsageOID.CODE_SIGNING))
TIME = Purpose("time stamping", object_to_clock, _any_or(ExtendedKeyUsageOID.TIME_STAMPING))
