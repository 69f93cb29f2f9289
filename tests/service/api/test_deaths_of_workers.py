"""What becomes of steps when the process that does them dies, hangs, or cannot be started."""

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from served_worlds import World

from auditor.errors import EngineError
from auditor.service.jobs.job_steps import StepRunner
from auditor.service.server.options import ServiceOptions
from auditor.service.server.worker_process import WorkerOrder, WorkerProcess
from auditor.targets.target_specs import NAMED

TOY = Path(__file__).with_name("toy_worker.py")


@pytest.fixture
def order(apart: World) -> WorkerOrder:
    return WorkerOrder.of(apart.place, ServiceOptions(targets=NAMED), ("cpu",), 0)


@pytest.fixture
def worker(apart: World, order: WorkerOrder, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker that does as the names of submissions say."""
    made = WorkerProcess(apart.place, order, command=(sys.executable, str(TOY), str(tmp_path)))
    made.launch()
    made.await_work()
    yield made
    made.stop()


def hand_in(folder: Path, *names: str) -> None:
    with (folder / "todo").open("a") as file:
        file.write("".join(f"{name}\n" for name in names))


def lines(folder: Path, name: str) -> list[str]:
    place = folder / name
    return place.read_text().splitlines() if place.exists() else []


def until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError


def pid_of(worker: WorkerProcess) -> int:
    found = worker.pid
    assert found is not None
    return found


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_one_alone_waits_for_those_inside_and_those_that_come_wait_for_it() -> None:
    steps, told = StepRunner(), list[str]()
    first, last = threading.Event(), threading.Event()

    def have(name: str, word: threading.Event, *, alone: bool) -> None:
        with steps.turn(alone=alone):
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
    worker: WorkerProcess, tmp_path: Path
) -> None:
    innocent = [f"slow-{number}" for number in range(3)]
    hand_in(tmp_path, *innocent, "kill-0")
    until(lambda: len(lines(tmp_path, "done")) == 4)
    done = lines(tmp_path, "done")
    assert {*innocent} < {*done}
    (failed,) = {*done} - {*innocent}
    assert failed == "kill-0 3 processes died in the step plan"
    hand_in(tmp_path, "done-0")
    until(lambda: "done-0" in lines(tmp_path, "done"))
    assert worker.pid is not None


def test_a_step_in_hand_is_done_again_when_its_process_dies(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    hand_in(tmp_path, "hang-0")
    until(lambda: "hang-0" in lines(tmp_path, "told"))
    first = pid_of(worker)
    os.kill(first, signal.SIGKILL)
    until(lambda: lines(tmp_path, "done") == ["hang-0"])
    assert worker.pid not in {None, first}
    assert lines(tmp_path, "told") == ["hang-0"] * 2


def test_a_death_is_seen_though_another_process_holds_the_line(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    first = pid_of(worker)
    hand_in(tmp_path, "held-0")
    until(lambda: lines(tmp_path, "done") == ["held-0"])
    assert worker.pid not in {None, first}


def test_a_process_that_died_is_not_named_any_more(worker: WorkerProcess) -> None:
    first = pid_of(worker)
    assert os.getsid(first) == first  # what is typed at the service's terminal does not reach it
    os.kill(first, signal.SIGKILL)
    until(lambda: worker.pid not in {None, first})
    assert gone(first)


@pytest.mark.slow
def test_the_end_waits_for_no_step_in_hand(worker: WorkerProcess, tmp_path: Path) -> None:
    hand_in(tmp_path, "deaf-0")
    until(lambda: "deaf-0" in lines(tmp_path, "told"))
    process, before = pid_of(worker), time.monotonic()
    worker.stop()
    assert time.monotonic() - before < 60
    assert gone(process)
    assert worker.pid is None
    assert lines(tmp_path, "done") == []


def test_a_worker_that_ended_its_steps_in_time_is_not_killed(
    apart: World, order: WorkerOrder, tmp_path: Path
) -> None:
    command = (sys.executable, str(TOY), str(tmp_path))
    worker = WorkerProcess(apart.place, replace(order, drain=120), command=command)
    worker.launch()
    worker.await_work()
    process, before = pid_of(worker), time.monotonic()
    worker.stop()
    assert time.monotonic() - before < 60
    assert gone(process)


def test_a_process_that_cannot_be_started_is_tried_again(
    apart: World, order: WorkerOrder, tmp_path: Path
) -> None:
    command = tmp_path / "worker"
    worker = WorkerProcess(apart.place, order, command=(str(command), str(tmp_path)), pause=0.5)
    worker.launch()
    time.sleep(0.1)
    fresh = tmp_path / "fresh"
    fresh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{TOY}" "$@"\n')
    fresh.chmod(stat.S_IRWXU)
    fresh.rename(command)
    worker.await_work()
    hand_in(tmp_path, "done-0")
    until(lambda: lines(tmp_path, "done") == ["done-0"])
    worker.stop()


def test_a_worker_that_never_starts_is_said_not_to(
    apart: World, order: WorkerOrder, tmp_path: Path
) -> None:
    command = (str(tmp_path / "none"),)
    worker = WorkerProcess(apart.place, order, command=command, pause=0.0)
    worker.launch()
    with pytest.raises(EngineError, match="did not start"):
        worker.await_work()
    worker.stop()
    assert worker.pid is None


def test_a_worker_that_says_what_means_nothing_is_another_soon(
    apart: World, order: WorkerOrder, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    script = tmp_path / "odd.sh"
    script.write_text(
        f'if [ ! -e "{said}" ]; then touch "{said}"; echo yes >&"$2"; exit; fi\n'
        f'exec "{sys.executable}" "{TOY}" "$@"\n'
    )
    command = ("sh", str(script), str(tmp_path))
    worker = WorkerProcess(apart.place, order, command=command, pause=0.0)
    worker.launch()
    worker.await_work()
    hand_in(tmp_path, "done-0")
    until(lambda: lines(tmp_path, "done") == ["done-0"])
    worker.stop()
