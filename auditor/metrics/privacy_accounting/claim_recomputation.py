"""Recomputes epsilon from a differential privacy claim, and lists the claim's faults.

The training is not repeated.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.domain.json import Json
from auditor.domain.privacy_claims import (
    AdjacencyRelation,
    PrivacyAccountant,
    PrivacyClaim,
    SamplingScheme,
)
from auditor.domain.readings import Gap, GapReason
from auditor.metrics.privacy_accounting.mechanisms import (
    GaussianFamily,
    MechanismFamily,
    SampledGaussianFamily,
    renyi_epsilon,
    shuffled_epsilon_bounds,
)
from auditor.metrics.privacy_accounting.privacy_loss_distribution import EpsilonBounds

UNKNOWN = frozenset({SamplingScheme.WITHOUT_REPLACEMENT, SamplingScheme.WEIGHTED})
UNCERTAIN = 0.01
"""The share by which a claim may lie below what is worked out, without being called too small."""
PLD, SHUFFLED, EXACT = "pld brackets", "bounds of shuffled batches", "gaussian mechanism, exact"


@dataclass(frozen=True, slots=True)
class RecomputedEpsilon:
    """The epsilon that claimed parameters have, between two bounds, and by which method."""

    bracket: EpsilonBounds
    method: str


def recompute_epsilon(claim: PrivacyClaim) -> RecomputedEpsilon | Gap:
    """Return the epsilon of the sampling that was done, not of the one that was accounted for."""
    match claim.sampling:
        case SamplingScheme.POISSON:
            return RecomputedEpsilon(_poisson(claim), PLD)
        case SamplingScheme.FULL_BATCH:
            return RecomputedEpsilon(_plain(claim), EXACT)
        case SamplingScheme.SHUFFLE:
            batches = max(1, round(1 / claim.sampling_rate))
            found = shuffled_epsilon_bounds(
                claim.noise_multiplier, batches, _epochs(claim), claim.delta
            )
            high = _plain(claim).high
            return RecomputedEpsilon(EpsilonBounds(min(found.low, high), high), SHUFFLED)
        case SamplingScheme.WITHOUT_REPLACEMENT | SamplingScheme.WEIGHTED:
            return Gap(
                reason=GapReason.UNSUPPORTED,
                detail=f"Of {claim.sampling.value} sampling the epsilon is not worked out: the "
                "chance of a record to enter a step is not one number, or not independent.",
                cure="Train on Poisson samples, whose rate is one number, and claim that.",
            )


def build_mechanism_family(claim: PrivacyClaim) -> MechanismFamily | None:
    """Return mechanisms like the claimed one that leak at least as much, of any noise.

    There is none of samplings whose epsilon is not worked out.
    """
    if claim.sampling in UNKNOWN:
        return None
    factor = 2 if claim.adjacency is AdjacencyRelation.REPLACE else 1
    if claim.sampling is SamplingScheme.SHUFFLE:
        # The order of records hides something, of which nobody knows how much.
        return GaussianFamily(factor * math.sqrt(math.ceil(_epochs(claim))), claim.delta)
    if claim.sampling is SamplingScheme.FULL_BATCH or claim.sampling_rate >= 1:
        return GaussianFamily(factor * math.sqrt(claim.steps), claim.delta)
    return SampledGaussianFamily(claim.sampling_rate, claim.steps, claim.adjacency, claim.delta)


def accountant_epsilon(claim: PrivacyClaim) -> RecomputedEpsilon | Gap:
    """Return the epsilon of what the accountant supposed: its sampling and its adjacency."""
    adjacency = claim.accounted_adjacency or claim.adjacency
    return recompute_epsilon(replace(claim, sampling=claim.accounted, adjacency=adjacency))


def _epochs(claim: PrivacyClaim) -> float:
    return claim.steps * claim.sampling_rate


def _plain(claim: PrivacyClaim) -> EpsilonBounds:
    family = build_mechanism_family(claim)
    return (
        EpsilonBounds(0.0, math.inf) if family is None else family.bracket(claim.noise_multiplier)
    )


def _poisson(claim: PrivacyClaim) -> EpsilonBounds:
    found = _plain(claim)
    if math.isfinite(found.high) or claim.adjacency is not AdjacencyRelation.ADD_REMOVE:
        return found
    # Where delta is below what the transforms can resolve, a looser bound is all that there is.
    return EpsilonBounds(found.low, conservative_epsilon(claim) or math.inf)


def conservative_epsilon(claim: PrivacyClaim) -> float | None:
    """Return the looser bound of Rényi accounting: of Poisson samples, a record more or less."""
    if (
        claim.adjacency is not AdjacencyRelation.ADD_REMOVE
        or claim.sampling is not SamplingScheme.POISSON
    ):
        return None
    rate = min(claim.sampling_rate, 1.0)
    return renyi_epsilon(claim.noise_multiplier, rate, claim.steps, claim.delta)


CLOSE = 0.01
FEW = 10
FLOORED = re.compile(r"opacus[ =v]*1\.[0-6](\.|$|\s)", re.IGNORECASE)
"""Versions of Opacus that divide a step's sum by the whole part of rate times data set size."""


