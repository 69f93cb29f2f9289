"""What becomes of steps when the process that does them dies, hangs, or cannot be started."""

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from served_worlds import World

from auditor.errors import EngineError
from auditor.service.server.options import ServiceOptions
from auditor.service.server.worker_process import SharedExclusiveLock, WorkerProcessClient
from auditor.targets.target_specs import NAMED

TOY = Path(__file__).with_name("toy_hands.py")


@pytest.fixture
def work(apart: World, tmp_path: Path) -> Iterator[WorkerProcessClient]:
    """Work whose hands do as the names of submissions say."""
    command = (sys.executable, str(TOY), str(tmp_path))
    made = WorkerProcessClient(apart.place, ServiceOptions(targets=NAMED), 1, command=command)
    yield made
    made.close()


def told(folder: Path, line: str) -> None:
    """Wait until a step has begun."""
    place = folder / "told"
    until(lambda: place.exists() and line in place.read_text().split())


def until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_one_alone_waits_for_those_inside_and_those_that_come_wait_for_it() -> None:
    turns, told = SharedExclusiveLock(), list[str]()
    first, last = threading.Event(), threading.Event()

    def have(name: str, word: threading.Event, *, alone: bool) -> None:
        with turns.turn(alone=alone):
            told.append(name)
            word.wait(120)

    def begin(name: str, word: threading.Event, *, alone: bool) -> threading.Thread:
        thread = threading.Thread(target=have, args=(name, word), kwargs={"alone": alone})
        thread.start()
        return thread

    threads = [begin(name, first, alone=False) for name in ("one", "two")]
    until(lambda: len(told) == 2)
    threads.append(begin("alone", last, alone=True))
    time.sleep(0.05)
    threads.append(begin("late", last, alone=False))
    time.sleep(0.05)
    assert sorted(told) == ["one", "two"]
    first.set()
    until(lambda: len(told) == 3)
    time.sleep(0.05)
    assert told[2] == "alone"
    last.set()
    for thread in threads:
        thread.join()
    assert told[3] == "late"


@pytest.mark.slow
def test_a_step_that_kills_the_process_fails_and_takes_no_other_with_it(
    work: WorkerProcessClient,
) -> None:
    innocent = [f"slow-{number}" for number in range(3)]
    with ThreadPoolExecutor(4) as threads:
        steps = [threads.submit(work.plan, name) for name in (*innocent, "kill-0")]
        assert [step.exception() for step in steps[:3]] == [None] * 3
        with pytest.raises(EngineError, match="3 processes that should plan, and nothing else"):
            steps[3].result()
    assert work.plan("done-0") == ()


def test_a_step_in_hand_is_done_again_when_its_process_dies(
    work: WorkerProcessClient, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as threads:
        step = threads.submit(work.plan, "hang-0")
        told(tmp_path, "hang-0")
        first = work.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert step.result(120) == ()
    assert work.pid not in {None, first}
    assert (tmp_path / "told").read_text().split() == ["hang-0"] * 2


def test_a_death_is_seen_though_another_process_holds_the_line(work: WorkerProcessClient) -> None:
    with ThreadPoolExecutor() as threads:
        assert threads.submit(work.plan, "held-0").result(60) == ()


def test_a_process_that_died_is_not_named_any_more(work: WorkerProcessClient) -> None:
    work.plan("done-0")
    first = work.pid
    assert first is not None
    assert os.getsid(first) == first  # what is typed at the service's terminal does not reach it
    os.kill(first, signal.SIGKILL)
    until(lambda: work.pid is None)
    assert gone(first)


def test_a_process_that_lives_lets_go_of_an_audit_that_failed(
    apart: World, work: WorkerProcessClient, tmp_path: Path
) -> None:
    work.plan("done-0")
    name = str(apart.call("POST", "/v1/audits", json=apart.body()).json()["id"])
    work.failed(name, "it did not", "Do.")
    told(tmp_path, f"left:{name}")


@pytest.mark.slow
def test_the_end_waits_for_no_step_in_hand(work: WorkerProcessClient, tmp_path: Path) -> None:
    late = threading.Thread(target=work.plan, args=("deaf-0",), daemon=True)
    late.start()
    told(tmp_path, "deaf-0")
    process, before = work.pid, time.monotonic()
    assert process is not None
    work.close()
    assert time.monotonic() - before < 60
    assert gone(process)
    late.join(0.2)
    assert late.is_alive()


def test_a_process_that_cannot_be_started_is_tried_again(apart: World, tmp_path: Path) -> None:
    command = tmp_path / "hands"
    work = WorkerProcessClient(
        apart.place,
        ServiceOptions(targets=NAMED),
        1,
        command=(str(command), str(tmp_path)),
        pause=0.5,
    )
    with ThreadPoolExecutor() as threads:
        step = threads.submit(work.plan, "done-0")
        time.sleep(0.1)
        fresh = tmp_path / "fresh"
        fresh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{TOY}" "$@"\n')
        fresh.chmod(stat.S_IRWXU)
        fresh.rename(command)
        assert step.result(120) == ()
    work.close()


def test_a_step_whose_process_never_starts_fails(apart: World, tmp_path: Path) -> None:
    command = (str(tmp_path / "none"),)
    work = WorkerProcessClient(
        apart.place, ServiceOptions(targets=NAMED), 1, command=command, pause=0.0
    )
    with pytest.raises(EngineError, match="did not start"):
        work.plan("done-0")
    work.close()
