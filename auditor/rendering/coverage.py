"""How far findings speak to a control, and which figures cannot be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.controls import control_name
from auditor.rendering.inputs import RenderedInputs


class Evidenced(StrEnum):
    """How far the audit's figures speak to a control; never whether it is met."""

    WHOLE = "Evidenced"
    PART = "Partially evidenced"
    NONE = "Not evidenced"
    NOT_APPLICABLE = "Not applicable"
    WAIVED = "Waived"


def evidenced(outcomes: Sequence[Outcome]) -> Evidenced:
    """Fold the outcomes of the rules about one control.

    A failed rule is evidence too: it speaks against the model. What an attack did not break, and
    what is not decided, is evidence only in part; leave for one rule hides no other that failed.
    """
    seen = frozenset(outcomes) - {Outcome.NOT_APPLICABLE}
    if not seen:
        return Evidenced.NOT_APPLICABLE
    if seen <= {Outcome.PASSED, Outcome.FAILED}:
        return Evidenced.WHOLE
    if seen == {Outcome.UNKNOWN}:
        return Evidenced.NONE
    if Outcome.WAIVED in seen and not seen & {Outcome.UNKNOWN, Outcome.FAILED}:
        return Evidenced.WAIVED
    return Evidenced.PART


def doubted(inputs: RenderedInputs) -> tuple[Measurement, ...]:
    """Return the figures that were measured but cannot be believed."""
    return tuple(
        item for item in inputs.record.readings if isinstance(item, Measurement) and item.doubted
    )


@dataclass(frozen=True, slots=True)
class Owed:
    """What a policy says that no rule of it can evidence, and who must."""

    ref: str
    asks: str
    owner: str


def cannot_evidence(inputs: RenderedInputs) -> tuple[Owed, ...]:
    """Return what the policy says that no measurement can show."""
    return tuple(
        Owed(control_name(duty.control), duty.asks, duty.owner)
        for duty in inputs.policy.cannot_evidence
    )
