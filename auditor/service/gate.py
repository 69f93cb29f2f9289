"""Deployment gate: decides from stored records whether a model version may be deployed.

The steps are those of ``auditor gate --record``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from auditor._time import parse_time
from auditor.domain.digests import is_digest
from auditor.domain.findings import Verdict
from auditor.domain.policies import Policy
from auditor.domain.record_scope import RecordScope, find_record_scope
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import AuditorError
from auditor.reports.waiver_text import select_exceptions
from auditor.service.approvals.people import ApprovalContext
from auditor.service.approvals.status import (
    RecordGate,
    RecordGateResult,
    list_decided_submissions,
    ran_on_same_machines,
)
from auditor.service.store.audit_queries import (
    NewestRecords,
    RecordQuery,
    RecordReference,
    find_artifacts_with_file,
    find_newest_records,
    list_audited_policies,
    list_audited_targets,
)
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.trends import concerns_target, find_target_verdict
from auditor.workflows.gate import GateQuestion
from auditor.workflows.verify.cache import VerificationCache
from auditor.workflows.verify.folder import RecordVerifier

ENDURES = "approved before"
AT_ONCE = 20
"""So many earlier records are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What a caller asks: which bytes, under which policy (a digest, or a pack's name), where."""

    project: str
    artifact: str
    policy: str
    target: str | None = None
    identity: str | None = None
    max_age: timedelta | None = None
    baseline: str | None = None


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether the gate opens, by which steps, and which record of which submission was asked.

    ``read`` is that record, where it could be read.
    """

    steps: tuple[VerificationStep, ...]
    policy: str
    asked: str
    record: str | None = None
    submission: str | None = None
    read: AuditRecord | None = None

    @property
    def open(self) -> bool:
        """Whether every step holds."""
        return self.record is not None and all_hold(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateService:
    """What a gate needs of a service: its records, its ledger, and what names mean there.

    ``verifier`` says what verifying by a public key (PEM) needs; ``people`` are those of every
    project who decide. One that is not ``whole`` verifies no folder, as ``RecordGate`` says.
    """

    kept: ServiceStore
    people: ApprovalContext
    pack: Callable[[str], Policy]
    policy: Callable[[bytes, str], Policy]
    verifier: Callable[[bytes], RecordVerifier]
    clock: Callable[[], str]
    verified: VerificationCache = field(default_factory=VerificationCache)
    whole: bool = True

    def ask(self, asking: GateRequest) -> GateDecision:
        """Ask the newest record that was asked for as much as the policy asks, on each target.

        An older one does not count beside it: what failed last is not excused by what passed
        before. One that people approved opens as long as every later one keeps all but the
        approvals. Raises ``PolicyError`` for a pack that there is not.
        """
        with self.kept.store.at_once():
            return self._asked(asking)

    def _asked(self, asking: GateRequest) -> GateDecision:
        now, named = self.clock(), asking.policy
        under = named if is_digest(named) else self.pack(named).digest
        blobs = self.kept.store.blobs
        policy = self.policy(blobs.get(under), named) if blobs.has(under) else None
        if policy is None:
            return _none_found(self.kept, asking, under, now)
        if asking.target is None:
            apart = self._apart(asking, policy)
            if len(apart) > 1:
                each = [replace(asking, target=name) for name in apart]
                return _on_each([
                    (it, self._asked_of(it, policy, now, apart[name]))
                    for name, it in zip(apart, each, strict=True)
                ])  # fmt: skip
        sought = RecordQuery(asking.project, asking.artifact, under, asking.target)
        return self._asked_of(
            asking, policy, now, find_newest_records(self.kept, sought, policy.least_budget)
        )

    def _apart(self, asking: GateRequest, policy: Policy) -> Mapping[str, NewestRecords]:
        """Return the newest records on each target that any whole record audited, by its name.

        One counts too whose newest ones are of less: what older ones found there is not forgotten.
        Where no record is whole, they are those of all. Of one target alone nothing is returned.
        """
        sought = RecordQuery(asking.project, asking.artifact, policy.digest)
        names = list_audited_targets(self.kept, sought)
        if len(names) < 2:  # noqa: PLR2004 -- it is asked as it is
            return {}
        least = policy.least_budget
        found = {
            it: find_newest_records(self.kept, replace(sought, target=it), least) for it in names
        }
        return {name: it for name, it in found.items() if it.any_whole()} or found

    def _asked_of(
        self, asking: GateRequest, policy: Policy, now: str, there: NewestRecords
    ) -> GateDecision:
        """Ask the newest record on a target, or the newest at all."""
        under, first = policy.digest, there.first()
        if first is None:
            return _none_found(self.kept, asking, under, now)
        question = GateQuestion(
            asking.artifact,
            policy,
            asking.target,
            asking.identity,
            asking.max_age,
            parse_time(now),
            asking.baseline,
        )
        looker = RecordGate(self.people, self.verifier, self.verified, self.whole)
        project = asking.project
        case = looker.case(project, first.submission)
        last = case.told.records[first.submission][-1]
        chosen = RecordReference(first.submission, last.record, last.files)
        looked = looker.look(case, chosen, question, now)
        if looked.lacks:
            names = [item.submission for item in there.ones()]
            looked = _approved_before(looker, project, looked, names, question, now) or looked
        found = looked.chosen
        return GateDecision(looked.steps, under, now, found.record, found.submission, looked.record)


def _approved_before(  # noqa: PLR0913, PLR0917 -- whose records, which, and what is asked of them
    looker: RecordGate,
    project: str,
    looked: RecordGateResult,
    names: Sequence[str],
    question: GateQuestion,
    now: str,
) -> RecordGateResult | None:
    """Return the record that people approved of those before one that keeps all but that.

    Nothing is returned where one between lacks more than that by now, where somebody said no, or
    where one was made on another machine: then the last one has to be approved itself.
    """
    for older in _looked_at(looker, project, names, question, now):
        holds = all_hold(older.steps)
        if not (holds or older.lacks) or looked.record is None or older.record is None:
            return None
        if not ran_on_same_machines(looked.record, older.record, question.target):
            return None
        if holds:
            said = f"{looked.chosen.record}, of {looked.chosen.submission}, is newer"
            step = VerificationStep(
                ENDURES, StepResult.HOLDS, f"{said}, also passes and was not rejected"
            )
            return replace(older, steps=(*older.steps, step))
    return None


def _looked_at(
    looker: RecordGate, project: str, names: Sequence[str], question: GateQuestion, now: str
) -> Iterator[RecordGateResult]:
    """Look at records before one, the newest first, as far as people spoke of any."""
    spoken = tuple(list_decided_submissions(looker.panel, project, names))
    for start in range(0, len(spoken), AT_ONCE):
        some = spoken[start : start + AT_ONCE]
        case = looker.case_of(project, some)
        yield from (looker.look(case, stands, question, now) for stands in some)


def _none_found(kept: ServiceStore, asking: GateRequest, under: str, now: str) -> GateDecision:
    """Answer that there is no record. One of a file's digest is told its artifact's, not guessed.

    Nothing is said of whether the policy is kept: another project may have brought it.
    """
    where = "" if asking.target is None else f" on {asking.target}"
    detail = f"no audit of {asking.artifact} under {under}{where} has ended with a record here; "
    of_file = find_artifacts_with_file(kept, asking.project, asking.artifact)
    detail += (
        "that is the digest of a file, and the artifact's, over the list of its files, is "
        + " or ".join(of_file)
        if of_file
        else "GET /v1/models names the artifacts and policies of those that have"
    )
    return GateDecision((VerificationStep("found", StepResult.FAILED, detail),), under, now)


def _on_each(answers: Sequence[tuple[GateRequest, GateDecision]]) -> GateDecision:
    """Fold the answers on several targets into one, which names the first that is shut."""
    steps = tuple(
        replace(step, name=f"{step.name} on {asking.target}")
        for asking, answer in answers
        for step in answer.steps
    )
    shut = [answer for _, answer in answers if not answer.open]
    return replace((shut or [answers[0][1]])[0], steps=steps)


Version = tuple[str, str]
"""An artifact, by its digest, and a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """What the gate says of a version under a policy on a target, and by which record.

    ``policy`` is a digest, and ``named`` what people call it; ``why`` names the steps that keep the
    gate shut, and ``by_exception`` whether the verdict is a pass by waivers. Lists verify no
    folder: a gate that is asked does.
    """

    target: str
    policy: str
    named: str
    open: bool
    why: str
    verdict: Verdict
    record: str
    audit: str
    version: str
    finished: str
    scope: RecordScope
    by_exception: bool


def list_gate_states(
    keeper: GateService, project: str, versions: Collection[Version]
) -> Mapping[Version, tuple[GateState, ...]]:
    """Return the states of versions under each policy by which a project has records of them.

    Those that were decided last come first. The gate itself is asked, about each.
    """
    if not versions:
        return {}
    lists = replace(keeper, whole=False)
    found: dict[Version, list[GateState]] = {}
    with keeper.kept.store.at_once():
        policies = list_audited_policies(keeper.kept, {artifact for artifact, _ in versions})
        for artifact, target in versions:
            for policy in policies.get(artifact, ()):
                asking = GateRequest(
                    project=project, artifact=artifact, policy=policy, target=target
                )
                found.setdefault((artifact, target), []).extend(_state(lists, asking))
    return {
        version: tuple(sorted(told, key=lambda it: it.finished, reverse=True))
        for version, told in found.items()
    }


def _state(keeper: GateService, asking: GateRequest) -> Iterator[GateState]:
    """Yield the state that is asked for, if there is a record of it that can be read."""
    try:
        answer = keeper.ask(asking)
    except AuditorError:
        return  # files that are lost open no gate, and say nothing
    target, record = str(asking.target), answer.read
    if answer.record is None or answer.submission is None or record is None:
        return
    verdict = find_target_verdict(record, target)
    there = [it for it in record.findings if concerns_target(record, it, target)]
    yield GateState(
        target=target,
        policy=asking.policy,
        named=f"{record.request.policy.name} {record.request.policy.version}",
        open=answer.open,
        why="; ".join(_shut(answer)),
        verdict=verdict,
        record=answer.record,
        audit=answer.submission,
        version=record.request.version,
        finished=record.finished,
        scope=find_record_scope(record, target),
        by_exception=bool(select_exceptions(verdict, there)),
    )


def _shut(answer: GateDecision) -> Iterator[str]:
    yield from (it.name for it in answer.steps if it.result is StepResult.FAILED)
