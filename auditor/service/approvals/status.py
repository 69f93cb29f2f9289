"""Approval status of records and audits, and the gate checks of one stored record.

An approval covers one record and stays valid until it expires or until an audit of the same bytes
does not pass. A later record of the same artifact, policy and target that keeps every rule does not
invalidate it.

The submitter chooses the baseline of an audit. A rejected baseline would let through a model that
is no better, and so would the model's own record or another record by the same submitter. So the
baseline is checked every time the status is read.

The attempt number and seed in a record are compared with those that the service counted and drew.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.baselines import (
    list_regressed_rules,
    list_rules_kept_by_baseline,
    refuse_same_artifact,
)
from auditor.domain.findings import Verdict
from auditor.domain.json import compute_digest, digest_json
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import AuditorError, RecordError, StoreError
from auditor.reports.folder import RECORD, SIGNER, RecordFolder
from auditor.reports.manifest import open_stored_folder
from auditor.service.approvals.people import (
    ApprovalContext,
    AuditSubmitter,
    ProjectPeople,
    explain_barred_keys,
    load_project_people,
    read_again,
    read_project_people,
    read_stored_record,
)
from auditor.service.domain.people import DecisionKind, RejudgedRecord
from auditor.service.domain.submissions import Submission
from auditor.service.store.audit_attempts import AttemptStore
from auditor.service.store.audit_queries import (
    RecordReference,
    SubmissionAttempt,
    find_submission_attempts,
)
from auditor.service.store.people import (
    CurrentRecord,
    ProjectRecord,
    RecordStatements,
    RejudgementStore,
    list_statements,
)
from auditor.store.key_audit import check_agent_keys, check_record_signer, check_report_key
from auditor.store.record_store import RecordStore
from auditor.targets.fingerprint import select_platform_facts
from auditor.trust.signatures.decisions import verify_finding
from auditor.workflows.approvals import (
    APPROVALS,
    ApprovalRequirement,
    RecordApprovals,
    check_approvals,
    check_waivers_in_force,
    collect_approvals,
)
from auditor.workflows.baseline import read_signed_record
from auditor.workflows.challenge_status import (
    check_challenges,
    list_challenges,
    refuse_challenged_record,
)
from auditor.workflows.gate import BASELINE, GateQuestion, check_baseline_identity, check_gate
from auditor.workflows.verify.cache import Marks, VerificationCache, read_file_marks
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.sealed_seed import DRAWN_HERE, check_sealed_seed

FINDINGS = "human findings"


@dataclass(frozen=True, slots=True)
class RecordDecisions:
    """The people of a project, the records of some of its audits by their ids, and what was said
    of those; ``approved`` are records of which the ledger here has approvals.
    """

    panel: ApprovalContext
    project: str
    company: ProjectPeople
    records: Mapping[str, tuple[RejudgedRecord, ...]]
    said: RecordStatements
    approved: frozenset[str]

    def approvals(self, record: AuditRecord, folder: RecordFolder) -> RecordApprovals:
        """Return the approvals of a record that are known here, but for those of other projects."""
        return list_known_approvals(self.panel.kept.store, self.said, record, folder)

    def wrong(self, submission: str) -> VerificationStep:
        """Ask whether somebody found something wrong with any record of an audit.

        To judge it again shakes nothing off, and neither does what the finder may sign by now.
        """
        names = {item.record for item in self.records[submission]}
        told = list_human_findings(self.said, names)
        if not told:
            return VerificationStep(
                FINDINGS, StepResult.NOT_PRESENT, "no person reported a problem"
            )
        return VerificationStep.of(FINDINGS, told, "")

    def answered(self, record: str) -> bool:
        """Whether anybody said yes or no to a record, here or on this very machine."""
        here = self.said.about(DecisionKind.APPROVAL, {record})
        return bool(here) or record in self.approved


def list_known_approvals(
    store: RecordStore, said: RecordStatements, record: AuditRecord, folder: RecordFolder
) -> RecordApprovals:
    """Return the approvals of a record that are known here, but for those of other projects."""
    known = collect_approvals(record, folder, store)
    own = tuple(item for item in known.said if compute_digest(item.bundle) not in said.elsewhere)
    return RecordApprovals(own, known.unreadable)


def list_human_findings(said: RecordStatements, records: Collection[str]) -> list[str]:
    """Return what people found wrong with any of some records, each finding in words."""
    told = []
    for item in said.about(DecisionKind.FINDING, records):
        try:
            told.append(str(verify_finding(item.bundle, item.key.encode(), item.digest)))
        except AuditorError as error:
            # What cannot be read any more was put there for a reason all the same.
            told.append(error.problem)
    return told


def load_record_decisions(
    panel: ApprovalContext, project: str, submissions: Sequence[str]
) -> RecordDecisions:
    """Read what decides how audits of a project stand, by as many questions for many as for one."""
    records = panel.rejudged.of_each(submissions)
    names = {item.record for found in records.values() for item in found}
    with panel.kept.store.looking() as work:
        approved = frozenset(work.approvals_of(names))
    said = list_statements(panel.kept.store, project, names)
    return RecordDecisions(
        panel, project, load_project_people(panel, project), records, said, approved
    )


def list_decided_submissions(
    panel: ApprovalContext, project: str, submissions: Sequence[str]
) -> Iterator[CurrentRecord]:
    """Yield where submissions stand, the newest first, down to the last that people spoke of.

    To speak of it is to approve or to reject it. It ends at one that does not pass: what was said
    before that was said of something else. The first submission is not looked at.
    """
    later = panel.rejudged.stand(submissions)[1:]
    stands = tuple(takewhile(lambda item: item.verdict == Verdict.PASS.value, later))
    records = tuple(item.record for item in stands)
    here = list_statements(panel.kept.store, project, records).about(DecisionKind.APPROVAL, records)
    with panel.kept.store.looking() as work:
        kept = frozenset(work.approvals_of(records))
    said = frozenset(item.record for item in here if item.record is not None) | kept
    last = max((at for at, item in enumerate(stands, start=1) if item.record in said), default=0)
    yield from stands[:last]


def is_submission_rejected(told: RecordDecisions, submission: str, now: str) -> bool:
    """Whether anybody said no to any record of a submission: to judge again shakes nothing off.

    A no is taken back by a yes to the same record that is in force.
    """
    store, records = told.panel.kept.store, told.records[submission]
    return has_rejection(store, told.said, records, told.company.ended, now)


def has_rejection(
    store: RecordStore,
    said: RecordStatements,
    records: Iterable[RejudgedRecord],
    ended: Mapping[str, str],
    now: str,
) -> bool:
    """Whether somebody said no to any of some records, as ``is_submission_rejected``.

    ``ended`` are the keys (PEM) whose word is over.
    """
    return any(True for _ in list_rejections(store, said, records, ended, now))


def list_rejections(
    store: RecordStore,
    said: RecordStatements,
    records: Iterable[RejudgedRecord],
    ended: Mapping[str, str],
    now: str,
) -> Iterator[str]:
    """Yield every no to any of some records that stands, and what may be one: in words."""
    for item in records:
        folder = open_stored_folder(store.blobs, item.files)
        kept = ProjectRecord(item.submission, item.record, folder.read(RECORD), item.files)
        known = list_known_approvals(store, said, read_stored_record(kept), folder)
        yield from known.unreadable
        stands = dict[str, str]()
        for standing_item in known.said:
            if standing_item.approval.answer is ApprovalAnswer.NO:
                stands[standing_item.identity] = str(standing_item.approval)
            elif not standing_item.approval.lapse(now) and standing_item.key.decode() not in ended:
                stands.pop(standing_item.identity, None)
        yield from stands.values()


def ran_on_same_machines(one: AuditRecord, other: AuditRecord, target: str | None) -> bool:
    """Whether two records were made on the same machines, on a target or on each."""
    names = [spec.name for spec in one.request.targets] if target is None else [target]
    return all(_place(one, name) == _place(other, name) is not None for name in names)


def _place(record: AuditRecord, target: str) -> str | None:
    found = record.fingerprints.get(target)
    return None if found is None else digest_json(select_platform_facts(found.identity_facts))


class ApprovalStatus(StrEnum):
    """How a record stands: what its verdict says, and what people said to it."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    AWAITING = "awaiting approval"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditApprovalStatus:
    """Where an audit stands by the last of its records, and what people's steps say of it."""

    standing: ApprovalStatus
    records: tuple[RejudgedRecord, ...]
    steps: tuple[VerificationStep, ...]


