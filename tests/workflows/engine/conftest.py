"""What tests of engines share with those of the store, and processes that work at a database."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import durable_toys
import pytest
from postgresql_databases import postgresql_database, postgresql_url

from auditor.service.jobs.durable import EngineConfig

__all__ = ["postgresql_database", "postgresql_url"]
TOYS = str(Path(durable_toys.__file__))


@pytest.fixture(params=["sqlite", "postgresql"])
def post(request: pytest.FixtureRequest, tmp_path: Path) -> EngineConfig:
    """Give the place of a first process at an empty database."""
    url = f"sqlite:///{tmp_path / 'a b?c' / 'engine.db'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    return EngineConfig(
        database=url, executor="here", targets=("cpu", "edge"), polling=0.05,
        schema=f"e{uuid.uuid4().hex}", locks=tmp_path / "locks",
    )  # fmt: skip


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(post: EngineConfig, tmp_path: Path) -> Iterator[Start]:
    """Start processes that work at the database, and end them after the test."""
    with ExitStack() as stack:

        def started(executor: str, *submissions: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, TOYS, post.database, post.schema, executor, str(tmp_path)]
            process = subprocess.Popen([*command, *submissions])
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield started
