"""Liveness locks: an executor holds one as long as its process lives, and no longer.

The kernel lets go of it when the process dies, however it dies, so there is no heartbeat to miss.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from auditor.errors import EngineError

PATIENCE = 100
"""How often a lock is tried: others hold it for a moment only to see whether its owner lives."""
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
WIDTH = 2**64


class LivenessLocks(Protocol):
    """The locks of all executors that share a database."""

    def hold(self, executor: str, targets: Sequence[str]) -> None:
        """Say from now on that an executor lives and works for ``targets``.

        Raises ``EngineError`` where another process of that name does.
        """
        ...

    def beat(self) -> None:
        """Take the lock again where it was lost while the process lived on."""
        ...

    def release(self) -> None:
        """Say it no longer."""
        ...

    @contextmanager
    def dead(self, executor: str) -> Iterator[bool]:
        """Say whether an executor is dead; within the block nobody else is told so."""
        ...

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Return those of ``targets`` for which an executor lives."""
        ...


class FileLocks:
    """Locks of files in a folder (``flock``), for processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()

    def hold(self, executor: str, targets: Sequence[str]) -> None:
        """Lock the executor's file, and write into it what it works for."""
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        place = self._place(executor)
        for _ in range(PATIENCE):
            descriptor = _locked(place, fcntl.LOCK_EX)
            if descriptor is not None:
                self._held.callback(os.close, descriptor)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(list(targets)).encode(), 0)
                return
            time.sleep(0.05)
        raise _taken(executor)

    def beat(self) -> None:
        """Do nothing: a process that lives does not lose the lock of a file."""

    def release(self) -> None:
        """Let the file go."""
        self._held.close()

    @contextmanager
    def dead(self, executor: str) -> Iterator[bool]:
        """Say whether the executor's file can be locked."""
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        descriptor = _locked(self._place(executor), fcntl.LOCK_EX)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Read what the owners of locked files work for."""
        found: set[str] = set()
        for place in self._folder.glob("*.lock"):
            descriptor = _locked(place, fcntl.LOCK_SH)
            if descriptor is not None:
                os.close(descriptor)
                continue
            with suppress(OSError, ValueError):
                found.update(json.loads(place.read_bytes()))
        return frozenset(targets) & found

    def _place(self, executor: str) -> Path:
        return self._folder / f"{hashlib.sha256(executor.encode()).hexdigest()[:32]}.lock"


class AdvisoryLocks:
    """Advisory locks of PostgreSQL, each session's own; they end with its connection.

    Not through a pooler that gives a session's connection to others between transactions. ``space``
    tells the locks of one service from those of another in the same database.
    """

    def __init__(self, engine: Engine, space: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._space = space
        self._connection: Connection | None = None
        self._known: tuple[str, tuple[str, ...]] = ("", ())

    def hold(self, executor: str, targets: Sequence[str]) -> None:
        """Take the executor's lock alone, and a share in the lock of each target."""
        connection = self._engine.connect()
        for _ in range(PATIENCE):
            if _tried(connection, "pg_try_advisory_lock", self._key("executor", executor)):
                break
            time.sleep(0.05)
        else:
            connection.close()
            raise _taken(executor)
        for target in targets:
            _tried(connection, "pg_try_advisory_lock_shared", self._key("target", target))
        self._connection, self._known = connection, (executor, tuple(targets))

    def beat(self) -> None:
        """Ask the connection that holds the locks for a sign, and take them again on another."""
        if self._connection is None:
            return
        try:
            self._connection.execute(text("SELECT 1"))
        except Exception:  # noqa: BLE001 -- whatever it is, the locks went with the connection
            self._connection.invalidate()
            self._connection.close()
            self.hold(*self._known)

    def release(self) -> None:
        """End the session that holds the locks."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection = None
        self._engine.dispose()

    @contextmanager
    def dead(self, executor: str) -> Iterator[bool]:
        """Say whether the executor's lock can be taken."""
        key = self._key("executor", executor)
        own = self._connection
        with self._engine.connect() if own is None else nullcontext(own) as connection:
            got = _tried(connection, "pg_try_advisory_lock", key)
            try:
                yield got
            finally:
                if got:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Look which targets' locks somebody shares in."""
        asked = text(
            "SELECT classid::bigint, objid::bigint FROM pg_locks WHERE locktype = 'advisory' "
            "AND granted AND objsubid = 1 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        with self._engine.connect() as connection:
            held = {(high << 32 | low) % WIDTH for high, low in connection.execute(asked)}
        return frozenset(it for it in targets if self._key("target", it) % WIDTH in held)

    def _key(self, role: str, name: str) -> int:
        raw = hashlib.sha256(f"{self._space}\n{role}\n{name}".encode()).digest()
        return int.from_bytes(raw[:8], "big", signed=True)


def _locked(place: Path, manner: int) -> int | None:
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, manner | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _tried(connection: Connection, function: str, key: int) -> bool:
    asked = text(f"SELECT {function}(:key)")  # two names of our own
    return bool(connection.execute(asked, {"key": key}).scalar())


def _taken(executor: str) -> EngineError:
    return EngineError(
        f"an executor {executor!r} is already running",
        cure=(
            "Stop it first. An AUDITOR_HOME has one service; give additional workers other names."
        ),
    )
