"""The worker that a service starts beside itself: its order, its keys, and its deaths.

The process that answers keeps the keys, and signs what its worker asks for over a socket pair.
"""

import logging
import socket
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor._resources import code_digest
from auditor.domain.json import Json, JsonPart, encode_canonical, parse_json, write_fields
from auditor.domain.targets import TargetSpec
from auditor.errors import EngineError, LedgerError, RecordError
from auditor.service.domain.leases import LeaseTerms
from auditor.service.jobs.job_steps import DEATHS, StepFailure, attempt_step
from auditor.service.server.options import ServiceOptions
from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.ledger.notes import LogCheckpoint
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import Workspace

GOODBYE = 2.0
"""Seconds that a worker has to put away what it holds, beyond those for its steps."""
PAUSE = 5.0
"""Seconds after which a worker that did not start is tried again."""
LOG = logging.getLogger("auditor.worker")
COMMAND = (sys.executable, "-P", "-m", "auditor.service.server.worker_main")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """All that a service's worker is told: by which ``code`` the service runs, where it keeps what
    it keeps, which targets there are, for which of them it ``works`` and which are left to agents,
    and the public keys of its reports and of its ledger, if that is signed. No private key is in
    it.

    ``suspects`` are steps that were in hand when a worker died, with how often it died over them
    alone.
    """

    code: str
    home: str
    database: str
    blobs_url: str | None
    blobs_cache: int
    targets: Mapping[str, TargetSpec]
    works: tuple[str, ...]
    agents: tuple[str, ...]
    terms: LeaseTerms
    recipes: bool
    drain: int
    report: str
    ledger: str | None
    suspects: Mapping[str, int] = field(default_factory=dict)

    to_json = write_fields

    @classmethod
    def of(
        cls, place: Workspace, choices: ServiceOptions, works: tuple[str, ...], drain: int
    ) -> "WorkerOrder":
        """Return the order for the work of a service at a workplace."""
        settings, signer = place.settings, place.store.signer
        return cls(
            code=code_digest(),
            home=str(settings.home),
            database=settings.database,
            blobs_url=settings.blobs_url,
            blobs_cache=settings.blobs_cache,
            targets=choices.targets,
            works=works,
            agents=choices.agents,
            terms=choices.terms,
            recipes=choices.recipes,
            drain=drain,
            report=place.signer.public_pem().decode(),
            ledger=None if signer is None else str(signer.key),
        )

    @property
    def settings(self) -> AuditorSettings:
        """Where the service keeps what it keeps."""
        return AuditorSettings(
            Path(self.home),
            self.database,
            blobs_url=self.blobs_url,
            blobs_cache=self.blobs_cache,
        )

    def refuse_other_code(self) -> None:
        """Raise ``EngineError`` where other code than that of whoever reads it gave the order.

        It may mean other things by it, and need other tables.
        """
        if self.code != code_digest():
            raise EngineError(
                "auditor was changed on disk since the service started", cure="Restart the service."
            )


def sign_for_role(place: Workspace, role: str, text: str) -> str:
    """Sign, with the key of a role, what that role signs; both go as base64.

    That is an in-toto statement for ``report``, and a checkpoint of this very log for ``ledger``.
    Raises ``EngineError`` for anything else.
    """
    raw, ledger = b64decode(text, validate=True), place.store.signer
    if role == "report" and _is_statement(raw):
        return b64encode(place.signer.sign(raw)).decode()
    if role == "ledger" and ledger is not None and _is_checkpoint(raw, ledger.key.name):
        return b64encode(ledger.sign(raw)).decode()
    raise EngineError(f"there is no {role[:40]} key that signs this", cure="Report this line.")


def _is_statement(raw: bytes) -> bool:
    _, _, rest = raw.partition(f" {IN_TOTO} ".encode())
    return raw == pae(IN_TOTO, rest.partition(b" ")[2])


def _is_checkpoint(raw: bytes, origin: str) -> bool:
    try:
        found = LogCheckpoint.parse(raw.decode())
    except (LedgerError, UnicodeDecodeError):
        return False
    return found.origin == origin and found.text().encode() == raw


