"""One run with canaries as evidence holds it, and what it says of a claim."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from auditor.accounting.brackets import Bracket
from auditor.accounting.canaries import Observed, Planted
from auditor.accounting.contradicting import Held, Proved, noise_keeping, prove
from auditor.accounting.faults import Code, Fault
from auditor.accounting.one_run import Bits, Guesses, guesses_of
from auditor.accounting.powers import Ideal, would_catch
from auditor.accounting.recomputing import Recomputed, family_of, recompute
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.privacy_claims import PrivacyClaim, Sampling
from auditor.domain.tasks import Floats

WHITE, BLACK = "white-box", "black-box"
CLOSE = 0.02
SPREADS = 5.0
"""Standard deviations by which the records of random steps may differ from what is meant."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Scores ``[m]`` of canaries, who was in ``[m]``, and what was counted.

    ``records`` is how many the run trained on. ``steps`` and ``drawn`` are 0 where nothing counted.
    """

    mode: str
    scores: Floats
    included: Bits
    records: int
    steps: int
    drawn: int
    seed: int

    @property
    def guesses(self) -> list[Guesses]:
        """The guesses that the scores give, a guess count each."""
        return guesses_of(self.scores, self.included)

    @property
    def rate(self) -> float:
        """The share of the records that a step had, as counted."""
        return min(1.0, self.drawn / max(1, self.steps * self.records))


def write_trial(mode: str, planted: Planted, seen: Observed, seed: int) -> Evidence:
    """Return the evidence form of a run."""
    about: dict[str, Json] = {
        "mode": mode,
        "records": len(planted.labels),
        "steps": seen.steps or 0,
        "drawn": seen.drawn or 0,
        "seed": seed,
    }
    return {"scores": seen.scores, "included": planted.included, "run": about}


def read_trial(evidence: Evidence) -> Trial:
    """Return a run from its evidence form."""
    about = cast("Mapping[str, int]", evidence["run"])
    return Trial(
        mode=str(about["mode"]),
        scores=cast("Floats", evidence["scores"]),
        included=cast("Bits", evidence["included"]),
        records=about["records"],
        steps=about["steps"],
        drawn=about["drawn"],
        seed=about["seed"],
    )


def held(claim: PrivacyClaim, level: float) -> Held:
    """Return what a run is held against: the claimed epsilon, of the sampling that was done."""
    family = family_of(claim)
    noise = claim.noise_multiplier
    if family is not None:
        noise = noise_keeping(family, claim.epsilon, noise)
    if claim.sampling is Sampling.SHUFFLE:
        # The family is of another shape than shuffling, and bounds it at the claimed noise alone.
        noise = min(noise, claim.noise_multiplier)
    return Held(claim.epsilon, claim.delta, family, noise, level)


def proved(claim: PrivacyClaim, seen: Sequence[Guesses], level: float) -> Proved:
    """Return the epsilon that guesses prove at ``level``; of shuffled batches by what holds of any
    training alone.
    """
    family = None if claim.sampling is Sampling.SHUFFLE else family_of(claim)
    return prove(seen, claim.delta, family, claim.noise_multiplier, level)


def power(claim: PrivacyClaim, trial: Trial, against: Held) -> float | None:
    """Return the least factor of too little noise that such a run would have shown.

    Infinity is no noise at all. ``None`` where not even that would have shown, and of black-box
    canaries, whose scores depend on how much training learns by heart.
    """
    if trial.mode != WHITE:
        return None
    return would_catch(against, ideal(claim, len(trial.scores)), trial.seed)


def ideal(claim: PrivacyClaim, canaries: int) -> Ideal:
    """Return the clearest canaries that training as claimed can have."""
    return Ideal(canaries, claim.noise_multiplier, rate_of(claim), claim.steps)


def rate_of(claim: PrivacyClaim) -> float:
    """Return the claimed chance with which a record enters a step."""
    return 1.0 if claim.sampling is Sampling.FULL_BATCH else min(1.0, claim.sampling_rate)


def counted(claim: PrivacyClaim, trial: Trial) -> tuple[Fault, ...]:
    """Return where steps and records of a run are not those of the claim."""
    if not trial.steps:
        return ()
    found = []
    instead = _as_counted(claim, trial)
    high = None if instead is None or math.isinf(instead.high) else instead.high
    if abs(trial.steps - claim.steps) > max(1.0, CLOSE * claim.steps):
        text = f"the code took {trial.steps} steps, and the claim is of {claim.steps}"
        found.append(Fault(Code.RUN_STEPS, text, high))
    spread = math.sqrt(claim.sampling_rate / (trial.steps * trial.records))
    if abs(trial.rate - claim.sampling_rate) > CLOSE * claim.sampling_rate + SPREADS * spread:
        text = (
            f"a step of the code had {trial.rate:.4g} of the records, and the claim is of a rate "
            f"of {claim.sampling_rate:.4g}"
        )
        found.append(Fault(Code.RUN_RATE, text, high))
    return tuple(found)


def exceeds(claim: PrivacyClaim, trial: Trial) -> bool:
    """Whether steps and rate as counted need more than the claimed epsilon already."""
    instead = _as_counted(claim, trial) if counted(claim, trial) else None
    return instead is not None and instead.low > claim.epsilon * (1 + CLOSE)


def _as_counted(claim: PrivacyClaim, trial: Trial) -> Bracket | None:
    rate = trial.rate if trial.drawn else claim.sampling_rate
    if claim.sampling is Sampling.FULL_BATCH:
        rate = 1.0
    found = recompute(replace(claim, steps=trial.steps, sampling_rate=max(rate, 1e-9)))
    return found.bracket if isinstance(found, Recomputed) else None


def in_words(factor: float | None, mode: str) -> str:
    """Say how much too little noise a run would have shown."""
    if mode != WHITE:
        return (
            "unknown: black-box canaries show little where training learns little by heart, so "
            "that even training without noise may go unseen"
        )
    if factor is None:
        return "not even training without any noise would have been contradicted"
    if np.isinf(factor):
        return "training without any noise would have been contradicted, any noise perhaps not"
    return f"would have caught at least {factor:g} times too little noise, in 8 of 10 runs"
