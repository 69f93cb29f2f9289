"""Carry out one lease: what it needs is fetched, the check is run, and what it saw handed in."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree

from auditor.accepting import reminded
from auditor.agent.assigned import Assigned
from auditor.agent.beating import Beating
from auditor.agent.caching import Fetched
from auditor.agent.calls import AgentCalls
from auditor.domain.canonical import Json
from auditor.domain.evidence import Blob
from auditor.domain.observed import Seen
from auditor.domain.submissions import Submission
from auditor.engines.durable.work import Failure, attempt
from auditor.engines.local import observe_one
from auditor.engines.openers import Openers
from auditor.errors import AuditorError, CancelledError
from auditor.facing import fingerprint_of, opened
from auditor.preparing import Readers
from auditor.readying import readied, refuse_changed
from auditor.refusals import RefusedError
from auditor.shards import ShardResult
from auditor.signatures.keys import Signer
from auditor.signing.leased import sign_shard
from auditor.sittings import Sitting, Sittings
from auditor.store.blobs import BlobStore
from auditor.store.unfinished import Unfinished

GONE = frozenset({"not_found", "state_conflict"})
"""What a service says of a lease that is over, and of a result that comes too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an agent works with. ``home`` is its own folder; ``beats`` is another line of calls."""

    calls: AgentCalls
    beats: AgentCalls
    signer: Signer
    readers: Callable[[bytes], Readers]
    openers: Openers
    cache: Fetched
    home: Path
    code: str
    say: Callable[[Mapping[str, Json]], None]
    allow_recipes: bool = False


class Worker:
    """Carries out leases, one at a time; a model stays open from one check to the next."""

    def __init__(self, bench: Bench) -> None:
        self._all = bench
        self._now: Assigned | None = None
        self._sittings = Sittings(self._sit, 1)
        self._lock = threading.Lock()

    def carry_out(self, assigned: Assigned) -> None:
        """Carry a lease out, or give it back; what it came to is said in a line of the log."""
        with self._lock, Beating(self._all.beats, assigned) as beating:
            self._now = assigned
            failed = attempt(self._done, assigned, beating)
            said = "done"
            if isinstance(failed, Failure):
                said = "given back"
                self._give_back(assigned, failed)
            elif failed:
                said = failed
        told = assigned.key.said | {"submission": assigned.key.submission, "lease": assigned.lease}
        self._all.say({"event": "shard", **told, "came_to": said})

    def close(self) -> None:
        """Let go of the model that is open between two checks."""
        self._sittings.close()

    def _done(self, assigned: Assigned, beating: Beating) -> str:
        """Do all of it, and return why it was for nothing where it was."""
        evidence = BlobStore(self._all.home / "evidence")
        try:
            shard = self._observed(assigned, beating, evidence)
            for name in _names(shard):
                self._all.calls.evidence(name, evidence.path(name))
            raw = shard.emit()
            bundle = sign_shard(
                raw, assigned.lease, assigned.key, self._all.calls.agent, self._all.signer
            )
            self._all.calls.result(assigned.lease, raw, bundle)
        except CancelledError as error:
            return error.problem
        except RefusedError as error:
            if error.kind in GONE:
                return error.problem
            raise
        finally:
            rmtree(evidence.root, ignore_errors=True)
        return ""

    def _observed(self, assigned: Assigned, beating: Beating, evidence: BlobStore) -> ShardResult:
        key = assigned.key
        with self._sittings.at(assigned.submission, key.target) as sitting:
            beating.refuse_stopped()
            prepared, subject = sitting.prepared, sitting.subject
            check = next(it for it in prepared.checks if it.id == key.check)
            keep = partial(_keep, evidence)
            result = observe_one(check, subject, keep, beating, prepared.size)
            return ShardResult(result, fingerprint_of(subject), self._all.code)

    @contextmanager
    def _sit(self, submission: Submission, target: str) -> Iterator[Sitting]:
        assigned, bench = self._now, self._all
        if assigned is None:
            raise RuntimeError("a lease is taken before anybody sits down to it")
        blob = partial(bench.cache.get, fetch=bench.calls.blob)
        find = partial(bench.cache.find, fetch=bench.calls.blob)
        allowed = bench.allow_recipes
        asked = readied(
            submission, bench.readers, blob, find, allow_recipes=allowed, turn=assigned.turn
        )
        with asked as given:
            refuse_changed(submission, assigned.request, given)
            prepared = reminded(given, assigned.known, assigned.registered)
            spec = next(it for it in prepared.request.targets if it.name == target)
            with opened(prepared, spec, bench.openers, self._memory(submission)) as subject:
                yield Sitting(prepared, subject)

    def _memory(self, submission: Submission) -> Unfinished:
        """Return what was seen of a submission before the agent died, and forget all others."""
        root = self._all.home / "unfinished"
        own = f"{submission.id}-{self._all.code[-16:]}"
        for other in root.iterdir() if root.is_dir() else ():
            if other.name != own:
                rmtree(other, ignore_errors=True)
        return Unfinished(root / own)

    def _give_back(self, assigned: Assigned, failed: Failure) -> None:
        self._all.say({"event": "failed", "lease": assigned.lease, "problem": failed.problem})
        try:
            self._all.calls.failed(assigned.lease, failed.problem, failed.cure)
        except AuditorError as error:
            self._all.say({"event": "failed", "lease": assigned.lease, "problem": error.problem})


def _keep(evidence: BlobStore, blob: Blob) -> None:
    evidence.put(blob.raw)


def _names(result: ShardResult) -> tuple[str, ...]:
    """Return the digests of a result's evidence."""
    seen = result.result
    return tuple(seen.observation.evidence.values()) if isinstance(seen, Seen) else ()
