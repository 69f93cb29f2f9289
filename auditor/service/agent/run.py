"""An agent that runs until it is told to stop: it asks for leases, and carries them out."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.agent.caching import Fetched
from auditor.agent.calls import AgentCalls
from auditor.agent.working import Bench, Worker
from auditor.callers import TEXT
from auditor.client.line import Line
from auditor.domain.canonical import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import CancelledError, UsageError
from auditor.refusals import ServiceFailedError, StandingError
from auditor.serving.choosing import refuse_unknown
from auditor.serving.stopping import told_to_stop
from auditor.shipped import code_digest
from auditor.signatures.keys import Signer
from auditor.store.blob_cache import BlobCache
from auditor.store.blobs import BlobStore
from auditor.targets.probing import ROLES, probe_target
from auditor.wiring import OPENERS, served_readers

WAIT = 15
"""Seconds that a service is asked to wait for something to do."""
AGAIN = 5.0
"""Seconds after which a service is asked again that failed at an answer."""
SILENT, BEAT = 30.0, 5.0
"""Seconds until a line is given up on which nothing comes, in all calls and in signs of life."""
FOREVER = float("inf")
Say = Callable[[Mapping[str, Json]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPost:
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
                "AUDITOR_API_KEY holds no key of an agent",
                cure="Set it to the key that came with the agent: POST /v1/agents.",
            )
        return match[1]


def run(post: AgentPost, signer: Signer, say: Say) -> None:
    """Work for a service until SIGTERM or SIGINT, then let the check in hand come to its end.

    A service that goes away is waited for, however long; one that was never reached is not. Raises
    ``TargetError`` for a target that is not known or cannot be used here, ``UnreachableError``,
    and ``RefusedError`` where the service does not know the agent, or runs another version.
    """
    refuse_unknown(post.known, post.targets)
    with told_to_stop() as stop:
        loop = _Loop(post, signer, say, stop)
        loop.greet()
        say({"event": "working", "targets": list(post.targets), "agent": post.agent})
        loop.last(post.drain)
    say({"event": "stopped"})


class _Loop:
    """Asks for leases and carries them out, in a thread of its own."""

    def __init__(self, post: AgentPost, signer: Signer, say: Say, stop: threading.Event) -> None:
        self._post = post
        self._stop = stop
        self._say = say
        self._asks = AgentCalls(_line(post, SILENT, self._paused), post.agent)
        self._code = code_digest()
        self._worker = Worker(_bench(post, signer, say, self._code))
        self._busy = False
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="auditor-agent", daemon=True)

    def greet(self) -> None:
        """Say what the agent is, and what its targets turn out to be."""
        probes = {name: _probe(self._post.known[name]) for name in self._post.targets}
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
            problem = f"the agent's code is {self._code}, and the lease wants {assigned.code}"
            cure = "Install the service's own version of auditor where the agent runs."
            self._asks.failed(assigned.lease, problem, cure)
            raise StandingError(problem, cure=cure)
        self._worker.carry_out(assigned)
        self._busy = False

    def _paused(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise CancelledError("told to stop", cure="Start it again.")


def _bench(post: AgentPost, signer: Signer, say: Say, code: str) -> Bench:
    return Bench(
        calls=AgentCalls(_line(post, SILENT, time.sleep, met=True), post.agent),
        beats=AgentCalls(_line(post, BEAT, time.sleep, met=True), post.agent),
        signer=signer,
        readers=served_readers(post.known),
        openers=OPENERS,
        cache=Fetched(BlobCache(BlobStore(post.home / "blobs"), post.cache)),
        home=post.home,
        code=code,
        say=say,
        allow_recipes=post.allow_recipes,
    )


def _line(
    post: AgentPost, silent: float, pause: Callable[[float], None], *, met: bool = False
) -> Line:
    return Line(
        post.url, post.key, seconds=FOREVER, ca=post.ca, silent=silent, met=met, pause=pause
    )


def _probe(spec: TargetSpec) -> Any:  # noqa: ANN401 -- JSON
    """Return what a target that runs files turned out to be; of a served one nothing."""
    return dict(probe_target(spec)) if spec.runtime in ROLES and not spec.endpoints else None
