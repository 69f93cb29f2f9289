"""The query to a trust policy: which model, at which time, with which statements beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.domain.trust_context import ModelBinding, TrustPolicyStatus
from auditor.trust.policies.trust_policy import ModelClaim, ModelRule, TrustPolicy
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.signatures.verify import VerifyKeyless


@dataclass(frozen=True, slots=True)
class QueryTime:
    """The time of looking, and ``stamped``, where a trusted clock vouches for it (RFC 3161), the
    time of signing. Without that, what a key or a certificate signed counts as signed now.
    """

    looked: datetime
    stamped: VerificationTime | None = None

    @property
    def moment(self) -> VerificationTime:
        """When keys and certificates must have been valid."""
        return self.stamped or VerificationTime(self.looked)

    @property
    def unstamped(self) -> "QueryTime":
        """The time of looking alone."""
        return QueryTime(self.looked)


@dataclass(frozen=True, slots=True)
class TrustQuery:
    """A trust policy, the model that it is asked about, and when; ``None`` means that nobody says.

    ``keyless`` is how signatures without a lasting key are verified.
    """

    policy: TrustPolicy
    claimed: ModelClaim
    when: QueryTime | None
    keyless: VerifyKeyless | None = None

    @property
    def rule(self) -> ModelRule | None:
        """The rule for the model."""
        return self.policy.rule_for(self.claimed)

    @property
    def moment(self) -> VerificationTime | None:
        """When keys and certificates must have been valid."""
        return None if self.when is None else self.when.moment


@dataclass(frozen=True, slots=True)
class ModelAttestations:
    """What stands beside a model: its signature, and the bytes of documents that may attest it.

    ``bindings`` contradict its name and version; ``standing`` is that of the trust policy;
    ``timestamps`` are the bytes of the file of timestamps over the signature.
    """

    bundle: bytes | None
    papers: Sequence[bytes] = ()
    bindings: Sequence[ModelBinding] = ()
    standing: TrustPolicyStatus = TrustPolicyStatus.UNKNOWN
    timestamps: bytes | None = None
