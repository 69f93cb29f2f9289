"""Tests a differential privacy claim by canaries: empirical epsilon, power and readings.

Power is simulated with ideal canaries, the clearest that training as claimed could have.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from scipy.stats import binom

from auditor.domain.evidence import Evidence
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT
from auditor.domain.json import Json
from auditor.domain.privacy_claims import PrivacyClaim, SamplingScheme
from auditor.domain.readings import (
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.metrics.privacy_accounting.canaries import (
    Bits,
    CanaryGuesses,
    CanaryScores,
    CanaryTrainingSet,
    canary_auc,
    epsilon_delta_lower_bound,
    epsilon_delta_p_value,
    guess_canaries,
    guess_count_bound,
    level_per_look,
    refutes_tradeoff,
)
from auditor.metrics.privacy_accounting.claim_recomputation import (
    UNCERTAIN,
    ClaimFault,
    ClaimFaultCode,
    RecomputedEpsilon,
    accountant_epsilon,
    build_mechanism_family,
    conservative_epsilon,
    recompute_epsilon,
)
from auditor.metrics.privacy_accounting.mechanisms import (
    MechanismFamily,
    central_limit_mu,
    gaussian_epsilon,
)
from auditor.metrics.privacy_accounting.privacy_loss_distribution import (
    ComposedPrivacyLoss,
    DpSgdSteps,
    EpsilonBounds,
    compose_steps,
)

FARTHEST = 64.0
"""How many times more or less noise than claimed is looked at."""
HALVINGS = 10
PURE = "one run (Steinke et al. 2023)"


@dataclass(frozen=True, slots=True)
class EpsilonLowerBound:
    """The epsilon that canaries prove at a level, and by which of the two bounds."""

    epsilon: float
    pure: float
    tradeoff: float
    method: str


@dataclass(frozen=True, slots=True)
class ClaimHypothesis:
    """What guesses are held against at ``level``: that training keeps ``epsilon`` at ``delta``.

    ``noise`` is that of the member of the family which just keeps it. Without a family only what
    holds of any training is asked.
    """

    epsilon: float
    delta: float
    family: MechanismFamily | None
    noise: float
    level: float

    def contradicted_by(self, seen: Sequence[CanaryGuesses]) -> bool:
        """Whether guesses refute it, by either bound at any guess count, each at its part."""
        each = level_per_look(self.level, len(seen))
        if any(epsilon_delta_p_value(item, self.epsilon, self.delta) <= each for item in seen):
            return True
        if self.family is None:
            return False
        curve = self.family.curve(self.noise)
        return any(refutes_tradeoff(item, curve, each) for item in seen)


def prove_epsilon(
    seen: Sequence[CanaryGuesses],
    delta: float,
    family: MechanismFamily | None,
    noise: float,
    level: float,
) -> EpsilonLowerBound:
    """Return the largest epsilon that the guesses prove at ``level``, over both bounds.

    The second is one of mechanisms like the claimed: the most noise whose epsilon is refuted.
    """
    each = level_per_look(level, len(seen))
    pure = max(epsilon_delta_lower_bound(item, delta, each) for item in seen)

    if family is None:
        return EpsilonLowerBound(pure, pure, 0.0, PURE)

    def refuted(guess: float) -> bool:
        curve = family.curve(guess)
        return any(refutes_tradeoff(item, curve, each) for item in seen)

    least = least_refuted_noise(refuted, noise)
    low = 0.0 if least is None else family.bracket(least).low
    if low > pure:
        return EpsilonLowerBound(low, pure, low, "one run, f-DP (Mahloujifar et al. 2025)")
    return EpsilonLowerBound(pure, pure, low, PURE)


def least_refuted_noise(refuted: Callable[[float], bool], claimed: float) -> float | None:
    """Return about the least noise that is refuted, by bisection; ``None`` if none is.

    More noise leaks less, so that whatever lies above a refuted noise is refuted too.
    """
    kept = gone = claimed
    if refuted(claimed):
        while kept > claimed / FARTHEST and refuted(kept):
            gone, kept = kept, kept / 2
    else:
        while not refuted(gone):
            kept, gone = gone, gone * 2
            if gone > claimed * FARTHEST:
                return None
    for _ in range(HALVINGS):
        middle = math.sqrt(kept * gone)
        kept, gone = (kept, middle) if refuted(middle) else (middle, gone)
    return gone


def noise_for_epsilon(family: MechanismFamily, epsilon: float, claimed: float) -> float:
    """Return the noise, near ``claimed``, whose epsilon is the claimed one or a little less."""

    def too_much(noise: float) -> bool:
        return family.bracket(noise).high <= epsilon

    found = least_refuted_noise(too_much, claimed)
    return claimed * FARTHEST if found is None else found


FACTORS = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, np.inf)
TRIALS = 20
ENOUGH = 0.8
TINY = 1e-12
QUIETEST = 1 / 16
"""Clips of noise below which steps tell about as much as without any; no less is simulated."""
LEFT_OUT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ScoreDistribution:
    """Values ``[k]`` that a score takes, in order, and how likely it is at most each ``[k]``."""

    values: Floats
    at_most: Floats

    @classmethod
    def of(cls, values: Floats, chances: Floats) -> "ScoreDistribution":
        """Return the spread of values in order, from chances that come to about 1."""
        at_most = np.cumsum(np.maximum(chances, 0.0))
        return cls(values, at_most / at_most[-1])

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Draw ``[count]`` scores."""
        drawn: Floats = self.values[np.searchsorted(self.at_most, rng.random(count), side="right")]
        return drawn


