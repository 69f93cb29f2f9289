"""Runs one evasion check: gathers the rows, runs an attack suite, and writes the evidence."""

from collections.abc import Mapping
from dataclasses import replace

from auditor.attacks.evasion.attack_setup import AttackRun, prepare_attack_run
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.evidence import describe_attack_run, describe_outcomes
from auditor.attacks.evasion.goals import RegressionErrorGoal
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.regression import build_regression_suite
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Unit
from auditor.domain.row_limits import LEFT_BUDGETS, ROWS_IN_TIME, RowLimit

REFINE = 6
"""Bisections of each success: its size is then known to 1/64."""
SECONDS_A_PASS = 5e-6
SECONDS_A_QUERY = 5e-6
CRAFTED_INPUT_CONTROLS = (
    FrameworkControl("eu-ai-act", "15(5)"),
    FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
    FrameworkControl("iso-42001", "A.6.2.4"),
    FrameworkControl("mitre-atlas", "AML.T0015"),
    FrameworkControl("mitre-atlas", "AML.T0043.000"),
    FrameworkControl("owasp-ml", "ML01"),
    FrameworkControl("nist-ai-100-2", "NISTAML.022"),
)
"""What asks for robustness to inputs that are crafted on the model."""


def robustness_metrics(distance: Unit = Unit.SHARE) -> Mapping[str, Metric]:
    """Return what an attack at growing budgets emits; ``distance`` is the unit of a change."""
    return {
        "clean_accuracy": Metric(
            "Accuracy on the attacked rows before any attack", Unit.SHARE, higher_is_better=True
        ),
        "robust_accuracy": Metric(
            "Accuracy under attack", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
        ),
        "min_breaking_eps": Metric(
            "Smallest change that breaks half of the rows (the largest possible: not found)",
            distance,
            BoundKind.AT_MOST,
            higher_is_better=True,
        ),
        "expected_cost": Metric(
            "Mean cost of decisions under attack, if the task has costs",
            Unit.NONE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
    }


def estimate_attack_cost(suite: AttackSuite, budgets: int, rows: int, size: AuditSize) -> CheckCost:
    """Return upper bounds of what a bout spends; rows that break early cost less.

    A regression, whose model gives one score a row, is attacked upwards and downwards.
    """
    suite = build_regression_suite(suite) if size.classes == 1 else suite
    attacked = min(rows, size.rows)
    passes = attacked * suite.passes(budgets)
    asked = attacked * (suite.queries(budgets) + REFINE)
    seconds = passes * SECONDS_A_PASS + (asked if not passes else 0) * SECONDS_A_QUERY
    return CheckCost(size.rows + asked, passes, seconds, clean=size.rows)


def run_attack_check(  # noqa: PLR0913 -- what a check's parameters say
    subject: Subject,
    suite: AttackSuite,
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
    bout = prepare_attack_run(subject, rows, norm, label=label, decision=decision)
    suite = (
        build_regression_suite(suite) if isinstance(bout.arena.goal, RegressionErrorGoal) else suite
    )
    if suite.asks_the_twin and bout.arena.twin is None:
        message = "the frame asks for needs first"
        raise TypeError(message)
    limit, looks = subject.row_limit, subject.row_limit.plan_looks(len(bout.sample))
    left = _list_waiting_budgets(budgets, suite, limit)
    budgets = tuple(eps for eps in budgets if eps not in left)

    def read(found: SweepResult) -> Evidence:
        """Return the evidence of the rows so far, as if it decided."""
        outcomes = describe_outcomes(bout.first(len(found.breaking)), found)
        return {
            **outcomes,
            ROWS_IN_TIME: _describe_parts(bout, replace(found, decided=True), limit, looks, left),
        }

    found = run_sweep(
        suite,
        bout.arena,
        budgets,
        subject.seed,
        subject.progress,
        refine=REFINE,
        memory=subject.memory,
        limit=limit,
        read=read if looks else None,
    )
    # Rows of other parts meet other random numbers: who repeats this needs their size
    cut = {ROWS_IN_TIME: _describe_parts(bout, found, limit, looks, left)} if limit.timed else {}
    bout = bout.first(len(found.breaking))
    twin = None if isinstance(subject.twin, Gap) or not suite.asks_the_twin else subject.twin
    most = examples * subject.show_examples
    return {**describe_attack_run(bout, found, most_examples=most, twin=twin), **cut}


def _list_waiting_budgets(
    budgets: tuple[float, ...], suite: AttackSuite, limit: RowLimit
) -> tuple[float, ...]:
    """Return the budgets below all that rules name, where time is limited.

    A row that breaks between them and those is walked to the end of a minimal attack for them.
    """
    named = [eps for eps in limit.asked if eps in budgets]
    if not (named and limit.races and suite.minimal):
        return ()
    return tuple(eps for eps in budgets if eps < min(named))


def _describe_parts(
    bout: AttackRun, found: SweepResult, limit: RowLimit, looks: int, left: tuple[float, ...]
) -> dict[str, Json]:
    return {
        "rows": len(found.breaking),
        "of": len(bout.sample),
        "parts": list(found.parts),
        "races": limit.races,
        **({"asked": list(limit.asked)} if limit.asked else {}),
        **({LEFT_BUDGETS: list(left)} if left else {}),
        "looks": looks,
        "decided": found.decided,
        "queries": sum(bill.queries for bill in found.log),
        "passes": sum(bill.passes for bill in found.log),
    }
