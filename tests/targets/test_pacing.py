"""How many rows a request carries: found out by measuring, and never by other bytes."""

import numpy as np
from tiny_models import Classes, Workshop

from auditor.domain.targets import TargetSpec
from auditor.targets.protocol import Anything
from auditor.targets.session import open_model
from auditor.targets.supervisor import SIZES, BatchProbe, choose_request_size

ROWS = np.arange(64 * 3, dtype=np.float32).reshape(64, 3)
PACE, USUAL = 2e-4, 1024


class Target:
    """Takes ``each`` seconds a request, and as long again for every row beyond ``room``.

    The seconds pass on a clock of its own, however busy the machine is.
    """

    def __init__(self, each: float, room: int, *, varies: bool = False) -> None:
        self.each, self.room, self.varies = each, room, varies
        self.asked: list[int] = []
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def __call__(self, rows: Anything) -> Anything:
        self.asked.append(len(rows))
        self.now += self.each * (1 + max(0, len(rows) - self.room))
        return rows * 2 + (len(rows) if self.varies else 0)


def tried(
    target: Target, rows: Anything = ROWS, pace: float = PACE, usual: int = USUAL
) -> BatchProbe:
    return choose_request_size(target, rows, pace, usual, clock=target.clock)


def test_a_target_whose_caches_overflow_gets_smaller_requests() -> None:
    found = tried(Target(0.0002, 64))
    assert found.rows == 64


def test_a_target_that_only_pays_by_the_request_keeps_the_usual_size() -> None:
    target = Target(0.0005, 10_000)
    found = tried(target)
    assert found.rows is None
    assert found.queries == sum(target.asked) == 2 * len(SIZES) * 256


def test_a_size_that_changes_the_bytes_is_not_taken_however_fast() -> None:
    assert tried(Target(0.0002, 64, varies=True)).rows is None


def test_fast_models_and_very_slow_ones_are_not_tried() -> None:
    for pace in (1e-6, 1.0):
        target = Target(0.0, 10)
        assert tried(target, pace=pace).queries == 0
        assert target.asked == []


def test_large_rows_are_never_sent_in_larger_requests_than_fit() -> None:
    target = Target(0.0, 10_000)
    tried(target, usual=64)
    assert set(target.asked) <= {16, 64}


def test_the_record_says_how_many_rows_a_request_carried(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = workshop.linear(np.eye(3)), np.full((10, 3), 5.0)  # too few to time
    with open_model(TargetSpec("cpu"), workshop.folder, artifact, classes(3), rows) as model:
        told = model.fingerprint.conditions_facts["rows_a_request"]
    assert told == 1024


def test_a_few_rows_say_nothing_of_a_pace() -> None:
    target = Target(0.0, 10)
    assert tried(target, ROWS[:10]).queries == 0
    assert target.asked == []
