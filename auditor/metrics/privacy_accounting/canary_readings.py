"""The readings of a privacy claim: its epsilon anew, its faults, and what canaries proved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.accounting.contradicting import Proved
from auditor.accounting.controls import Tested, tested
from auditor.accounting.faults import Code, Fault
from auditor.accounting.gaussian import gaussian_epsilon, limit_mu
from auditor.accounting.one_run import luckier, separation
from auditor.accounting.recomputing import UNCERTAIN, Recomputed, conservative, recompute, supposed
from auditor.accounting.trials import Trial, counted, proved
from auditor.domain.canonical import Json
from auditor.domain.conclusions import NOT_SEEN, OPEN, SHOWN, VERDICT
from auditor.domain.privacy_claims import PrivacyClaim
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Repeat, Unit

RECOMPUTED, DIFFERENCE = "epsilon_recomputed", "epsilon_claimed_minus_recomputed"
FINDINGS, LOWER = "structural_findings", "epsilon_lower_bound"
VOID = frozenset(
    {
        Code.WEIGHTED, Code.BATCH_NORM, Code.FEW_RECORDS, Code.RATE, Code.STEPS,
        Code.SAMPLING, Code.OTHER_MODEL, Code.OTHER_CODE, Code.OTHER_DATA, Code.RUN_STEPS,
        Code.RUN_RATE,
    }
)  # fmt: skip
"""Faults with which the arithmetic speaks of something else than the training that was done."""
OF_WHAT = (
    "An audit with canaries is one of the training code and the claimed parameters, in a run of "
    "its own. What ties it to these weights is digests alone."
)

OF_ANOTHER = "the most that another run of the same training would prove, by luck of its noise"


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim, what speaks against it by its own words, and the run with canaries, if any.

    ``level`` is the chance that training which keeps the claim is called contradicted.
    """

    claim: PrivacyClaim
    found: tuple[Fault, ...]
    run: Trial | Gap
    level: float

    def readings(self, confidence: float) -> tuple[Reading, ...]:
        """Return the readings, in one order at any confidence."""
        again = recompute(self.claim)
        every = (*_understated(self.claim, again), *self.found, *self._counted())
        test = tested(self.claim, self.run, self.level)
        return (
            *_recomputed(self.claim, again),
            replace(_findings(every), repeat=self._repeat),
            self._lower(confidence, test),
            self._verdict(again, every, test),
        )

    @property
    def _repeat(self) -> Repeat:
        """Nobody promises that the owner's code trains, or fails, twice in the same way."""
        run = self.run
        ran = not isinstance(run, Gap) or run.reason is Reason.RECIPE_FAILED
        return Repeat.INTERVAL if ran else Repeat.EXACT

    def _counted(self) -> tuple[Fault, ...]:
        return () if isinstance(self.run, Gap) else counted(self.claim, self.run)

    def _lower(self, confidence: float, test: Tested) -> Reading:
        run, claim = self.run, self.claim
        if isinstance(run, Gap):
            return Gap(reason=run.reason, detail=run.detail, cure=run.cure, metric=LOWER)
        guesses = run.guesses
        levels = (self.level, 1 - confidence)
        found, sure = (proved(claim, guesses, level) for level in levels)
        most = proved(claim, luckier(guesses, confidence), self.level)
        doubts = "; ".join([*(fault.text for fault in self._counted()), *test.doubts])
        details = _of_canaries(claim, run, found)
        return Measurement(
            metric=LOWER,
            value=found.epsilon,
            low=min(found.epsilon, sure.epsilon),
            high=max(found.epsilon, most.epsilon),
            confidence=confidence,
            bound=Bound.AT_LEAST,
            repeat=self._repeat,
            method=f"{found.method}, joint by bonferroni",
            n=len(run.scores),
            doubted=bool(doubts),
            details={**details, "doubt": doubts} if doubts else details,
        )

    def _verdict(
        self, again: Recomputed | Gap, every: Sequence[Fault], test: Tested
    ) -> Measurement:
        run = self.run
        reasons = [fault.text for fault in every if fault.code is Code.UNDERSTATED]
        reasons += test.reasons
        open_ends = [fault.text for fault in every if fault.code in VOID]
        open_ends += [again.detail] if isinstance(again, Gap) else []
        open_ends += [test.blind] if test.blind else []
        return Measurement(
            metric=VERDICT,
            bound=Bound.AT_LEAST,
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


def _of_canaries(claim: PrivacyClaim, run: Trial, found: Proved) -> dict[str, Json]:
    return {
        "claimed": claim.epsilon,
        "canaries": len(run.scores),
        "canaries_in": int(run.included.sum()),
        "kind": run.mode,
        "separation": separation(run.scores, run.included),
        "bounds": {"steinke": found.pure, "f_dp": found.tradeoff},
        "guesses": [[item.right, item.made] for item in run.guesses],
        "high": OF_ANOTHER,
        "of_what": OF_WHAT,
    }


def _recomputed(claim: PrivacyClaim, again: Recomputed | Gap) -> tuple[Reading, Reading]:
    """Return what is worked out: between bounds of arithmetic, of no sample, at no confidence."""
    if not isinstance(again, Gap) and math.isinf(again.bracket.high):
        again = Gap(
            reason=Reason.NOT_DEFINED,
            detail=f"No finite epsilon could be worked out at a delta of {claim.delta:g}.",
            cure="Claim a larger delta, or more noise.",
        )
    if isinstance(again, Gap):
        return replace(again, metric=RECOMPUTED), replace(again, metric=DIFFERENCE)
    low, high = again.bracket.low, again.bracket.high
    found = Measurement(
        metric=RECOMPUTED,
        value=high,
        low=low,
        high=high,
        method=again.method,
        n=0,
        details=_beside(claim, again),
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


def _beside(claim: PrivacyClaim, again: Recomputed) -> dict[str, Json]:
    """Return what other accountants say, each with how far it can be believed."""
    said: dict[str, Json] = {
        "claimed": claim.epsilon, "delta": claim.delta, "steps": claim.steps,
    }  # fmt: skip
    loose = conservative(claim)
    if loose is not None:
        limit = gaussian_epsilon(
            limit_mu(claim.noise_multiplier, claim.sampling_rate, claim.steps), claim.delta
        )
        said |= {"rdp": loose, "gdp_approximation_no_bound": _finite(limit)}
    if claim.accounted is not claim.sampling or claim.accounted_adjacency is not None:
        found = supposed(claim)
        if isinstance(found, Recomputed) and math.isfinite(found.bracket.high):
            said["as_accounted"] = [found.bracket.low, found.bracket.high]
    return {**said, **_standing(claim, again)}


def _standing(claim: PrivacyClaim, again: Recomputed) -> dict[str, Json]:
    loose = conservative(claim)
    if claim.epsilon < again.bracket.low * (1 - UNCERTAIN):
        return {"standing": "understated"}
    if claim.epsilon >= (again.bracket.high if loose is None else loose):
        return {"standing": "conservative"}
    return {"standing": "consistent"}


def _understated(claim: PrivacyClaim, again: Recomputed | Gap) -> tuple[Fault, ...]:
    if isinstance(again, Gap) or _standing(claim, again)["standing"] != "understated":
        return ()
    text = (
        f"the claimed epsilon is {claim.epsilon:g}, and these parameters keep no smaller one than "
        f"{again.bracket.low:.4g}"
    )
    return (Fault(Code.UNDERSTATED, text, _finite(again.bracket.high)),)


def _findings(every: Sequence[Fault]) -> Measurement:
    grave = [fault for fault in every if fault.grave]
    codes: list[Json] = [fault.code.value for fault in every]
    return Measurement(
        metric=FINDINGS,
        value=float(len(grave)),
        method="read off the claim",
        n=len(every),
        unit=Unit.COUNT,
        details={"codes": codes, "findings": [fault.to_json() for fault in every]},
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
