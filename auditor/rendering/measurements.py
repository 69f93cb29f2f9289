"""Every measurement of the record, as rows of a table."""

from dataclasses import dataclass

from auditor.domain.readings import Measurement
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import bound_words, coordinates, metric_title
from auditor.rendering.runs import short

MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class MeasurementRow:
    """One measurement in words."""

    measure: str
    title: str
    target: str
    where: str
    value: str
    interval: str
    sure: str
    remark: str
    evidence: str


def measurement_rows(inputs: RenderedInputs) -> tuple[MeasurementRow, ...]:
    """Return every measurement, in the record's order."""
    return tuple(
        _row(inputs, item) for item in inputs.record.readings if isinstance(item, Measurement)
    )


def _row(inputs: RenderedInputs, m: Measurement) -> MeasurementRow:
    words = figure(m)
    return MeasurementRow(
        measure=f"{m.check}/{m.metric}",
        title=metric_title(inputs, m.check, m.metric),
        target=m.target,
        where=coordinates(m.params, m.slice),
        value=bound_words(m) + words.value,
        interval=words.interval or "exact",
        sure=words.sure,
        remark="doubted" if m.doubted else "",
        evidence=", ".join(short(item) for item in m.evidence),
    )
