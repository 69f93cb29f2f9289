"""Puts what the statistics claim of themselves to the test, and writes docs/simulations.md."""  # noqa: INP001 -- a script

import argparse
import hashlib
import math
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from simulations.calibrated import calibration
from simulations.claims import Simulation
from simulations.comparisons import comparisons
from simulations.courses import courses
from simulations.families import clusters, multiplicity, shrinkage
from simulations.intervals import gaps, proportions, scores
from simulations.inversions import inversions
from simulations.limited_time import limited_time
from simulations.looks import sequential
from simulations.poisoned import poisoned
from simulations.slicing import slicing
from simulations.surveys import surveys
from simulations.verdicts import verdicts

PAGE = Path(__file__).resolve().parents[1] / "docs" / "simulations.md"
HEAD = """# Simulations

<!-- Written by `make simulate` from scripts/simulations. Do not edit: edit those files. -->

This page tests the claims of the intervals, tests and adjustments in `auditor/metrics/stats` on
samples with a known truth. All intervals have a confidence of 0.95. The error is the Monte-Carlo
standard error of the figure. A claim is kept if the figure reaches its goal, broken if it misses
the goal by more than four errors, and not refuted in between. Each experiment has its own seed, so
you get the same page from the same code. Run `make simulate` to write it on your machine.

The rows of `baseline` are whole audits under that pack: a linear model with known true figures
answers 2,000 fresh rows, is attacked on 500 of them, and is measured by the checks and judged by
the policy like your own models. A failure of a model that keeps every rule is false; a pass of a
model that breaks a deny rule, by as much as `auditor plan` expects the interval to reach, is false.

The rows of `TimeAllowance` are audits of two to six attacks, each with a rule. The engine spends
time, looks and stops as on your models; which rows withstand and what they cost is drawn. The time
is a part of what all 500 rows take. Near a limit is within 0.15 of it.

"""
FOUR_ERRORS = 4


@dataclass(frozen=True, slots=True)
class Result:
    """What an experiment found."""

    simulation: Simulation
    figure: float
    error: float

    @property
    def missing(self) -> float:
        """How far the figure is on the wrong side of the goal."""
        away = self.simulation.goal - self.figure
        return away if self.simulation.at_least else -away

    @property
    def broken(self) -> bool:
        """Whether chance does not explain what is missing."""
        return self.missing > FOUR_ERRORS * self.error

    @property
    def verdict(self) -> str:
        """What is said of the claim."""
        if self.broken:
            return "falls short, as is known" if self.simulation.known else "**broken**"
        return "kept" if self.missing <= 0 else "not refuted"


def registry() -> tuple[Simulation, ...]:
    """Return every experiment."""
    families = (
        proportions,
        gaps,
        scores,
        calibration,
        multiplicity,
        shrinkage,
        clusters,
        comparisons,
        sequential,
        surveys,
        courses,
        slicing,
        inversions,
        poisoned,
        verdicts,
        limited_time,
    )
    return tuple(simulation for family in families for simulation in family())


def perform(simulation: Simulation, repeats: int) -> Result:
    """Draw ``repeats`` times with the experiment's own seed.

    The error is that of the mean; equal draws are no certainty and have that of one event in two
    more draws.
    """
    seed = int.from_bytes(hashlib.sha256(simulation.seed_name.encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    drawn = np.array([simulation.draw(rng) for _ in range(repeats)])
    least = 1 / (repeats + 2)
    spread = float(drawn.var()) or least * (1 - least)
    return Result(simulation, float(drawn.mean()), math.sqrt(spread / repeats))


def measured(place: int) -> tuple[float, float]:
    """Perform the experiment at a place of the registry; return its figure and error.

    Experiments draw by closures, which do not travel between processes; places do.
    """
    simulation = registry()[place]
    found = perform(simulation, simulation.repeats)
    line = f"{found.figure:.4f} ± {found.error:.4f}  {simulation.name}: {found.verdict}\n"
    sys.stdout.write(line)
    sys.stdout.flush()
    return found.figure, found.error


def page(results: Iterable[Result]) -> str:
    """Return the page: one row an experiment."""
    rows = [
        "| Function | Given | Counted | Goal | Found | Error | Repeats | Claim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        it = result.simulation
        goal = f"{'≥' if it.at_least else '≤'} {it.goal:g}"
        cells = (
            f"`{it.of}`",
            it.case,
            it.claim,
            goal,
            f"{result.figure:.4f}",
            f"{result.error:.4f}",
            f"{it.repeats:,}",
            result.verdict,
        )
        rows.append("| " + " | ".join(cells) + " |")
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Perform every experiment, write the page, and fail if a claim is broken."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--only", default="", help="experiments whose name holds this; writes no page"
    )
    arguments.add_argument("--workers", type=int, default=1, help="processes at once")
    given = arguments.parse_args()
    experiments = registry()
    places = [at for at, it in enumerate(experiments) if given.only in it.name]
    if not places:
        arguments.error(f"no experiment has {given.only!r} in its name")
    with ProcessPoolExecutor(given.workers) as workers:
        found = list(workers.map(measured, places))
    results = [Result(experiments[at], *it) for at, it in zip(places, found, strict=True)]
    if not given.only:
        PAGE.write_text(page(results), encoding="utf-8")
    return int(any(result.broken and not result.simulation.known for result in results))


if __name__ == "__main__":
    sys.exit(main())
