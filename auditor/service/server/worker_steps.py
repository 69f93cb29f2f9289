"""Does a service's work step by step, as the process that answers asks for it."""

import socket
import threading
from base64 import b64decode, b64encode
from contextlib import ExitStack
from dataclasses import dataclass

from auditor.commissioned import Commissioned
from auditor.domain.canonical import Json
from auditor.domain.json_parts import Part
from auditor.ledgers.notes import NoteKey
from auditor.serving.exchanges import Exchange
from auditor.serving.executor import build_executor
from auditor.serving.orders import Orders, read_orders
from auditor.store.store import Store
from auditor.workplaces import Workplace


@dataclass(frozen=True, slots=True)
class ReportKey:
    """The key that signs records: it lies in the other process, which is asked to sign."""

    exchange: Exchange
    pem: bytes

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``."""
        return _signed(self.exchange, "report", pae)

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self.pem


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """The key that signs checkpoints, in the other process too."""

    exchange: Exchange
    key: NoteKey

    def sign(self, message: bytes) -> bytes:
        """Return an Ed25519 signature."""
        return _signed(self.exchange, "ledger", message)


class Hands:
    """Does the steps that it is asked to, once it has asked what it works on."""

    def __init__(self, line: socket.socket) -> None:
        self._lock = threading.Lock()
        self._work: Commissioned | None = None
        self._open = ExitStack()
        self._exchange = Exchange(
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

    def _ready(self) -> Commissioned:
        with self._lock:
            if self._work is None:
                asked = self._exchange.ask("orders")
                self._work = self._commissioned(read_orders(Part(asked, "orders")))
            return self._work

    def _commissioned(self, orders: Orders) -> Commissioned:
        settings, key = orders.settings, orders.ledger
        ledger = None if key is None else LedgerKey(self._exchange, NoteKey.parse(key))
        store = Store.open(settings.database, settings.blobs, ledger, as_it_is=True)
        self._open.callback(store.close)
        signer = ReportKey(self._exchange, orders.report.encode())
        work = build_executor(
            Workplace(settings, store, signer, ()), orders.targets,
            allow_recipes=orders.recipes, open_at_most=orders.at_once,
        )  # fmt: skip
        self._open.callback(work.close)
        return work


def _signed(exchange: Exchange, role: str, raw: bytes) -> bytes:
    given = exchange.ask("sign", role, b64encode(raw).decode())
    return b64decode(str(given), validate=True)
