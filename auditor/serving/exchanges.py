"""Two processes of a service that ask each other, each any number of things at once."""

import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count

from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.json_parts import Part
from auditor.engines.durable.work import Failure, attempt, attempt_all
from auditor.refusals import EngineError

Answers = Mapping[str, Callable[..., Json]]
"""What the other process may ask for, by name."""


THREADS = 64
"""So many questions are answered at once; more wait."""


class GoneError(Exception):
    """The other process is there no more; what it was asked may be asked of another."""


class Exchange:
    """A line between two processes: a line of JSON a question, and one an answer.

    A question is answered in one of some threads that stay. Nothing is read but JSON, and nothing
    is done but what ``answers`` names.
    """

    def __init__(self, line: socket.socket, answers: Answers) -> None:
        self._line = line
        self._answers = answers
        self._numbers = count()
        self._asked: dict[int, Future[Part]] = {}
        self._gone = False
        # Two locks: who reads never waits for who sends, or both ends might wait for each other.
        self._lock, self._sending = threading.Lock(), threading.Lock()
        # Threads that stay: what one of them starts, such as a model's process, ends with it.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="auditor-answers")

    def ask(self, what: str, *args: str) -> Json:
        """Return what the other process gives for a question.

        Raises ``EngineError`` with its problem and cure where it could not do so, ``GoneError``
        where it is there no more.
        """
        number, future = next(self._numbers), Future[Part]()
        with self._lock:
            if self._gone:
                raise GoneError
            self._asked[number] = future
        try:
            self._send(canonical({"question": number, "what": what, "args": list(args)}))
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
                    self._hear(Part(parse(line), "message"))
        finally:
            self._end()

    def close(self) -> None:
        """End the line; whoever waits for an answer hears that the other process is gone."""
        with suppress(OSError):  # the other end may be faster
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _hear(self, said: Part) -> None:
        if "question" in said.value:
            self._threads.submit(self._reply, said)
            return
        with self._lock:
            waiting = self._asked.pop(said.get("answer", int))
        waiting.set_result(said)

    def _reply(self, asked: Part) -> None:
        """Answer, whatever comes of it: whoever asks waits until it hears something."""
        number = asked.get("question", int)
        given = attempt_all(self._given, asked)
        told = _failed(given) if isinstance(given, Failure) else {"value": given}
        raw = attempt(canonical, {"answer": number, **told})
        if isinstance(raw, Failure):
            unsaid = Failure(f"the answer cannot be written: {raw.problem}", raw.cure)
            raw = canonical({"answer": number, **_failed(unsaid)})
        with suppress(GoneError):  # then nobody is there to be told
            self._send(raw)

    def _given(self, asked: Part) -> Json:
        return self._answers[asked.get("what", str)](*asked.texts("args"))

    def _send(self, raw: bytes) -> None:
        try:
            with self._sending:
                self._line.sendall(raw + b"\n")
        except OSError:
            raise GoneError from None

    def _end(self) -> None:
        with self._lock:
            self._gone = True
            waiting, self._asked = list(self._asked.values()), {}
        for future in waiting:
            future.set_exception(GoneError())


def _failed(failure: Failure) -> dict[str, Json]:
    return {"failed": {"problem": failure.problem, "cure": failure.cure}}
