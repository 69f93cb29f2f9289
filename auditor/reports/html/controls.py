"""Each published framework that the policy cites: what is evidenced of it, by which findings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.findings import Finding
from auditor.domain.policies import Control
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.cells import Cell, Spoken
from auditor.rendering.controls import PinnedCatalogue, catalogue_of, control_ref
from auditor.rendering.coverage import Evidenced, evidenced
from auditor.rendering.inputs import RenderedInputs

MOST_FINDINGS = 8
EXPLAINED: Mapping[Evidenced, Outcome] = MappingProxyType(
    {Evidenced.NOT_APPLICABLE: Outcome.NOT_APPLICABLE}
)
"""Findings whose message says why a control is in a state; elsewhere, who waived a rule is said."""


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One control, how far it is evidenced and why so, and the findings about it."""

    name: str
    about: str
    evidenced: Evidenced
    reasons: tuple[str, ...]
    cells: tuple[Cell, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework: its pinned catalogue, the controls cited, and those of which no rule speaks.

    ``whole`` says that the catalogue holds all controls; only then can any be missing.
    """

    key: str
    title: str
    version: str
    source: str
    verified: str
    rows: tuple[ControlRow, ...]
    counts: tuple[tuple[Evidenced, int], ...]
    silent: tuple[tuple[str, str], ...]
    whole: bool

    @property
    def total(self) -> int:
        """How many controls the catalogue and the policy name together."""
        return len(self.rows) + len(self.silent)


def frameworks(inputs: RenderedInputs, found: Sequence[Spoken]) -> tuple[Framework, ...]:
    """Return every framework that a rule of the policy or a finding cites, by title."""
    grouped: dict[str, dict[Control, list[Spoken]]] = {}
    for rule in inputs.policy.rules:
        for control in rule.controls:
            grouped.setdefault(control.framework, {}).setdefault(control, [])
    for item in found:
        for control in item.finding.controls:
            grouped.setdefault(control.framework, {}).setdefault(control, []).append(item)
    made = [_framework(inputs, name, controls) for name, controls in grouped.items()]
    return tuple(sorted(made, key=lambda item: item.title.lower()))


def _framework(
    inputs: RenderedInputs, name: str, controls: Mapping[Control, Sequence[Spoken]]
) -> Framework:
    pinned = catalogue_of(name) or PinnedCatalogue(name, "", "", {})
    order = {ref: place for place, ref in enumerate(pinned.controls)}
    cited = sorted(controls, key=lambda item: (order.get(item.ref, len(order)), item.ref))
    rows = tuple(_row(inputs, item, pinned, controls[item]) for item in cited)
    counted = Counter(row.evidenced for row in rows)
    refs = {item.ref for item in cited}
    return Framework(
        key=name,
        title=pinned.title,
        version=pinned.version,
        source=pinned.source,
        verified=pinned.verified,
        rows=rows,
        counts=tuple((state, counted[state]) for state in Evidenced if counted[state]),
        silent=tuple(item for item in pinned.controls.items() if item[0] not in refs),
        whole=pinned.complete,
    )


def _row(
    inputs: RenderedInputs, control: Control, pinned: PinnedCatalogue, found: Sequence[Spoken]
) -> ControlRow:
    state = _state(inputs, [item.finding for item in found])
    told = EXPLAINED.get(state, Outcome.WAIVED)
    said = [item.finding.message for item in found if item.finding.outcome is told]
    return ControlRow(
        name=control_ref(control),
        about=pinned.controls.get(control.ref, ""),
        evidenced=state,
        reasons=tuple(dict.fromkeys(said))[:MOST_FINDINGS],
        cells=tuple(
            Cell(item.name, item.anchor, item.finding.outcome) for item in found[:MOST_FINDINGS]
        ),
        more=max(0, len(found) - MOST_FINDINGS),
    )


def _state(inputs: RenderedInputs, found: Sequence[Finding]) -> Evidenced:
    """Fold findings; what rests on a figure that cannot be believed is evidence only in part."""
    if not found:
        return Evidenced.NONE
    state = evidenced([item.outcome for item in found])
    readings = inputs.record.readings
    deciding = [readings[item.readings[0]] for item in found if item.readings]
    doubted = any(isinstance(item, Measurement) and item.doubted for item in deciding)
    return Evidenced.PART if doubted and state is Evidenced.WHOLE else state
