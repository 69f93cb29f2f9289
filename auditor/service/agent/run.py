"""Agent main loop: polls for leases, runs their checks, sends heartbeats, and uploads results."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Self

from auditor._resources import code_digest
from auditor.domain.checks import Check
from auditor.domain.evidence import Blob
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.targets import TargetSpec
from auditor.errors import (
    AuditorError,
    CancelledError,
    ServiceFailedError,
    ServiceRefusedError,
    ServiceUnreachableError,
    StateConflictError,
    UsageError,
)
from auditor.service.agent.assignment import AgentAssignment
from auditor.service.agent.client import AgentBlobCache, AgentClient
from auditor.service.auth.api_keys import TEXT
from auditor.service.client.http import HttpTransport
from auditor.service.domain.agents import LeaseProgress
from auditor.service.domain.submissions import Submission
from auditor.service.jobs.executor import OpenSubject, SubjectCache
from auditor.service.jobs.job_steps import StepFailure, attempt_step
from auditor.service.jobs.prepare import prepare_job, refuse_changed_audit
from auditor.service.jobs.results import ShardResult
from auditor.service.leases.result_signature import sign_shard
from auditor.service.server.options import refuse_unknown_target
from auditor.service.server.stop_signals import watch_stop_signals
from auditor.store.blobs import FolderBlobStore
from auditor.store.blobs_s3 import BlobCache
from auditor.store.resume_cache import ResumeCache
from auditor.targets.probe import probe_target
from auditor.targets.runtimes import runs_files
from auditor.trust.signatures.keys import Signer
from auditor.workflows.engine.local import observe_check
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.prepare import Resolvers
from auditor.workflows.target_session import open_check_subject, read_target_fingerprint
from auditor.workflows.trust_acceptance import apply_trust_state
from auditor.workflows.wiring import OPENERS, build_service_resolvers

PACE = 2.0
"""Seconds between two words on how far a check is."""


class LeaseHeartbeat:
    """Tells a service, in a thread and as long as the block lasts, that a lease is worked on.

    It is the watch of the check too, which it stops where there is no reason to go on.
    """

    def __init__(self, calls: AgentClient, assigned: AgentAssignment, pace: float = PACE) -> None:
        self._calls = calls
        self._lease = assigned.lease
        self._pace = min(pace, assigned.seconds / 4)
        self._silence = assigned.seconds / 3
        self._over = threading.Event()
        self._told: LeaseProgress | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._beat, name="auditor-beat", daemon=True)

    def __enter__(self) -> Self:
        """Begin to tell."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell no more."""
        self._over.set()
        self._thread.join()

    def started(self, target: str, check: Check) -> None:
        """Say nothing: the lease says that it begins."""

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far the check is. Raises ``CancelledError`` where it is to stop."""
        self._told = LeaseProgress(done, total, note)
        self.refuse_stopped()

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say nothing: the result does."""

    def refuse_stopped(self) -> None:
        """Raise ``CancelledError`` where there is no reason to go on."""
        if self._stopped:
            raise CancelledError("the service no longer needs it", cure="Take another lease.")

    def _beat(self) -> None:
        last, before = time.monotonic(), self._told
        while not self._over.wait(self._pace):
            told, now = self._told, time.monotonic()
            if told is before and now - last < self._silence:
                continue
            try:
                going = self._calls.progress(self._lease, None if told is before else told)
            except ServiceUnreachableError:
                continue  # the check goes on; what it sees may still come first
            except AuditorError:
                self._stopped = True
                return
            last, before, self._stopped = now, told, not going.go_on