@dataclass(frozen=True, slots=True)
class CanaryScoreDistributions:
    """How the scores of canaries that are in are spread, and those of canaries that are out."""

    inside: ScoreDistribution
    outside: ScoreDistribution

    def scores(self, canaries: int, rng: np.random.Generator) -> tuple[Floats, Bits]:
        """Draw scores ``[m]`` of ``canaries``, and who is in."""
        included = rng.random(canaries) < 0.5  # noqa: PLR2004 -- a fair coin
        inside, outside = self.inside.draw(canaries, rng), self.outside.draw(canaries, rng)
        return np.where(included, inside, outside), included

    @property
    def separation(self) -> float:
        """The chance that a canary that is in scores above one that is out; ties count half."""
        below = np.append(0.0, self.outside.at_most)
        less, up_to = (
            below[np.searchsorted(self.outside.values, self.inside.values, side=side)]
            for side in ("left", "right")
        )
        return float(np.diff(self.inside.at_most, prepend=0.0) @ (less + up_to) / 2)


@dataclass(frozen=True, slots=True)
class IdealCanaries:
    """Canaries alone in their coordinate: each step that holds one moves it by a clip.

    ``noise`` is the claimed multiplier, ``rate`` the sampling rate, ``steps`` their number.
    """

    canaries: int
    noise: float
    rate: float
    steps: int

    def told(self, factor: float) -> CanaryScoreDistributions:
        """Return how scores are spread with ``factor`` times too little noise.

        The clearest score is the privacy loss, so that its spread is that which accounting
        composes: as the canary comes in, and, turned, as it goes. Without any noise it is how often
        a step held the canary.
        """
        if np.isinf(factor):
            # Of more steps than these none has a chance that would count.
            times = np.arange(binom.isf(TINY, self.steps, self.rate) + 1)
            held = ScoreDistribution.of(times, binom.pmf(times, self.steps, self.rate))
            return CanaryScoreDistributions(held, ScoreDistribution.of(np.zeros(1), np.ones(1)))
        steps = DpSgdSteps(max(self.noise / factor, QUIETEST), self.rate, self.steps)
        comes, goes = compose_steps(steps, LEFT_OUT, above=True).sides
        return CanaryScoreDistributions(_spread(comes), _turned(_spread(goes)))


