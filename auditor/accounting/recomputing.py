"""A claimed epsilon worked out anew from the claimed parameters, by whatever bounds there are."""

import math
from dataclasses import dataclass, replace

from auditor.accounting.brackets import Bracket
from auditor.accounting.renyi import renyi_epsilon
from auditor.accounting.shuffling import shuffled_bracket
from auditor.accounting.tradeoffs import Family, Gaussians, Sampled
from auditor.domain.privacy_claims import Adjacency, PrivacyClaim, Sampling
from auditor.domain.readings import Gap, Reason

UNKNOWN = frozenset({Sampling.WITHOUT_REPLACEMENT, Sampling.WEIGHTED})
UNCERTAIN = 0.01
"""The share by which a claim may lie below what is worked out, without being called too small."""
PLD, SHUFFLED, EXACT = "pld brackets", "bounds of shuffled batches", "gaussian mechanism, exact"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The epsilon that claimed parameters have, between two bounds, and by which method."""

    bracket: Bracket
    method: str


def recompute(claim: PrivacyClaim) -> Recomputed | Gap:
    """Return the epsilon of the sampling that was done, not of the one that was accounted for."""
    match claim.sampling:
        case Sampling.POISSON:
            return Recomputed(_poisson(claim), PLD)
        case Sampling.FULL_BATCH:
            return Recomputed(_plain(claim), EXACT)
        case Sampling.SHUFFLE:
            return Recomputed(_shuffled(claim), SHUFFLED)
        case Sampling.WITHOUT_REPLACEMENT | Sampling.WEIGHTED:
            return Gap(
                reason=Reason.UNSUPPORTED,
                detail=f"Of {claim.sampling.value} sampling the epsilon is not worked out: the "
                "chance of a record to enter a step is not one number, or not independent.",
                cure="Train on Poisson samples, whose rate is one number, and claim that.",
            )


def family_of(claim: PrivacyClaim) -> Family | None:
    """Return mechanisms like the claimed one that leak at least as much, of any noise.

    There is none of samplings whose epsilon is not worked out.
    """
    if claim.sampling in UNKNOWN:
        return None
    factor = 2 if claim.adjacency is Adjacency.REPLACE else 1
    if claim.sampling is Sampling.SHUFFLE:
        # The order of records hides something, of which nobody knows how much.
        return Gaussians(factor * math.sqrt(math.ceil(_epochs(claim))), claim.delta)
    if claim.sampling is Sampling.FULL_BATCH or claim.sampling_rate >= 1:
        return Gaussians(factor * math.sqrt(claim.steps), claim.delta)
    return Sampled(claim.sampling_rate, claim.steps, claim.adjacency, claim.delta)


def supposed(claim: PrivacyClaim) -> Recomputed | Gap:
    """Return the epsilon of what the accountant supposed: its sampling and its adjacency."""
    adjacency = claim.accounted_adjacency or claim.adjacency
    return recompute(replace(claim, sampling=claim.accounted, adjacency=adjacency))


def _epochs(claim: PrivacyClaim) -> float:
    return claim.steps * claim.sampling_rate


def _plain(claim: PrivacyClaim) -> Bracket:
    family = family_of(claim)
    return Bracket(0.0, math.inf) if family is None else family.bracket(claim.noise_multiplier)


def _poisson(claim: PrivacyClaim) -> Bracket:
    found = _plain(claim)
    if math.isfinite(found.high) or claim.adjacency is not Adjacency.ADD_REMOVE:
        return found
    # Where delta is below what the transforms can resolve, a looser bound is all that there is.
    return Bracket(found.low, conservative(claim) or math.inf)


def conservative(claim: PrivacyClaim) -> float | None:
    """Return the looser bound of Rényi accounting: of Poisson samples, a record more or less."""
    if claim.adjacency is not Adjacency.ADD_REMOVE or claim.sampling is not Sampling.POISSON:
        return None
    rate = min(claim.sampling_rate, 1.0)
    return renyi_epsilon(claim.noise_multiplier, rate, claim.steps, claim.delta)


def _shuffled(claim: PrivacyClaim) -> Bracket:
    batches = max(1, round(1 / claim.sampling_rate))
    found = shuffled_bracket(claim.noise_multiplier, batches, _epochs(claim), claim.delta)
    high = _plain(claim).high
    return Bracket(min(found.low, high), high)
