"""The readings of a privacy claim: its epsilon anew, its faults, and what canaries proved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.accounting.faults import Code, Fault
from auditor.accounting.gaussian import gaussian_epsilon, limit_mu
from auditor.accounting.one_run import separation
from auditor.accounting.recomputing import UNCERTAIN, Recomputed, conservative, recompute, supposed
from auditor.accounting.trials import WHITE, Trial, counted, exceeds, held, in_words, power, proved
from auditor.domain.canonical import Json
from auditor.domain.privacy_claims import PrivacyClaim
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Unit

SHOWN, NONE, INCONCLUSIVE = "shown", "no evidence at this power", "inconclusive"
RECOMPUTED, DIFFERENCE = "epsilon_recomputed", "epsilon_claimed_minus_recomputed"
FINDINGS, LOWER, VERDICT = "structural_findings", "epsilon_lower_bound", "verdict"
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
        return (
            *_recomputed(self.claim, again, confidence),
            _findings(every),
            self._lower(confidence),
            self._verdict(again, every),
        )

    def _counted(self) -> tuple[Fault, ...]:
        return () if isinstance(self.run, Gap) else counted(self.claim, self.run)

    def _lower(self, confidence: float) -> Reading:
        run, claim = self.run, self.claim
        if isinstance(run, Gap):
            return Gap(reason=run.reason, detail=run.detail, cure=run.cure, metric=LOWER)
        found, sure = proved(claim, run, self.level), proved(claim, run, 1 - confidence)
        doubts = "; ".join(fault.text for fault in self._counted())
        details: dict[str, Json] = {
            "claimed": claim.epsilon,
            "canaries": len(run.scores),
            "canaries_in": int(run.included.sum()),
            "kind": run.mode,
            "separation": separation(run.scores, run.included),
            "bounds": {"steinke": found.pure, "f_dp": found.tradeoff},
            "guesses": [[item.right, item.made] for item in run.guesses],
            "of_what": OF_WHAT,
        }
        return Measurement(
            metric=LOWER,
            value=found.epsilon,
            low=min(found.epsilon, sure.epsilon),
            high=found.epsilon,
            confidence=confidence,
            bound=Bound.AT_LEAST,
            method=f"{found.method}, joint by bonferroni",
            n=len(run.scores),
            doubted=bool(doubts),
            details={**details, "doubt": doubts} if doubts else details,
        )

    def _verdict(self, again: Recomputed | Gap, every: Sequence[Fault]) -> Measurement:
        run, claim = self.run, self.claim
        reasons = [fault.text for fault in every if fault.code is Code.UNDERSTATED]
        details: dict[str, Json] = {"power": _only_worked_out(run), "level": self.level}
        over = False
        if isinstance(run, Trial):
            against, over = held(claim, self.level), exceeds(claim, run)
            factor = power(claim, run, against)
            details["power"] = in_words(factor, run.mode)
            details["noise_factor"] = _plain(factor) if run.mode == WHITE else None
            if over and claim.dataset_size is not None:
                reasons.append("the steps that were counted need more than the claimed epsilon")
            elif not over and against.contradicted_by(run.guesses):
                reasons.append("the canaries prove more than the claimed epsilon")
        open_ends = [fault.text for fault in every if fault.code in VOID]
        open_ends += [again.detail] if isinstance(again, Gap) else []
        said = SHOWN if reasons else INCONCLUSIVE if open_ends else NONE
        return Measurement(
            metric=VERDICT,
            bound=Bound.AT_LEAST,
            value=said,
            method="recomputed" if isinstance(run, Gap) else f"recomputed, {run.mode} canaries",
            n=0 if isinstance(run, Gap) else len(run.scores),
            details={**details, "reasons": reasons or open_ends, "of_what": OF_WHAT},
        )


def _recomputed(
    claim: PrivacyClaim, again: Recomputed | Gap, confidence: float
) -> tuple[Reading, Reading]:
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
        confidence=confidence,
        method=again.method,
        n=claim.steps,
        details=_beside(claim, again),
    )
    over = claim.epsilon - high
    details: dict[str, Json] = {"claimed": claim.epsilon, **_standing(claim, again)}
    return found, replace(
        found, metric=DIFFERENCE, value=over, low=over, high=claim.epsilon - low, details=details
    )


def _beside(claim: PrivacyClaim, again: Recomputed) -> dict[str, Json]:
    """Return what other accountants say, each with how far it can be believed."""
    said: dict[str, Json] = {"claimed": claim.epsilon, "delta": claim.delta}
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


def _only_worked_out(run: Trial | Gap) -> str:
    why = run.detail if isinstance(run, Gap) else "of this sampling the epsilon is not worked out"
    return f"the claim was only worked out anew, and says nothing of the code: {why}"


def _plain(factor: float | None) -> Json:
    return "none" if factor is None else "no noise at all" if math.isinf(factor) else factor


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
