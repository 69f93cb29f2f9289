"""The program of a worker: ``python -m auditor.service.server.worker_main DESCRIPTOR``."""

import json
import os
import queue
import signal
import socket
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from auditor._gc import pause_collection, resume_collection
from auditor.domain.json import Json, JsonPart, encode_canonical, parse_json, read_json
from auditor.errors import AuditorError, EngineError

if TYPE_CHECKING:
    from auditor.trust.ledger.notes import NoteKey


class ServiceLine:
    """The line to the service that started this worker: a line of JSON a message.

    ``messages`` are those of the service, until it is there no more.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.messages = self._read()
        self._answers: queue.SimpleQueue[JsonPart] = queue.SimpleQueue()
        self._sending, self._asking = threading.Lock(), threading.Lock()
        self.stop = threading.Event()

    def attend(self) -> None:
        """Take in what the service says, until it is there no more."""
        for said in self.messages:
            if "stop" in said.value:
                self.stop.set()
            else:
                self._answers.put(said)

    def send(self, said: Mapping[str, Json]) -> None:
        """Tell the service something."""
        with self._sending, suppress(OSError):  # it is there no more, which attend hears
            self._line.sendall(encode_canonical(said) + b"\n")

    def note_step(self, step: str, begins: bool) -> None:  # noqa: FBT001 -- of StepRunner
        """Tell the service that a step begins, or that it ended."""
        self.send({"begins" if begins else "ended": step})

    def sign(self, role: str, raw: bytes) -> bytes:
        """Have something signed by the key of a role. Raises ``EngineError`` where it is not."""
        with self._asking:
            self.send({"sign": role, "raw": b64encode(raw).decode()})
            answer = self._answers.get()
        if "failed" in answer.value:
            failed = answer.part("failed")
            raise EngineError(failed.get("problem", str), cure=failed.get("cure", str))
        return b64decode(answer.get("signature", str), validate=True)

    def _read(self) -> Generator[JsonPart, None, None]:
        # A line that breaks has ended too.
        with suppress(OSError), self._line.makefile("rb") as lines:
            for raw in lines:
                yield JsonPart(parse_json(raw), "message")

    def say(self, line: Mapping[str, Json]) -> None:
        """Write a line of the log, and let the service know when this worker works."""
        sys.stderr.write(json.dumps(line) + "\n")
        if line["event"] == "working":
            self.send({"working": True})


@dataclass(frozen=True, slots=True)
class ServiceReportKey:
    """The key that signs records: it stays in the service, which is asked to sign."""

    line: ServiceLine
    pem: bytes

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``."""
        return self.line.sign("report", pae)

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self.pem


@dataclass(frozen=True, slots=True)
class ServiceLedgerKey:
    """The key that signs checkpoints, in the service too."""

    line: ServiceLine
    key: "NoteKey"

    def sign(self, message: bytes) -> bytes:
        """Return an Ed25519 signature."""
        return self.line.sign("ledger", message)


def work(line: ServiceLine) -> None:
    """Work as the service orders, until it says stop. Raises as ``run_worker`` does.

    Where the service is there no more, this process ends: what is in hand is done again.
    """
    pause_collection()
    from auditor.service.jobs.job_steps import StepRunner  # noqa: PLC0415 -- all take seconds; a signal may come
    from auditor.service.server.options import ServiceOptions  # noqa: PLC0415
    from auditor.service.server.worker import WorkerOptions, run_worker  # noqa: PLC0415
    from auditor.service.server.worker_process import WorkerOrder  # noqa: PLC0415
    from auditor.service.telemetry import open_tracer, span_step  # noqa: PLC0415
    from auditor.store.record_store import RecordStore  # noqa: PLC0415
    from auditor.trust.ledger.notes import NoteKey  # noqa: PLC0415
    from auditor.workflows.workspace import Workspace  # noqa: PLC0415

    resume_collection()
    said = next(line.messages, None)
    if said is None:
        return
    order = read_json(WorkerOrder, said.value, said.place)
    order.refuse_other_code()

    def attend() -> None:
        line.attend()
        os._exit(0)

    threading.Thread(target=attend, name="auditor-service", daemon=True).start()
    settings, key = order.settings, order.ledger
    ledger = None if key is None else ServiceLedgerKey(line, NoteKey.parse(key))
    store = RecordStore.open(settings.database, settings.blobs, ledger, as_it_is=True)
    place = Workspace(settings, store, ServiceReportKey(line, order.report.encode()), ())
    spans = open_tracer(os.environ)
    choices = ServiceOptions(
        targets=order.targets,
        recipes=order.recipes,
        spans=spans,
        agents=order.agents,
        terms=order.terms,
    )
    working = WorkerOptions(targets=order.works, drain=order.drain, control=True)
    steps = StepRunner(partial(span_step, spans), order.suspects, line.note_step)
    try:
        run_worker(place, choices, working, line.say, line.stop, steps)
    finally:
        store.close()


def main() -> None:
    """Work until the service that started this is there no more, whoever ended it and however."""
    descriptor = int(sys.argv[1])
    # A program that is started here, and outlives this one, would hold the line open.
    os.set_inheritable(descriptor, False)  # noqa: FBT003 -- of the system
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # the service that is told to stop tells this one
    with socket.socket(fileno=descriptor) as opened:
        line = ServiceLine(opened)
        try:
            work(line)
        except AuditorError as error:
            line.send({"failed": {"problem": error.problem, "cure": error.cure}})
    sys.stderr.flush()
    os._exit(0)  # a step that outlasts its time is done again


if __name__ == "__main__":
    main()
