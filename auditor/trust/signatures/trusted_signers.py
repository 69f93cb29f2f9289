"""Trusted signers: the identities that a verifier trusts, and until when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from auditor._time import format_time
from auditor.trust.signatures.model_serialisations import HashAlgorithm

NOTHING: Mapping[str, "datetime | None"] = MappingProxyType({})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
UNKNOWN_KIND = "Write email:a@b.example or uri:https://c.example, so that the kind is clear."


@dataclass(frozen=True, slots=True)
class VerificationTime:
    """The time at which keys and certificates must have been valid.

    ``proven`` says that a trusted clock vouches that the signature is at least that old, as an
    RFC 3161 token does; otherwise it is the time of looking.
    """

    at: datetime
    proven: bool = False

    def __post_init__(self) -> None:
        """Refuse a time without a zone: it would mean another moment on another machine."""
        if self.at.tzinfo is None:
            raise ValueError("a moment needs a time zone")

    @classmethod
    def parse(cls, text: str, *, proven: bool = False) -> "VerificationTime":
        """Read RFC 3339 in UTC (``2026-01-31T12:00:00Z``). Raises ``ValueError``."""
        if not text.endswith("Z"):
            raise ValueError(f"{text!r} does not end in Z")
        return cls(datetime.fromisoformat(text).astimezone(UTC), proven)

    def __str__(self) -> str:
        """Write it as RFC 3339 in UTC, to the second."""
        return format_time(self.at.astimezone(UTC))


class SignerNameKind(StrEnum):
    """The two kinds of names in a certificate that tell who signed."""

    EMAIL = "email"
    URI = "uri"


@dataclass(frozen=True, slots=True)
class SignerName:
    """One name of a signer's certificate. Two names are equal only if kind and value are."""

    kind: SignerNameKind
    value: str

    @classmethod
    def parse(cls, text: str) -> "SignerName":
        """Read ``email:VALUE`` or ``uri:VALUE``, or a bare value whose form shows its kind.

        A bare value with a scheme is a URI (RFC 3986, section 3.1), another with ``@`` an address.
        Raises ``ValueError`` for any other, so that no name is ever taken for both kinds.
        """
        kind, marked, value = text.partition(":")
        if marked and kind in set(SignerNameKind):
            found = cls(SignerNameKind(kind), value)
        elif _SCHEME.match(text):
            found = cls(SignerNameKind.URI, text)
        else:
            found = cls(SignerNameKind.EMAIL, text)
            if "@" not in text:
                raise ValueError(f"{text!r} does not show its kind")
        if not found.value:
            raise ValueError(f"{text!r} has a kind and no name")
        return found

    @property
    def short(self) -> str:
        """The bare value where that is read as this very name, else with its kind before it."""
        try:
            bare = SignerName.parse(self.value) == self
        except ValueError:
            bare = False
        return self.value if bare else str(self)

    def __str__(self) -> str:
        """Write the kind, a colon and the value."""
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class SignerIdentity:
    """A name that a certificate must bear; ``issuer`` is who vouched for it, which keyless
    signatures always state.
    """

    name: SignerName
    issuer: str | None = None

    @classmethod
    def parse(cls, text: str, issuer: str | None = None) -> "SignerIdentity":
        """Read the name as ``SignerName.parse`` does, with its errors."""
        return cls(SignerName.parse(text), issuer)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key as PEM, and the time within which it may sign."""

    pem: bytes
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigners:
    """Who may sign: keys; certificates of ``identities`` that lead to ``roots``; or keyless
    signatures of ``identities`` under a pinned Sigstore trust root.

    ``roots`` are certificates as PEM, never the web's. ``trusted_root`` is the JSON text of
    Sigstore's ``trusted_root.json``. ``revoked`` maps the hexadecimal SHA-256 of a certificate
    (DER), a key (SubjectPublicKeyInfo) or a signed statement to the time since when it counts for
    nothing; ``None`` means ever. ``unsigned`` names files of a model that need no signature, and
    ``hashes`` the hashes that are believed.
    """

    keys: tuple[TrustedKey, ...] = ()
    roots: tuple[bytes, ...] = ()
    trusted_root: bytes | None = None
    identities: tuple[SignerIdentity, ...] = ()
    revoked: Mapping[str, datetime | None] = field(default_factory=lambda: NOTHING)
    unsigned: frozenset[str] = frozenset()
    hashes: frozenset[HashAlgorithm] = frozenset(HashAlgorithm)

    @classmethod
    def key(cls, pem: bytes) -> "TrustedSigners":
        """Trust one public key, for ever."""
        return cls(keys=(TrustedKey(pem),))

    def revokes(self, digest: str, moment: VerificationTime | None) -> bool:
        """Whether what has this digest counts for nothing at that moment.

        Only a proven time makes a signature older than the revocation.
        """
        if digest not in self.revoked:
            return False
        since = self.revoked[digest]
        old = moment is not None and moment.proven and since is not None and moment.at < since
        return not old