def _spread(composed: ComposedPrivacyLoss) -> ScoreDistribution:
    loss = composed.loss
    values = np.append(loss.losses, loss.losses[-1] + loss.step)
    return ScoreDistribution.of(values, np.append(loss.mass, loss.infinite))


def _turned(spread: ScoreDistribution) -> ScoreDistribution:
    chances = np.diff(spread.at_most, prepend=0.0)
    return ScoreDistribution.of(-spread.values[::-1], chances[::-1])


def detectable_noise_factor(
    held: ClaimHypothesis, ideal: IdealCanaries, seed: int, factors: Sequence[float] = FACTORS
) -> float | None:
    """Return the least factor of too little noise that is contradicted in 80 % of simulated runs.

    ``numpy.inf`` is no noise at all; ``None`` means that not even that would have been seen.
    """
    for place, factor in enumerate(factors):
        rng, told = np.random.default_rng([seed, place]), ideal.told(factor)
        caught = sum(
            held.contradicted_by(guess_canaries(*told.scores(ideal.canaries, rng)))
            for _ in range(TRIALS)
        )
        if caught >= ENOUGH * TRIALS:
            return factor
    return None


WHITE, BLACK = "white-box", "black-box"
CLOSE = 0.02
SPREADS = 5.0
"""Standard deviations by which the records of random steps may differ from what is meant."""


@dataclass(frozen=True, slots=True, eq=False)
class CanaryRun:
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
    def guesses(self) -> list[CanaryGuesses]:
        """The guesses that the scores give, a guess count each."""
        return guess_canaries(self.scores, self.included)

    @property
    def rate(self) -> float:
        """The share of the records that a step had, as counted."""
        return min(1.0, self.drawn / max(1, self.steps * self.records))


def write_canary_run(
    mode: str, planted: CanaryTrainingSet, seen: CanaryScores, seed: int
) -> Evidence:
    """Return the evidence form of a run."""
    about: dict[str, Json] = {
        "mode": mode,
        "records": len(planted.labels),
        "steps": seen.steps or 0,
        "drawn": seen.drawn or 0,
        "seed": seed,
    }
    return {"scores": seen.scores, "included": planted.included, "run": about}


def read_canary_run(evidence: Evidence) -> CanaryRun:
    """Return a run from its evidence form."""
    about = cast("Mapping[str, int]", evidence["run"])
    return CanaryRun(
        mode=str(about["mode"]),
        scores=cast("Floats", evidence["scores"]),
        included=cast("Bits", evidence["included"]),
        records=about["records"],
        steps=about["steps"],
        drawn=about["drawn"],
        seed=about["seed"],
    )


def build_hypothesis(claim: PrivacyClaim, level: float) -> ClaimHypothesis:
    """Return what a run is held against: the claimed epsilon, of the sampling that was done."""
    family = build_mechanism_family(claim)
    noise = claim.noise_multiplier
    if family is not None:
        noise = noise_for_epsilon(family, claim.epsilon, noise)
    if claim.sampling is SamplingScheme.SHUFFLE:
        # The family is of another shape than shuffling, and bounds it at the claimed noise alone.
        noise = min(noise, claim.noise_multiplier)
    return ClaimHypothesis(claim.epsilon, claim.delta, family, noise, level)


def prove_run_epsilon(
    claim: PrivacyClaim, seen: Sequence[CanaryGuesses], level: float
) -> EpsilonLowerBound:
    """Return the epsilon that guesses prove at ``level``; of shuffled batches by what holds of any
    training alone.
    """
    family = None if claim.sampling is SamplingScheme.SHUFFLE else build_mechanism_family(claim)
    return prove_epsilon(seen, claim.delta, family, claim.noise_multiplier, level)


