"""The positive control of a run with canaries: whether its scores tell of the canaries at all."""

import math

from auditor.accounting.one_run import separation
from auditor.accounting.trials import WHITE, Trial, ideal
from auditor.domain.privacy_claims import PrivacyClaim

CHANCE = 0.5
ROUND, MOST = 100, 1_000_000
SEEN = 1.6449
"""Standard errors above chance that a hook which sees nothing exceeds once in twenty runs."""
CLEARLY = 3.0
"""Standard errors below what the claimed noise gives, as one honest run in 700 is."""


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
    meant = ideal(claim, len(trial.scores)).separation
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
