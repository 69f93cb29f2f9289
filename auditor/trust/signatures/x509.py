"""X.509 certificates: strict parsing, certificate checks, and chain validation to trusted roots.

Sources: RFC 5280, sections 4.1 and 4.2 (certificates) and 6.1 (chains, without policies and name
constraints, which are rejected); OpenSSF Model Signing 1.0, section 4.1. There are no default
roots: the verifier names the authorities.

``list_certificate_digests`` returns the digest of every encoding of a signed certificate, so that a
revoked one cannot come back as another. From an ECDSA signature (r, s) anyone can derive a second
one, (r, n - s), over the same bytes without the key, and so make a valid certificate with another
digest. Source: SEC 1 version 2, section 4.1.4, where s and -s verify alike.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from auditor._time import format_time
from auditor.trust.encoding.der import BITS, SEQUENCE, DerReader, write_element
from auditor.trust.signatures.keys import CURVES, HASHES, PublicKey
from auditor.trust.signatures.trusted_signers import (
    SignerName,
    SignerNameKind,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.verification_result import (
    IssueCode,
    VerificationError,
    VerificationIssue,
    quote_value,
)

ORDERS = tuple(curve.group_order for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()))


def list_certificate_digests(parsed: x509.Certificate, der: bytes) -> frozenset[str]:
    """Return the hexadecimal SHA-256 of each DER under which this certificate can be shown.

    The issuer's curve is not in it, so that all are tried. Raises ``ValueError`` where the
    signature has unused bits, which nothing signs either.
    """
    body, algorithm, bits = DerReader(der).take(SEQUENCE).parts().every()
    if bits.content[0]:
        raise ValueError("the signature has unused bits")
    found = {der}
    if isinstance(parsed.signature_algorithm_parameters, ec.ECDSA):
        r, s = decode_dss_signature(parsed.signature)
        for order in ORDERS:
            if 0 < s < order:
                other = write_element(BITS, b"\0", encode_dss_signature(r, order - s))
                found.add(write_element(SEQUENCE, body.raw, algorithm.raw, other))
    return frozenset(hashlib.sha256(item).hexdigest() for item in found)


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
class X509Certificate:
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
            *(SignerName(SignerNameKind.EMAIL, item) for item in emails),
            *(SignerName(SignerNameKind.URI, item) for item in uris),
        )

    @property
    def key(self) -> PublicKey:
        """The key, as one that can sign a model. Raises ``VerificationError`` for any other
        kind.
        """
        found = self.parsed.public_key()
        if not isinstance(found, ec.EllipticCurvePublicKey) or found.curve.name not in HASHES:
            raise VerificationError(
                IssueCode.CERT_ALGORITHM, f"the signer's key is not one on {CURVES}"
            )
        return PublicKey(found)


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> X509Certificate:
    """Read a certificate in DER. Raises ``VerificationError`` with the code CERT_FORMAT."""
    try:
        if len(der) > MOST_BYTES:
            raise ValueError(len(der))
        with warnings.catch_warnings():
            # What the library only warns of is a certificate that no authority should issue.
            warnings.simplefilter("error")
            parsed = x509.load_der_x509_certificate(der)
            extensions = parsed.extensions
            key = parsed.public_key()
            aliases = list_certificate_digests(parsed, der)
            _ = (parsed.subject, parsed.issuer, parsed.not_valid_before_utc,
                 parsed.not_valid_after_utc)  # fmt: skip  # read now, and never a surprise later
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _BROKEN:
        raise VerificationError(IssueCode.CERT_FORMAT, "a certificate cannot be read") from None
    digest, key_digest = (hashlib.sha256(item).hexdigest() for item in (der, spki))
    return X509Certificate(parsed, extensions, der, digest, key_digest, aliases)


@lru_cache(maxsize=64)
def read_certificates(pem: bytes) -> tuple[X509Certificate, ...]:
    """Read every certificate of a PEM text. Raises ``VerificationError`` where there is none."""
    if b"PRIVATE KEY" in pem:
        raise VerificationError(
            IssueCode.CERT_FORMAT, "the file of certificates holds a private key"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = x509.load_pem_x509_certificates(pem)
    except _BROKEN:
        raise VerificationError(
            IssueCode.CERT_FORMAT, "the certificates are not in PEM form"
        ) from None
    return tuple(read_certificate(item.public_bytes(Encoding.DER)) for item in found)


def find_leaf_issues(leaf: X509Certificate) -> Iterator[VerificationIssue]:
    """Yield what speaks against the signer's own certificate, whoever issued it."""
    constraints = leaf.extension(x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield VerificationIssue(
            IssueCode.CERT_CA, "the signer's certificate is one of an authority (CA:TRUE)"
        )
    usage = leaf.extension(x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        text = "the signer's certificate is not for digital signatures (keyUsage)"
        yield VerificationIssue(IssueCode.CERT_KEY_USAGE, text)
    extended = leaf.extension(x509.ExtendedKeyUsage)
    purposes = frozenset() if extended is None else frozenset(extended)
    if ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        text = "the signer's certificate is not for signing code (extendedKeyUsage)"
        yield VerificationIssue(IssueCode.CERT_EKU, text)
    if purposes & _TLS:
        text = "the signer's certificate is one for TLS, or for any purpose (extendedKeyUsage)"
        yield VerificationIssue(IssueCode.CERT_TLS, text)


@dataclass(frozen=True, slots=True)
class ChainPurpose:
    """What a chain of certificates is for: in words, what the signer's own must be, and which
    extended uses an authority may be bound to.
    """

    name: str
    object_to_leaf: Callable[[X509Certificate], Iterator[VerificationIssue]]
    authorities: frozenset[x509.ObjectIdentifier]


def find_issuer_issues(
    issuer: X509Certificate, below: int, who: str, purpose: ChainPurpose
) -> Iterator[VerificationIssue]:
    """Yield what speaks against an authority with ``below`` authorities between it and the
    signer.
    """
    constraints = issuer.extension(x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        yield VerificationIssue(
            IssueCode.CERT_ISSUER, f"{who} is not one of an authority (CA:FALSE)"
        )
    elif constraints.path_length is not None and constraints.path_length < below:
        text = f"{who} allows {constraints.path_length} authorities below it, and has {below}"
        yield VerificationIssue(IssueCode.CERT_ISSUER, text)
    usage = issuer.extension(x509.KeyUsage)
    if usage is None or not usage.key_cert_sign:
        yield VerificationIssue(
            IssueCode.CERT_ISSUER, f"{who} may not sign certificates (keyUsage)"
        )
    extended = issuer.extension(x509.ExtendedKeyUsage)
    if extended is not None and not frozenset(extended) & purpose.authorities:
        yield VerificationIssue(
            IssueCode.CERT_ISSUER, f"{who} is not for {purpose.name} (extendedKeyUsage)"
        )
    if issuer.extension(x509.NameConstraints) is not None:
        text = f"{who} constrains names, which is not checked here"
        yield VerificationIssue(IssueCode.CERT_EXTENSION, text)


def find_timestamper_issues(leaf: X509Certificate) -> Iterator[VerificationIssue]:
    """Yield what speaks against a certificate under which times are stamped (RFC 3161, 2.3)."""
    constraints = leaf.extension(x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield VerificationIssue(
            IssueCode.TIMESTAMP_CERT, "it is the certificate of an authority (CA:TRUE)"
        )
    usage = leaf.extension(x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        yield VerificationIssue(
            IssueCode.TIMESTAMP_CERT, "it is not for digital signatures (keyUsage)"
        )
    found = [item for item in leaf.extensions if isinstance(item.value, x509.ExtendedKeyUsage)]
    if [(item.critical, list(item.value)) for item in found] != [(True, _STAMPING)]:
        text = "it is not, critically and alone, for time stamping (extendedKeyUsage)"
        yield VerificationIssue(IssueCode.TIMESTAMP_CERT, text)


def find_certificate_issues(certificate: X509Certificate, who: str) -> Iterator[VerificationIssue]:
    """Yield what speaks against any certificate: critical extensions, weak keys and hashes."""
    for item in certificate.extensions:
        if item.critical and not isinstance(item.value, (*_UNDERSTOOD, x509.NameConstraints)):
            text = f"{who} has the critical extension {item.oid.dotted_string}, unknown here"
            yield VerificationIssue(IssueCode.CERT_EXTENSION, text)
    if not _strong_key(certificate.parsed):
        yield VerificationIssue(
            IssueCode.CERT_ALGORITHM, f"{who} has a key that is weak or of no known kind"
        )


def has_strong_signature(certificate: X509Certificate) -> bool:
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


CODE_SIGNING = ChainPurpose(
    "signing code", find_leaf_issues, _any_or(ExtendedKeyUsageOID.CODE_SIGNING)
)
TIME_STAMPING = ChainPurpose(
    "time stamping", find_timestamper_issues, _any_or(ExtendedKeyUsageOID.TIME_STAMPING)
)


def find_chain_issues(
    chain: Sequence[X509Certificate], trusted: TrustedSigners, moment: VerificationTime | None
) -> list[VerificationIssue]:
    """Return what speaks against a chain, the signer's certificate first.

    Raises ``VerificationError`` where a trusted root cannot be read.
    """
    roots = [item for pem in trusted.roots for item in read_certificates(pem)]
    path, found = complete_chain(chain, roots)
    found += find_link_issues(path, moment)
    if any(trusted.revokes(digest, moment) for digest in _digests(path)):
        found.append(
            VerificationIssue(
                IssueCode.REVOKED, "a certificate of the chain, or its key, is revoked"
            )
        )
    return found


def find_link_issues(
    path: Sequence[X509Certificate],
    moment: VerificationTime | None,
    purpose: ChainPurpose = CODE_SIGNING,
) -> list[VerificationIssue]:
    """Return what speaks against certificates that should issue each other, wherever they lead."""
    found = list(purpose.object_to_leaf(path[0]))
    for place, certificate in enumerate(path):
        who = _who(place)
        found += find_certificate_issues(certificate, who)
        found += find_validity_issues(certificate, moment, who)
        if place:
            authorities = sum(item.parsed.subject != item.parsed.issuer for item in path[1:place])
            found += find_issuer_issues(certificate, authorities, who, purpose)
    for place, (certificate, issuer) in enumerate(pairwise(path)):
        found += _object_to_link(certificate, issuer, place)
    return found


def find_validity_issues(
    certificate: X509Certificate, moment: VerificationTime | None, who: str
) -> Iterator[VerificationIssue]:
    """Yield an objection unless a certificate is valid at the moment that counts."""
    if moment is None:
        yield VerificationIssue(
            IssueCode.CERT_TIME, "there is no time at which certificates can be judged"
        )
        return
    first = certificate.parsed.not_valid_before_utc
    last = certificate.parsed.not_valid_after_utc
    if not first <= moment.at <= last:
        at = format_time(moment.at)
        text = f"{who} is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, and not at {at}"
        yield VerificationIssue(IssueCode.CERT_TIME, text)


def find_trusted_name(
    leaf: X509Certificate, trusted: TrustedSigners
) -> tuple[str | None, tuple[VerificationIssue, ...]]:
    """Return the trusted name that a certificate bears, or why there is none."""
    wanted = {item.name for item in trusted.identities if item.issuer is None}
    if not wanted:
        text = "no certificate is named as trusted, and any certificate of the authority would do"
        return None, (VerificationIssue(IssueCode.NO_IDENTITY, text),)
    for name in leaf.names:
        if name in wanted:
            return str(name), ()
    borne = ", ".join(quote_value(str(name)) for name in leaf.names[:3]) or "no name"
    return None, (
        VerificationIssue(IssueCode.IDENTITY, f"the signer bears {borne}, which is not trusted"),
    )


def complete_chain(
    chain: Sequence[X509Certificate], roots: Sequence[X509Certificate]
) -> tuple[list[X509Certificate], list[VerificationIssue]]:
    """Return a chain up to the trusted root that it leads to, or an objection to its end."""
    known = {root.digest for root in roots}
    for place, certificate in enumerate(chain):
        if place and certificate.digest in known:
            return [*chain[: place + 1]], []
    last = chain[-1]
    for root in roots:
        if root.digest != last.digest and is_issued_by(last, root):
            return [*chain, root], []
    return [*chain], [
        VerificationIssue(IssueCode.CERT_ROOT, "the chain leads to none of the trusted roots")
    ]


def _object_to_link(
    certificate: X509Certificate, issuer: X509Certificate, place: int
) -> Iterator[VerificationIssue]:
    who = _who(place)
    if not is_issued_by(certificate, issuer):
        yield VerificationIssue(IssueCode.CERT_CHAIN, f"{who} was not issued by the one after it")
    elif not has_strong_signature(certificate):
        yield VerificationIssue(
            IssueCode.CERT_ALGORITHM, f"{who} is signed over a hash that is broken"
        )


def is_issued_by(certificate: X509Certificate, issuer: X509Certificate) -> bool:
    """Whether one certificate's key signed another, under its name."""
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _digests(path: Sequence[X509Certificate]) -> Iterator[str]:
    for item in path:
        yield from item.revocable


def _who(place: int) -> str:
    return "the signer's certificate" if not place else f"certificate {place + 1} of the chain"