def detectable_run_factor(
    claim: PrivacyClaim, trial: CanaryRun, against: ClaimHypothesis
) -> float | None:
    """Return the least factor of too little noise that such a run would have shown.

    Infinity is no noise at all. ``None`` where not even that would have shown, and of black-box
    canaries, whose scores depend on how much training learns by heart.
    """
    if trial.mode != WHITE:
        return None
    return detectable_noise_factor(
        against, build_ideal_canaries(claim, len(trial.scores)), trial.seed
    )


def build_ideal_canaries(claim: PrivacyClaim, canaries: int) -> IdealCanaries:
    """Return the clearest canaries that training as claimed can have."""
    return IdealCanaries(
        canaries, claim.noise_multiplier, claimed_sampling_rate(claim), claim.steps
    )


def claimed_sampling_rate(claim: PrivacyClaim) -> float:
    """Return the claimed chance with which a record enters a step."""
    return 1.0 if claim.sampling is SamplingScheme.FULL_BATCH else min(1.0, claim.sampling_rate)


def list_count_mismatches(claim: PrivacyClaim, trial: CanaryRun) -> tuple[ClaimFault, ...]:
    """Return where steps and records of a run are not those of the claim."""
    if not trial.steps:
        return ()
    found = []
    instead = _as_counted(claim, trial)
    high = None if instead is None or math.isinf(instead.high) else instead.high
    if abs(trial.steps - claim.steps) > max(1.0, CLOSE * claim.steps):
        text = f"the code took {trial.steps} steps, and the claim is of {claim.steps}"
        found.append(ClaimFault(ClaimFaultCode.RUN_STEPS, text, high))
    spread = math.sqrt(claim.sampling_rate / (trial.steps * trial.records))
    if abs(trial.rate - claim.sampling_rate) > CLOSE * claim.sampling_rate + SPREADS * spread:
        text = (
            f"a step of the code had {trial.rate:.4g} of the records, and the claim is of a rate "
            f"of {claim.sampling_rate:.4g}"
        )
        found.append(ClaimFault(ClaimFaultCode.RUN_RATE, text, high))
    return tuple(found)


def exceeds_claimed_epsilon(claim: PrivacyClaim, trial: CanaryRun) -> bool:
    """Whether steps and rate as counted need more than the claimed epsilon already."""
    instead = _as_counted(claim, trial) if list_count_mismatches(claim, trial) else None
    return instead is not None and instead.low > claim.epsilon * (1 + CLOSE)


def _as_counted(claim: PrivacyClaim, trial: CanaryRun) -> EpsilonBounds | None:
    rate = trial.rate if trial.drawn else claim.sampling_rate
    if claim.sampling is SamplingScheme.FULL_BATCH:
        rate = 1.0
    found = recompute_epsilon(replace(claim, steps=trial.steps, sampling_rate=max(rate, 1e-9)))
    return found.bracket if isinstance(found, RecomputedEpsilon) else None


def describe_power(factor: float | None, mode: str) -> str:
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


CHANCE = 0.5
UNTIED = (
    "none is stated for this claim, which names no digest of code. "
    "Of the code that the recipe names"
)
ROUND, MOST = 100, 1_000_000
SEEN = 1.6449
"""Standard errors above chance that a hook which sees nothing exceeds once in twenty runs."""
CLEARLY = 3.0
"""Standard errors below what the claimed noise gives, as one honest run in 700 is."""