GONE = frozenset({"not_found", "state_conflict"})
"""What a service says of a lease that is over, and of a result that comes too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResources:
    """What an agent works with. ``home`` is its own folder; ``beats`` is another line of calls."""

    calls: AgentClient
    beats: AgentClient
    signer: Signer
    readers: Callable[[bytes], Resolvers]
    openers: TargetFactory
    cache: AgentBlobCache
    home: Path
    code: str
    say: Callable[[Mapping[str, Json]], None]
    allow_recipes: bool = False


class LeaseExecutor:
    """Carries out leases, one at a time; a model stays open from one check to the next."""

    def __init__(self, bench: AgentResources) -> None:
        self._all = bench
        self._now: AgentAssignment | None = None
        self._sittings = SubjectCache(self._sit, 1)
        self._lock = threading.Lock()

    def carry_out(self, assigned: AgentAssignment) -> None:
        """Carry a lease out, or give it back; what it came to is said in a line of the log."""
        with self._lock, LeaseHeartbeat(self._all.beats, assigned) as beating:
            self._now = assigned
            failed = attempt_step(self._done, assigned, beating)
            said = "done"
            if isinstance(failed, StepFailure):
                said = "given back"
                self._give_back(assigned, failed)
            elif failed:
                said = failed
        told = assigned.key.said | {"submission": assigned.key.submission, "lease": assigned.lease}
        self._all.say({"event": "shard", **told, "came_to": said})

    def close(self) -> None:
        """Let go of the model that is open between two checks."""
        self._sittings.close()

    def _done(self, assigned: AgentAssignment, beating: LeaseHeartbeat) -> str:
        """Do all of it, and return why it was for nothing where it was."""
        evidence = FolderBlobStore(self._all.home / "evidence")
        try:
            key = assigned.key
            with self._sittings.at(assigned.submission, key.target) as sitting:
                beating.refuse_stopped()
                prepared, subject = sitting.prepared, sitting.subject
                check = next(it for it in prepared.checks if it.id == key.check)
                keep = partial(_keep, evidence)
                allowance = prepared.allowance(subject.target)
                result = observe_check(check, subject, keep, beating, allowance)
                shard = ShardResult(result, read_target_fingerprint(subject), self._all.code)
            seen = shard.result
            for name in (
                tuple(seen.observation.evidence.values()) if isinstance(seen, ObservedCheck) else ()
            ):
                self._all.calls.evidence(name, evidence.path(name))
            raw = shard.emit()
            bundle = sign_shard(
                raw, assigned.lease, assigned.key, self._all.calls.agent, self._all.signer
            )
            self._all.calls.result(assigned.lease, raw, bundle)
        except CancelledError as error:
            return error.problem
        except ServiceRefusedError as error:
            if error.kind in GONE:
                return error.problem
            raise
        finally:
            rmtree(evidence.root, ignore_errors=True)
        return ""

    @contextmanager
    def _sit(self, submission: Submission, target: str) -> Iterator[OpenSubject]:
        assigned, bench = self._now, self._all
        if assigned is None:
            raise RuntimeError("a lease is taken before anybody sits down to it")
        blob = partial(bench.cache.get, fetch=bench.calls.blob)
        find = partial(bench.cache.find, fetch=bench.calls.blob)
        allowed = bench.allow_recipes
        asked = prepare_job(
            submission, bench.readers, blob, find, allow_recipes=allowed, turn=assigned.turn
        )
        with asked as given:
            refuse_changed_audit(submission, assigned.request, given)
            prepared = apply_trust_state(given, assigned.known, assigned.registered)
            spec = next(it for it in prepared.request.targets if it.name == target)
            with open_check_subject(
                prepared, spec, bench.openers, self._memory(submission)
            ) as subject:
                yield OpenSubject(prepared, subject)

    def _memory(self, submission: Submission) -> ResumeCache:
        """Return what was seen of a submission before the agent died, and forget all others."""
        root = self._all.home / "unfinished"
        own = f"{submission.id}-{self._all.code[-16:]}"
        for other in root.iterdir() if root.is_dir() else ():
            if other.name != own:
                rmtree(other, ignore_errors=True)
        return ResumeCache(root / own)

    def _give_back(self, assigned: AgentAssignment, failed: StepFailure) -> None:
        self._all.say({"event": "failed", "lease": assigned.lease, "problem": failed.problem})
        try:
            self._all.calls.failed(assigned.lease, failed.problem, failed.cure)
        except AuditorError as error:
            self._all.say({"event": "failed", "lease": assigned.lease, "problem": error.problem})


def _keep(evidence: FolderBlobStore, blob: Blob) -> None:
    evidence.put(blob.raw)


WAIT = 15
"""Seconds that a service is asked to wait for something to do."""
AGAIN = 5.0
"""Seconds after which a service is asked again that failed at an answer."""
SILENT, BEAT = 30.0, 5.0
"""Seconds until a line is given up on which nothing comes, in all calls and in signs of life."""
FOREVER = float("inf")
Say = Callable[[Mapping[str, Json]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Where an agent works: for whom, for which targets, and what it may keep on its disk.

    ``key`` is the API key that it calls with; ``cache`` is in bytes; ``drain`` is how many seconds
    a check in hand has at the end.
    """

    url: str
    key: str
    ca: Path | None
    targets: tuple[str, ...]
    known: Mapping[str, TargetSpec]
    home: Path
    cache: int
    drain: int
    allow_recipes: bool = False

    @property
    def agent(self) -> str:
        """The agent's id, which its key names. Raises ``UsageError``."""
        match = TEXT.fullmatch(self.key)
        if match is None:
            raise UsageError(
                "AUDITOR_API_KEY is not the API key of an agent",
                cure="Set it to the API key that POST /v1/agents returned for this agent.",
            )
        return match[1]


