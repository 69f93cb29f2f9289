"""Runs the checks of submitted audits for the job engine, and keeps prepared audits open."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from auditor.domain.artifacts import FileDigest
from auditor.domain.audit_checkpoint import AuditCheckpoint
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.digests import Digest
from auditor.domain.json import Json, digest_json, encode_canonical
from auditor.domain.observed_checks import Result
from auditor.domain.policies import AssuranceLevel
from auditor.domain.requests import JUDGED, ServiceAdditions
from auditor.domain.targets import TargetSpec
from auditor.errors import CancelledError, StoreError
from auditor.onnx.network_digest import network_digest
from auditor.service.domain.submissions import (
    ENDED,
    ShardKey,
    Submission,
    SubmissionEventKind,
    SubmissionState,
)
from auditor.service.jobs.conclude import ConclusionContext, conclude_submission
from auditor.service.jobs.prepare import prepare_job, refuse_changed_audit
from auditor.service.jobs.results import ShardResult, describe_check_end
from auditor.service.store.audit_attempts import AttemptStore, AttemptSubject
from auditor.service.store.submission_history import ServiceStore
from auditor.store.ledger_events import log_policy
from auditor.store.resume_cache import ResumeCache
from auditor.trust.signatures.keys import Signer
from auditor.workflows.audit import AuditEnvironment
from auditor.workflows.engine.local import observe_check
from auditor.workflows.prepare import PreparedAudit, Resolvers
from auditor.workflows.target_session import open_check_subject, read_target_fingerprint
from auditor.workflows.trust_acceptance import with_store_state
from auditor.workflows.wiring import build_service_resolvers
from auditor.workflows.workspace import Workspace

Open = Callable[[Submission, str], "AbstractContextManager[OpenSubject]"]


@dataclass(frozen=True, slots=True)
class OpenSubject:
    """An audit that is prepared, and its subject on one target."""

    prepared: PreparedAudit
    subject: Subject


class SubjectCache:
    """Opens sittings, and keeps the last ``most`` that are not in use for their next checks.

    Two checks at once, as on two targets, have a sitting each.
    """

    def __init__(self, opened: Open, most: int = 1) -> None:
        self._opened = opened
        self._most = most
        self._idle: dict[tuple[str, str], tuple[OpenSubject, ExitStack]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def at(self, submission: Submission, target: str) -> Iterator[OpenSubject]:
        """Sit down to a submission on one target; after an exception nobody sits there again."""
        with ExitStack() as stack:
            with self._lock:
                found = self._idle.pop((submission.id, target), None)
            if found is None:
                self._make_room()
                sitting = stack.enter_context(self._opened(submission, target))
            else:
                sitting, open_ = found
                stack.push(open_.pop_all())
            yield sitting
            leave_stack = stack.pop_all()
            self._make_room()
            with self._lock:
                self._idle[(submission.id, target)] = (sitting, leave_stack)

    def close(self, submission: str | None = None) -> None:
        """Close what is idle, of one submission or of all."""
        with self._lock:
            names = [name for name in self._idle if submission in {None, name[0]}]
        self._close(names)

    def _close(self, names: Sequence[tuple[str, str]]) -> None:
        with self._lock:
            found = [self._idle.pop(name, None) for name in names]
        for item in found:
            if item is not None:
                item[1].close()

    def _make_room(self) -> None:
        with self._lock:
            oldest = list(self._idle)[: max(0, len(self._idle) - self._most + 1)]
        self._close(oldest)


PACE = 2.0
"""Seconds between two words on how far a check is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorContext:
    """What served audits need of the world.

    ``readers`` takes a policy's document, and knows the service's targets; ``unfinished`` opens the
    memory of a submission; ``open_at_most`` models stay open between two checks; ``pace`` is a
    clock that never goes back, in seconds.
    """

    service: ServiceStore
    around: AuditEnvironment
    signer: Signer
    readers: Callable[[bytes], Resolvers]
    unfinished: Callable[[str], AuditCheckpoint]
    allow_recipes: bool = False
    open_at_most: int = 1
    pace: Callable[[], float] = time.monotonic


