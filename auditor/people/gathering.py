"""What a service keeps of audits that decides how they stand with people, read at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from auditor.approving import Known, approvals_known
from auditor.domain.canonical import digest
from auditor.domain.people import DecisionKind, Rejudgement
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.errors import AuditorError
from auditor.folders import RecordFolder
from auditor.people.naming import Company, company
from auditor.people.panels import Panel
from auditor.signatures.decisions import verify_finding
from auditor.store.service.said import OnRecords, said_on
from auditor.store.store import Store

FINDINGS = "human findings"


@dataclass(frozen=True, slots=True)
class Gathered:
    """The people of a project, the records of some of its audits by their ids, and what was said
    of those; ``approved`` are records of which the ledger here has approvals.
    """

    panel: Panel
    project: str
    company: Company
    records: Mapping[str, tuple[Rejudgement, ...]]
    said: OnRecords
    approved: frozenset[str]

    def approvals(self, record: AuditRecord, folder: RecordFolder) -> Known:
        """Return the approvals of a record that are known here, but for those of other projects."""
        return approvals_here(self.panel.kept.store, self.said, record, folder)

    def wrong(self, submission: str) -> Step:
        """Ask whether somebody found something wrong with any record of an audit.

        To judge it again shakes nothing off, and neither does what the finder may sign by now.
        """
        names = {item.record for item in self.records[submission]}
        told = wrong_with(self.said, names)
        if not told:
            return Step(FINDINGS, StepResult.NOT_PRESENT, "nobody found anything wrong with it")
        return Step.of(FINDINGS, told, "")

    def answered(self, record: str) -> bool:
        """Whether anybody said yes or no to a record, here or on this very machine."""
        here = self.said.about(DecisionKind.APPROVAL, {record})
        return bool(here) or record in self.approved


def approvals_here(
    store: Store, said: OnRecords, record: AuditRecord, folder: RecordFolder
) -> Known:
    """Return the approvals of a record that are known here, but for those of other projects."""
    known = approvals_known(record, folder, store)
    own = tuple(item for item in known.said if digest(item.bundle) not in said.elsewhere)
    return Known(own, known.unreadable)


def wrong_with(said: OnRecords, records: Collection[str]) -> list[str]:
    """Return what people found wrong with any of some records, each finding in words."""
    told = []
    for item in said.about(DecisionKind.FINDING, records):
        try:
            told.append(str(verify_finding(item.bundle, item.key.encode(), item.digest)))
        except AuditorError as error:
            # What cannot be read any more was put there for a reason all the same.
            told.append(error.problem)
    return told


def gather(panel: Panel, project: str, submissions: Sequence[str]) -> Gathered:
    """Read what decides how audits of a project stand, by as many questions for many as for one."""
    records = panel.rejudged.of_each(submissions)
    names = {item.record for found in records.values() for item in found}
    with panel.kept.store.looking() as work:
        approved = frozenset(work.approvals_of(names))
    said = said_on(panel.kept.store, project, names)
    return Gathered(panel, project, company(panel, project), records, said, approved)
