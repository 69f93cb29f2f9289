"""While the owner's code works, a check says again how far it is, and can be stopped."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from test_local import SIZE, SUBJECT, Dice, Note

from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import CancelledError
from auditor.workflows.engine.local import ProgressHeartbeat, observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance


class Slow:
    """A recipe that trains for three seconds, in no time."""

    digest = "sha256:" + "0" * 64

    def __init__(self, pulse: Callable[[], None] = lambda: None) -> None:
        self.pulse = pulse

    def attended(self, pulse: Callable[[], None]) -> "Slow":
        return Slow(pulse)

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        for _ in range(3):
            self.pulse()
        return ()


class Trains(Dice):
    """Throws dice after a training."""

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        seen = super().observe(subject, shard)
        subject.recipe.answers(RetrainingTask(np.zeros(1), np.zeros(1, dtype=np.int64), 0), ())
        return seen


def test_a_training_says_again_and_again_how_far_the_check_is() -> None:
    note = Note()
    observe_checks(
        [Trains()],
        replace(SUBJECT, recipe=Slow()),
        lambda _: None,
        note,
        TimeAllowance(TargetSpec("cpu"), SIZE),
    )
    assert note.said[1:-1] == ["1/2 throwing"] * 4


class Stopping(Note):
    """Stops an audit at the second thing that it hears of a check."""

    def advanced(self, done: int, total: int, note: str = "") -> None:
        super().advanced(done, total, note)
        if len(self.said) == 3:
            raise CancelledError("the user stopped", cure="Start again.")


def test_who_stops_during_a_training_stops_the_audit() -> None:
    note = Stopping()
    with pytest.raises(CancelledError):
        observe_checks(
            [Trains()],
            replace(SUBJECT, recipe=Slow()),
            lambda _: None,
            note,
            TimeAllowance(TargetSpec("cpu"), SIZE),
        )
    assert note.said[-1] == "1/2 throwing"


def test_before_anything_was_said_nothing_is_done_of_one() -> None:
    note = Note()
    ProgressHeartbeat(note.advanced).again()
    assert note.said == ["0/1 "]
