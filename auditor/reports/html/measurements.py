"""Figure sections and measurement table of the report."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.number_text import format_coordinates, format_measurement, format_scalar
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_blocks import ReportSection
from auditor.domain.report_panels import BlockPanel
from auditor.reports.figures.attack_costs import build_attack_log
from auditor.reports.figures.panel import FigureLog, FigurePanel, FigureSection, to_figure_panel
from auditor.reports.figures.robustness import (
    attack_panels,
    breaking_size_panels,
    budget_panels,
    grid_panels,
    move_panels,
    subgroup_panels,
)
from auditor.reports.html.check_blocks import (
    bind_block,
    list_placed_checks,
    no_evidence,
)
from auditor.reports.html.run_details import shorten_digest
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import describe_bound, list_limit_values, metric_title

SECTIONS = [section for section in ReportSection if section is not ReportSection.OWN]
MOST_PANELS = 24
"""In one section: a record of many targets has more to draw than anybody reads."""
Draw = Callable[[ReportInputs, Sequence[Measurement], str], Iterator[FigurePanel]]

KINDS: Mapping[ReportSection, tuple[Draw, ...]] = MappingProxyType(
    {
        ReportSection.ATTACK: (attack_panels, breaking_size_panels, subgroup_panels, move_panels),
        ReportSection.NOISE: (grid_panels, budget_panels),
    }
)
"""What is drawn of the figures of several checks together, by their metrics."""
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
    for place, section in enumerate(SECTIONS):
        panels: list[FigurePanel] = []
        for index, measured in enumerate(_by_target(inputs)):
            key = f"plot-{place}-{index}"
            panels += _blocks(inputs, section, measured, f"{key}-block")
            for step, draw in enumerate(KINDS.get(section, ())):
                panels += draw(inputs, measured, f"{key}-{step}")
        if panels:
            attack = section is ReportSection.ATTACK
            logs = tuple(_logs(inputs)) if attack else ()
            lead = tuple(_lead(inputs)) if attack else ()
            shown = tuple(panels[:MOST_PANELS])
            found.append(FigureSection(title=section.value, lead=lead, panels=shown, logs=logs))
    return tuple(found)


def _blocks(
    inputs: ReportInputs, section: ReportSection, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield the panels of the checks whose blocks stand in a section, of one target's figures."""
    for check in list_placed_checks(inputs, section):
        mine = [m for m in measured if m.check == check.id]
        if not mine or check.block is None or (check.place.once and not _first(inputs, mine[0])):
            continue
        draw = bind_block(inputs, check, mine[0])
        for at, part in enumerate(draw(mine, no_evidence).parts if draw else ()):
            if isinstance(part, BlockPanel):
                yield to_figure_panel(part, mine[0].target, f"{key}-{check.place.order}-{at}")


def _first(inputs: ReportInputs, of: Measurement) -> bool:
    """Whether the first figure of a check is of the same target as this one."""
    first = (m for m in inputs.record.readings if isinstance(m, Measurement))
    return next(m for m in first if m.check == of.check).target == of.target


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
MOST_ROWS, MOST_EVIDENCE, MOST_COLUMNS = 1_000, 4, 8


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
    # The limits by which each reading was judged: rounding must not cross one
    limits: defaultdict[int, tuple[float, ...]] = defaultdict(tuple)
    for finding in inputs.record.findings:
        rule = inputs.rule(finding.rule)
        for index in finding.readings:
            limits[index] += () if rule is None else list_limit_values(rule.limits)
    found = {
        index: item
        for index, item in enumerate(inputs.record.readings)
        if isinstance(item, Measurement)
    }
    above = [(), *(item.evidence for item in found.values())]
    return tuple(
        _row(inputs, item, limits[index], _list_evidence(item, before))
        for (index, item), before in zip(found.items(), above, strict=False)
    )


def _list_evidence(m: Measurement, above: tuple[str, ...]) -> str:
    if m.evidence and m.evidence == above:
        return SAME
    hidden = len(m.evidence) - MOST_EVIDENCE
    more = f" and {hidden} more" if hidden > 0 else ""
    return ", ".join(shorten_digest(item) for item in m.evidence[:MOST_EVIDENCE]) + more


def _name_columns(m: Measurement) -> str:
    """Name the columns that were counted, where a figure is their number."""
    listed = m.details.get("columns")
    if m.unit is not Unit.COUNT or not isinstance(listed, list | tuple) or len(listed) != m.value:
        return ""
    names = [format_scalar(name) for name in listed]
    hidden = len(names) - MOST_COLUMNS
    if hidden > 1:
        return f"{', '.join(names[:MOST_COLUMNS])} and {hidden} more"
    return ", ".join(names)


def _row(
    inputs: ReportInputs, m: Measurement, limits: tuple[float, ...], evidence: str
) -> MeasurementRow:
    words = format_measurement(m, limits)
    return MeasurementRow(
        measure=f"{m.check}/{m.metric}",
        title=metric_title(inputs, m.check, m.metric),
        target=m.target,
        where=format_coordinates(m.params, m.slice),
        value=describe_bound(m) + words.value,
        interval=words.interval or "exact",
        sure=words.sure,
        remark="doubted" if m.doubted else _name_columns(m),
        evidence=evidence,
    )
