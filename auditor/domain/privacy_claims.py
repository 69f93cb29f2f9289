"""Claims of differential privacy in training: a mechanism, its parameters, and an epsilon."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.json import write_fields
from auditor.domain.readings import Gap, GapReason


class SamplingScheme(StrEnum):
    """How the records of a step are chosen."""

    POISSON = "poisson"
    SHUFFLE = "shuffle"
    FULL_BATCH = "full_batch"
    WITHOUT_REPLACEMENT = "without_replacement"
    WEIGHTED = "weighted"


class AdjacencyRelation(StrEnum):
    """What neighbouring data sets differ in: one record more or less, or another in its place."""

    ADD_REMOVE = "add_remove"
    REPLACE = "replace"


class PrivacyAccountant(StrEnum):
    """How the claimed epsilon was worked out."""

    PLD = "pld"
    PRV = "prv"
    RDP = "rdp"
    GDP = "gdp"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyClaim:
    """An epsilon at a delta, and the noisy training that is said to keep it.

    ``noise_multiplier`` is the noise's standard deviation a clipping norm ``clip``,
    ``sampling_rate`` the chance with which a record enters a step, as it was accounted for;
    ``batch_size`` is how many records a step has on average. ``accounted`` is the sampling and
    ``accounted_adjacency`` the adjacency that the accountant supposed. ``library`` names what
    trained, as ``opacus 1.6.0``. ``digests`` are those of code, configuration and data.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    sampling_rate: float
    steps: int
    clip: float
    sampling: SamplingScheme
    adjacency: AdjacencyRelation
    accountant: PrivacyAccountant
    accounted: SamplingScheme = SamplingScheme.POISSON
    accounted_adjacency: AdjacencyRelation | None = None
    dataset_size: int | None = None
    batch_size: float | None = None
    epochs: float | None = None
    tuning_runs: int | None = None
    library: str | None = None
    batch_norm: bool | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class PrivacyClaimFile:
    """A claim as it was handed over: the file that holds it, and a signature over that file."""

    claim: PrivacyClaim
    file: FileDigest
    signature: SignatureMaterial = field(default_factory=SignatureMaterial)


NO_PRIVACY_CLAIM = Gap(
    reason=GapReason.NEEDS_CLAIMS,
    detail="The owner claims no differential privacy of the training.",
    cure="Write claims: {privacy: {path: dp_claim.json}} into the audit file.",
)
