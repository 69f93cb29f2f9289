"""Audits in a part of the time that their rules would take: what they decide, and what wrongly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.readings import state_looks
from auditor.checks.measure import CONFIDENCE
from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Blob, Evidence
from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.domain.row_limits import ROWS_IN_TIME
from auditor.domain.targets import TargetSpec
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.sequential import spend_on_looks
from auditor.policy.evaluate.rules import judge_by_limits
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance
from simulations.claims import Draw, Random, Simulation, covering
from simulations.populations import Population
from simulations.verdicts import EASY

ROWS, SIZE, TARGET, METRIC = 500, AuditSize(500, 2), "unnamed", "robust_accuracy"
OF, PART_OF_TIME, LITTLE, NEAR = "TimeAllowance", 0.3, 0.05, 0.15
LIMITS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""What policies ask for, of models whose true figures are anything."""
ATTACKS = 6
"""Rules of an audit at most, each on an attack of its own."""
WITHIN, EARLY = "rules decided of those that all rows decide", "rules decided wrongly at a look"
Truth = Callable[[Random, float], float]
"""Draws the true figure under an attack of which the limit is given."""
KEPT = frozenset({Outcome.PASSED, Outcome.WITHSTOOD})


@dataclass(frozen=True, slots=True)
class SimulatedAttack(Check):
    """An attack of which it is known beforehand which rows withstand it, and what each costs.

    Its rows go in the parts that the limit gives, as those of ``run_sweep``.
    """

    rows: int = ROWS

    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Simulated attack"
    emits: ClassVar[Mapping[str, Metric]] = {
        METRIC: Metric("Accuracy", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True)
    }
    by_parts: ClassVar[bool] = True
    dearest: ClassVar[int] = 1
    withstands: ClassVar[NDArray[np.bool_]]
    costs: ClassVar[NDArray[np.int64]]

    def cost(self, size: AuditSize) -> CheckCost:
        """Return the cost if each row costs its most."""
        return CheckCost(size.rows + self.rows * self.dearest, clean=size.rows)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Look at the rows as far as the limit lets it."""
        del shard
        model, limit = cast("Any", subject.model), subject.row_limit
        looks, done, decided = limit.plan_looks(self.rows), 0, False
        parts: list[int] = []

        def describe(*, decided: bool) -> Evidence:
            spent = int(self.costs[:done].sum())
            cut: dict[str, Json] = {
                "rows": done,
                "of": self.rows,
                "parts": list(parts),
                "looks": looks,
                "decided": decided,
                "queries": spent,
                "passes": 0,
            }
            held: Evidence = {"held": self.withstands[:done]}
            return {**held, ROWS_IN_TIME: cut} if limit.timed else held

        while done < self.rows and not decided:
            taken = limit.take(done, self.rows - done)
            if not taken:
                break
            name = f"part {len(parts)} of {taken} rows"
            if subject.memory.recall(name) is None:
                model.queries += int(self.costs[done : done + taken].sum())
                subject.memory.remember(name, {})
            parts.append(taken)
            done += taken
            if looks and done < self.rows:
                decided = limit.is_decided(done, partial(describe, decided=True))
        return describe(decided=decided)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Return the share of rows that withstand, as ``build_robustness_readings`` does."""
        held = cast("NDArray[np.bool_]", evidence["held"])
        cut = cast("Mapping[str, Any]", evidence.get(ROWS_IN_TIME, {"looks": 0, "decided": False}))
        level = spend_on_looks(confidence, cut["looks"], early=cut["decided"])
        interval = clopper_pearson(int(held.sum()), len(held), level)
        found = Measurement.of(interval, METRIC, Unit.SHARE, bound=BoundKind.AT_MOST)
        return (state_looks(found, confidence, cut["looks"]),)


