"""Where a record stands with people: who approved it, who found something, and what is awaited."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.approving import Known, Wanted, approvals_known, approved, in_force
from auditor.domain.approvals import Answer
from auditor.domain.canonical import digest
from auditor.domain.people import Decision, DecisionKind, Rejudgement
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.submissions import Submission
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError
from auditor.folders import RecordFolder
from auditor.manifests import laid_out
from auditor.people.naming import Company, barred, company
from auditor.people.panels import Panel, read_kept
from auditor.signatures.decisions import verify_finding

FINDINGS = "human findings"


class Standing(StrEnum):
    """How a record stands: what its verdict says, and what people said to it."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    AWAITING = "awaiting approval"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Stands:
    """Where an audit stands by the last of its records, and what people's steps say of it."""

    standing: Standing
    records: tuple[Rejudgement, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A record of a submission, the policy that people decide under, and the time of asking."""

    submission: Submission
    record: AuditRecord
    policy: Policy
    now: str


def decided_by_people(panel: Panel, judged: Judged, folder: RecordFolder) -> Iterator[Step]:
    """Yield the steps of a gate that rest on people: waivers, approvals, and human findings.

    People are those of the submission's project alone.
    """
    project, record = judged.submission.project, judged.record
    people = company(panel, project)
    yield in_force(record, folder, people.deciders(DecisionKind.WAIVER), judged.now)
    known = approvals_here(panel, project, record, folder)
    yield approved(record, folder, known, wanted(panel, people, judged))
    yield found_wrong(panel, project, records_of(panel, judged.submission))


def wanted(panel: Panel, people: Company, judged: Judged) -> Wanted:
    """Return what a policy asks of people before a record of a submission opens a gate."""
    why = barred(panel, people, judged.submission, judged.record.digest, judged.policy)
    may = replace(people.deciders(DecisionKind.APPROVAL), barred=why)
    return Wanted(judged.policy.approvals, may, judged.now)


def approvals_here(panel: Panel, project: str, record: AuditRecord, folder: RecordFolder) -> Known:
    """Return the approvals of a record that are known here, but for those of other projects."""
    known = approvals_known(record, folder, panel.kept.store)
    foreign = panel.people.elsewhere(project, record.digest)
    if not foreign:
        return known
    return Known(
        tuple(item for item in known.said if digest(item.bundle) not in foreign), known.unreadable
    )


def found_wrong(panel: Panel, project: str, records: tuple[str, ...]) -> Step:
    """Ask whether somebody found something wrong with any record of a submission.

    To judge it again shakes nothing off, and neither does what the finder may sign by now.
    """
    found = panel.people.about(project, DecisionKind.FINDING, records)
    if not found:
        return Step(FINDINGS, StepResult.NOT_PRESENT, "nobody found anything wrong with it")
    return Step.of(FINDINGS, [_told(item) for item in found], "")


def records_of(panel: Panel, submission: Submission) -> tuple[str, ...]:
    """Return the digests of the records of a submission, the first one first."""
    return tuple(item.record for item in panel.rejudged.of(submission.id))


def standing(panel: Panel, submission: Submission) -> Stands | None:
    """Return where an audit stands by its last record; nothing where it has none."""
    records = panel.rejudged.of(submission.id)
    if not records:
        return None
    last, named = records[-1], tuple(item.record for item in records)
    wrong = found_wrong(panel, submission.project, named)
    if wrong.result is StepResult.FAILED or last.verdict == Verdict.FAIL:
        return Stands(Standing.FAILED, records, (wrong,))
    if last.verdict == Verdict.INCONCLUSIVE:
        return Stands(Standing.INCONCLUSIVE, records, (wrong,))
    policy = panel.policy(panel.kept.store.blobs.get(last.policy), last.policy)
    if not policy.approvals and not _answered_here(panel, submission.project, last.record):
        return Stands(Standing.PASSED, records, (wrong,))
    record = read_kept(panel.record(submission.project, last.record))
    with laid_out(panel.kept.store.blobs, last.files) as folder:
        known = approvals_here(panel, submission.project, record, folder)
        judged = Judged(submission, record, policy, panel.clock())
        step = approved(
            record, folder, known, wanted(panel, company(panel, submission.project), judged)
        )
    return Stands(_answered(known, step, policy), records, (step, wrong))


def _answered_here(panel: Panel, project: str, record: str) -> bool:
    """Whether anybody said yes or no to a record, here or on this very machine."""
    if panel.people.about(project, DecisionKind.APPROVAL, (record,)):
        return True
    with panel.kept.store.looking() as work:
        return bool(work.approvals(record))


def _answered(known: Known, step: Step, policy: Policy) -> Standing:
    last = {item.identity: item.approval.answer for item in known.said}
    if step.result is StepResult.FAILED:
        return Standing.REFUSED if Answer.NO in last.values() else Standing.AWAITING
    return Standing.APPROVED if policy.approvals or last else Standing.PASSED


def _told(item: Decision) -> str:
    try:
        return str(verify_finding(item.bundle, item.key.encode(), item.digest))
    except AuditorError as error:
        # What cannot be read any more was put there for a reason all the same.
        return error.problem
