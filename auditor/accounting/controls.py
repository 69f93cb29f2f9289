"""What a run with canaries shows of a claim, and whether it could have shown anything at all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.accounting.one_run import separation
from auditor.accounting.trials import WHITE, Trial, exceeds, held, ideal, in_words, power
from auditor.domain.canonical import Json
from auditor.domain.privacy_claims import PrivacyClaim
from auditor.domain.readings import Gap

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
class Tested:
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


def tested(claim: PrivacyClaim, run: Trial | Gap, level: float) -> Tested:
    """Hold a run against the claim at ``level``; a claim that nothing tested is said to be that."""
    if isinstance(run, Gap):
        alone = f"the claim was only worked out anew, and says nothing of the code: {run.detail}"
        return Tested(alone, blind=f"the training code was not put to the test: {run.detail}")
    against = held(claim, level)
    reasons: tuple[str, ...] = ()
    if exceeds(claim, run):
        if claim.dataset_size is not None:
            reasons = ("the steps that were counted need more than the claimed epsilon",)
    elif against.contradicted_by(run.guesses):
        reasons = ("the canaries prove more than the claimed epsilon",)
    if blind := unseen(claim, run):
        return Tested(f"none: {blind}", reasons, blind, {"noise_factor": None})
    factor = power(claim, run, against)
    words = in_words(factor, run.mode)
    if run.mode != WHITE:
        blind = f"how much the run would have seen is {words}"
    elif factor is None:
        blind = f"the run could have seen nothing: {words}"
    said = _plain(factor) if run.mode == WHITE else None
    if "code" in claim.digests:
        return Tested(words, reasons, blind, {"noise_factor": said})
    untied: dict[str, Json] = {"noise_factor": None, "noise_factor_of_named_code": said}
    return Tested(f"{UNTIED}: {words}", reasons, blind, untied)


def spread(trial: Trial) -> float:
    """Return the standard error of the separation where scores tell nothing (Mann-Whitney);
    infinite where all canaries are on one side.
    """
    count, inside = len(trial.scores), int(trial.included.sum())
    outside = count - inside
    return math.sqrt((count + 1) / (12 * inside * outside)) if inside and outside else math.inf


def unseen(claim: PrivacyClaim, trial: Trial) -> str:
    """Return why a white-box run cannot speak for the claim, or nothing where it can.

    Training with the claimed noise lets canaries be told apart a little, and with less noise more.
    A hook that sees no canary looks like training that hides them well.
    """
    if trial.mode != WHITE:
        return ""
    if not trial.steps or not trial.drawn:
        return "the hook was told of no step, so that it saw nothing of the canaries"
    found, error = separation(trial.scores, trial.included), spread(trial)
    meant = ideal(claim, len(trial.scores)).told(1.0).separation
    if found < meant - CLEARLY * error:
        return (
            f"the hook sees too little of the canaries: one that is in scores above one that is "
            f"out in {found:.3f} of pairs, and with the claimed noise it must in {meant:.3f}"
        )
    if found <= CHANCE + SEEN * error:
        return (
            f"nothing shows that the hook sees the canaries: one that is in scores above one that "
            f"is out in {found:.3f} of pairs, which is no more than chance. With the claimed noise "
            f"it is {meant:.3f}, which takes {_wanted(meant)} canaries to tell from chance"
        )
    return ""


def _wanted(meant: float) -> str:
    """Say how many canaries show in 19 of 20 runs that they are seen: the error is 1/sqrt(3 m)."""
    exact = (2 * SEEN / max(meant - CHANCE, 1 / MOST)) ** 2 / 3
    return f"more than {MOST}" if exact > MOST else f"about {math.ceil(exact / ROUND) * ROUND}"


def _plain(factor: float | None) -> Json:
    return "none" if factor is None else "no noise at all" if math.isinf(factor) else factor
