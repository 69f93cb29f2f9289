"""Worker process of a service: configuration, signing requests, and RPC over a socket pair.

Both sides may have any number of calls in flight at once.
"""

import logging
import socket
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from auditor._resources import code_digest
from auditor._time import utc_now
from auditor.domain.json import Json, JsonPart, encode_canonical, parse_json
from auditor.domain.target_json import read_target
from auditor.domain.targets import TargetSpec
from auditor.errors import EngineError, LedgerError
from auditor.service.jobs.work import Plan, StepFailure, attempt_step, attempt_step_catching_all
from auditor.service.server.options import ServiceOptions
from auditor.service.store.submissions import ServiceStore
from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.ledger.notes import LogCheckpoint
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import Workspace

Answers = Mapping[str, Callable[..., Json]]
"""What the other process may ask for, by name."""


THREADS = 64
"""So many questions are answered at once; more wait."""


class PeerGoneError(Exception):
    """The other process is there no more; what it was asked may be asked of another."""


class RpcChannel:
    """A line between two processes: a line of JSON a question, and one an answer.

    A question is answered in one of some threads that stay. Nothing is read but JSON, and nothing
    is done but what ``answers`` names.
    """

    def __init__(self, line: socket.socket, answers: Answers) -> None:
        self._line = line
        self._answers = answers
        self._numbers = count()
        self._asked: dict[int, Future[JsonPart]] = {}
        self._gone = False
        # Two locks: who reads never waits for who sends, or both ends might wait for each other.
        self._lock, self._sending = threading.Lock(), threading.Lock()
        # Threads that stay: what one of them starts, such as a model's process, ends with it.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="auditor-answers")

    def ask(self, what: str, *args: str) -> Json:
        """Return what the other process gives for a question.

        Raises ``EngineError`` with its problem and cure where it could not do so, ``PeerGoneError``
        where it is there no more.
        """
        number, future = next(self._numbers), Future[JsonPart]()
        with self._lock:
            if self._gone:
                raise PeerGoneError
            self._asked[number] = future
        try:
            self._send(encode_canonical({"question": number, "what": what, "args": list(args)}))
        except BaseException:
            with self._lock:
                self._asked.pop(number, None)
            raise
        answer = future.result()
        if "failed" in answer.value:
            failed = answer.part("failed")
            raise EngineError(failed.get("problem", str), cure=failed.get("cure", str))
        return answer.value["value"]

    def attend(self) -> None:
        """Answer questions, and take answers in, until the other process is there no more."""
        try:
            # A line that breaks has ended too.
            with suppress(OSError), self._line.makefile("rb") as lines:
                for line in lines:
                    self._hear(JsonPart(parse_json(line), "message"))
        finally:
            self._end()

    def close(self) -> None:
        """End the line; whoever waits for an answer hears that the other process is gone."""
        with suppress(OSError):  # the other end may be faster
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _hear(self, said: JsonPart) -> None:
        if "question" in said.value:
            self._threads.submit(self._reply, said)
            return
        with self._lock:
            waiting = self._asked.pop(said.get("answer", int))
        waiting.set_result(said)

    def _reply(self, asked: JsonPart) -> None:
        """Answer, whatever comes of it: whoever asks waits until it hears something."""
        number = asked.get("question", int)
        given = attempt_step_catching_all(self._given, asked)
        told = _failed(given) if isinstance(given, StepFailure) else {"value": given}
        raw = attempt_step(encode_canonical, {"answer": number, **told})
        if isinstance(raw, StepFailure):
            unsaid = StepFailure(f"the answer cannot be written: {raw.problem}", raw.cure)
            raw = encode_canonical({"answer": number, **_failed(unsaid)})
        with suppress(PeerGoneError):  # then nobody is there to be told
            self._send(raw)

    def _given(self, asked: JsonPart) -> Json:
        return self._answers[asked.get("what", str)](*asked.texts("args"))

    def _send(self, raw: bytes) -> None:
        try:
            with self._sending:
                self._line.sendall(raw + b"\n")
        except OSError:
            raise PeerGoneError from None

    def _end(self) -> None:
        with self._lock:
            self._gone = True
            waiting, self._asked = list(self._asked.values()), {}
        for future in waiting:
            future.set_exception(PeerGoneError())