class AuditExecutor:
    """The work of a durable engine: every step may be called again, and gives nothing twice."""

    def __init__(self, commission: ExecutorContext) -> None:
        self._all = commission
        self._service = commission.service
        self._sittings = SubjectCache(self._sit, commission.open_at_most)

    @property
    def commission(self) -> ExecutorContext:
        """What it needs of the world."""
        return self._all

    def plan(self, submission: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Register what is asked, once, and return the targets and the checks on each, in order.

        There is nothing to do for a submission that has ended. Raises ``InvalidInputError`` for one
        that cannot be audited.
        """
        found = self._going(submission)
        if found is None:
            return ()
        with self._prepared(found) as prepared:
            # Keep what the record will rest on, register the request, and say that it runs
            store, at = self._service.store, self._all.around.clock()
            for raw in (encode_canonical(prepared.policy.document), *prepared.dossier.blobs):
                store.blobs.put(raw)
            odd = log_policy(store, prepared.policy, at, found.project)
            # What an audit tries: its network, and the contents of the data that judge it
            brought = prepared.materials
            judged = (it for role, it in brought.datasets.items() if role.value in JUDGED)
            data = frozenset(_contents(item.files) for item in judged)
            if brought.artifact is None:
                tried = AttemptSubject(data=data)
            else:
                path = brought.staged / brought.artifact.files[0].name
                tried = AttemptSubject(network_digest(path, brought.staged), data)
            new = AttemptStore(store).register(found, prepared.request, at, tried)
            if new and odd:
                self._service.append(found.id, SubmissionEventKind.NOTE, {"text": odd}, at)
            note_checks: list[Json] = [check.id for check in prepared.checks]
            detail: dict[str, Json] = {"targets": list(found.order.targets), "checks": note_checks}
            self._service.append(found.id, SubmissionState.RUNNING, detail, at)
            checks, targets = prepared.checks, prepared.request.targets
            bears = (prepared.allowance(it) for it in targets)
            return tuple(
                (bear.spec.name, tuple(it.id for it in bear.in_order(checks))) for bear in bears
            )

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target and keep it, unless it was kept before."""
        found = self._going(submission)
        key = ShardKey(submission=submission, target=target, check=check)
        if found is None or self._service.result(key) is not None:
            return
        try:
            with self._sittings.at(found, target) as sitting:
                self._observe(key, sitting)
            if self._service.seen(submission, target) == len(sitting.prepared.checks):
                self.close(submission)
        except CancelledError:
            if self._going(submission) is not None:
                raise

    def conclude(self, submission: str) -> None:
        """Judge what was seen, sign and enter the record, and keep the files of its folder."""
        self.close(submission)
        found = self._going(submission)
        if found is not None:
            judgement = ConclusionContext(
                service=self._service,
                around=self._all.around,
                signer=self._all.signer,
                readers=self._all.readers(self._blob(found.order.policy)),
            )
            conclude_submission(judgement, found)

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let a submission end without a record, unless it has ended."""
        self.close(submission)
        self._service.fail(submission, problem, cure, self._all.around.clock())

    def close(self, submission: str | None = None) -> None:
        """Let go of the models that are open between two checks."""
        self._sittings.close(submission)

    def _going(self, name: str) -> Submission | None:
        """Return a submission, or ``None`` where it has ended."""
        found = self._service.submission(None, name)
        if found is None:
            raise StoreError(f"there is no submission {name}", cure="Submit it first.")
        return None if self._service.state(name) in ENDED else found

    def _blob(self, digest: str) -> bytes:
        return self._service.store.blobs.get(digest)

    def _prepared(
        self, submission: Submission, turn: ServiceAdditions | None = None
    ) -> AbstractContextManager[PreparedAudit]:
        return prepare_job(
            submission,
            self._all.readers,
            self._blob,
            self._service.store.blobs.path,
            allow_recipes=self._all.allow_recipes,
            turn=turn,
        )

    @contextmanager
    def _sit(self, submission: Submission, target: str) -> Iterator[OpenSubject]:
        registered = self._service.registered(submission.id)
        with self._prepared(submission, registered.request.turn) as given:
            refuse_changed_audit(submission, registered.request.digest, given)
            prepared = with_store_state(
                given, self._service.store, registered.at, submission.project
            )
            spec = next(it for it in prepared.request.targets if it.name == target)
            memory = self._all.unfinished(submission.id)
            with open_check_subject(prepared, spec, self._all.around.openers, memory) as subject:
                yield OpenSubject(prepared, subject)

    def _observe(self, key: ShardKey, sitting: OpenSubject) -> None:
        around, prepared = self._all.around, sitting.prepared
        check = next(it for it in prepared.checks if it.id == key.check)
        watch = _CheckProgressReporter(key, self._service, around.clock, self._all.pace)
        allowance = prepared.allowance(sitting.subject.target)
        result = observe_check(check, sitting.subject, around.keep, watch, allowance)
        seen = ShardResult(
            result, read_target_fingerprint(sitting.subject), str(around.tool["code"])
        )
        said = key.said | describe_check_end(result)
        self._service.put_result(key, seen.emit(), around.clock(), said)


def _contents(files: Sequence[FileDigest]) -> str:
    """Return one digest of files, whatever they are called; that of its bytes for a single one."""
    found: list[Json] = [Digest.of_hex(item) for item in sorted({it.sha256 for it in files})]
    return str(found[0]) if len(found) == 1 else digest_json(found)


@dataclass(slots=True)
class _CheckProgressReporter:
    """Tells the submission's history how far a check is, and stops it where that has ended."""

    key: ShardKey
    service: ServiceStore
    clock: Callable[[], str]
    pace: Callable[[], float]
    last: float = field(default=-PACE)

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins. Raises ``CancelledError`` where it is to stop."""
        del target, check
        self._tell(SubmissionEventKind.CHECK_STARTED, {})

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far it is, now and then. Raises ``CancelledError`` where it is to stop."""
        now = self.pace()
        if now - self.last < PACE:
            return
        self.last = now
        self._tell(SubmissionEventKind.PROGRESS, {"done": done, "total": total, "note": note})

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say nothing: the event goes with the result, so that both are kept or neither."""

    def _tell(self, kind: SubmissionEventKind, detail: Mapping[str, Json]) -> None:
        told = self.key.said | dict(detail)
        if self.service.tell(self.key.submission, kind, told, self.clock()) in ENDED:
            raise CancelledError("the submission was cancelled", cure="Submit it again.")


def build_executor(
    place: Workspace,
    targets: Mapping[str, TargetSpec],
    *,
    allow_recipes: bool = False,
    open_at_most: int = 1,
) -> AuditExecutor:
    """Return the work of an engine for audits that others submit, on the service's targets.

    ``open_at_most`` models stay open between two checks: as many as the engine sees at once.
    """
    return AuditExecutor(
        ExecutorContext(
            service=ServiceStore(place.store),
            around=replace(place.surroundings(), assurance=AssuranceLevel.A1),
            signer=place.signer,
            readers=build_service_resolvers(targets),
            unfinished=lambda name: ResumeCache(place.settings.unfinished / name),
            allow_recipes=allow_recipes,
            open_at_most=open_at_most,
        )
    )
