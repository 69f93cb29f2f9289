"""How much of an audit is done, and about how long the rest takes."""

import io
import time
from dataclasses import dataclass

import pytest
from rich.console import Console

from auditor.checks.registry import discover_checks
from auditor.domain.readings import Gap, GapReason
from auditor.workflows.progress import ConsoleProgress, RunningCheck
from auditor.workflows.remaining_time import LEAST_SECONDS, CheckPlace, RemainingTime

QUICK, SLOW, LAST = ("cpu", "quick"), ("cpu", "slow"), ("cpu", "last")
EXPECTED = {QUICK: 10.0, SLOW: 100.0, LAST: 50.0}


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def run(
    left: RemainingTime, clock: Clock, place: CheckPlace, seconds: float, *, seen: bool = True
) -> None:
    left.start(place)
    clock.at += seconds
    assert left.end(place, seen=seen) == seconds


def test_before_anything_ran_the_estimates_count() -> None:
    left = RemainingTime(EXPECTED, Clock())
    assert (left.done, left.total, left.seconds) == (0, 3, 160.0)
    assert str(left) == "0 of 3 checks, about 3 min left"


def test_a_machine_that_is_slower_than_estimated_makes_the_rest_longer() -> None:
    clock = Clock()
    left = RemainingTime(EXPECTED, clock)
    run(left, clock, QUICK, 30.0)
    # 30 seconds and the prior of 10, for what was taken to need 10 and the prior of 10
    assert left.seconds == pytest.approx(2 * 150.0)
    run(left, clock, SLOW, 200.0)
    assert left.seconds == pytest.approx(50.0 * 240 / 120)


def test_a_check_that_could_not_run_makes_nothing_quicker() -> None:
    clock = Clock()
    left = RemainingTime(EXPECTED, clock)
    run(left, clock, SLOW, 0.0, seen=False)
    assert (left.done, left.seconds) == (1, 60.0)


def test_the_time_left_falls_while_a_check_runs_and_never_below_nothing() -> None:
    clock = Clock()
    left = RemainingTime(EXPECTED, clock)
    left.start(SLOW)
    clock.at = 40.0
    assert left.seconds == 120.0
    clock.at = 400.0
    assert left.seconds == 60.0


def test_a_check_that_was_not_expected_is_counted_as_the_least() -> None:
    clock = Clock()
    left = RemainingTime({}, clock)
    run(left, clock, QUICK, LEAST_SECONDS)
    assert (left.done, left.total, left.seconds) == (1, 0, 0.0)


def test_a_check_that_goes_on_is_one_check_and_its_estimate_counts_once() -> None:
    clock = Clock()
    left = RemainingTime(EXPECTED, clock)
    run(left, clock, QUICK, 10.0)
    assert left.has_ended(QUICK)
    assert not left.has_ended(SLOW)
    run(left, clock, QUICK, 20.0)
    # 30 seconds and the prior of 10, for what was taken to need 10 and the prior of 10
    assert (left.done, left.seconds) == (1, pytest.approx(2 * 150.0))


def test_a_check_that_goes_on_says_so() -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=120, color_system=None)
    with ConsoleProgress(console) as progress:
        progress.expects({QUICK: 60.0, SLOW: 240.0})
        for seconds in (1, 2):
            progress.begun(*QUICK)
            progress.advanced(seconds, 10, "steps")
            progress.say("drawn once more")
            again = drawn.getvalue().count("quick on cpu, more rows in the time that is left")
            assert (again > 0) is (seconds > 1)
            progress.told(*QUICK, "1 reading", seen=True)
    assert "1 of 2 checks" in drawn.getvalue()


def test_a_terminal_shows_what_is_done_what_is_left_and_the_check_at_hand() -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=100, color_system=None)
    with ConsoleProgress(console) as progress:
        progress.expects({QUICK: 60.0, SLOW: 240.0})
        progress.begun(*QUICK)
        progress.told(*QUICK, "1 reading", seen=True)
        progress.begun(*SLOW)
        progress.advanced(3, 10, "steps")
        progress.say("drawn once more")
    text = drawn.getvalue()
    assert "1 of 2 checks" in text
    assert "slow on cpu" in text
    assert "about " in text
    assert " left" in text


def test_no_more_time_is_left_than_the_audit_may_take() -> None:
    clock = Clock()
    left = RemainingTime(EXPECTED, clock, most=120.0)
    assert left.seconds == 120.0
    run(left, clock, QUICK, 80.0)
    assert left.seconds == 40.0
    run(left, clock, SLOW, 80.0)
    assert left.seconds == 0.0


def test_without_a_terminal_a_long_check_is_told_of_each_minute() -> None:
    clock, running = Clock(), RunningCheck("evasion.certified on cpu", 0.0)
    told = []
    for clock.at, running.share in ((59, 0.5), (60, 0.5), (100, 0.6), (130, 0.65), (185, 0.0)):
        told.append(running.tell(clock()))
    assert told == [
        "",
        "running evasion.certified on cpu, 50 %, about 1 min left",
        "",
        "running evasion.certified on cpu, 65 %, about 1 min left",
        "running evasion.certified on cpu, for 3 min",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_only_without_a_terminal_lines_are_written_while_a_check_runs(*, terminal: bool) -> None:
    drawn, clock = io.StringIO(), Clock()
    console = Console(file=drawn, force_terminal=terminal, width=100, color_system=None)
    with ConsoleProgress(console, clock, pause=0.01) as progress:
        progress.begun(*SLOW)
        progress.advanced(4, 10)
        clock.at = 61.0
        until = time.monotonic() + (0.3 if terminal else 30.0)
        while time.monotonic() < until and "running" not in drawn.getvalue():
            time.sleep(0.01)
    assert ("  running slow on cpu, 40 %, about 2 min left\n" in drawn.getvalue()) != terminal


def test_a_reason_is_told_in_words() -> None:
    out = io.StringIO()
    gap = Gap(reason=GapReason.NEEDS_GROUPS, detail="There are no groups.", cure="Name groups.")
    with ConsoleProgress(Console(file=out, width=200)) as progress:
        progress.ended("cpu", discover_checks()["fairness.groups"](), gap)
    assert out.getvalue() == "  gap  fairness.groups on cpu: needs groups\n"


def test_checks_that_lack_the_same_share_a_line_and_others_have_their_own() -> None:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=200)) as progress:
        for check, said, seen in (
            ("evasion.linf", "needs_model", False),
            ("evasion.text", "needs_model", False),
            ("data.balance", "9 readings", True),
            ("data.skew", "needs_production_data", False),
            ("data.drift", "needs_model", False),
        ):
            progress.told("cpu", check, said, seen=seen)
    lines = out.getvalue().splitlines()
    assert lines[0] == "  gap  evasion.linf, evasion.text on cpu: needs_model"
    assert lines[1].startswith("  seen data.balance on cpu: 9 readings (")
    assert lines[2:] == [
        "  gap  data.skew on cpu: needs_production_data",
        "  gap  data.drift on cpu: needs_model",
    ]
