"""What one reading alone makes of a rule, and why."""

from dataclasses import dataclass

from auditor.domain.metric_spans import holds_all, span_of_metric
from auditor.domain.policies import Limits, Rule
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.judging.parts import SLICE
from auditor.judging.standing import Standing, breaks_by_doubt, margin, span_of, stand

KEPT = "All that the figure leaves possible keeps the rule."
BROKEN = "All that the figure leaves possible breaks the rule."
OPEN = "The figure leaves both possible, so it decides nothing."
WITHSTOOD = "Nothing that was tried broke it. That proves nothing, and the policy accepts it."
NOT_ACCEPTED = "Nothing that was tried broke it; it withstood, but the policy does not accept that."
DOUBTED = "The figure is doubted, and a doubted figure never passes."
ASTRAY = (
    "It breaks the limit on the side on which its doubt says that it may lie, so it shows nothing."
)
NOT_DOUBTED = "a figure that is not doubted"
UNNAMED = (
    "That is the whole sample: no reading is of a slice that was not confirmed, and a search that "
    "confirms none proves nothing of it."
)
NAMED_SLICES = "a policy that accepts withstood: no search proves that it named every slice"
CLAIMED_ANYTHING = "What is claimed sets a limit that no reading can break, so it decides nothing."
BREAKABLE_CLAIM = "a claim that sets a limit which a reading can break"
NO_NUMBER = "The figure is no number, so no limit applies to it."


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one reading alone would make of a rule, and why; less ``slack`` is worse.

    ``need`` says what would decide; without it, rows may, by the rule's limits or by ``limits``.
    """

    outcome: Outcome
    why: str
    slack: float = 0.0
    need: str = ""
    limits: Limits | None = None


def by_limits(rule: Rule, measurement: Measurement) -> Opinion:
    """Hold a figure against limits that are numbers."""
    limits = rule.limits
    if limits is None:
        return Opinion(Outcome.UNKNOWN, "The rule asks for nothing.", need="a rule with a limit")
    span = span_of(measurement)
    if span is None:
        return Opinion(Outcome.UNKNOWN, NO_NUMBER)
    # Lint refuses such numbers in a policy; these ones were claimed.
    if rule.anchored is not None and holds_all(
        limits, span_of_metric(rule.metric, measurement.unit)
    ):
        return Opinion(Outcome.UNKNOWN, CLAIMED_ANYTHING, need=BREAKABLE_CLAIM)
    slack = margin(span, limits)
    match stand(span, limits):
        case Standing.BREAKS if breaks_by_doubt(measurement, span, limits):
            return Opinion(Outcome.UNKNOWN, ASTRAY, slack, NOT_DOUBTED)
        case Standing.BREAKS:
            return Opinion(Outcome.FAILED, BROKEN, slack)
        case Standing.KEEPS:
            return favourable(rule, measurement, slack, proven=True)
        case Standing.WITHSTANDS:
            return favourable(rule, measurement, slack, proven=False)
        case Standing.OPEN:
            return Opinion(Outcome.UNKNOWN, OPEN, slack)


def favourable(rule: Rule, measurement: Measurement, slack: float, *, proven: bool) -> Opinion:
    """Say what comes of a figure that keeps a rule, as far as it was ``proven`` to."""
    if measurement.doubted:
        return Opinion(Outcome.UNKNOWN, DOUBTED, slack, NOT_DOUBTED)
    if SLICE in rule.for_each and not measurement.slice:
        return _unnamed(rule, slack)
    if proven:
        return Opinion(Outcome.PASSED, KEPT, slack)
    if rule.accept_withstood:
        return Opinion(Outcome.WITHSTOOD, WITHSTOOD, slack)
    return Opinion(Outcome.UNKNOWN, NOT_ACCEPTED, slack)


def _unnamed(rule: Rule, slack: float) -> Opinion:
    """Judge what the whole sample says in favour of the slices that a search did not name.

    Breaking the limit, it breaks it for some slice; keeping it, it says nothing of any one.
    """
    if rule.accept_withstood:
        return Opinion(Outcome.WITHSTOOD, f"{UNNAMED} The policy accepts that.", slack)
    return Opinion(Outcome.UNKNOWN, UNNAMED, slack, NAMED_SLICES)