class WorkerProcess:
    """The worker of a service, started anew whenever it dies.

    To prepare an audit, and to conclude one, takes a second of pure Python: in this process every
    call would wait meanwhile. What a worker had in hand when it died, the next one does again.
    """

    def __init__(
        self,
        place: Workspace,
        order: WorkerOrder,
        *,
        command: Sequence[str] = COMMAND,
        pause: float = PAUSE,
    ) -> None:
        self._place, self._order = place, order
        self._command, self._pause = command, pause
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._ready, self._over = threading.Event(), threading.Event()
        self._refusal: StepFailure | None = None
        self._in_hand: set[str] = set()
        self._suspects: dict[str, int] = {}
        self._keeper = threading.Thread(target=self._keep, name="auditor-worker", daemon=True)

    @property
    def pid(self) -> int | None:
        """Number of the process that does the work now, if there is one."""
        return None if self._process is None else self._process.pid

    def launch(self) -> None:
        """Start the worker, which takes seconds to come to work."""
        self._keeper.start()

    def await_work(self) -> None:
        """Wait until the worker works. Raises ``EngineError`` where it does not."""
        self._ready.wait()
        if self._refusal is not None:
            raise EngineError(self._refusal.problem, cure=self._refusal.cure)

    def stop(self) -> None:
        """Let the worker end its steps in hand within the time it was given, and end it."""
        with self._lock:
            self._over.set()
            process = self._process
        if process is not None:
            if self._ready.is_set():
                self._send({"stop": True})
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self._order.drain + GOODBYE)
            process.kill()
        if self._keeper.ident is not None:
            self._keeper.join()

    def _keep(self) -> None:
        """Have a worker as long as the service lasts."""
        failures = 0
        while not self._over.is_set():
            worked = False
            try:
                with self._started() as (process, line):
                    worked = self._attend(line)
                    process.kill()
                    ended = process.wait()
            except (OSError, RuntimeError) as error:  # no memory, no descriptor, no thread
                LOG.warning("the worker cannot be started: %s", error)
            except (ValueError, RecordError) as error:
                LOG.warning("the worker sent an invalid message: %s", error)
            else:
                if not self._over.is_set():
                    LOG.warning("the worker ended with %s", ended)
            # What was in hand when a worker died may be what killed it.
            alone = len(self._in_hand) == 1
            for step in self._in_hand:
                self._suspects[step] = self._suspects.get(step, 0) + alone
            self._in_hand.clear()
            failures = 0 if worked else failures + 1
            if self._refusal is None and failures >= DEATHS:
                problem = f"{DEATHS} workers did not start or died at start"
                self._refusal = StepFailure(problem, "Read the log of the service.")
            if self._refusal is not None:
                self._ready.set()
            if not worked:
                self._over.wait(self._pause)

    @contextmanager
    def _started(self) -> Iterator[tuple["subprocess.Popen[bytes]", socket.socket]]:
        """Start a worker, and let go of it at the end of the block."""
        ours, theirs = socket.socketpair()
        with ExitStack() as stack:
            stack.enter_context(ours)
            with theirs:
                number = theirs.fileno()
                process = subprocess.Popen(  # noqa: S603 -- our own command
                    [*self._command, str(number)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(number,),
                    start_new_session=True,  # what is typed at a terminal goes to this one alone
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            with self._lock:
                self._process, self._line = process, ours
                stack.callback(self._forget)
                over = self._over.is_set()
            if over:
                raise OSError("the service is stopping")
            threading.Thread(target=_outlive, args=(process, ours), daemon=True).start()
            yield process, ours

    def _forget(self) -> None:
        with self._lock:
            self._process = self._line = None

    def _attend(self, line: socket.socket) -> bool:
        """Tell a worker what to do, sign what it asks for, and return whether it came to work."""
        worked = False
        self._send(replace(self._order, suspects=self._suspects).to_json())
        with suppress(OSError), line.makefile("rb") as lines:  # a line that breaks has ended too
            for raw in lines:
                said = JsonPart(parse_json(raw), "message")
                if "sign" in said.value:
                    self._send(self._signed(said))
                elif "begins" in said.value:
                    self._in_hand.add(said.get("begins", str))
                elif "ended" in said.value:
                    self._in_hand.discard(said.get("ended", str))
                    self._suspects.pop(said.get("ended", str), None)
                elif "failed" in said.value:
                    failed = said.part("failed")
                    problem, cure = failed.get("problem", str), failed.get("cure", str)
                    LOG.error("the worker failed: %s", problem)
                    if not self._ready.is_set():
                        self._refusal = StepFailure(problem, cure)
                else:
                    worked = True
                    self._ready.set()
        return worked

    def _signed(self, said: JsonPart) -> Mapping[str, Json]:
        given = attempt_step(
            sign_for_role, self._place, said.get("sign", str), said.get("raw", str)
        )
        if isinstance(given, StepFailure):
            return {"failed": {"problem": given.problem, "cure": given.cure}}
        return {"signature": given}

    def _send(self, said: Mapping[str, Json]) -> None:
        with self._lock, suppress(OSError):  # it may have died; then its line ends as well
            if self._line is not None:
                self._line.sendall(encode_canonical(said) + b"\n")


def _outlive(process: "subprocess.Popen[bytes]", line: socket.socket) -> None:
    """Wait for the end of a worker: its line may be held open by what it started."""
    process.wait()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
