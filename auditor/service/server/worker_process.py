"""The work of a service, done in a process beside the one that answers calls."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial

from auditor.clock import now
from auditor.domain.canonical import Json
from auditor.domain.json_parts import Part
from auditor.engines.durable.work import Plan
from auditor.refusals import EngineError
from auditor.serving.choosing import Choices
from auditor.serving.exchanges import Exchange, GoneError
from auditor.serving.orders import Orders
from auditor.serving.signing import signed
from auditor.serving.turns import Turns
from auditor.store.service.store import ServiceStore
from auditor.workplaces import Workplace

DEATHS = 3
"""How many processes may die over one step that was alone in them before it fails."""
GOODBYE = 2.0
"""Seconds that the process has to let go of what it holds, once it is told to end."""
PAUSE = 5.0
"""Seconds after which a process that could not be started is tried again."""
LOG = logging.getLogger("auditor.apart")
COMMAND = (sys.executable, "-P", "-m", "auditor.serving.hands")


class Apart:
    """Work of which every step is done in one other process, started when the first one comes.

    To prepare an audit, and to conclude one, takes a second of pure Python: in this process every
    call would wait meanwhile. The keys stay here, and what is to be signed is asked for. A step
    that a process died over is done again by another, as any step may be: alone, so that none has
    to answer for what another one does.
    """

    def __init__(
        self,
        place: Workplace,
        choices: Choices,
        at_once: int,
        *,
        command: Sequence[str] = COMMAND,
        pause: float = PAUSE,
    ) -> None:
        self._place = place
        self._kept = ServiceStore(place.store)
        self._orders = Orders.of(place, choices, at_once)
        self._command, self._pause = command, pause
        self._turns = Turns()
        self._changed = threading.Condition()
        self._over = False
        self._process: subprocess.Popen[bytes] | None = None
        self._exchange: Exchange | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process that does the work now, if one was needed by now."""
        return None if self._process is None else self._process.pid

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        planned = Part({"on": self._ask("plan", submission)}, "plan")
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
        self._kept.fail(submission, problem, cure, now())
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
            with suppress(GoneError), self._turns.turn(alone=alone):
                return self._tried(step, *args)
            deaths, alone = deaths + alone, True
        raise EngineError(
            f"{DEATHS} processes that should {step}, and nothing else, died or did not start",
            cure="See the service's log, and give its machine more memory.",
        )

    def _tried(self, step: str, *args: str) -> Json:
        """Ask the process that lives, or another one. Raises ``GoneError`` where it died."""
        try:
            exchange = self._living()
        except (OSError, RuntimeError) as error:  # no memory, no descriptor, no thread
            LOG.warning("the process that should %s cannot be started: %s", step, error)
            with self._changed:
                self._changed.wait_for(lambda: self._over, self._pause)
            raise GoneError from error
        try:
            return exchange.ask(step, *args)
        except GoneError:
            self._bury(exchange)
            raise

    def _living(self) -> Exchange:
        with self._changed:
            self._changed.wait_for(lambda: not self._over)
            if self._exchange is None:
                self._process, self._exchange = self._started()
            return self._exchange

    def _bury(self, exchange: Exchange) -> None:
        """Let the next step have a new process, unless another step saw to that."""
        with self._changed:
            if exchange is not self._exchange or self._process is None:
                return
            exchange.close()
            self._process.kill()
            LOG.warning("the process that does the work ended with %s", self._process.wait())
            self._process = self._exchange = None

    def _started(self) -> tuple["subprocess.Popen[bytes]", Exchange]:
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
            sign = partial(signed, self._place)
            exchange = Exchange(ours, {"orders": self._orders.to_json, "sign": sign})
            for work in (exchange.attend, partial(self._outlive, process, exchange)):
                threading.Thread(target=work, name="auditor-apart", daemon=True).start()
            undone.pop_all()
        return process, exchange

    def _outlive(self, process: "subprocess.Popen[bytes]", exchange: Exchange) -> None:
        """Wait for the end of the process: its line may be held open by what it started."""
        process.wait()
        self._bury(exchange)


def _told(exchange: Exchange, what: str, *args: str) -> threading.Thread:
    """Tell the process something, and return what lives until it answers, or has died."""

    def tell() -> None:
        with suppress(GoneError, EngineError):
            exchange.ask(what, *args)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    return thread
