"""Does a service's work step by step, as the process that answers asks for it."""

import socket
import threading
from base64 import b64decode, b64encode
from contextlib import ExitStack
from dataclasses import dataclass

from auditor.domain.json import Json, JsonPart
from auditor.service.jobs.executor import AuditExecutor, build_executor
from auditor.service.server.worker_process import RpcChannel, WorkerConfig, read_worker_config
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.notes import NoteKey
from auditor.workflows.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RemoteReportKey:
    """The key that signs records: it lies in the other process, which is asked to sign."""

    exchange: RpcChannel
    pem: bytes

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``."""
        return _signed(self.exchange, "report", pae)

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self.pem


@dataclass(frozen=True, slots=True)
class RemoteLedgerKey:
    """The key that signs checkpoints, in the other process too."""

    exchange: RpcChannel
    key: NoteKey

    def sign(self, message: bytes) -> bytes:
        """Return an Ed25519 signature."""
        return _signed(self.exchange, "ledger", message)


class WorkerProcess:
    """Does the steps that it is asked to, once it has asked what it works on."""

    def __init__(self, line: socket.socket) -> None:
        self._lock = threading.Lock()
        self._work: AuditExecutor | None = None
        self._open = ExitStack()
        self._exchange = RpcChannel(
            line,
            {
                "plan": self._plan,
                "observe": lambda *args: self._ready().observe(*args),
                "conclude": lambda *args: self._ready().conclude(*args),
                "leave": self._leave,
                "close": self._close,
            },
        )

    def attend(self) -> None:
        """Do what is asked until the other process is there no more."""
        self._exchange.attend()

    def _plan(self, submission: str) -> Json:
        found = self._ready().plan(submission)
        return [{"target": target, "checks": list(checks)} for target, checks in found]

    def _leave(self, submission: str) -> None:
        """Let go of what is open for a submission, if anything ever was."""
        if self._work is not None:
            self._work.close(submission)

    def _close(self) -> None:
        with self._lock:
            self._open.close()

    def _ready(self) -> AuditExecutor:
        with self._lock:
            if self._work is None:
                asked = self._exchange.ask("orders")
                self._work = self._commissioned(read_worker_config(JsonPart(asked, "orders")))
            return self._work

    def _commissioned(self, orders: WorkerConfig) -> AuditExecutor:
        settings, key = orders.settings, orders.ledger
        ledger = None if key is None else RemoteLedgerKey(self._exchange, NoteKey.parse(key))
        store = RecordStore.open(settings.database, settings.blobs, ledger, as_it_is=True)
        self._open.callback(store.close)
        signer = RemoteReportKey(self._exchange, orders.report.encode())
        work = build_executor(
            Workspace(settings, store, signer, ()), orders.targets,
            allow_recipes=orders.recipes, open_at_most=orders.at_once,
        )  # fmt: skip
        self._open.callback(work.close)
        return work


def _signed(exchange: RpcChannel, role: str, raw: bytes) -> bytes:
    given = exchange.ask("sign", role, b64encode(raw).decode())
    return b64decode(str(given), validate=True)