class ClaimFaultCode(StrEnum):
    """The stable name of a fault or a note."""

    UNDERSTATED = "UNDERSTATED"
    DELTA = "DELTA"
    RATE = "RATE"
    STEPS = "STEPS"
    SAMPLING = "SAMPLING"
    WEIGHTED = "WEIGHTED"
    BATCH_NORM = "BATCH_NORM"
    ADJACENCY = "ADJACENCY"
    GDP = "GDP"
    FLOORED = "FLOORED"
    FEW_RECORDS = "FEW_RECORDS"
    TUNING = "TUNING"
    DATASET_SIZE = "DATASET_SIZE"
    OTHER_MODEL = "OTHER_MODEL"
    OTHER_CODE = "OTHER_CODE"
    OTHER_DATA = "OTHER_DATA"
    RUN_STEPS = "RUN_STEPS"
    RUN_RATE = "RUN_RATE"
    SIZE_UNKNOWN = "SIZE_UNKNOWN"
    NOT_TIED = "NOT_TIED"


NOTES = frozenset({ClaimFaultCode.SIZE_UNKNOWN, ClaimFaultCode.NOT_TIED, ClaimFaultCode.TUNING})
"""What is not wrong, but should be known."""
UNTIED = {
    "model": "these weights",
    "code": "the recipe's code",
    "data": "the training data",
}
"""What a claim without each digest is not tied to."""


@dataclass(frozen=True, slots=True)
class ClaimFault:
    """One thing that speaks against a claim, with the epsilon that holds instead, if any."""

    code: ClaimFaultCode
    text: str
    epsilon: float | None = None

    @property
    def grave(self) -> bool:
        """Whether it is a fault and no note."""
        return self.code not in NOTES

    def to_json(self) -> dict[str, Json]:
        """Return the form that a record holds."""
        said: dict[str, Json] = {"code": self.code.value, "text": self.text, "fault": self.grave}
        return said if self.epsilon is None else {**said, "epsilon": self.epsilon}


@dataclass(frozen=True, slots=True)
class ClaimContext:
    """What is known of model, code and data beside the claim; ``None`` is what is not.

    ``batch_norms`` counts such operators in the artifact's graph, ``rows`` those of the training
    data; the digests are of the deployed files, the recipe's code and the training data.
    """

    batch_norms: int | None = None
    rows: int | None = None
    model: str | None = None
    code: str | None = None
    data: tuple[str, ...] = ()


def find_claim_faults(claim: PrivacyClaim, known: ClaimContext) -> tuple[ClaimFault, ...]:
    """Return what speaks against a claim, in a fixed order."""
    return (
        *_sizes(claim, known),
        *_sampling(claim),
        *_accounting(claim),
        *_training(claim, known),
        *_digests(claim, known),
    )


def _sizes(claim: PrivacyClaim, known: ClaimContext) -> Iterator[ClaimFault]:
    size, rate = claim.dataset_size, claim.sampling_rate
    if size is None:
        yield ClaimFault(
            ClaimFaultCode.SIZE_UNKNOWN, "the claim does not say how many records were trained on"
        )
    else:
        if claim.delta >= 1 / size:
            text = f"delta is {claim.delta:g}, which lets one of {size} records be published whole"
            yield ClaimFault(ClaimFaultCode.DELTA, text)
        if claim.batch_size is not None and _apart(rate * size, claim.batch_size):
            meant = min(1.0, claim.batch_size / size)
            text = (
                f"a rate of {rate:g} of {size} records is {rate * size:g} a step, and the batch is "
                f"{claim.batch_size:g}: a rate of {meant:g}"
            )
            yield ClaimFault(ClaimFaultCode.RATE, text, _high(replace(claim, sampling_rate=meant)))
        if known.rows is not None and known.rows != size:
            text = f"the claim is of {size} records, and the training data has {known.rows}"
            yield ClaimFault(ClaimFaultCode.DATASET_SIZE, text)
    if claim.epochs is not None and _apart(claim.steps * rate, claim.epochs):
        meant_steps = max(1, round(claim.epochs / rate))
        text = (
            f"{claim.epochs:g} epochs at a rate of {rate:g} are {meant_steps} steps, and the claim "
            f"is of {claim.steps}"
        )
        yield ClaimFault(ClaimFaultCode.STEPS, text, _high(replace(claim, steps=meant_steps)))


