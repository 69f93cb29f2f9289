"""The figures of a record, in sections: which readings are drawn, and the same as tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from auditor.domain.readings import Measurement
from auditor.rendering.figures.breaking import breaking_panels
from auditor.rendering.figures.certainty import group_line_panels, reliability_panels
from auditor.rendering.figures.conditions import budget_panels, grid_panels
from auditor.rendering.figures.courses import course_panels, drift_panels, watch_panels
from auditor.rendering.figures.curves import attack_panels
from auditor.rendering.figures.effort import attack_log
from auditor.rendering.figures.everyday import latency_panels
from auditor.rendering.figures.exposure import membership_panels, obfuscation_panels
from auditor.rendering.figures.groups import group_panels
from auditor.rendering.figures.leaks import column_panels, fidelity_panels, proximity_panels
from auditor.rendering.figures.moves import move_panels
from auditor.rendering.figures.panel import Log, Panel, Section
from auditor.rendering.figures.poison import poison_panels, scan_panels
from auditor.rendering.figures.samples import (
    area_panels,
    copy_panels,
    leak_panels,
    population_panels,
    suspect_panels,
)
from auditor.rendering.figures.slicing import slice_panels
from auditor.rendering.figures.victims import victim_panels
from auditor.rendering.inputs import RenderedInputs

MOST_PANELS = 24
"""In one section: a record of many targets has more to draw than anybody reads."""
Draw = Callable[[RenderedInputs, Sequence[Measurement], str], Iterator[Panel]]

SECTIONS: Mapping[str, tuple[Draw, ...]] = MappingProxyType(
    {
        "In daily use": (
            reliability_panels,
            group_panels,
            group_line_panels,
            latency_panels,
        ),
        "Where it is worse": (slice_panels,),
        "Over time": (course_panels, watch_panels, drift_panels),
        "Under attack": (attack_panels, breaking_panels, victim_panels, move_panels),
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


def sections(inputs: RenderedInputs) -> tuple[Section, ...]:
    """Return every plot that the record's readings give, by question and target by target."""
    found = []
    for place, (title, draws) in enumerate(SECTIONS.items()):
        panels: list[Panel] = []
        for index, measured in enumerate(_by_target(inputs)):
            for step, draw in enumerate(draws):
                panels.extend(draw(inputs, measured, f"plot-{place}-{index}-{step}"))
        if panels:
            logs = tuple(_logs(inputs)) if title == ATTACK else ()
            lead = tuple(_lead(inputs)) if title == ATTACK else ()
            shown = tuple(panels[:MOST_PANELS])
            found.append(Section(title=title, lead=lead, panels=shown, logs=logs))
    return tuple(found)


def _lead(inputs: RenderedInputs) -> Iterator[str]:
    yield FOUND
    told = [
        item.value
        for item in inputs.record.readings
        if isinstance(item, Measurement) and item.metric == "believable"
    ]
    if told:
        yield BELIEVED if all(told) else MASKED


def _logs(inputs: RenderedInputs) -> Iterator[Log]:
    for measured in _by_target(inputs):
        yield from attack_log(inputs, measured)


def _by_target(inputs: RenderedInputs) -> Iterator[list[Measurement]]:
    measured = [item for item in inputs.record.readings if isinstance(item, Measurement)]
    for spec in inputs.record.request.targets:
        mine = [item for item in measured if item.target == spec.name]
        if mine:
            yield mine