def _failed(failure: StepFailure) -> dict[str, Json]:
    return {"failed": {"problem": failure.problem, "cure": failure.cure}}


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """By which ``code`` a service runs, where it keeps what it keeps, its targets, whether recipes'
    code may run, how many models may stay open, and the public keys of its reports and of its
    ledger, if that is signed.
    """

    code: str
    settings: AuditorSettings
    targets: Mapping[str, TargetSpec]
    recipes: bool
    at_once: int
    report: str
    ledger: str | None

    @classmethod
    def of(cls, place: Workspace, choices: ServiceOptions, at_once: int) -> "WorkerConfig":
        """Return the orders for the work of a service at a workplace."""
        signer = place.store.signer
        return cls(
            code_digest(),
            place.settings,
            choices.targets,
            choices.recipes,
            at_once,
            place.signer.public_pem().decode(),
            None if signer is None else str(signer.key),
        )

    def to_json(self) -> dict[str, Json]:
        """Return the form that goes from one process to the other: no private key is in it."""
        settings = self.settings
        return {
            "code": self.code,
            "home": str(settings.home),
            "database": settings.database,
            "blobs_url": settings.blobs_url,
            "blobs_cache": settings.blobs_cache,
            "targets": {name: spec.to_json() for name, spec in self.targets.items()},
            "recipes": self.recipes,
            "at_once": self.at_once,
            "report": self.report,
            "ledger": self.ledger,
        }


