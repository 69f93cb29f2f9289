"""What the audit is evidence for, and what it could not evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.findings import Finding
from auditor.domain.policies import Control
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.controls import control_name, control_title
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import OUTCOMES


class Evidenced(StrEnum):
    """How far the audit's figures speak to a control; never whether it is met."""

    WHOLE = "Evidenced"
    PART = "Partially evidenced"
    NONE = "Not evidenced"
    NOT_APPLICABLE = "Not applicable"
    WAIVED = "Waived"


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One control, how far it is evidenced, and what the rules about it found."""

    name: str
    about: str
    evidenced: Evidenced
    outcomes: str


def control_rows(findings: Sequence[Finding]) -> tuple[ControlRow, ...]:
    """Return every control that a rule names, in the order of frameworks and references."""
    by_control: dict[Control, list[Outcome]] = {}
    for finding in findings:
        for control in finding.controls:
            by_control.setdefault(control, []).append(finding.outcome)
    ordered = sorted(by_control, key=lambda item: (item.framework, item.ref))
    return tuple(
        ControlRow(
            control_name(item),
            control_title(item),
            evidenced(by_control[item]),
            _counted(by_control[item]),
        )
        for item in ordered
    )


def evidenced(outcomes: Sequence[Outcome]) -> Evidenced:
    """Fold the outcomes of the rules about one control.

    A failed rule is evidence too: it speaks against the model. What an attack did not break, and
    what is not decided, is evidence only in part.
    """
    seen = frozenset(outcomes) - {Outcome.NOT_APPLICABLE}
    if not seen:
        return Evidenced.NOT_APPLICABLE
    if seen <= {Outcome.PASSED, Outcome.FAILED}:
        return Evidenced.WHOLE
    if seen == {Outcome.UNKNOWN}:
        return Evidenced.NONE
    if Outcome.WAIVED in seen and Outcome.UNKNOWN not in seen:
        return Evidenced.WAIVED
    return Evidenced.PART


def doubted(inputs: RenderedInputs) -> tuple[Measurement, ...]:
    """Return the figures that were measured but cannot be believed."""
    return tuple(
        item for item in inputs.record.readings if isinstance(item, Measurement) and item.doubted
    )


def _counted(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(
        f"{outcomes.count(outcome)} {word.lower()}"
        for outcome, word in OUTCOMES.items()
        if outcome in outcomes
    )
