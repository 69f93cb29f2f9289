"""Trust policy data classes: model rules, signers, and auditors; and version ordering.

Versions are ordered by Semantic Versioning 2.0.0, section 11, extended to any count of numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from typing import TypeAlias

from auditor.domain.json import JsonObject, compute_digest, encode_canonical
from auditor.domain.policies import AssuranceLevel
from auditor.domain.trust_context import TrustRef
from auditor.trust.policies.globs import matches_pattern
from auditor.trust.signatures.model_serialisations import HashAlgorithm
from auditor.trust.signatures.model_signing import PREDICATE
from auditor.trust.signatures.trusted_signers import SignerIdentity, TrustedKey, TrustedSigners
from auditor.trust.timestamps import TimestampAuthorities
from auditor.trust.verification_result import VerificationProfile


class AuditorRole(StrEnum):
    """What an auditor's key may sign. A key has the roles that the policy gives it, and no more."""

    RECORD = "record"
    WAIVER = "waiver"
    APPROVAL = "approval"
    CHALLENGE = "challenge"


@dataclass(frozen=True, slots=True)
class ModelClaim:
    """What is said of a model by whoever hands it over; nothing of it is proven."""

    name: str
    version: str
    tags: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The name under which a signature speaks of just this version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """An authority: its certificates as PEM, or the JSON text of a pinned Sigstore trust root."""

    pem: bytes | None = None
    trusted_root: bytes | None = None


@dataclass(frozen=True, slots=True)
class SignerRef:
    """One who may sign: a key of the policy, or an identity under a root of it, by their names."""

    key: str | None = None
    root: str | None = None
    identity: SignerIdentity | None = None

    def __str__(self) -> str:
        """Name the signer as people read it."""
        if self.identity is None:
            return f"the key {self.key}"
        issuer = "" if self.identity.issuer is None else f" of {self.identity.issuer}"
        return f"{self.identity.name.short}{issuer} under {self.root}"


@dataclass(frozen=True, slots=True)
class StatementRequirement:
    """A statement of one predicate type that must be there, signed by one of these."""

    predicate: str
    any_of: tuple[SignerRef, ...]
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRule:
    """What is asked of the signatures of some models. For each model there is one rule at most.

    ``versions`` and ``tags`` narrow it: a model of these names with another version, or without
    one of the tags, has no rule. ``min_version`` is the floor below which nothing is trusted any
    more; ``signed_name`` asks that the signature itself names the model and its version.
    """

    place: int
    models: tuple[str, ...]
    versions: tuple[str, ...] = ("*",)
    tags: tuple[str, ...] = ()
    require: tuple[StatementRequirement, ...] = ()
    profile: VerificationProfile = VerificationProfile.STRICT
    hashes: frozenset[HashAlgorithm] = frozenset(HashAlgorithm)
    unsigned: frozenset[str] = frozenset()
    timestamp: bool
    max_age: timedelta | None = None
    min_version: str | None = None
    signed_name: bool

    def speaks_of(self, claimed: ModelClaim) -> bool:
        """Whether this is the rule for a model."""
        return (
            any(matches_pattern(pattern, claimed.name) for pattern in self.models)
            and any(matches_pattern(pattern, claimed.version) for pattern in self.versions)
            and (not self.tags or bool(set(self.tags) & set(claimed.tags)))
        )

    @property
    def signature(self) -> StatementRequirement:
        """Who may sign the model itself."""
        return next(item for item in self.require if item.predicate == PREDICATE)

    @property
    def beside(self) -> tuple[StatementRequirement, ...]:
        """What else must have been signed."""
        return tuple(item for item in self.require if item.predicate != PREDICATE)

    @property
    def timed(self) -> bool:
        """Whether a trusted clock must say when the model was signed."""
        return self.timestamp or self.max_age is not None

    @property
    def asks(self) -> tuple[str, ...]:
        """What is asked beyond a signature that holds, in words."""
        said = {
            "a trusted time": self.timed,
            f"version {self.min_version} or later": self.min_version is not None,
            "the model's name in the signature": self.signed_name,
        }
        beside = [item.predicate for item in self.beside if not item.optional]
        return (*(words for words, holds in said.items() if holds), *beside)

    def __str__(self) -> str:
        """Name the rule as messages do."""
        return f"rules[{self.place}] ({', '.join(self.models)})"


