"""What is wrong with a privacy claim by its own words, before anything is trained."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.accounting.recomputing import Recomputed, recompute, supposed
from auditor.domain.canonical import Json
from auditor.domain.privacy_claims import Accountant, PrivacyClaim, Sampling

CLOSE = 0.01
FEW = 10
FLOORED = re.compile(r"opacus[ =v]*1\.[0-6](\.|$|\s)", re.IGNORECASE)
"""Versions of Opacus that divide a step's sum by the whole part of rate times data set size."""


class Code(StrEnum):
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


NOTES = frozenset({Code.SIZE_UNKNOWN, Code.NOT_TIED, Code.TUNING})
"""What is not wrong, but should be known."""
UNTIED = {
    "model": "these weights",
    "code": "the recipe's code",
    "data": "the training data",
}
"""What a claim without each digest is not tied to."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that speaks against a claim, with the epsilon that holds instead, if any."""

    code: Code
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
class Known:
    """What is known of model, code and data beside the claim; ``None`` is what is not.

    ``batch_norms`` counts such operators in the artifact's graph, ``rows`` those of the training
    data; the digests are of the deployed files, the recipe's code and the training data.
    """

    batch_norms: int | None = None
    rows: int | None = None
    model: str | None = None
    code: str | None = None
    data: tuple[str, ...] = ()


def faults(claim: PrivacyClaim, known: Known) -> tuple[Fault, ...]:
    """Return what speaks against a claim, in a fixed order."""
    return (
        *_sizes(claim, known),
        *_sampling(claim),
        *_accounting(claim),
        *_training(claim, known),
        *_digests(claim, known),
    )


def _sizes(claim: PrivacyClaim, known: Known) -> Iterator[Fault]:
    size, rate = claim.dataset_size, claim.sampling_rate
    if size is None:
        yield Fault(Code.SIZE_UNKNOWN, "the claim does not say how many records were trained on")
    else:
        if claim.delta >= 1 / size:
            text = f"delta is {claim.delta:g}, which lets one of {size} records be published whole"
            yield Fault(Code.DELTA, text)
        if claim.batch_size is not None and _apart(rate * size, claim.batch_size):
            meant = min(1.0, claim.batch_size / size)
            text = (
                f"a rate of {rate:g} of {size} records is {rate * size:g} a step, and the batch is "
                f"{claim.batch_size:g}: a rate of {meant:g}"
            )
            yield Fault(Code.RATE, text, _high(replace(claim, sampling_rate=meant)))
        if known.rows is not None and known.rows != size:
            text = f"the claim is of {size} records, and the training data has {known.rows}"
            yield Fault(Code.DATASET_SIZE, text)
    if claim.epochs is not None and _apart(claim.steps * rate, claim.epochs):
        meant_steps = max(1, round(claim.epochs / rate))
        text = (
            f"{claim.epochs:g} epochs at a rate of {rate:g} are {meant_steps} steps, and the claim "
            f"is of {claim.steps}"
        )
        yield Fault(Code.STEPS, text, _high(replace(claim, steps=meant_steps)))


def _sampling(claim: PrivacyClaim) -> Iterator[Fault]:
    if claim.sampling is Sampling.WEIGHTED:
        text = (
            "a weighted sampler gives records different chances, so that no one rate holds; a rate "
            "read off the sampler's length is not that of any record"
        )
        yield Fault(Code.WEIGHTED, text)
    elif claim.sampling is not claim.accounted:
        text = (
            f"records were chosen by {claim.sampling.value} sampling, and accounted for as by "
            f"{claim.accounted.value} sampling"
        )
        yield Fault(Code.SAMPLING, text, _high(claim))


def _accounting(claim: PrivacyClaim) -> Iterator[Fault]:
    if claim.accountant is Accountant.GDP:
        text = "the Gaussian (GDP) accountant is a limit and no bound: it says less than is true"
        yield Fault(Code.GDP, text, _high(claim))
    other = claim.accounted_adjacency
    if other is not None and other is not claim.adjacency:
        found = supposed(claim)
        less = f", which is {found.bracket.high:.3g}" if isinstance(found, Recomputed) else ""
        text = (
            f"the claim is of {claim.adjacency.value} neighbours, and the accountant of "
            f"{other.value} ones{less}"
        )
        yield Fault(Code.ADJACENCY, text, _high(claim))
    if claim.tuning_runs is not None and claim.tuning_runs > 1:
        text = f"the parameters were chosen among {claim.tuning_runs} runs, which cost privacy too"
        yield Fault(Code.TUNING, text)


def _training(claim: PrivacyClaim, known: Known) -> Iterator[Fault]:
    if claim.batch_norm or known.batch_norms:
        text = "batch normalisation mixes the records of a step, so that clipping bounds no record"
        yield Fault(Code.BATCH_NORM, text)
    size, rate = claim.dataset_size, claim.sampling_rate
    if size is None or claim.library is None or not FLOORED.match(claim.library):
        return
    divisor = math.floor(size * rate)
    if divisor != math.floor((size - 1) * rate):
        text = (
            f"{claim.library} divides a step by the whole part of rate times records, {divisor}, "
            "which one record less changes: the step tells how many records there are"
        )
        yield Fault(Code.FLOORED, text)
    if size * rate < FEW:
        text = f"a step has {size * rate:.3g} records, so that its divisor gives a record away"
        yield Fault(Code.FEW_RECORDS, text)


def _digests(claim: PrivacyClaim, known: Known) -> Iterator[Fault]:
    found: Mapping[str, tuple[Code, tuple[str, ...]]] = {
        "model": (Code.OTHER_MODEL, () if known.model is None else (known.model,)),
        "code": (Code.OTHER_CODE, () if known.code is None else (known.code,)),
        "data": (Code.OTHER_DATA, known.data),
    }
    for name, (code, seen) in found.items():
        stated = claim.digests.get(name)
        if stated is not None and seen and stated not in seen:
            text = f"the claim is of {name} {stated}, and the audit has {', '.join(seen)}"
            yield Fault(code, text)
    for name, loose in UNTIED.items():
        if name not in claim.digests:
            text = f"the claim names no digest of {name}, so that nothing ties it to {loose}"
            yield Fault(Code.NOT_TIED, text)


def _apart(found: float, stated: float) -> bool:
    # A last batch that is smaller, or left out, is no contradiction.
    return abs(found - stated) > max(CLOSE * abs(stated), 1.0 if stated > FEW else CLOSE)


def _high(claim: PrivacyClaim) -> float | None:
    found = recompute(claim)
    if not isinstance(found, Recomputed) or math.isinf(found.bracket.high):
        return None
    return found.bracket.high