@dataclass(frozen=True, slots=True)
class CanaryAssessment:
    """What a run proves against a claim, in words, and how much too little noise it sees.

    ``blind`` says why the run decides nothing where it proves nothing; empty, it ran as it should.
    """

    power: str
    reasons: tuple[str, ...] = ()
    blind: str = ""
    details: Mapping[str, Json] = field(default_factory=dict)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why what the canaries prove is doubted, unless that is more than is claimed."""
        return (self.blind,) if self.blind and not self.reasons else ()


def assess_canary_run(claim: PrivacyClaim, run: CanaryRun | Gap, level: float) -> CanaryAssessment:
    """Hold a run against the claim at ``level``; a claim that nothing tested is said to be that."""
    if isinstance(run, Gap):
        alone = f"the claim was only worked out anew, and says nothing of the code: {run.detail}"
        return CanaryAssessment(
            alone, blind=f"the training code was not put to the test: {run.detail}"
        )
    against = build_hypothesis(claim, level)
    reasons: tuple[str, ...] = ()
    if exceeds_claimed_epsilon(claim, run):
        if claim.dataset_size is not None:
            reasons = ("the steps that were counted need more than the claimed epsilon",)
    elif against.contradicted_by(run.guesses):
        reasons = ("the canaries prove more than the claimed epsilon",)
    if blind := white_box_obstacle(claim, run):
        return CanaryAssessment(f"none: {blind}", reasons, blind, {"noise_factor": None})
    factor = detectable_run_factor(claim, run, against)
    words = describe_power(factor, run.mode)
    if run.mode != WHITE:
        blind = f"how much the run would have seen is {words}"
    elif factor is None:
        blind = f"the run could have seen nothing: {words}"
    if run.mode == WHITE:
        said = "none" if factor is None else "no noise at all" if math.isinf(factor) else factor
    else:
        said = None
    if "code" in claim.digests:
        return CanaryAssessment(words, reasons, blind, {"noise_factor": said})
    untied: dict[str, Json] = {"noise_factor": None, "noise_factor_of_named_code": said}
    return CanaryAssessment(f"{UNTIED}: {words}", reasons, blind, untied)


def separation_standard_error(trial: CanaryRun) -> float:
    """Return the standard error of the separation where scores tell nothing (Mann-Whitney);
    infinite where all canaries are on one side.
    """
    count, inside = len(trial.scores), int(trial.included.sum())
    outside = count - inside
    return math.sqrt((count + 1) / (12 * inside * outside)) if inside and outside else math.inf


def white_box_obstacle(claim: PrivacyClaim, trial: CanaryRun) -> str:
    """Return why a white-box run cannot speak for the claim, or nothing where it can.

    Training with the claimed noise lets canaries be told apart a little, and with less noise more.
    A hook that sees no canary looks like training that hides them well.
    """
    if trial.mode != WHITE:
        return ""
    if not trial.steps or not trial.drawn:
        return "the hook was told of no step, so that it saw nothing of the canaries"
    found, error = canary_auc(trial.scores, trial.included), separation_standard_error(trial)
    meant = build_ideal_canaries(claim, len(trial.scores)).told(1.0).separation
    if found < meant - CLEARLY * error:
        return (
            f"the hook sees too little of the canaries: one that is in scores above one that is "
            f"out in {found:.3f} of pairs, and with the claimed noise it must in {meant:.3f}"
        )
    if found <= CHANCE + SEEN * error:
        # How many canaries show in 19 of 20 runs that they are seen: the error is 1/sqrt(3 m)
        exact = (2 * SEEN / max(meant - CHANCE, 1 / MOST)) ** 2 / 3
        wanted = (
            f"more than {MOST}" if exact > MOST else f"about {math.ceil(exact / ROUND) * ROUND}"
        )
        return (
            f"nothing shows that the hook sees the canaries: one that is in scores above one that "
            f"is out in {found:.3f} of pairs, which is no more than chance. With the claimed noise "
            f"it is {meant:.3f}, which takes {wanted} canaries to tell from chance"
        )
    return ""


RECOMPUTED, DIFFERENCE = "epsilon_recomputed", "epsilon_claimed_minus_recomputed"
FINDINGS, LOWER = "structural_findings", "epsilon_lower_bound"
VOID = frozenset(
    {
        ClaimFaultCode.WEIGHTED, ClaimFaultCode.BATCH_NORM, ClaimFaultCode.FEW_RECORDS,
        ClaimFaultCode.RATE, ClaimFaultCode.STEPS, ClaimFaultCode.SAMPLING,
        ClaimFaultCode.OTHER_MODEL, ClaimFaultCode.OTHER_CODE, ClaimFaultCode.OTHER_DATA,
        ClaimFaultCode.RUN_STEPS, ClaimFaultCode.RUN_RATE,
    }
)  # fmt: skip
"""Faults with which the arithmetic speaks of something else than the training that was done."""
OF_WHAT = (
    "An audit with canaries is one of the training code and the claimed parameters, in a run of "
    "its own. What ties it to these weights is digests alone."
)

OF_ANOTHER = "the most that another run of the same training would prove, by luck of its noise"


@dataclass(frozen=True, slots=True)
class PrivacyClaimReview:
    """A claim, what speaks against it by its own words, and the run with canaries, if any.

    ``level`` is the chance that training which keeps the claim is called contradicted.
    """

    claim: PrivacyClaim
    found: tuple[ClaimFault, ...]
    run: CanaryRun | Gap
    level: float

    def readings(self, confidence: float) -> tuple[Reading, ...]:
        """Return the readings, in one order at any confidence."""
        again = recompute_epsilon(self.claim)
        every = (*_understated(self.claim, again), *self.found, *self._counted())
        test = assess_canary_run(self.claim, self.run, self.level)
        grave = [fault for fault in every if fault.grave]
        codes: list[Json] = [fault.code.value for fault in every]
        return (
            *_recomputed(self.claim, again),
            replace(
                Measurement(
                    metric=FINDINGS,
                    value=float(len(grave)),
                    method="read off the claim",
                    n=len(every),
                    unit=Unit.COUNT,
                    details={"codes": codes, "findings": [fault.to_json() for fault in every]},
                ),
                repeat=self._repeat,
            ),
            self._lower(confidence, test),
            self._verdict(again, every, test),
        )

    @property
    def _repeat(self) -> Repeatability:
        """Nobody promises that the owner's code trains, or fails, twice in the same way."""
        run = self.run
        ran = not isinstance(run, Gap) or run.reason is GapReason.RECIPE_FAILED
        return Repeatability.INTERVAL if ran else Repeatability.EXACT

    def _counted(self) -> tuple[ClaimFault, ...]:
        return () if isinstance(self.run, Gap) else list_count_mismatches(self.claim, self.run)

    def _lower(self, confidence: float, test: CanaryAssessment) -> Reading:
        run, claim = self.run, self.claim
        if isinstance(run, Gap):
            return Gap(reason=run.reason, detail=run.detail, cure=run.cure, metric=LOWER)
        guesses = run.guesses
        levels = (self.level, 1 - confidence)
        found, sure = (prove_run_epsilon(claim, guesses, level) for level in levels)
        most = prove_run_epsilon(claim, guess_count_bound(guesses, confidence), self.level)
        doubts = "; ".join([*(fault.text for fault in self._counted()), *test.doubts])
        details = _of_canaries(claim, run, found)
        return Measurement(
            metric=LOWER,
            value=found.epsilon,
            low=min(found.epsilon, sure.epsilon),
            high=max(found.epsilon, most.epsilon),
            confidence=confidence,
            bound=BoundKind.AT_LEAST,
            repeat=self._repeat,
            method=f"{found.method}, joint by bonferroni",
            n=len(run.scores),
            doubted=bool(doubts),
            details={**details, "doubt": doubts} if doubts else details,
        )

    def _verdict(
        self, again: RecomputedEpsilon | Gap, every: Sequence[ClaimFault], test: CanaryAssessment
    ) -> Measurement:
        run = self.run
        reasons = [fault.text for fault in every if fault.code is ClaimFaultCode.UNDERSTATED]
        reasons += test.reasons
        open_ends = [fault.text for fault in every if fault.code in VOID]
        open_ends += [again.detail] if isinstance(again, Gap) else []
        open_ends += [test.blind] if test.blind else []
        return Measurement(
            metric=VERDICT,
            bound=BoundKind.AT_LEAST,
            repeat=self._repeat,
            value=SHOWN if reasons else OPEN if open_ends else NOT_SEEN,
            method="recomputed" if isinstance(run, Gap) else f"recomputed, {run.mode} canaries",
            n=0 if isinstance(run, Gap) else len(run.scores),
            details={
                "power": test.power,
                **test.details,
                "level": self.level,
                "reasons": reasons or open_ends,
                "of_what": OF_WHAT,
            },
        )


