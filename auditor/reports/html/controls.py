"""Report rows for the compliance frameworks and legal basis that a policy cites."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import UNREAD, FrameworkControl, LegalBasis, explain_legal_doubt
from auditor.domain.readings import Measurement
from auditor.reports.declarations import list_switched_off
from auditor.reports.html.control_names import (
    PinnedCatalogue,
    find_catalogue,
    format_control_reference,
)
from auditor.reports.html.coverage import ControlCoverage, fold_control_coverage
from auditor.reports.html.findings import FindingReference, TableCell
from auditor.reports.html.judged_data import FAIRNESS, describe_contradiction
from auditor.reports.rendering_inputs import ReportInputs

MOST_FINDINGS = 8


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One control, how far it is touched and why so, and the findings about it."""

    name: str
    about: str
    evidenced: ControlCoverage
    reasons: tuple[str, ...]
    cells: tuple[TableCell, ...]
    more: int


@dataclass(frozen=True, slots=True)
class ControlFramework:
    """One framework: its pinned catalogue, the controls cited, and those of which no rule speaks.

    ``whole`` says that the catalogue holds all controls; only then can any be missing.
    """

    key: str
    title: str
    version: str
    source: str
    verified: str
    rows: tuple[ControlRow, ...]
    counts: tuple[tuple[ControlCoverage, int], ...]
    silent: tuple[tuple[str, str], ...]
    whole: bool

    @property
    def total(self) -> int:
        """How many controls the catalogue and the policy name together."""
        return len(self.rows) + len(self.silent)


def list_frameworks(
    inputs: ReportInputs, found: Sequence[FindingReference]
) -> tuple[ControlFramework, ...]:
    """Return every framework that a rule of the policy or a finding cites, by title."""
    grouped: dict[str, dict[FrameworkControl, list[FindingReference]]] = {}
    for rule in inputs.policy.rules:
        for control in rule.controls:
            grouped.setdefault(control.framework, {}).setdefault(control, [])
    for item in found:
        for control in item.finding.controls:
            grouped.setdefault(control.framework, {}).setdefault(control, []).append(item)
    made = [_framework(inputs, name, controls) for name, controls in grouped.items()]
    return tuple(sorted(made, key=lambda item: item.title.lower()))


def _framework(
    inputs: ReportInputs, name: str, controls: Mapping[FrameworkControl, Sequence[FindingReference]]
) -> ControlFramework:
    pinned = find_catalogue(name) or PinnedCatalogue(name, "", "", {})
    order = {ref: place for place, ref in enumerate(pinned.controls)}
    cited = sorted(controls, key=lambda item: (order.get(item.ref, len(order)), item.ref))
    off = list_switched_off(inputs.record, inputs.policy)
    rows = tuple(_row(inputs, item, pinned, controls[item], off) for item in cited)
    counted = Counter(row.evidenced for row in rows)
    refs = {item.ref for item in cited}
    return ControlFramework(
        key=name,
        title=pinned.title,
        version=pinned.version,
        source=pinned.source,
        verified=pinned.verified,
        rows=rows,
        counts=tuple((state, counted[state]) for state in ControlCoverage if counted[state]),
        silent=tuple(item for item in pinned.controls.items() if item[0] not in refs),
        whole=pinned.complete,
    )


def _row(
    inputs: ReportInputs,
    control: FrameworkControl,
    pinned: PinnedCatalogue,
    found: Sequence[FindingReference],
    off: Mapping[str, Sequence[str]],
) -> ControlRow:
    # Fold findings; what rests on a figure that cannot be believed is evidence only in part
    state_found = [item.finding for item in found]
    if not state_found:
        state = ControlCoverage.NONE
    else:
        state = fold_control_coverage([item.outcome for item in state_found])
        readings = inputs.record.readings
        deciding = [readings[item.readings[0]] for item in state_found if item.readings]
        doubted = any(isinstance(item, Measurement) and item.doubted for item in deciding)
        state = ControlCoverage.PART if doubted and state is ControlCoverage.WHOLE else state
    causes = [off[item.rule] for item in state_found if item.rule in off]
    if state is ControlCoverage.NOT_APPLICABLE and causes:
        state = ControlCoverage.UNEXAMINED
    said = _explain(inputs, state, state_found, causes)
    return ControlRow(
        name=format_control_reference(control),
        about=pinned.controls.get(control.ref, ""),
        evidenced=state,
        reasons=tuple(dict.fromkeys(filter(None, said)))[:MOST_FINDINGS],
        cells=tuple(
            TableCell(_name_cause(item), item.anchor, item.finding.outcome)
            for item in found[:MOST_FINDINGS]
        ),
        more=max(0, len(found) - MOST_FINDINGS),
    )


def _name_cause(item: FindingReference) -> str:
    """Say what was measured before the title of the rule, which is free text."""
    if item.asked == item.finding.title:
        return item.name
    return f"{item.asked} (rule: {item.name})"


def _explain(
    inputs: ReportInputs,
    state: ControlCoverage,
    findings: Sequence[Finding],
    causes: Sequence[Sequence[str]],
) -> Iterator[str]:
    """Say why a control is not examined or not applicable, or who waived a rule about it."""
    if state is ControlCoverage.UNEXAMINED:
        for declared in causes:
            yield f"The author of the audit file declared {' and '.join(declared)}."
        if any(item.measure.startswith(FAIRNESS) for item in findings):
            yield describe_contradiction(inputs)
        return
    told = state is ControlCoverage.NOT_APPLICABLE
    outcome = Outcome.NOT_APPLICABLE if told else Outcome.WAIVED
    yield from (item.message for item in findings if item.outcome is outcome)


@dataclass(frozen=True, slots=True)
class LegalBasisRow:
    """A fact of law, and how far somebody had read it when the record was finished.

    ``doubt`` says why it could not be relied on that day, and is empty where it could.
    """

    datum: LegalBasis
    doubt: str

    @property
    def read(self) -> str:
        """Say when it was read, and by when it is to be read again."""
        if self.datum.verified == UNREAD:
            return "Nobody has read it at its source."
        return f"Read on {self.datum.verified}, to be read again by {self.datum.review_by}."

    @property
    def warning(self) -> str:
        """Say that it could not be relied on, or nothing."""
        if not self.doubt or self.datum.verified == UNREAD:
            return "Unverified." if self.doubt else ""
        return f"Stale when this was audited: it {self.doubt}."

    @property
    def line(self) -> str:
        """Say all of it in one paragraph."""
        said = f"{self.warning} {self.read}".strip()
        return f"{self.datum.datum}: {self.datum.value}. {said} Source: {self.datum.source}"


def list_legal_basis(inputs: ReportInputs) -> tuple[LegalBasisRow, ...]:
    """Return the law that the policy names, as it stood on the day on which the audit ended."""
    ended = inputs.record.finished
    return tuple(LegalBasisRow(datum, _doubt(datum, ended)) for datum in inputs.policy.legal)


def _doubt(datum: LegalBasis, ended: str) -> str:
    try:
        day = date.fromisoformat(ended[:10])
    except ValueError:
        return "was held against no day, since the record names none"
    return explain_legal_doubt(datum.verified, datum.review_by, day)