@dataclass(frozen=True, slots=True)
class RecordReview:
    """A record of a submission, the policy that people decide under, and the time of asking."""

    submission: AuditSubmitter
    record: AuditRecord
    policy: Policy
    now: str


def check_people_decisions(
    told: RecordDecisions, judged: RecordReview, folder: RecordFolder
) -> Iterator[VerificationStep]:
    """Yield the steps of a gate that rest on people: waivers, approvals, and human findings.

    People are those of the submission's project alone.
    """
    record = judged.record
    yield check_waivers_in_force(
        record, folder, told.company.deciders(DecisionKind.WAIVER), judged.now
    )
    yield check_approvals(
        record, folder, _said_to(told, judged, folder), list_required_decisions(told, judged)
    )
    yield told.wrong(judged.submission.id)


def _said_to(told: RecordDecisions, judged: RecordReview, folder: RecordFolder) -> RecordApprovals:
    """Return what was said to a record. A no to one that was judged again into it stands."""
    here = judged.record.digest
    earlier = [
        item
        for item in told.records[judged.submission.id]
        if item.record != here and told.answered(item.record)
    ]
    store, ended = told.panel.kept.store, told.company.ended
    before = list_rejections(store, told.said, earlier, ended, judged.now)
    return replace(told.approvals(judged.record, folder), before=tuple(before))