@dataclass(frozen=True, slots=True)
class AuditCase:
    """The attacks of one audit, what is true of each, and the rule on it."""

    checks: tuple[SimulatedAttack, ...]
    truths: tuple[float, ...]
    rules: tuple[Rule, ...]

    @classmethod
    def drawn(cls, rng: Random, truth: Truth) -> "AuditCase":
        """Draw an audit of two attacks or more."""
        number = int(rng.integers(2, ATTACKS + 1))
        limits = [float(it) for it in rng.choice(LIMITS, number)]
        truths = [truth(rng, limit) for limit in limits]
        checks = tuple(_draw_attack(rng, index, it) for index, it in enumerate(truths))
        rules = (_rule(check, limit) for check, limit in zip(checks, limits, strict=True))
        return cls(checks, tuple(truths), tuple(rules))

    def observe(self, rng: Random, seconds: float | None) -> tuple[tuple[Result, ...], int]:
        """Audit within so many seconds of the target, and return what it took of them."""
        asked, family = frozenset(it.id for it in self.checks), len(self.rules)
        spec = TargetSpec(TARGET)
        allowance = TimeAllowance(spec, SIZE, None, seconds, self.checks, asked, self.rules, family)
        subject = replace(_population().sample(rng, ROWS), memory=DictMemory())
        subject.clean[DatasetRole.EVALUATION] = np.zeros((ROWS, 2))
        results = observe_checks(self.checks, subject, _forget, Unwatched(), allowance)
        return results, cast("Any", subject.model).queries

    def judge(self, results: Sequence[Result]) -> tuple[Outcome | None, ...]:
        """Return what the rules come to: failed for the whole family, kept, or nothing."""
        return tuple(map(self._judge, self.rules, results))

    def _judge(self, rule: Rule, result: Result) -> Outcome | None:
        if not isinstance(result, ObservedCheck):
            return None
        for confidence, sought in (
            (1 - (1 - CONFIDENCE) / len(self.rules), frozenset({Outcome.FAILED})),
            (CONFIDENCE, KEPT),
        ):
            (reading,) = result.check.figures(result.evidence, confidence)
            outcome = judge_by_limits(rule, cast("Measurement", reading)).outcome
            if outcome in sought:
                return outcome
        return None


def limited_time() -> tuple[Simulation, ...]:
    """Audits of two to six attacks on 500 rows, with rules that are kept, broken, or just so."""
    part = f"{PART_OF_TIME * 100:.0f} % of the time"
    decided = (
        ("any figures", any_figure, 0.9, 1000),
        ("figures near the limits", _near, 0.65, 500),
    )
    wrong = (
        ("figures anywhere", any_figure),
        ("each at its limit", _at),
        ("each just missed", _below),
    )
    return (
        *(
            Simulation(OF, f"{part}, {name}", WITHIN, goal, True, repeats, value(PART_OF_TIME, law))  # noqa: FBT003 -- at least
            for name, law, goal, repeats in decided
        ),
        *(
            Simulation(OF, f"{part}, {name}", EARLY, 0.01, False, 2000, _mistakes(law))  # noqa: FBT003 -- at most
            for name, law in wrong
        ),
        covering(OF, f"{LITTLE * 100:.0f} % of the time, any figures", 0.95, 1000, _covered),
    )


def any_figure(rng: Random, limit: float) -> float:
    """Draw a figure that does not depend on the limit."""
    del limit
    return float(rng.uniform(0.02, 0.98))


def _near(rng: Random, limit: float) -> float:
    return limit + float(rng.uniform(-NEAR, NEAR))


def _at(rng: Random, limit: float) -> float:
    del rng
    return limit


def _below(rng: Random, limit: float) -> float:
    del rng
    return limit - 1e-6


def value(part: float, truth: Truth) -> Draw:
    """Return the share decided, in this part of the time, of the rules that all rows decide."""

    def draw(rng: Random) -> float:
        while True:
            case = AuditCase.drawn(rng, truth)
            whole, spent = case.observe(rng, None)
            sought = [outcome is not None for outcome in case.judge(whole)]
            if any(sought):
                break
        results, _ = case.observe(rng, part * spent)
        found = [outcome is not None for outcome in case.judge(results)]
        return float(np.logical_and(found, sought).sum() / np.sum(sought))

    return draw


