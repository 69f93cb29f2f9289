"""Figure sections and measurement table of the report."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from auditor.domain.readings import Measurement
from auditor.reports.figures.attack_costs import build_attack_log
from auditor.reports.figures.data import (
    area_panels,
    copy_panels,
    leak_panels,
    population_panels,
    suspect_panels,
)
from auditor.reports.figures.fairness import group_panels, slice_panels
from auditor.reports.figures.panel import FigureLog, FigurePanel, FigureSection
from auditor.reports.figures.privacy import (
    column_panels,
    fidelity_panels,
    membership_panels,
    obfuscation_panels,
    poison_panels,
    proximity_panels,
    scan_panels,
)
from auditor.reports.figures.quality import (
    confidence_sequence_panels,
    drift_panels,
    group_line_panels,
    latency_panels,
    period_panels,
    reliability_panels,
)
from auditor.reports.figures.robustness import (
    attack_panels,
    breaking_size_panels,
    budget_panels,
    grid_panels,
    move_panels,
    subgroup_panels,
)
from auditor.reports.html.run_details import shorten_digest
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import format_measurement
from auditor.reports.wording import (
    describe_bound,
    format_coordinates,
    list_limit_values,
    metric_title,
)

MOST_PANELS = 24
"""In one section: a record of many targets has more to draw than anybody reads."""
Draw = Callable[[ReportInputs, Sequence[Measurement], str], Iterator[FigurePanel]]

SECTIONS: Mapping[str, tuple[Draw, ...]] = MappingProxyType(
    {
        "In daily use": (
            reliability_panels,
            group_panels,
            group_line_panels,
            latency_panels,
        ),
        "Where it is worse": (slice_panels,),
        "Over time": (period_panels, confidence_sequence_panels, drift_panels),
        "Under attack": (attack_panels, breaking_size_panels, subgroup_panels, move_panels),
        "What it gives away": (
            membership_panels,
            obfuscation_panels,
            column_panels,
            fidelity_panels,
            proximity_panels,
        ),
        "Under noise, faults and other views": (grid_panels, budget_panels),
        "If the training data were poisoned": (poison_panels,),
        "The data": (
            population_panels,
            suspect_panels,
            scan_panels,
            leak_panels,
            copy_panels,
            area_panels,
        ),
    }
)
ATTACK = "Under attack"
FOUND = (
    "Each mark of an attack is the most accuracy that the model can have against inputs changed "
    "by up to that budget: so many wrong answers were found, and a stronger attack may find more. "
    "Bands are intervals; lines only join the marks. Phantoms are points that the twin (or a copy "
    "which the attacker trained) called broken and the target did not: they do not count."
)
BELIEVED = (
    "Signs that gradients mislead the attacks were looked for and not found, so what attacks by "
    "gradients found can be believed."
)
MASKED = (
    "There are signs that gradients mislead the attacks which follow them: figures that rest on "
    "them are drawn hollow and cannot keep a rule."
)


def build_figure_sections(inputs: ReportInputs) -> tuple[FigureSection, ...]:
    """Return every plot that the record's readings give, by question and target by target."""
    found = []
    for place, (title, draws) in enumerate(SECTIONS.items()):
        panels: list[FigurePanel] = []
        for index, measured in enumerate(_by_target(inputs)):
            for step, draw in enumerate(draws):
                panels.extend(draw(inputs, measured, f"plot-{place}-{index}-{step}"))
        if panels:
            logs = tuple(_logs(inputs)) if title == ATTACK else ()
            lead = tuple(_lead(inputs)) if title == ATTACK else ()
            shown = tuple(panels[:MOST_PANELS])
            found.append(FigureSection(title=title, lead=lead, panels=shown, logs=logs))
    return tuple(found)


def _lead(inputs: ReportInputs) -> Iterator[str]:
    yield FOUND
    told = [
        item.value
        for item in inputs.record.readings
        if isinstance(item, Measurement) and item.metric == "believable"
    ]
    if told:
        yield BELIEVED if all(told) else MASKED


def _logs(inputs: ReportInputs) -> Iterator[FigureLog]:
    for measured in _by_target(inputs):
        yield from build_attack_log(inputs, measured)


def _by_target(inputs: ReportInputs) -> Iterator[list[Measurement]]:
    measured = [item for item in inputs.record.readings if isinstance(item, Measurement)]
    for spec in inputs.record.request.targets:
        mine = [item for item in measured if item.target == spec.name]
        if mine:
            yield mine


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


def build_measurement_rows(inputs: ReportInputs) -> tuple[MeasurementRow, ...]:
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


def _limits(inputs: ReportInputs) -> Mapping[int, tuple[float, ...]]:
    """Return the limits by which each reading was judged: rounding must not cross one."""
    found: defaultdict[int, tuple[float, ...]] = defaultdict(tuple)
    for finding in inputs.record.findings:
        rule = inputs.rule(finding.rule)
        for index in finding.readings:
            found[index] += () if rule is None else list_limit_values(rule.limits)
    return found


def _row(inputs: ReportInputs, m: Measurement, limits: tuple[float, ...]) -> MeasurementRow:
    words = format_measurement(m, limits)
    return MeasurementRow(
        measure=f"{m.check}/{m.metric}",
        title=metric_title(inputs, m.check, m.metric),
        target=m.target,
        where=format_coordinates(m.params, m.slice),
        value=describe_bound(m) + words.value,
        interval=words.interval or "exact",
        sure=words.sure,
        remark="doubted" if m.doubted else "",
        evidence=", ".join(shorten_digest(item) for item in m.evidence),
    )
