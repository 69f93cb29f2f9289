"""What tells that gradients are masked, from how much on, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.readings import Unit
from auditor.stats.proportions import exact_limits

SURE = 0.95
"""How sure an alarm is, whatever the confidence of intervals: what is doubted must not depend on
the level that a rule is judged at."""
MOST_MISSED = 0.03
"""The share of rows that a cascade may miss and be believed. Measured on 100 rows: networks,
logistic regressions and INT8 with rounding passed straight through miss 0 or 1, forests whose
gradient is smoothed up to 6 (not surely 3 %), masked gradients 7 to 90."""
FLAGGED = 0.002
"""AutoAttack raises its flag where Square breaks more than this of what its climbs left."""
MOST_UNBROKEN = 0.05
"""Without a budget every row breaks (Athalye et al. 2018, section 3.1)."""
MAJORITY = 0.5
SPREAD = 1e-4
"""A difference of probabilities between repeats beyond what float arithmetic explains."""
SAME_WAY = 0.5
"""The cosine of 60 degrees. Plain models had 0.97 and more between neighbours' gradients."""
UNSTEADY = 0.1
"""A change of the margin that no point so near should bring (Pintor et al. 2022)."""
STILL_RISING = 0.05
"""The part of its gain that a climb at rest does not make at its end (Pintor et al. 2022)."""
MANY_RISING = 0.25
LEADING = 0.5
"""A correlation of gradient and differences below which gradients are helped by luck."""


class Weight(StrEnum):
    """What an indicator does: unmakes belief, or is only told."""

    FAILS = "fails"
    NOTED = "noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """A share of rows (or a yes, or a ``number``) that must not surely exceed ``most``.

    Surely above ``told`` it is mentioned, whatever its weight. ``means`` says what it means and
    what to do.
    """

    title: str
    most: float
    means: str
    weight: Weight = Weight.FAILS
    told: float | None = None
    unit: Unit = Unit.SHARE
    number: bool = False


def surely_above(count: int, rows: int, most: float) -> bool:
    """Whether the exact one-sided lower limit of a share lies above ``most``.

    Clopper and Pearson (1934): a lucky row in few is no alarm, and one row alone never is where
    some are allowed.
    """
    low, _ = exact_limits([count], [rows], 1 - SURE)
    lucky = count == 1 and most > 0
    return bool(rows > 0 and low[0] > most) and not lucky


_SEARCH = "Believe the black-box figure, and raise its budget."
INDICATORS: Mapping[str, Indicator] = {
    "randomised_share": Indicator(
        title="Rows whose scores differ when asked again",
        most=0.0,
        means="The model answers at random, so that one gradient says little of the next answer. "
        "Audit it with its randomness fixed, or average over many answers.",
    ),
    "softmax_output": Indicator(
        title="The model gives probabilities, not logits",
        most=0.0,
        weight=Weight.NOTED,
        unit=Unit.NONE,
        means="Searches that see scores alone see less where probabilities round to 0 and 1. "
        "Export the logits, if the product allows it.",
    ),
    "saturated_share": Indicator(
        title="Rows whose probabilities are all 0 or 1 to single precision",
        most=MAJORITY,
        weight=Weight.NOTED,
        means="Cross-entropy has no slope there. Our climbs go by logits and do not need it, where "
        "the twin has logits; searches by scores are blind. Export the logits.",
    ),
    "zero_gradient_share": Indicator(
        title="Rows where the twin's gradient is zero or not finite",
        most=MOST_MISSED,
        means="An attack that follows the gradient stands still there. Give a twin whose rounding "
        "and saturation pass gradients (model.twin: auto does), or believe the black-box figure.",
    ),
    "unstable_gradient_share": Indicator(
        title="Rows whose neighbours' gradients point elsewhere",
        most=MAJORITY,
        means="The gradient turns within a fraction of a budget (it is shattered), so that steps "
        f"along it lead nowhere. Give a twin without that layer. {_SEARCH}",
    ),
    "unstable_prediction_share": Indicator(
        title="Rows whose margin jumps between neighbours",
        most=MAJORITY,
        weight=Weight.NOTED,
        means="The target's scores move by a tenth and more within a step that nobody would see. "
        "Look for coarse rounding or noise before the model.",
    ),
    "rising_loss_share": Indicator(
        title="Rows whose loss still rises in the last steps of a climb",
        most=MANY_RISING,
        weight=Weight.NOTED,
        means="The climb had not come to rest when it ended. Give the attack more steps.",
    ),
    "phantom_share": Indicator(
        title="Rows that the twin calls broken and the target does not",
        most=MOST_MISSED,
        means="What breaks the twin does not transfer: the twin is not close enough to the target "
        "where attacks lead. Let the twin be made from the artifact itself (model.twin: auto).",
    ),
    "one_step_only_share": Indicator(
        title="Rows that one step breaks and the whole attack does not",
        most=MOST_MISSED,
        told=FLAGGED,
        means="One step beats many: the way that the gradient shows is not the way up. Raise the "
        f"attack's steps and restarts. {_SEARCH}",
    ),
    "random_only_share": Indicator(
        title="Rows that random corners break and gradients do not",
        most=MOST_MISSED,
        told=FLAGGED,
        means=f"Blind guesses find what the gradient misses, so that it hides the way. {_SEARCH}",
    ),
    "black_box_only_share": Indicator(
        title="Rows that a search by scores breaks and gradients do not",
        most=MOST_MISSED,
        told=FLAGGED,
        means=f"A search without gradients beats the attack that has them. {_SEARCH}",
    ),
    "unbounded_missed_share": Indicator(
        title="Rows that another row's copy breaks and an unbounded gradient attack does not",
        most=MOST_UNBROKEN,
        means="With all the room that there is, following the gradient must succeed, and does not. "
        f"It leads nowhere. {_SEARCH}",
    ),
    "larger_eps_missed_share": Indicator(
        title="Rows that break within a small budget and not in the whole range",
        most=MOST_MISSED,
        means="More room does not help the attack, though it holds all that less room did. "
        f"{_SEARCH}",
    ),
    "gradient_correlation": Indicator(
        title="Correlation of the twin's gradient with differences on the target",
        most=LEADING,
        weight=Weight.NOTED,
        unit=Unit.NONE,
        number=True,
        means="The gradient leads only roughly where the target's own scores go (a smoothed tree "
        "or coarse rounding does that). Look at the black-box figure beside it.",
    ),
}
"""By metric, in the order of readings."""