def _sampling(claim: PrivacyClaim) -> Iterator[ClaimFault]:
    if claim.sampling is SamplingScheme.WEIGHTED:
        text = (
            "a weighted sampler gives records different chances, so that no one rate holds; a rate "
            "read off the sampler's length is not that of any record"
        )
        yield ClaimFault(ClaimFaultCode.WEIGHTED, text)
    elif claim.sampling is not claim.accounted:
        text = (
            f"records were chosen by {claim.sampling.value} sampling, and accounted for as by "
            f"{claim.accounted.value} sampling"
        )
        yield ClaimFault(ClaimFaultCode.SAMPLING, text, _high(claim))


def _accounting(claim: PrivacyClaim) -> Iterator[ClaimFault]:
    if claim.accountant is PrivacyAccountant.GDP:
        text = "the Gaussian (GDP) accountant is a limit and no bound: it says less than is true"
        yield ClaimFault(ClaimFaultCode.GDP, text, _high(claim))
    other = claim.accounted_adjacency
    if other is not None and other is not claim.adjacency:
        found = accountant_epsilon(claim)
        less = (
            f", which is {found.bracket.high:.3g}" if isinstance(found, RecomputedEpsilon) else ""
        )
        text = (
            f"the claim is of {claim.adjacency.value} neighbours, and the accountant of "
            f"{other.value} ones{less}"
        )
        yield ClaimFault(ClaimFaultCode.ADJACENCY, text, _high(claim))
    if claim.tuning_runs is not None and claim.tuning_runs > 1:
        text = f"the parameters were chosen among {claim.tuning_runs} runs, which cost privacy too"
        yield ClaimFault(ClaimFaultCode.TUNING, text)


def _training(claim: PrivacyClaim, known: ClaimContext) -> Iterator[ClaimFault]:
    if claim.batch_norm or known.batch_norms:
        text = "batch normalisation mixes the records of a step, so that clipping bounds no record"
        yield ClaimFault(ClaimFaultCode.BATCH_NORM, text)
    size, rate = claim.dataset_size, claim.sampling_rate
    if size is None or claim.library is None or not FLOORED.match(claim.library):
        return
    divisor = math.floor(size * rate)
    if divisor != math.floor((size - 1) * rate):
        text = (
            f"{claim.library} divides a step by the whole part of rate times records, {divisor}, "
            "which one record less changes: the step tells how many records there are"
        )
        yield ClaimFault(ClaimFaultCode.FLOORED, text)
    if size * rate < FEW:
        text = f"a step has {size * rate:.3g} records, so that its divisor gives a record away"
        yield ClaimFault(ClaimFaultCode.FEW_RECORDS, text)


def _digests(claim: PrivacyClaim, known: ClaimContext) -> Iterator[ClaimFault]:
    found: Mapping[str, tuple[ClaimFaultCode, tuple[str, ...]]] = {
        "model": (ClaimFaultCode.OTHER_MODEL, () if known.model is None else (known.model,)),
        "code": (ClaimFaultCode.OTHER_CODE, () if known.code is None else (known.code,)),
        "data": (ClaimFaultCode.OTHER_DATA, known.data),
    }
    for name, (code, seen) in found.items():
        stated = claim.digests.get(name)
        if stated is not None and seen and stated not in seen:
            text = f"the claim is of {name} {stated}, and the audit has {', '.join(seen)}"
            yield ClaimFault(code, text)
    for name, loose in UNTIED.items():
        if name not in claim.digests:
            text = f"the claim names no digest of {name}, so that nothing ties it to {loose}"
            yield ClaimFault(ClaimFaultCode.NOT_TIED, text)


def _apart(found: float, stated: float) -> bool:
    # A last batch that is smaller, or left out, is no contradiction.
    return abs(found - stated) > max(CLOSE * abs(stated), 1.0 if stated > FEW else CLOSE)


def _high(claim: PrivacyClaim) -> float | None:
    found = recompute_epsilon(claim)
    if not isinstance(found, RecomputedEpsilon) or math.isinf(found.bracket.high):
        return None
    return found.bracket.high