def list_required_decisions(
    told: RecordDecisions, judged: RecordReview, labels: Collection[str] | None = None
) -> ApprovalRequirement:
    """Return what a policy asks of people before a record of a submission opens a gate.

    ``labels`` are those who labelled its cases, where that was asked before.
    """
    people, policy = told.company, judged.policy
    why = explain_barred_keys(
        told.panel, people, judged.submission, judged.record.digest, policy, labels
    )
    may = replace(people.deciders(DecisionKind.APPROVAL), barred=why)
    return ApprovalRequirement(policy.approvals, may, judged.now)


def list_record_digests(panel: ApprovalContext, submission: Submission) -> tuple[str, ...]:
    """Return the digests of the records of a submission, the first one first."""
    return tuple(item.record for item in panel.rejudged.of(submission.id))


def find_approval_status(
    panel: ApprovalContext, submission: AuditSubmitter
) -> AuditApprovalStatus | None:
    """Return where an audit stands by its last record; nothing where it has none."""
    found = _looked_up(panel, submission.project, (submission,))
    return found.stands(submission) if found.told.records[submission.id] else None


def find_approval_statuses(
    panel: ApprovalContext, project: str, submissions: Sequence[AuditSubmitter]
) -> Mapping[str, AuditApprovalStatus]:
    """Return where audits of a project stand that have a record, by their ids.

    It takes as many questions for many as for one. An audit of which something is damaged is left
    out, so that the others are shown: ``find_approval_status`` raises for it.
    """
    known, found = _looked_up(panel, project, submissions), dict[str, AuditApprovalStatus]()
    for item in submissions:
        if known.told.records[item.id]:
            with suppress(AuditorError):
                found[item.id] = known.stands(item)
    return found