@dataclass(frozen=True, slots=True)
class TrustedAuditor:
    """A key that may sign for audits, and the highest assurance that its records may claim."""

    name: str
    key: TrustedKey
    roles: frozenset[AuditorRole]
    highest: AssuranceLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """All that a trust policy says. ``document`` is what is digested and signed: the policy as
    written, with the content of every file that it names in the name's place. ``next_owner`` is the
    public key, as PEM, that may sign the next version too. ``clock_roots`` names those of ``roots``
    whose timestamps are believed, under ``clock_policies`` (with dots) alone where there are any.
    """

    name: str
    version: int
    owner: str
    expires: datetime
    roots: Mapping[str, TrustRoot] = field(default_factory=dict)
    clock_roots: tuple[str, ...] = ()
    clock_policies: frozenset[str] = frozenset()
    keys: Mapping[str, TrustedKey] = field(default_factory=dict)
    revoked: Mapping[str, datetime | None] = field(default_factory=dict)
    rules: tuple[ModelRule, ...] = ()
    auditors: tuple[TrustedAuditor, ...] = ()
    bind_versions: bool
    next_owner: bytes | None = None
    document: JsonObject

    @property
    def digest(self) -> str:
        """Digest of the canonical document."""
        return compute_digest(encode_canonical(self.document))

    @property
    def ref(self) -> TrustRef:
        """Name, version and digest."""
        return TrustRef(self.name, self.version, self.digest)

    @property
    def clocks(self) -> TimestampAuthorities | None:
        """Whose timestamps are believed; what is revoked counts for them too."""
        found = tuple(pem for it in self.clock_roots if (pem := self.roots[it].pem) is not None)
        return TimestampAuthorities(found, self.clock_policies, self.revoked) if found else None

    def rule_for(self, claimed: ModelClaim) -> ModelRule | None:
        """Return the one rule for a model."""
        return next((item for item in self.rules if item.speaks_of(claimed)), None)

    def trusted(self, signer: SignerRef, rule: ModelRule) -> TrustedSigners:
        """Return one signer as the value that verifiers take."""
        root = TrustRoot() if signer.root is None else self.roots[signer.root]
        return TrustedSigners(
            keys=() if signer.key is None else (self.keys[signer.key],),
            roots=() if root.pem is None else (root.pem,),
            trusted_root=root.trusted_root,
            identities=() if signer.identity is None else (signer.identity,),
            revoked=self.revoked,
            unsigned=rule.unsigned,
            hashes=rule.hashes,
        )

    def __str__(self) -> str:
        """Name the policy as messages do."""
        return f"{self.name} {self.version}"


MOST = 200
_VERSION = re.compile(
    r"v?(?P<numbers>\d{1,18}(?:\.\d{1,18})*)(?:-(?P<before>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
Order: TypeAlias = tuple[tuple[int, ...], bool, tuple[tuple[float, str], ...]]


def version_sort_key(version: str) -> Order | None:
    """Return by what a version is compared; ``None`` for one that has no place in the order.

    Trailing zeros say nothing (1.2 is 1.2.0), nor does what follows a plus sign.
    """
    found = _VERSION.fullmatch(version) if len(version) <= MOST else None
    if found is None:
        return None
    numbers = [int(part) for part in found["numbers"].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    before = found["before"]
    parts = () if before is None else tuple(_identifier(part) for part in before.split("."))
    return tuple(numbers), before is None, parts


def _identifier(part: str) -> tuple[float, str]:
    """Numbers come before words, and are compared as numbers."""
    return (int(part), "") if part.isdigit() else (inf, part)
