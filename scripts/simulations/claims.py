"""A claim of a statistic, and how it is put to the test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.domain.readings import ConfidenceInterval

Random = np.random.Generator
Draw = Callable[[Random], float]
LEVEL = 0.95
REWORDED = (
    ("no bad slice", "nothing bad"),
    ("equally exposed", "of whom the model tells alike"),
    ("as far as the plan detects", "what the plan foresees to tell"),
)
"""Words of cases, and those that their seeds come from: new words change no figure."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """The claim that the mean of ``draw``, within 0..1, is ``goal`` at least, or at most.

    ``of`` names the function that claims it, ``case`` what it is given, ``claim`` what is counted.
    """

    of: str
    case: str
    claim: str
    goal: float
    at_least: bool
    repeats: int
    draw: Draw
    known: bool = False

    @property
    def name(self) -> str:
        """The function and the case."""
        return f"{self.of}: {self.case}"

    @property
    def seed_name(self) -> str:
        """The name that the experiment's seed comes from: its own, in the words it first had."""
        name = self.name
        for now, first in REWORDED:
            name = name.replace(now, first)
        return name


def covering(  # noqa: PLR0913 -- one argument a column of the page
    of: str, case: str, goal: float, repeats: int, draw: Draw, *, known: bool = False
) -> Simulation:
    """Claim that an interval at 0.95 covers the truth at least as often as ``goal``.

    ``known`` is a case of which the function's own text says that it falls short there.
    """
    return Simulation(
        of, case, "covers", goal, at_least=True, repeats=repeats, draw=draw, known=known
    )


def seldom(of: str, case: str, claim: str, repeats: int, draw: Draw) -> Simulation:
    """Claim that something happens with probability 0.05 at most."""
    return Simulation(of, case, claim, 0.05, at_least=False, repeats=repeats, draw=draw)


def covers(interval: ConfidenceInterval | None, truth: float) -> float:
    """Return 1 for an interval that holds the truth; none is a miss."""
    return float(interval is not None and interval.low <= truth <= interval.high)