@dataclass(frozen=True, slots=True)
class _ApprovalInputs:
    """What is known of audits: of those that people are asked about their policies and records, and
    who labelled cases of which record.
    """

    told: RecordDecisions
    policies: Mapping[str, Policy]
    bodies: Mapping[str, ProjectRecord]
    labels: Mapping[str, Collection[str]]
    now: str

    def stands(self, item: AuditSubmitter) -> AuditApprovalStatus:
        """Return where an audit stands. Raises ``StoreError`` where something of it is damaged."""
        told, records = self.told, self.told.records[item.id]
        wrong, last = told.wrong(item.id), records[-1]
        if wrong.result is StepResult.FAILED or last.verdict != Verdict.PASS:
            # The standing of an audit that does not pass, or that somebody found wrong
            if wrong.result is StepResult.FAILED or last.verdict == Verdict.FAIL:
                by_itself = ApprovalStatus.FAILED
            else:
                by_itself = ApprovalStatus.INCONCLUSIVE
            return AuditApprovalStatus(by_itself, records, (wrong,))
        policy = self.policies.get(last.policy) or _policy(told.panel, last.policy)
        if not policy.approvals and not _any_answered(told, records):
            return AuditApprovalStatus(ApprovalStatus.PASSED, records, (wrong,))
        judged = RecordReview(item, read_stored_record(self.bodies[last.record]), policy, self.now)
        folder = open_stored_folder(told.panel.kept.store.blobs, last.files)
        known = _said_to(told, judged, folder)
        asked = list_required_decisions(told, judged, self.labels.get(last.record, ()))
        step = check_approvals(judged.record, folder, known, asked)
        answered_last = {item.identity: item.approval.answer for item in known.said}
        if step.result is StepResult.FAILED:
            refused = bool(known.before) or ApprovalAnswer.NO in answered_last.values()
            answered = ApprovalStatus.REFUSED if refused else ApprovalStatus.AWAITING
        else:
            answered = ApprovalStatus.APPROVED if answered_last else ApprovalStatus.PASSED
        return AuditApprovalStatus(answered, records, (step, wrong))


def _looked_up(
    panel: ApprovalContext, project: str, submissions: Sequence[AuditSubmitter]
) -> _ApprovalInputs:
    told = load_record_decisions(panel, project, [item.id for item in submissions])
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
    if blind:
        labels: dict[str, set[str]] = {}
        for item in panel.people.all_labels(project, asked):
            labels.setdefault(item.record, set()).add(item.person)
    else:
        labels = {}
    return _ApprovalInputs(told, policies, bodies, labels, panel.clock())


def _any_answered(told: RecordDecisions, records: Sequence[RejudgedRecord]) -> bool:
    return any(told.answered(item.record) for item in records)


def _policy(panel: ApprovalContext, named: str) -> Policy:
    return panel.policy(panel.kept.store.blobs.get(named), named)


CURE = "List the records of each audit with GET /v1/audits, and choose one of an earlier version."
OWN = (
    "of the same requester. Review that record, and name it if you accept its limits "
    "(baseline=DIGEST, --baseline)"
)


def find_baseline_record(store: RecordStore, project: str, named: str, now: str) -> AuditRecord:
    """Return the record of a project under a digest, if others may be held against it by now.

    Raises ``RecordError`` for one that the project has not, that no report key of this service
    signed that still counts, that failed or fell behind its own baseline, that was challenged, or
    that a person refused or found something wrong with; ``StoreError`` where files are lost.
    """
    kept = RejudgementStore(store).record(project, named)
    with store.looking() as work:
        stored = None if kept is None else work.find_record_by_digest(named)
    if kept is None or stored is None:
        raise RecordError(f"the project has no record {named} to use as a baseline", cure=CURE)
    folder = open_stored_folder(store.blobs, kept.files)
    key = folder.read(SIGNER)
    record = read_signed_record(stored.body, stored.bundle, key, named)
    known, step = check_report_key(store, key), check_record_signer(store, record, key)
    if any(it.result is not StepResult.HOLDS for it in (known, step)):
        raise _unfit(
            record.digest, f"is not signed by a valid report key of this service: {step.detail}"
        )
    for agents in check_agent_keys(store, record):
        if agents.result is not StepResult.HOLDS:
            raise _unfit(record.digest, f"depends on results that do not count: {agents.detail}")
    if record.verdict is Verdict.FAIL:
        raise _unfit(named, "failed its own policy")
    for rule in list_regressed_rules(record):
        raise _unfit(named, f"failed {rule} against its own baseline")
    refuse_challenged_record(record, list_challenges(record, folder, store))
    # Refuse what a person objects to: to judge it again shakes nothing off
    records = RejudgementStore(store).of(kept.submission)
    names = {item.record for item in records}
    said = list_statements(store, project, names)
    for problem in list_human_findings(said, names):
        raise _unfit(kept.record, f"has a human finding against it: {problem}")
    if has_rejection(store, said, records, read_project_people(store, project).ended, now):
        raise _unfit(kept.record, "was rejected by a person")
    return record