def run_agent(post: AgentConfig, signer: Signer, say: Say) -> None:
    """Work for a service until SIGTERM or SIGINT, then let the check in hand come to its end.

    A service that goes away is waited for, however long; one that was never reached is not. Raises
    ``TargetError`` for a target that is not known or cannot be used here,
    ``ServiceUnreachableError``, and ``ServiceRefusedError`` where the service does not know the
    agent, or runs another version.
    """
    refuse_unknown_target(post.known, post.targets)
    with watch_stop_signals() as stop:
        loop = _LeaseLoop(post, signer, say, stop)
        loop.greet()
        say({"event": "working", "targets": list(post.targets), "agent": post.agent})
        loop.last(post.drain)
    say({"event": "stopped"})


class _LeaseLoop:
    """Asks for leases and carries them out, in a thread of its own."""

    def __init__(self, post: AgentConfig, signer: Signer, say: Say, stop: threading.Event) -> None:
        self._post = post
        self._stop = stop
        self._say = say
        self._asks = AgentClient(_line(post, SILENT, self._paused), post.agent)
        self._code = code_digest()
        self._worker = LeaseExecutor(
            AgentResources(
                calls=AgentClient(_line(post, SILENT, time.sleep, met=True), post.agent),
                beats=AgentClient(_line(post, BEAT, time.sleep, met=True), post.agent),
                signer=signer,
                readers=build_service_resolvers(post.known),
                openers=OPENERS,
                cache=AgentBlobCache(BlobCache(FolderBlobStore(post.home / "blobs"), post.cache)),
                home=post.home,
                code=self._code,
                say=say,
                allow_recipes=post.allow_recipes,
            )
        )
        self._busy = False
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="auditor-agent", daemon=True)

    def greet(self) -> None:
        """Say what the agent is, and what its targets turn out to be."""
        probes = {}
        for name in self._post.targets:
            # What a target that runs files turned out to be; of a served one nothing
            spec = self._post.known[name]
            runs = runs_files(spec.runtime) and not spec.brings_model
            probes[name] = dict(probe_target(spec)) if runs else None
        self._asks.hello(self._code, self._post.targets, probes)

    def last(self, drain: int) -> None:
        """Work until told to stop; a check in hand has so many seconds then."""
        self._thread.start()
        ends = FOREVER
        while self._thread.is_alive() and time.monotonic() < ends:
            self._thread.join(0.2)
            if self._stop.is_set() and ends == FOREVER:
                ends = time.monotonic() + (drain if self._busy else 0)
        if self._failed is not None:
            raise self._failed
        if not self._busy:
            self._worker.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._once()
        except CancelledError:
            pass  # told to stop while it waited for the service
        except Exception as error:  # noqa: BLE001 -- raised again where the thread is waited for
            self._failed = error

    def _once(self) -> None:
        try:
            assigned = self._asks.lease(self._code, WAIT)
        except ServiceFailedError as error:
            self._say({"event": "fault", "problem": error.problem})
            self._paused(AGAIN)
            return
        if assigned is None:
            self._worker.close()
            return
        self._busy = True
        if assigned.code != self._code:
            problem = f"the agent runs code {self._code}, but the lease requires {assigned.code}"
            cure = "Install the version of auditor that the service runs."
            self._asks.failed(assigned.lease, problem, cure)
            raise StateConflictError(problem, cure=cure)
        self._worker.carry_out(assigned)
        self._busy = False

    def _paused(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise CancelledError("stopped", cure="Start it again.")


def _line(
    post: AgentConfig, silent: float, pause: Callable[[float], None], *, met: bool = False
) -> HttpTransport:
    return HttpTransport(
        post.url, post.key, seconds=FOREVER, ca=post.ca, silent=silent, met=met, pause=pause
    )
