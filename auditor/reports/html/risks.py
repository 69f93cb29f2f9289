"""Report rows of declared risks beside the findings of their rules, open ones first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from auditor.domain.ai_system import SystemRisk
from auditor.domain.findings import Outcome
from auditor.reports.html.findings import FindingReference, ReportTable, TableCell, group_by_rule
from auditor.reports.html.unjudged import list_unjudged_figures
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import SEVERITIES

BAD = frozenset({Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAIVED})
"""Leave to break a rule holds a hazard down no more than breaking it does."""
MOST_FINDINGS = 8
MOST_RISKS = 100
ABSENT = "is not a rule of this policy"
SILENT = "No rule is about it"
UNJUDGED = "figures that no rule judges are worse (see Limits of this verdict)"


class RiskStatus(IntEnum):
    """How open a risk is: what nobody accepts and no rule holds down stands first."""

    OPEN = 0
    UNSEEN = 1
    ACCEPTED_OPEN = 2
    UNACCEPTED = 3
    ACCEPTED = 4


@dataclass(frozen=True, slots=True)
class RiskRow:
    """A risk with the findings that evidence it; ``absent`` are rules that the policy lacks.

    ``unjudged``: checks of the same families have bad figures that no rule judges.
    """

    risk: SystemRisk
    findings: tuple[FindingReference, ...]
    absent: tuple[str, ...]
    unjudged: bool = False

    @property
    def bad(self) -> int:
        """How many findings do not show that it is held down."""
        return sum(item.finding.outcome in BAD for item in self.findings) + len(self.absent)

    @property
    def standing(self) -> RiskStatus:
        """How open it is."""
        asked = [item for item in self.findings if _was_asked(item)]
        if self.risk.accepted is not None:
            return RiskStatus.ACCEPTED_OPEN if self.bad or not asked else RiskStatus.ACCEPTED
        if self.bad:
            return RiskStatus.OPEN
        return RiskStatus.UNACCEPTED if asked else RiskStatus.UNSEEN

    @property
    def severity(self) -> str:
        """The severity in a word."""
        return self.risk.severity.value

    @property
    def acceptance(self) -> str:
        """Who accepts what is left, and since when."""
        accepted = self.risk.accepted
        return "not accepted" if accepted is None else f"{accepted.by}, on {accepted.on}"

    @property
    def said(self) -> str:
        """Say how the risk stands, in a sentence."""
        found = self._found
        return found if self.risk.accepted else f"{found}; what is left is not accepted"

    @property
    def _found(self) -> str:
        if not self.findings and not self.absent:
            return SILENT
        if self.bad:
            return "; ".join(self._open)
        if not any(_was_asked(item) for item in self.findings):
            return "No rule about it was asked here"
        withstood = any(item.finding.outcome is Outcome.WITHSTOOD for item in self.findings)
        kept = "Every rule about it is kept"
        told = f"{kept}, as far as these attacks can tell" if withstood else kept
        return f"{told}, but {UNJUDGED}" if self.unjudged else told

    @property
    def _open(self) -> list[str]:
        outcomes = [item.finding.outcome for item in self.findings]
        counted = {
            "failed": outcomes.count(Outcome.FAILED),
            "undecided": outcomes.count(Outcome.UNKNOWN),
            "waived": outcomes.count(Outcome.WAIVED),
            "not in this policy": len(self.absent),
        }
        many = len(outcomes) + len(self.absent)
        return [f"{count} of {many} {word}" for word, count in counted.items() if count]

    @property
    def evidence(self) -> tuple[TableCell, ...]:
        """The findings as cells, then the rules that are not there."""
        cells = [TableCell(item.name, item.anchor, item.finding.outcome) for item in self.findings]
        return (*cells[:MOST_FINDINGS], *(TableCell(f"{rule}: {ABSENT}") for rule in self.absent))


def _was_asked(item: FindingReference) -> bool:
    return item.finding.outcome is not Outcome.NOT_APPLICABLE


def build_risk_rows(inputs: ReportInputs, found: Sequence[FindingReference]) -> tuple[RiskRow, ...]:
    """Return every declared risk with its findings, the most open and severe first."""
    paper = inputs.dossier.risks
    if paper is None:
        return ()
    grouped = group_by_rule(found)
    order = {severity: place for place, severity in enumerate(SEVERITIES)}
    bad = {check.partition(".")[0] for check, _ in list_unjudged_figures(inputs)}
    rows = [_row(item, grouped, bad) for item in paper.risks]
    return tuple(sorted(rows, key=lambda row: (row.standing, order[row.risk.severity])))


def _row(
    risk: SystemRisk, grouped: Mapping[str, tuple[FindingReference, ...]], bad: Collection[str]
) -> RiskRow:
    findings = tuple(item for rule in risk.rules for item in grouped.get(rule, ()))
    absent = tuple(rule for rule in risk.rules if rule not in grouped)
    families = {item.finding.measure.partition(".")[0] for item in findings}
    return RiskRow(risk, findings, absent, unjudged=not families.isdisjoint(bad))


def build_risks_table(rows: Sequence[RiskRow]) -> ReportTable:
    """Return risks as a table of plain cells."""
    header = ("Risk", "Severity", "Standing", "What is left", "Accepted by")
    shown = tuple(
        (
            TableCell(f"{row.risk.id}: {row.risk.hazard}"),
            TableCell(_weighed(row.risk)),
            TableCell(row.said),
            TableCell(row.risk.residual),
            TableCell(row.acceptance),
        )
        for row in rows[:MOST_RISKS]
    )
    return ReportTable(header, shown, len(rows) - len(shown))


def _weighed(risk: SystemRisk) -> str:
    return f"{risk.severity.value}, {risk.likelihood}" if risk.likelihood else risk.severity.value
