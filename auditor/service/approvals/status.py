"""Where a record stands with people: who approved it, who found something, and what is awaited."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.approving import Known, Wanted, approved, in_force
from auditor.domain.approvals import Answer
from auditor.domain.people import DecisionKind, Rejudgement
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.submissions import Submission
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError
from auditor.folders import RecordFolder
from auditor.manifests import as_kept
from auditor.people.enduring import refusals
from auditor.people.gathering import Gathered, gather
from auditor.people.naming import HandedIn, barred
from auditor.people.panels import Panel, read_kept
from auditor.store.service.rejudged import Kept


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

    submission: HandedIn
    record: AuditRecord
    policy: Policy
    now: str


def decided_by_people(told: Gathered, judged: Judged, folder: RecordFolder) -> Iterator[Step]:
    """Yield the steps of a gate that rest on people: waivers, approvals, and human findings.

    People are those of the submission's project alone.
    """
    record = judged.record
    yield in_force(record, folder, told.company.deciders(DecisionKind.WAIVER), judged.now)
    yield approved(record, folder, _said_to(told, judged, folder), wanted(told, judged))
    yield told.wrong(judged.submission.id)


def _said_to(told: Gathered, judged: Judged, folder: RecordFolder) -> Known:
    """Return what was said to a record. A no to one that was judged again into it stands."""
    here = judged.record.digest
    earlier = [
        item
        for item in told.records[judged.submission.id]
        if item.record != here and told.answered(item.record)
    ]
    store, ended = told.panel.kept.store, told.company.ended
    before = refusals(store, told.said, earlier, ended, judged.now)
    return replace(told.approvals(judged.record, folder), before=tuple(before))


def wanted(told: Gathered, judged: Judged, labels: Collection[str] | None = None) -> Wanted:
    """Return what a policy asks of people before a record of a submission opens a gate.

    ``labels`` are those who labelled its cases, where that was asked before.
    """
    people, policy = told.company, judged.policy
    why = barred(told.panel, people, judged.submission, judged.record.digest, policy, labels)
    may = replace(people.deciders(DecisionKind.APPROVAL), barred=why)
    return Wanted(policy.approvals, may, judged.now)


def records_of(panel: Panel, submission: Submission) -> tuple[str, ...]:
    """Return the digests of the records of a submission, the first one first."""
    return tuple(item.record for item in panel.rejudged.of(submission.id))


def standing(panel: Panel, submission: HandedIn) -> Stands | None:
    """Return where an audit stands by its last record; nothing where it has none."""
    found = _looked_up(panel, submission.project, (submission,))
    return found.stands(submission) if found.told.records[submission.id] else None


def standings(panel: Panel, project: str, submissions: Sequence[HandedIn]) -> Mapping[str, Stands]:
    """Return where audits of a project stand that have a record, by their ids.

    It takes as many questions for many as for one. An audit of which something is damaged is left
    out, so that the others are shown: ``standing`` raises for it.
    """
    known, found = _looked_up(panel, project, submissions), dict[str, Stands]()
    for item in submissions:
        if known.told.records[item.id]:
            with suppress(AuditorError):
                found[item.id] = known.stands(item)
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of audits: of those that people are asked about their policies and records, and
    who labelled cases of which record.
    """

    told: Gathered
    policies: Mapping[str, Policy]
    bodies: Mapping[str, Kept]
    labels: Mapping[str, Collection[str]]
    now: str

    def stands(self, item: HandedIn) -> Stands:
        """Return where an audit stands. Raises ``StoreError`` where something of it is damaged."""
        told, records = self.told, self.told.records[item.id]
        wrong, last = told.wrong(item.id), records[-1]
        if wrong.result is StepResult.FAILED or last.verdict != Verdict.PASS:
            return Stands(_by_itself(wrong, last), records, (wrong,))
        policy = self.policies.get(last.policy) or _policy(told.panel, last.policy)
        if not policy.approvals and not _any_answered(told, records):
            return Stands(Standing.PASSED, records, (wrong,))
        judged = Judged(item, read_kept(self.bodies[last.record]), policy, self.now)
        folder = as_kept(told.panel.kept.store.blobs, last.files)
        known = _said_to(told, judged, folder)
        asked = wanted(told, judged, self.labels.get(last.record, ()))
        step = approved(judged.record, folder, known, asked)
        return Stands(_answered(known, step), records, (step, wrong))


def _looked_up(panel: Panel, project: str, submissions: Sequence[HandedIn]) -> _Known:
    told = gather(panel, project, [item.id for item in submissions])
    last = [found[-1] for found in told.records.values() if found]
    passed = [item for item in last if item.verdict == Verdict.PASS]
    policies = dict[str, Policy]()
    for name in {item.policy for item in passed}:
        with suppress(AuditorError):
            policies[name] = _policy(panel, name)
    asked = [
        item.record
        for item in passed
        if _any_answered(told, told.records[item.submission])
        or (item.policy in policies and policies[item.policy].approvals)
    ]
    bodies = panel.rejudged.records(project, asked) if asked else {}
    blind = any(policy.blind_labels for policy in policies.values())
    labels = _labels(panel, project, asked) if blind else {}
    return _Known(told, policies, bodies, labels, panel.clock())


def _any_answered(told: Gathered, records: Sequence[Rejudgement]) -> bool:
    return any(told.answered(item.record) for item in records)


def _by_itself(wrong: Step, last: Rejudgement) -> Standing:
    """Return the standing of an audit that does not pass, or that somebody found wrong."""
    if wrong.result is StepResult.FAILED or last.verdict == Verdict.FAIL:
        return Standing.FAILED
    return Standing.INCONCLUSIVE


def _labels(panel: Panel, project: str, records: Sequence[str]) -> Mapping[str, Collection[str]]:
    """Return the ids of those who labelled cases of records, by the record."""
    found: dict[str, set[str]] = {}
    for item in panel.people.all_labels(project, records):
        found.setdefault(item.record, set()).add(item.person)
    return found


def _policy(panel: Panel, named: str) -> Policy:
    return panel.policy(panel.kept.store.blobs.get(named), named)


def _answered(known: Known, step: Step) -> Standing:
    last = {item.identity: item.approval.answer for item in known.said}
    if step.result is StepResult.FAILED:
        refused = bool(known.before) or Answer.NO in last.values()
        return Standing.REFUSED if refused else Standing.AWAITING
    return Standing.APPROVED if last else Standing.PASSED
