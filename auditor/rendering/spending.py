"""What a finding's check was given to spend, and what it spent."""

from collections.abc import Sequence

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.readings import Measurement, Reading
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar

EMPTY: tuple[Json, ...] = (None, "", [], (), {})
"""Settings at which a check leaves something to itself."""
SPENT = {"queries": "spent", "passes": "spent", "phantoms": "met"}


def spent(inputs: RenderedInputs, finding: Finding, readings: Sequence[Reading]) -> str:
    """Say the budget, the check's settings, and the effort of its deciding reading."""
    check = readings[0].check if readings else finding.measure.split("/", 1)[0]
    seen = next(
        (
            item
            for item in inputs.record.observations
            if item.check == check and item.target == finding.target
        ),
        None,
    )
    budget = f"budget {inputs.record.request.budget.value}"
    if seen is None:
        return budget
    settings = [
        f"{name.replace('_', ' ')} {_listed(value)}"
        for name, value in sorted(seen.params.items())
        if value not in EMPTY
    ]
    return ", ".join([budget, *settings, *_effort(readings)])


def _effort(readings: Sequence[Reading]) -> list[str]:
    deciding = readings[0] if readings else None
    details = deciding.details if isinstance(deciding, Measurement) else {}
    counted = {name: details.get(name) for name in ("queries", "passes", "phantoms")}
    return [f"{name} {SPENT[name]} {scalar(number)}" for name, number in counted.items() if number]


def _listed(value: Json) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " / ".join(scalar(item) for item in value)
    return scalar(value)
