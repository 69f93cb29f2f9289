"""Every measurement of the record, as rows of a table."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from auditor.domain.readings import Measurement
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import bound_words, coordinates, limit_values, metric_title
from auditor.rendering.runs import short

SAME = "as above"
"""Figures of one check rest on the same evidence, which is listed once in a row of them."""
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
    limits = _limits(inputs)
    rows = [
        _row(inputs, item, limits[index])
        for index, item in enumerate(inputs.record.readings)
        if isinstance(item, Measurement)
    ]
    above = ["", *(row.evidence for row in rows)]
    return tuple(
        replace(row, evidence=SAME) if row.evidence and row.evidence == before else row
        for row, before in zip(rows, above, strict=False)
    )


def _limits(inputs: RenderedInputs) -> Mapping[int, tuple[float, ...]]:
    """Return the limits by which each reading was judged: rounding must not cross one."""
    found: defaultdict[int, tuple[float, ...]] = defaultdict(tuple)
    for finding in inputs.record.findings:
        rule = inputs.rule(finding.rule)
        for index in finding.readings:
            found[index] += () if rule is None else limit_values(rule.limits)
    return found


def _row(inputs: RenderedInputs, m: Measurement, limits: tuple[float, ...]) -> MeasurementRow:
    words = figure(m, limits)
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