def read_worker_config(part: JsonPart) -> WorkerConfig:
    """Read orders back. Raises ``RecordError`` for what are none.

    Raises ``EngineError`` where other code than that of whoever reads them gave them: it may mean
    other things by them, and need other tables.
    """
    code = part.get("code", str)
    if code != code_digest():
        raise EngineError(
            "auditor was changed on disk since the service started", cure="Restart the service."
        )
    targets = part.part("targets")
    settings = AuditorSettings(
        Path(part.get("home", str)),
        part.get("database", str),
        blobs_url=part.maybe("blobs_url", str),
        blobs_cache=part.get("blobs_cache", int),
    )
    return WorkerConfig(
        code,
        settings,
        {name: read_target(targets.part(name)) for name in targets.value},
        part.get("recipes", bool),
        part.get("at_once", int),
        part.get("report", str),
        part.maybe("ledger", str),
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


class SharedExclusiveLock:
    """Lets any number be about something at once, and now and then one alone.

    Whoever comes while one is alone, or waits to be, waits until none is and none does.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = 0

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait for a turn, and have it as long as the block lasts."""
        with self._changed:
            if alone:
                self._alone += 1
                self._changed.wait_for(lambda: self._inside == 0)
            else:
                self._changed.wait_for(lambda: self._alone == 0)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._alone -= alone
                self._changed.notify_all()


DEATHS = 3
"""How many processes may die over one step that was alone in them before it fails."""
GOODBYE = 2.0
"""Seconds that the process has to let go of what it holds, once it is told to end."""
PAUSE = 5.0
"""Seconds after which a process that could not be started is tried again."""
LOG = logging.getLogger("auditor.apart")
COMMAND = (sys.executable, "-P", "-m", "auditor.service.server.worker_main")


class WorkerProcessClient:
    """Work of which every step is done in one other process, started when the first one comes.

    To prepare an audit, and to conclude one, takes a second of pure Python: in this process every
    call would wait meanwhile. The keys stay here, and what is to be signed is asked for. A step
    that a process died over is done again by another, as any step may be: alone, so that none has
    to answer for what another one does.
    """

    def __init__(
        self,
        place: Workspace,
        choices: ServiceOptions,
        at_once: int,
        *,
        command: Sequence[str] = COMMAND,
        pause: float = PAUSE,
    ) -> None:
        self._place = place
        self._kept = ServiceStore(place.store)
        self._orders = WorkerConfig.of(place, choices, at_once)
        self._command, self._pause = command, pause
        self._turns = SharedExclusiveLock()
        self._changed = threading.Condition()
        self._over = False
        self._process: subprocess.Popen[bytes] | None = None
        self._exchange: RpcChannel | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process that does the work now, if one was needed by now."""
        return None if self._process is None else self._process.pid

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        planned = JsonPart({"on": self._ask("plan", submission)}, "plan")
        return planned.list_of("on", lambda it: (it.get("target", str), it.texts("checks")))

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target, and keep it."""
        self._ask("observe", submission, target, check)

    def conclude(self, submission: str) -> None:
        """Make of what was seen what the submission is to give."""
        self._ask("conclude", submission)

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let the submission end without, whether or not there is a process to do work.

        One that lives lets go of what it holds for it.
        """
        self._kept.fail(submission, problem, cure, utc_now())
        exchange = self._exchange
        if exchange is not None:
            with suppress(RuntimeError):  # there may be no thread to be had, and it is done
                _told(exchange, "leave", submission)

    def close(self) -> None:
        """Let the process put away what it holds, and end it.

        A step in hand, or one that comes later, waits for the end of this process: it was not done.
        """
        with self._changed:
            self._over = True
            process, exchange = self._process, self._exchange
            self._process = self._exchange = None
        if process is None or exchange is None:
            return
        _told(exchange, "close").join(GOODBYE)
        exchange.close()
        process.kill()
        process.wait()

    def _ask(self, step: str, *args: str) -> Json:
        deaths, alone = 0, False
        while deaths < DEATHS:
            with suppress(PeerGoneError), self._turns.turn(alone=alone):
                return self._tried(step, *args)
            deaths, alone = deaths + alone, True
        raise EngineError(
            f"{DEATHS} processes that should {step}, and nothing else, died or did not start",
            cure="See the service's log, and give its machine more memory.",
        )

    def _tried(self, step: str, *args: str) -> Json:
        """Ask the process that lives, or another one. Raises ``PeerGoneError`` where it died."""
        try:
            exchange = self._living()
        except (OSError, RuntimeError) as error:  # no memory, no descriptor, no thread
            LOG.warning("the process that should %s cannot be started: %s", step, error)
            with self._changed:
                self._changed.wait_for(lambda: self._over, self._pause)
            raise PeerGoneError from error
        try:
            return exchange.ask(step, *args)
        except PeerGoneError:
            self._bury(exchange)
            raise

    def _living(self) -> RpcChannel:
        with self._changed:
            self._changed.wait_for(lambda: not self._over)
            if self._exchange is None:
                self._process, self._exchange = self._started()
            return self._exchange

    def _bury(self, exchange: RpcChannel) -> None:
        """Let the next step have a new process, unless another step saw to that."""
        with self._changed:
            if exchange is not self._exchange or self._process is None:
                return
            exchange.close()
            self._process.kill()
            LOG.warning("the process that does the work ended with %s", self._process.wait())
            self._process = self._exchange = None

    def _started(self) -> tuple["subprocess.Popen[bytes]", RpcChannel]:
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as undone:
            undone.callback(ours.close)
            number = theirs.fileno()
            process = subprocess.Popen(  # noqa: S603 -- our own command
                [*self._command, str(number)],
                stdin=subprocess.DEVNULL,
                pass_fds=(number,),
                start_new_session=True,  # what is typed at a terminal goes to this process alone
            )
            undone.callback(process.wait)
            undone.callback(process.kill)
            sign = partial(sign_for_role, self._place)
            exchange = RpcChannel(ours, {"orders": self._orders.to_json, "sign": sign})
            for work in (exchange.attend, partial(self._outlive, process, exchange)):
                threading.Thread(target=work, name="auditor-apart", daemon=True).start()
            undone.pop_all()
        return process, exchange

    def _outlive(self, process: "subprocess.Popen[bytes]", exchange: RpcChannel) -> None:
        """Wait for the end of the process: its line may be held open by what it started."""
        process.wait()
        self._bury(exchange)


def _told(exchange: RpcChannel, what: str, *args: str) -> threading.Thread:
    """Tell the process something, and return what lives until it answers, or has died."""

    def tell() -> None:
        with suppress(PeerGoneError, EngineError):
            exchange.ask(what, *args)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    return thread
