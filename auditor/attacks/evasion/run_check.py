"""One attack check's work: gather the rows, throw a suite at them, and write down what was seen."""

from collections.abc import Mapping

from auditor.attacks.arenas import gather
from auditor.attacks.bands import both_ways
from auditor.attacks.goals import Error
from auditor.attacks.norms import Norm
from auditor.attacks.suites import Suite
from auditor.attacks.sweeping import sweep
from auditor.attacks.trials import describe
from auditor.domain.budgets import Cost, Size
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Bound, Gap, Unit
from auditor.domain.subjects import Subject

REFINE = 6
"""Bisections of each success: its size is then known to 1/64."""
SECONDS_A_PASS = 5e-6
SECONDS_A_QUERY = 5e-6


def robustness_metrics(distance: Unit = Unit.SHARE) -> Mapping[str, Metric]:
    """Return what an attack at growing budgets emits; ``distance`` is the unit of a change."""
    return {
        "clean_accuracy": Metric(
            "Accuracy on the attacked rows before any attack", Unit.SHARE, higher_is_better=True
        ),
        "robust_accuracy": Metric(
            "Accuracy under attack", Unit.SHARE, Bound.AT_MOST, higher_is_better=True
        ),
        "min_breaking_eps": Metric(
            "Smallest change that breaks half of the rows (the largest possible: none was found)",
            distance,
            Bound.AT_MOST,
            higher_is_better=True,
        ),
        "expected_cost": Metric(
            "Mean cost of the decisions under attack, where the task has costs",
            Unit.NONE,
            Bound.AT_LEAST,
            higher_is_better=False,
        ),
    }


def bout_cost(suite: Suite, budgets: int, rows: int, size: Size) -> Cost:
    """Return upper bounds of what a bout spends; rows that break early cost less.

    A regression, whose model gives one score a row, is attacked upwards and downwards.
    """
    suite = both_ways(suite) if size.classes == 1 else suite
    attacked = min(rows, size.rows)
    passes = attacked * suite.passes(budgets)
    asked = attacked * (suite.queries(budgets) + REFINE)
    seconds = passes * SECONDS_A_PASS + (asked if not passes else 0) * SECONDS_A_QUERY
    return Cost(queries=size.rows + asked, passes=passes, seconds=seconds)


def fight(  # noqa: PLR0913 -- what a check's parameters say
    subject: Subject,
    suite: Suite,
    budgets: tuple[float, ...],
    *,
    norm: Norm,
    rows: int,
    examples: int,
    label: str = "",
    decision: str = "",
) -> Evidence:
    """Attack the first ``rows`` rows of the audit's permutation at each budget.

    Success is what the task counts as harm; ``label`` and ``decision`` ask about rows of one class
    or decisions for one alone. Raises ``PolicyError`` for classes that the task does not have, and
    ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    bout = gather(subject, rows, norm, label=label, decision=decision)
    suite = both_ways(suite) if isinstance(bout.arena.goal, Error) else suite
    if suite.asks_the_twin and bout.arena.twin is None:
        message = "the frame asks for needs first"
        raise TypeError(message)
    found = sweep(
        suite,
        bout.arena,
        budgets,
        subject.seed,
        subject.progress,
        refine=REFINE,
        memory=subject.memory,
    )
    twin = None if isinstance(subject.twin, Gap) or not suite.asks_the_twin else subject.twin
    most = examples * subject.show_examples
    return describe(bout, found, most_examples=most, twin=twin)
