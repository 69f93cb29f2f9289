"""Whoever is killed whenever, every submission is carried through, and nothing that ended again."""

import itertools
import logging
import random
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from durable_toys import PLAN, Line, lines, told, until

from auditor.service.jobs.durable import EngineConfig

STEPS = [f"{target} {check}" for target, checks in PLAN for check in checks]
FEW, SOON = 2, 2
"""Seconds in which what a dead process had in hand runs again, on PostgreSQL."""
LOG = logging.getLogger(__name__)
Start = Callable[..., subprocess.Popen[bytes]]


def kill(start: Start, folder: Path, kills: int) -> tuple[list[str], dict[str, float]]:
    """Kill so often, anybody at any time, with always some left; return names, and who died when.

    Every process, the first ones and those that take a dead one's place, hands work in.
    """
    chance = random.Random(11)  # noqa: S311 -- no secret
    alive, names, died = {}, [], dict[str, float]()

    def another() -> None:
        number = len(died) + len(alive)
        mine = [f"slow{number}-{item}" for item in range(2)]
        names.extend(mine)
        alive[f"w{number}"] = start(f"w{number}", *mine)

    for _ in range(3 if kills > FEW else 2):
        another()
    for _ in range(kills):
        until(lambda: all((folder / f"ready {name}").exists() for name in alive), 120)
        time.sleep(chance.uniform(0.05, 0.9))
        victim = chance.choice(sorted(alive))
        died[victim] = time.time()
        alive.pop(victim).kill()
        another()
    for name in names:
        until(lambda name=name: "conclude" in told(folder, name), 120)  # type: ignore[misc]
    return names, died


def refuse_needless(told: list[Line], died: dict[str, float]) -> list[float]:
    """Hold every step that ran again against the death of who ran it; return how late it did."""
    late = []
    for step in STEPS:
        starts = [line for line in told if line.what == f"start {step}"]
        for before, again in itertools.pairwise(starts):
            death = died.get(before.executor)
            assert death is not None, f"{step} ran again beside {before.executor}, which lived"
            assert death <= again.at, f"{step} ran again before {before.executor} died"
            late.append(again.at - death)
    return late


def refuse_repeated(said: list[str]) -> None:
    """Hold that no step ran again once the next one, or the conclusion, had begun."""
    for target, checks in PLAN:
        steps = [*(f"start {target} {check}" for check in checks), "conclude"]
        for step, after in itertools.pairwise(steps):
            assert step in said
            assert step not in said[said.index(after) :], f"{step} had ended, and ran again"


SLOW, LONG = pytest.mark.slow, [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize(
    ("post", "kills"),
    [
        pytest.param("sqlite", 2, id="sqlite-2"),
        pytest.param("sqlite", 8, id="sqlite-8", marks=SLOW),
        pytest.param("postgresql", 8, id="postgresql-8", marks=SLOW),
        pytest.param("sqlite", 50, id="sqlite-50", marks=LONG),
        pytest.param("postgresql", 50, id="postgresql-50", marks=LONG),
    ],
    indirect=["post"],
)
def test_whoever_is_killed_whenever_every_submission_is_carried_through(
    start: Start,
    post: EngineConfig,
    tmp_path: Path,
    kills: int,
) -> None:
    names, died = kill(start, tmp_path, kills)
    late: list[float] = []
    for name in names:
        happened = lines(tmp_path, name)
        late += refuse_needless(happened, died)
        said = [line.what for line in happened]
        refuse_repeated(said)
        assert said.count("conclude") <= 1 + kills
        assert not [line for line in said if line.startswith("failed")]
    # The bound is of a machine at rest; the median holds on one that others share as well.
    on_postgresql = post.url.get_backend_name() == "postgresql"
    middle = statistics.median([*late, 0])
    LOG.info(
        "%d steps ran again, %.2f s after a death, at most %.2f", len(late), middle, max([*late, 0])
    )
    assert not on_postgresql or middle < SOON
