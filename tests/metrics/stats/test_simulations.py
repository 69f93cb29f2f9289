"""The registry of simulations: each experiment runs, a lie is found out, the page is current."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "simulations.md"
BRIEF = {
    "shrunken_rates": 2,
    "mean_sequence": 4,
    "mean_evidence": 4,
    "smooth_error": 4,
    "brier_parts": 15,
    "temper": 20,
    "debiased_l2": 20,
    "recalibrate": 20,
    "restarted_evidence": 4,
    "confirm": 3,
    "baseline": 3,
    "TimeAllowance": 20,
}
FEW = 40
"""Repetitions of all others."""


@pytest.fixture(scope="module")
def simulate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "scripts"))
    import simulate as script  # noqa: PLC0415 -- scripts are no package

    yield script
    sys.path.remove(str(ROOT / "scripts"))


@pytest.mark.slow
def test_one_claim_of_each_method_holds_in_a_brief_run(simulate: ModuleType) -> None:
    first = {it.of: it for it in reversed(simulate.registry())}
    brief = [simulate.perform(it, BRIEF.get(of, FEW)) for of, it in first.items()]
    assert [result.simulation.name for result in brief if result.broken] == []


@pytest.mark.slow
def test_no_claim_is_broken_in_a_brief_run(simulate: ModuleType) -> None:
    brief = [simulate.perform(it, BRIEF.get(it.of, FEW)) for it in simulate.registry()]
    assert [result.simulation.name for result in brief if result.broken] == []


def test_the_names_of_experiments_are_unique(simulate: ModuleType) -> None:
    names = [simulation.name for simulation in simulate.registry()]
    assert len(names) == len(set(names)) > 50


def test_an_experiment_gives_the_same_figure_each_time(simulate: ModuleType) -> None:
    one = simulate.registry()[0]
    assert simulate.perform(one, 300) == simulate.perform(one, 300)


@pytest.mark.parametrize(("at_least", "truth"), [(True, 0.85), (False, 0.12)])
def test_an_interval_or_a_test_that_promises_too_much_is_found_out(
    simulate: ModuleType,
    at_least: bool,  # noqa: FBT001 -- a parameter of the test
    truth: float,
) -> None:
    def draw(rng: np.random.Generator) -> float:
        return float(rng.random() < truth)

    goal = 0.95 if at_least else 0.05
    lie = replace(simulate.registry()[0], goal=goal, at_least=at_least, draw=draw)
    assert simulate.perform(lie, 1000).broken
    assert not simulate.perform(replace(lie, goal=truth), 1000).broken
    assert "**broken**" in simulate.page([simulate.perform(lie, 1000)])


def test_a_handful_of_equal_draws_does_not_pass_for_certainty(simulate: ModuleType) -> None:
    always = replace(simulate.registry()[0], goal=0.95, at_least=True, draw=lambda _: 0.0)
    assert not simulate.perform(always, 1).broken
    assert simulate.perform(always, 100).broken


def test_the_page_holds_every_experiment_and_no_other(simulate: ModuleType) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \| (.*?) \| [≥≤] (\S+) \|", PAGE.read_text(), re.MULTILINE
    )
    wanted = [(it.of, it.case, it.claim, f"{it.goal:g}") for it in simulate.registry()]
    assert rows == wanted, "run make simulate"
    assert "broken**" not in PAGE.read_text()


def test_forty_audits_in_a_part_of_their_time_decide_what_all_rows_decide(
    simulate: ModuleType,
) -> None:
    """And in a hundredth of it they do not: the goal can be missed."""
    kept, _, *others = [it for it in simulate.registry() if it.of == "TimeAllowance"]
    for goal, audits in ((kept, 40), *((it, 15) for it in others)):
        found = simulate.perform(goal, audits)
        assert found.missing <= 0, (goal.name, found.figure)
    limited = sys.modules["simulations.limited_time"]
    hasty = limited.value(0.01, limited.any_figure)
    assert simulate.perform(replace(kept, draw=hasty), 40).broken