def check_baseline(
    store: RecordStore, handed: Submission, record: AuditRecord, question: GateQuestion, now: str
) -> Iterator[VerificationStep]:
    """Ask whether the baseline of a record counts by now. Yields nothing where it has none.

    ``handed`` is what was handed in for the record. What its verdict rests on, no one caller
    makes and chooses alone: it is the one that the question names, or another caller's.
    """
    named, asked = record.request.baseline, question.baseline
    wrong = () if asked is None else tuple(check_baseline_identity(asked, named))
    if named is None or wrong:
        if wrong:
            yield VerificationStep.of(BASELINE, wrong, "")
        return
    try:
        baseline = find_baseline_record(store, handed.project, named, now)
        refuse_same_artifact(record.request.artifact, baseline)
        rules = list_rules_kept_by_baseline(question.asked_of(record))
        if asked is None and rules and _made_by(store, handed.project, named) == handed.submitter:
            raise RecordError(f"{', '.join(rules)} depends on the baseline {named}, {OWN}", cure="")
    except AuditorError as error:
        yield VerificationStep(BASELINE, StepResult.FAILED, error.problem)
    else:
        of = baseline.request
        yield VerificationStep(
            BASELINE, StepResult.HOLDS, f"compared with {of.name} {of.version} ({named})"
        )


def _made_by(store: RecordStore, project: str, named: str) -> str | None:
    """Return who handed in the audit that a record of a project is of."""
    kept = RejudgementStore(store).record(project, named)
    found = {} if kept is None else find_submission_attempts(store, project, (kept.submission,))
    return next((it.submission.submitter for it in found.values()), None)


def _unfit(named: str, why: str) -> RecordError:
    return RecordError(f"the baseline {named} {why}", cure=CURE)


def check_attempt_count(
    panel: ApprovalContext, project: str, number: int | None, record: AuditRecord
) -> Iterator[VerificationStep]:
    """Yield the steps that a record has to hold by what this service counted.

    ``number`` is the attempt of its submission, where that has one.
    """
    said, store = record.request.attempt, panel.kept.store
    counted = _attempt(panel, project, number, record)
    if said is not None and said.number != counted:
        mistake = (
            f"the record claims attempt {said.number}, but the service counted {counted or 'none'}"
        )
        yield VerificationStep("counted", StepResult.FAILED, mistake)
    own = None if store.signer is None else store.signer.key
    yield from (replace(step, name=DRAWN_HERE) for step in check_sealed_seed(record, own))


def _attempt(
    panel: ApprovalContext, project: str, number: int | None, record: AuditRecord
) -> int | None:
    """Return an attempt, or that of the submission whose evidence a record judges again."""
    while number is None and record.derived_from is not None:
        kept = panel.rejudged.record(project, record.derived_from)
        if kept is None:
            return None
        record, number = (
            read_stored_record(kept),
            AttemptStore(panel.kept.store).number(kept.submission),
        )
    return number


