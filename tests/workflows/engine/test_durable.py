"""Submissions are carried through once, in order, whatever dies meanwhile."""

import base64
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import durable_toys
import pytest
from durable_toys import PLAN, LinesWork, lines, told, until
from sqlalchemy import create_engine, text

from auditor.errors import EngineError
from auditor.service.jobs.durable import DurableEngine, EngineClient, EngineConfig

TOYS = str(Path(durable_toys.__file__))
STEPS = [f"start {target} {check}" for target, checks in PLAN for check in checks]


@contextmanager
def launched(post: EngineConfig, engine: DurableEngine) -> Iterator[EngineClient]:
    """Let an engine work in this process, and give who hands submissions to it."""
    engine.launch()
    client = EngineClient(replace(post, targets=()))
    client.connect()
    try:
        yield client
    finally:
        client.close()
        engine.stop(0)


@pytest.fixture
def engine(post: EngineConfig, tmp_path: Path) -> Iterator[EngineClient]:
    """Launch an engine in this process."""
    with launched(post, DurableEngine(post, LinesWork(tmp_path, "here"))) as client:
        yield client


def test_one_engine_carries_each_submission_through_once_or_says_why_not(
    engine: EngineClient, post: EngineConfig, tmp_path: Path
) -> None:
    holding = tmp_path / "hold here second"
    holding.touch()
    for name in ("cancelled", "breaks", "crashes"):
        engine.submit(name)
    until(lambda: "start cpu second" in told(tmp_path, "cancelled"))
    engine.cancel("cancelled")
    holding.unlink()
    for _ in range(2):
        engine.submit("whole")
    until(lambda: told(tmp_path, "whole")[-1:] == ["conclude"])
    until(lambda: "failed the second broke | Mend it." in told(tmp_path, "breaks"))
    until(lambda: any("failed ZeroDivisionError" in line for line in told(tmp_path, "crashes")))
    whole = told(tmp_path, "whole")
    assert [whole[0], whole[-1]] == ["plan", "conclude"]
    starts = [line for line in whole if line.startswith("start")]
    assert sorted(starts) == sorted(STEPS)
    assert [line for line in starts if "cpu" in line] == STEPS[:3]
    assert len(whole) == 2 + 2 * len(STEPS)
    # What was in hand when it was cancelled ended, and nothing began after it.
    assert "start cpu third" not in told(tmp_path, "cancelled")
    assert "conclude" not in told(tmp_path, "cancelled")
    engine.submit("cancelled")
    engine.cancel("whole")
    assert engine.live(("cpu", "gpu")) == {"cpu"}
    with pytest.raises(EngineError, match="'here' is already running"):
        post.liveness().hold("here", ())
    assert no_pickles(post)
    assert told(tmp_path, "cancelled")[-1] != "conclude"


def no_pickles(post: EngineConfig) -> bool:
    database = create_engine(post.url)
    table = f'"{post.schema}".' if post.url.get_backend_name() == "postgresql" else ""
    with database.connect() as connection:
        asked = text(f"SELECT DISTINCT serialization FROM {table}workflow_status")  # noqa: S608
        found = {row[0] for row in connection.execute(asked)}
    database.dispose()
    return found == {"portable_json"}


def test_a_pickled_row_runs_nothing(tmp_path: Path) -> None:
    from dbos._serialization import DBOSPortableJSON, deserialize_args  # noqa: PLC0415

    post = EngineConfig(database=f"sqlite:///{tmp_path}/e.db", executor="x", locks=tmp_path)
    DurableEngine(post, LinesWork(tmp_path, "x"))
    touch = f"cposix\nsystem\n(S'touch {tmp_path}/owned'\ntR."
    raw = base64.b64encode(touch.encode()).decode()
    with pytest.raises(EngineError, match="contains a pickle, which auditor never writes"):
        deserialize_args(raw, "py_pickle", DBOSPortableJSON)
    assert not (tmp_path / "owned").exists()


def test_a_url_that_is_no_database_of_the_engine_is_refused() -> None:
    for url in ("", "sqlite:///", "mysql://root@127.0.0.1/db"):
        with pytest.raises(EngineError, match="the database URL of the engine is not supported"):
            EngineConfig(database=url, executor="x").url.render_as_string()


def test_locks_that_were_lost_with_a_connection_are_taken_again(postgresql_url: str) -> None:
    post = EngineConfig(database=postgresql_url, executor="here", schema=f"e{uuid.uuid4().hex}")
    mine, theirs = post.liveness(), post.liveness()
    mine.hold("here", ("cpu",))
    with theirs.dead("here") as dead:
        assert not dead
    assert theirs.live(("cpu", "gpu")) == {"cpu"}
    database = create_engine(post.url)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
    ended += "AND pid <> pg_backend_pid() AND database = "
    ended += "(SELECT oid FROM pg_database WHERE datname = current_database())"
    with database.connect() as connection:
        connection.execute(text(ended))
    database.dispose()
    until(lambda: not theirs.live(("cpu",)))
    mine.beat()
    assert theirs.live(("cpu",)) == {"cpu"}
    mine.release()
    until(lambda: not theirs.live(("cpu",)))
    with theirs.dead("here") as dead:
        assert dead
    theirs.release()


def test_a_peer_goes_on_with_what_a_killed_process_had_in_hand(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / "hold victim second").touch()
    victim = start("victim", "sub")
    peer = None
    until(lambda: "start cpu second" in told(tmp_path, "sub"))
    peer = start("peer")
    until((tmp_path / "ready peer").exists)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    again = until(lambda: told(tmp_path, "sub").count("start cpu second") == 2)
    until(lambda: told(tmp_path, "sub")[-1] == "conclude")
    assert again < 120  # half a second at rest: the rest is for a machine that others share
    lines = told(tmp_path, "sub")
    assert {step: lines.count(step) for step in STEPS} == {
        step: 2 if step == "start cpu second" else 1 for step in STEPS
    }
    assert lines.count("plan") == lines.count("conclude") == 1
    assert peer.poll() is None


@pytest.mark.slow
def test_owners_take_turns_at_a_target_whoever_came_first_with_how_much(
    post: EngineConfig, tmp_path: Path
) -> None:
    hold = tmp_path / "hold here first"
    hold.touch()
    engine = DurableEngine(post, LinesWork(tmp_path, "here"), lambda it: it[0])
    with launched(post, engine) as client:
        try:
            names = [f"a{number}" for number in range(6)] + ["b0", "b1"]
            for at, name in enumerate(names, 1):
                client.submit(name)
                until(lambda: waiting(post, "t.cpu") == at)  # noqa: B023 -- called before the next
            hold.unlink()
            until(lambda: all(told(tmp_path, name)[-1:] == ["conclude"] for name in names))
        finally:
            hold.unlink(missing_ok=True)
    starts = sorted(
        (line.at, names.index(name), name)
        for name in names
        for line in lines(tmp_path, name)
        if line.what == "start cpu first"
    )
    assert [name for *_, name in starts] == ["a0", "b0", "a1", "b1", "a2", "a3", "a4", "a5"]


def waiting(post: EngineConfig, queue: str) -> int:
    """Return how much waits or runs in a queue."""
    database = create_engine(post.url)
    table = f'"{post.schema}".' if post.url.get_backend_name() == "postgresql" else ""
    asked = text(
        f"SELECT count(*) FROM {table}workflow_status WHERE queue_name = :queue "  # noqa: S608
        "AND status IN ('ENQUEUED', 'PENDING')"
    )
    with database.connect() as connection:
        found = int(connection.execute(asked, {"queue": queue}).scalar_one())
    database.dispose()
    return found
