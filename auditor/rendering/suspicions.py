"""What a figure makes one suspect of the audit file or the data, rather than of the model."""

from collections.abc import Mapping, Sequence

from auditor.domain.readings import Measurement, Reading, Unit
from auditor.domain.records import AuditRecord
from auditor.rendering.numbers import number

MOST_NAMED = 12
"""Classes beyond which nobody reads a whole order in a sentence."""


def suspicion(record: AuditRecord, reading: Reading) -> str:
    """Say what a reading suspects of the order of the classes or of the scores, or nothing."""
    if not isinstance(reading, Measurement):
        return ""
    other = reading.details.get("other_order")
    if not isinstance(other, Mapping):
        return _contradiction(reading)
    accuracy, classes = other.get("accuracy"), other.get("classes")
    if not isinstance(accuracy, int | float) or not isinstance(classes, Sequence):
        return ""
    return (
        f"Were the classes {_order([str(name) for name in classes])}, accuracy would be "
        f"{number(round(accuracy, 3), Unit.SHARE)}: check {_where(record, reading.target)}."
    )


def _contradiction(reading: Measurement) -> str:
    rows = reading.details.get("decided_otherwise")
    if not isinstance(rows, int | float) or not rows:
        return ""
    return (
        f"In {rows:,.0f} of {reading.n:,} rows the prediction is not the one that the scores make: "
        "check task.positive, task.threshold and the order of data.evaluation.scores."
    )


def suspicions(record: AuditRecord) -> tuple[str, ...]:
    """Return what all readings of a record suspect, each once."""
    said = (suspicion(record, reading) for reading in record.readings)
    return tuple(dict.fromkeys(text for text in said if text))


def _order(classes: Sequence[str]) -> str:
    if len(classes) == 2:  # noqa: PLR2004 -- they can only be swapped
        return "the other way round"
    if len(classes) > MOST_NAMED:
        return "in another order"
    return f"in the order {', '.join(classes)}"


def _where(record: AuditRecord, target: str) -> str:
    """Name the line of the audit file: of one score alone, the order is that of `positive`."""
    found = record.fingerprints.get(target)
    if found is None or found.interface is None:
        return "task.classes and task.positive"
    one = found.interface.scores.startswith("binary_")
    return "task.positive" if one else "task.classes"
