"""What every test stands on: one thread, its own home, and no network beyond this machine."""

import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, create_engine

from auditor.store.migrations import RevisionStatus, read_revision_status, upgrade_database

# One thread for every numeric library, set before any of them loads: the same sums in the same
# order, and parallel workers that do not fight over the cores.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# What tests run must not speak to the runner that runs them.
for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)

# A shell's job in the background ignores interruptions, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW_MACHINES = [HealthCheck.too_slow]
settings.register_profile("local", deadline=None, suppress_health_check=SLOW_MACHINES)
settings.register_profile(
    "ci", deadline=None, suppress_health_check=SLOW_MACHINES, derandomize=True, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "local")

GOLDEN = Path(__file__).parent / "golden"
NETWORK = (socket.AF_INET, socket.AF_INET6)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew; read the diff"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "migrates: makes its stores by the migrations themselves")
    config.addinivalue_line(
        "markers", "fetches: may connect beyond this machine; always marked slow as well"
    )


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give each test a home of its own, which does not exist yet."""
    folder = tmp_path / "home"
    monkeypatch.setenv("AUDITOR_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("fetches") is not None:
        return
    for verb in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, verb, _guarded(getattr(socket.socket, verb)))


def _guarded(connect: Callable[[socket.socket, object], object]) -> Callable[..., object]:
    def connect_to_loopback(self: socket.socket, address: object) -> object:
        if self.family in NETWORK and not _is_loopback(address):
            pytest.fail(f"a test connects to {address}; only this machine is allowed")
        return connect(self, address)

    return connect_to_loopback


def _is_loopback(address: object) -> bool:
    host = str(address[0]) if isinstance(address, tuple) else str(address)
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text that people read with the copy of it under ``tests/golden``."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"there is no {path}: run pytest --update-golden, and read the file"
        expected = path.read_text(encoding="utf-8")
        assert text == expected, f"{name} changed: run pytest --update-golden, and read the diff"

    return compare


@pytest.fixture(autouse=True)
def _stores_as_migrated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a new store at once of what the migrations make, which take a third of a second.

    Stores of other revisions and of servers are migrated; so are all in ``migrates`` tests.
    """
    if request.node.get_closest_marker("migrates") is None:
        monkeypatch.setattr("auditor.store.database.upgrade_database", _bring)


def _bring(connection: Connection) -> RevisionStatus:
    before = read_revision_status(connection)
    if connection.dialect.name != "sqlite" or before.current is not None:
        return upgrade_database(connection)
    for statement in _migrated():
        connection.exec_driver_sql(statement)
    return before


@cache
def _migrated() -> tuple[str, ...]:
    """Return the statements that make a store, as the migrations left it."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade_database(connection)
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        lines = tuple(raw.iterdump())
    engine.dispose()
    return tuple(line for line in lines if line not in {"BEGIN TRANSACTION;", "COMMIT;"})