def _of_canaries(claim: PrivacyClaim, run: CanaryRun, found: EpsilonLowerBound) -> dict[str, Json]:
    return {
        "claimed": claim.epsilon,
        "canaries": len(run.scores),
        "canaries_in": int(run.included.sum()),
        "kind": run.mode,
        "separation": canary_auc(run.scores, run.included),
        "bounds": {"steinke": found.pure, "f_dp": found.tradeoff},
        "guesses": [[item.right, item.made] for item in run.guesses],
        "high": OF_ANOTHER,
        "of_what": OF_WHAT,
    }


def _recomputed(claim: PrivacyClaim, again: RecomputedEpsilon | Gap) -> tuple[Reading, Reading]:
    """Return what is worked out: between bounds of arithmetic, of no sample, at no confidence."""
    if not isinstance(again, Gap) and math.isinf(again.bracket.high):
        again = Gap(
            reason=GapReason.NOT_DEFINED,
            detail=f"No finite epsilon could be worked out at a delta of {claim.delta:g}.",
            cure="Claim a larger delta, or more noise.",
        )
    if isinstance(again, Gap):
        return replace(again, metric=RECOMPUTED), replace(again, metric=DIFFERENCE)
    low, high = again.bracket.low, again.bracket.high
    # What other accountants say, each with how far it can be believed
    said: dict[str, Json] = {
        "claimed": claim.epsilon, "delta": claim.delta, "steps": claim.steps,
    }  # fmt: skip
    loose = conservative_epsilon(claim)
    if loose is not None:
        limit = gaussian_epsilon(
            central_limit_mu(claim.noise_multiplier, claim.sampling_rate, claim.steps), claim.delta
        )
        said |= {"rdp": loose, "gdp_approximation_no_bound": _finite(limit)}
    if claim.accounted is not claim.sampling or claim.accounted_adjacency is not None:
        beside_found = accountant_epsilon(claim)
        if isinstance(beside_found, RecomputedEpsilon) and math.isfinite(beside_found.bracket.high):
            said["as_accounted"] = [beside_found.bracket.low, beside_found.bracket.high]
    found = Measurement(
        metric=RECOMPUTED,
        value=high,
        low=low,
        high=high,
        method=again.method,
        n=0,
        details={**said, **_standing(claim, again)},
    )
    over = claim.epsilon - high
    details: dict[str, Json] = {
        "claimed": claim.epsilon,
        "steps": claim.steps,
        **_standing(claim, again),
    }
    return found, replace(
        found, metric=DIFFERENCE, value=over, low=over, high=claim.epsilon - low, details=details
    )


def _standing(claim: PrivacyClaim, again: RecomputedEpsilon) -> dict[str, Json]:
    loose = conservative_epsilon(claim)
    if claim.epsilon < again.bracket.low * (1 - UNCERTAIN):
        return {"standing": "understated"}
    if claim.epsilon >= (again.bracket.high if loose is None else loose):
        return {"standing": "conservative"}
    return {"standing": "consistent"}


def _understated(claim: PrivacyClaim, again: RecomputedEpsilon | Gap) -> tuple[ClaimFault, ...]:
    if isinstance(again, Gap) or _standing(claim, again)["standing"] != "understated":
        return ()
    text = (
        f"the claimed epsilon is {claim.epsilon:g}, and these parameters keep no smaller one than "
        f"{again.bracket.low:.4g}"
    )
    return (ClaimFault(ClaimFaultCode.UNDERSTATED, text, _finite(again.bracket.high)),)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