@dataclass(frozen=True, slots=True)
class GateCase:
    """What is kept of audits whose records are asked, read at once; ``places`` are the ledger's
    leaves of their records by id, where those were asked for.
    """

    told: RecordDecisions
    handed: Mapping[str, SubmissionAttempt]
    places: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RecordGateResult:
    """The steps of one record, which is read once it verifies, and whether approvals, which nobody
    refused, are all that it lacks.
    """

    steps: tuple[VerificationStep, ...]
    chosen: RecordReference | CurrentRecord
    record: AuditRecord | None = None
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class RecordGate:
    """Asks records of the projects of a service.

    ``verifier`` says what verifying by a public key (PEM) needs; what was verified stays known. One
    that does not verify ``whole`` folders takes them for what the service wrote: lists, which speak
    of many, do so, and whoever opens a gate does not.
    """

    panel: ApprovalContext
    verifier: Callable[[bytes], RecordVerifier]
    verified: VerificationCache = field(default_factory=VerificationCache)
    whole: bool = True

    def case(self, project: str, submission: str) -> GateCase:
        """Read what is kept of an audit."""
        told = load_record_decisions(self.panel, project, (submission,))
        return GateCase(
            told, find_submission_attempts(self.panel.kept.store, project, (submission,))
        )

    def case_of(self, project: str, stands: Sequence[CurrentRecord]) -> GateCase:
        """Read what is kept of audits, and where their last records lie, by a few questions."""
        names, store = [item.submission for item in stands], self.panel.kept.store
        told, handed = (
            load_record_decisions(self.panel, project, names),
            find_submission_attempts(store, project, names),
        )
        bodies = self.panel.rejudged.records(project, [item.record for item in stands])
        with store.ledger() as ledger:
            places = ledger.places([read_stored_record(kept).id for kept in bodies.values()])
        return GateCase(told, handed, places)

    def look(
        self,
        case: GateCase,
        chosen: RecordReference | CurrentRecord,
        question: GateQuestion,
        now: str,
    ) -> RecordGateResult:
        """Ask one record. Raises ``StoreError`` or ``RecordError`` for files that are not there."""
        folder = open_stored_folder(self.panel.kept.store.blobs, chosen.files)
        # Marked before anything is read: what is put there meanwhile has other marks.
        there = read_file_marks(
            map(folder.place, sorted(folder.places or ()) if self.whole else ())
        )
        raw, key = folder.read(RECORD), folder.read(SIGNER)
        signer = check_report_key(self.panel.kept.store, key)
        steps = (_same(raw, chosen), signer, *self._verified(folder, chosen, key, there))
        if not all_hold(steps[1:]):
            return RecordGateResult(steps, chosen)
        # To verify takes a while, in which somebody may have challenged it, or ended a key.
        self.panel.kept.store.look_again()
        record = read_again(raw)
        steps += tuple(self._counts(folder, chosen, record, case, question, now))
        if all_hold(steps) or not all_hold(it for it in steps if it.name != APPROVALS):
            return RecordGateResult(steps, chosen, record)
        refused = is_submission_rejected(case.told, chosen.submission, now)
        return RecordGateResult(steps, chosen, record, lacks=not refused)

    def _verified(
        self,
        folder: RecordFolder,
        chosen: RecordReference | CurrentRecord,
        key: bytes,
        there: Marks,
    ) -> tuple[VerificationStep, ...]:
        """Verify a folder, unless it was and no file of it changed on the disk since."""
        if not self.whole:
            return ()
        return self.verified.steps(
            str(chosen.files), key, there, lambda: verify_folder(folder, self.verifier(key))
        )

    def _counts(  # noqa: PLR0913, PLR0917 -- which record, what is known of it, and what is asked
        self,
        folder: RecordFolder,
        chosen: RecordReference | CurrentRecord,
        record: AuditRecord,
        case: GateCase,
        question: GateQuestion,
        now: str,
    ) -> Iterator[VerificationStep]:
        store, key, handed = self.panel.kept.store, folder.read(SIGNER), case.handed
        if chosen.submission not in handed:
            raise StoreError(f"{chosen.submission} is lost", cure="Restore the database.")
        submission, attempt = handed[chosen.submission]
        yield check_record_signer(store, record, key, case.places)
        yield from check_agent_keys(store, record)
        held = tuple(check_baseline(store, submission, record, question, now))
        yield from held
        counted = tuple(check_attempt_count(self.panel, case.told.project, attempt, record))
        yield from check_gate(record, question, (*counted, *held))
        yield from counted
        against = list_challenges(record, folder, store)
        yield check_challenges(record, against, key, strict=False)
        judged = RecordReview(submission, record, question.policy, now)
        yield from check_people_decisions(case.told, judged, folder)


def _same(raw: bytes, chosen: RecordReference | CurrentRecord) -> VerificationStep:
    same = compute_digest(raw) == chosen.record
    mistakes = [] if same else [f"the stored files are not those of {chosen.record}"]
    return VerificationStep.of("found", mistakes, f"{chosen.record}, of {chosen.submission}")
