"""Audits that a service carries out for others, a check at a time, in whichever process."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from auditor.accepting import inform
from auditor.audits import Surroundings
from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import Json, canonical, digest_json
from auditor.domain.checks import Check
from auditor.domain.memories import Memory
from auditor.domain.observed import Result
from auditor.domain.requests import JUDGED, Turn
from auditor.domain.submissions import ENDED, Said, ShardKey, State, Submission
from auditor.engines.affording import Allowance
from auditor.engines.local import observe_one
from auditor.errors import CancelledError, StoreError
from auditor.facing import fingerprint_of, opened
from auditor.noting import note_policy
from auditor.preparing import Prepared, Readers
from auditor.readying import readied, refuse_changed
from auditor.scanning.networks import network_digest
from auditor.served import Judgement, conclude_served
from auditor.shards import ShardResult, ended
from auditor.signatures.keys import Signer
from auditor.sittings import Sitting, Sittings
from auditor.store.service.attempts import Attempts, Tried
from auditor.store.service.store import ServiceStore

PACE = 2.0
"""Seconds between two words on how far a check is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What served audits need of the world.

    ``readers`` takes a policy's document, and knows the service's targets; ``unfinished`` opens the
    memory of a submission; ``open_at_most`` models stay open between two checks; ``pace`` is a
    clock that never goes back, in seconds.
    """

    service: ServiceStore
    around: Surroundings
    signer: Signer
    readers: Callable[[bytes], Readers]
    unfinished: Callable[[str], Memory]
    allow_recipes: bool = False
    open_at_most: int = 1
    pace: Callable[[], float] = time.monotonic


class Commissioned:
    """The work of a durable engine: every step may be called again, and gives nothing twice."""

    def __init__(self, commission: Commission) -> None:
        self._all = commission
        self._service = commission.service
        self._sittings = Sittings(self._sit, commission.open_at_most)

    @property
    def commission(self) -> Commission:
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
            self._note(found, prepared)
            checks, targets = prepared.checks, prepared.request.targets
            bears = (Allowance(it, prepared.size, prepared.request.budget) for it in targets)
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
            judgement = Judgement(
                service=self._service,
                around=self._all.around,
                signer=self._all.signer,
                readers=self._all.readers(self._blob(found.policy)),
            )
            conclude_served(judgement, found)

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
        self, submission: Submission, turn: Turn | None = None
    ) -> AbstractContextManager[Prepared]:
        return readied(
            submission,
            self._all.readers,
            self._blob,
            self._service.store.blobs.path,
            allow_recipes=self._all.allow_recipes,
            turn=turn,
        )

    def _note(self, submission: Submission, prepared: Prepared) -> None:
        """Keep what the record will rest on, register the request, and say that it runs."""
        store, at = self._service.store, self._all.around.clock()
        for raw in (canonical(prepared.policy.document), *prepared.dossier.blobs):
            store.blobs.put(raw)
        odd = note_policy(store, prepared.policy, at, submission.project)
        new = Attempts(store).register(submission, prepared.request, at, _tried(prepared))
        if new and odd:
            self._service.append(submission.id, Said.NOTE, {"text": odd}, at)
        checks: list[Json] = [check.id for check in prepared.checks]
        detail: dict[str, Json] = {"targets": list(submission.targets), "checks": checks}
        self._service.append(submission.id, State.RUNNING, detail, at)

    @contextmanager
    def _sit(self, submission: Submission, target: str) -> Iterator[Sitting]:
        registered = self._service.registered(submission.id)
        with self._prepared(submission, registered.request.turn) as given:
            refuse_changed(submission, registered.request.digest, given)
            prepared = inform(given, self._service.store, registered.at, submission.project)
            spec = next(it for it in prepared.request.targets if it.name == target)
            memory = self._all.unfinished(submission.id)
            with opened(prepared, spec, self._all.around.openers, memory) as subject:
                yield Sitting(prepared, subject)

    def _observe(self, key: ShardKey, sitting: Sitting) -> None:
        around, prepared = self._all.around, sitting.prepared
        check = next(it for it in prepared.checks if it.id == key.check)
        watch = _Telling(key, self._service, around.clock, self._all.pace)
        result = observe_one(check, sitting.subject, around.keep, watch, prepared.size)
        seen = ShardResult(result, fingerprint_of(sitting.subject), str(around.tool["code"]))
        said = key.said | ended(result)
        self._service.put_result(key, seen.emit(), around.clock(), said)


def _tried(prepared: Prepared) -> Tried:
    """Return what an audit tries: its network, and the contents of the data that judge it."""
    brought = prepared.materials
    judged = (it for role, it in brought.datasets.items() if role.value in JUDGED)
    data = frozenset(_contents(item.files) for item in judged)
    if brought.artifact is None:
        return Tried(data=data)
    path = brought.staged / brought.artifact.files[0].name
    return Tried(network_digest(path, brought.staged), data)


def _contents(files: Sequence[FileDigest]) -> str:
    """Return one digest of files, whatever they are called; that of its bytes for a single one."""
    found: list[Json] = [f"sha256:{item}" for item in sorted({it.sha256 for it in files})]
    return str(found[0]) if len(found) == 1 else digest_json(found)


@dataclass(slots=True)
class _Telling:
    """Tells the submission's history how far a check is, and stops it where that has ended."""

    key: ShardKey
    service: ServiceStore
    clock: Callable[[], str]
    pace: Callable[[], float]
    last: float = field(default=-PACE)

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins. Raises ``CancelledError`` where it is to stop."""
        del target, check
        self._tell(Said.CHECK_STARTED, {})

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far it is, now and then. Raises ``CancelledError`` where it is to stop."""
        now = self.pace()
        if now - self.last < PACE:
            return
        self.last = now
        self._tell(Said.PROGRESS, {"done": done, "total": total, "note": note})

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say nothing: the event goes with the result, so that both are kept or neither."""

    def _tell(self, kind: Said, detail: Mapping[str, Json]) -> None:
        told = self.key.said | dict(detail)
        if self.service.tell(self.key.submission, kind, told, self.clock()) in ENDED:
            raise CancelledError("the submission was cancelled", cure="Submit it again.")