def _mistakes(truth: Truth) -> Draw:
    """Return which share of the rules is decided wrongly at a look."""

    def draw(rng: Random) -> float:
        case = AuditCase.drawn(rng, truth)
        spent = sum(int(check.costs.sum()) for check in case.checks)
        results, _ = case.observe(rng, PART_OF_TIME * spent)
        seen = zip(case.rules, case.truths, case.judge(results), results, strict=True)
        wrong = [
            (outcome is Outcome.FAILED) is (true >= _least(rule))
            for rule, true, outcome, result in seen
            if outcome is not None and _is_early(result)
        ]
        return sum(wrong) / len(case.rules)

    return draw


def _covered(rng: Random) -> float:
    """Return which share of the reported intervals holds the truth, where little time decides."""
    while True:
        case = AuditCase.drawn(rng, any_figure)
        spent = sum(int(check.costs.sum()) for check in case.checks)
        results, _ = case.observe(rng, LITTLE * spent)
        seen = [
            (truth, cast("Measurement", reading))
            for truth, result in zip(case.truths, results, strict=True)
            if isinstance(result, ObservedCheck)
            for reading in result.check.figures(result.evidence, CONFIDENCE)
        ]
        if seen:
            held = [cast("float", it.low) <= truth <= cast("float", it.high) for truth, it in seen]
            return sum(held) / len(held)


def _least(rule: Rule) -> float:
    return cast("float", cast("MetricLimits", rule.limits).least)


def _is_early(result: Result) -> bool:
    if not isinstance(result, ObservedCheck):
        return False
    cut = cast("Mapping[str, Any]", result.evidence.get(ROWS_IN_TIME, {}))
    return bool(cut.get("decided"))


def _draw_attack(rng: Random, index: int, truth: float) -> SimulatedAttack:
    """Draw an attack's rows: one that withstands costs its most, and many others little of it."""
    dearest = int(np.exp(rng.uniform(np.log(50), np.log(1000))))
    withstands = rng.random(ROWS) < truth
    soon = rng.random(ROWS) < rng.uniform(0.2, 0.9)
    shares = np.where(soon, rng.uniform(0.02, 0.1, ROWS), rng.uniform(0.1, 1.0, ROWS))
    costs = np.ceil(dearest * np.where(withstands, 1.0, shares)).astype(np.int64)
    own = {"id": f"evasion.simulated_{index}", "dearest": dearest, "withstands": withstands}
    made = type(f"Simulated{index}", (SimulatedAttack,), {"__slots__": (), **own, "costs": costs})
    return cast("SimulatedAttack", made())


def _rule(check: Check, least: float) -> Rule:
    return Rule(
        id=check.id, title="", severity=Severity.HIGH, effect=RuleEffect.DENY, check=check.id,
        metric=METRIC, limits=MetricLimits(least=least), accept_withstood=True,
    )  # fmt: skip


@cache
def _population() -> Population:
    return Population.having(**EASY)


def _forget(blob: Blob) -> None:
    """Keep no evidence."""


@dataclass(frozen=True, slots=True)
class DictMemory:
    """A checkpoint in memory."""

    held: dict[str, Evidence] = field(default_factory=dict)

    def recall(self, name: str) -> Evidence | None:
        """Return what was remembered under ``name``, or ``None``."""
        return self.held.get(name)

    def remember(self, name: str, evidence: Evidence) -> None:
        """Keep ``evidence`` as long as the audit lasts."""
        self.held[name] = evidence


class Unwatched:
    """Listens to no progress."""

    def started(self, target: str, check: Check) -> None:
        """Go on."""

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Go on."""

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Go on."""
