"""Check for sponge examples: how much longer than usual an attacker can make the model take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import ModelBench
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    Gap,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.domain.tasks import Array, Floats
from auditor.metrics.hardware.sponge_examples import (
    SearchSpace,
    SpongeSearchBudget,
    search_slow_inputs,
)
from auditor.metrics.hardware.timing import build_too_few_gap, find_timing_doubts
from auditor.metrics.stats.p_values import permutation_p_value, swap_within_pairs
from auditor.metrics.stats.quantiles import least_samples, quantile, ratio_of_medians

NATURAL = 32
SEARCH_REPEATS = 3
FINALISTS, FINAL_REPEATS = 8, 9
PERMUTATIONS = 4999


@dataclass(frozen=True, slots=True)
class SpongeCheck(Check):
    """Searches the input space for the slowest row, by mixing and changing the slowest of
    ``population`` rows over ``rounds`` rounds.

    The slowest row found is timed again beside ordinary rows, ``repeats`` times, in turns. If you
    declare no input space, the search uses the rows of your data alone. The figure is a bound:
    another search may find a slower row.

    The details hold the p-value of a permutation test that swaps the slowest row with an ordinary
    row of the same pass.
    """

    population: int = 40
    rounds: int = 8
    repeats: int = 41
    agree: float = 0.05

    id: ClassVar[str] = "hardware.sponge"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Sponge inputs that slow the model down"
    attacks_model: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.SPACE})
    emits: ClassVar[Mapping[str, Metric]] = {
        "worst_to_median_latency": Metric(
            "Latency of the worst row found, divided by that of an ordinary row", Unit.NONE,
            BoundKind.AT_LEAST, higher_is_better=False, of_machine=True,
        ),
        "worst_latency": Metric(
            "Median latency of the worst row found", Unit.SECOND, BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.12"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.6"),
        FrameworkControl("iso-42001", "A.6.2.6"),
        FrameworkControl("mitre-atlas", "AML.T0029"),
        FrameworkControl("mitre-atlas", "AML.T0034.001"),
        FrameworkControl("nist-ai-100-2", "NISTAML.014"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"population": 24, "rounds": 3, "repeats": 21},
        Budget.CI: {"population": 40, "rounds": 10, "repeats": 61},
        Budget.FULL: {"population": 100, "rounds": 60, "repeats": 301},
    }
    about: ClassVar[str] = (
        "This check searches for rows that take much longer than others. A user who sends such "
        "rows makes the service slow for all users."
    )
    cures: ClassVar[tuple[str, ...]] = ("Limit the time and the input size of a request.",)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.population, self.repeats) < FINALISTS or self.rounds < 0 or self.agree <= 0:
            message = f"population and repeats must be at least {FINALISTS}, rounds at least 0"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend."""
        searched = (self.rounds + 1) * self.population * SEARCH_REPEATS
        confirmed = FINALISTS * FINAL_REPEATS + self.repeats * (NATURAL + 1)
        return CheckCost(queries=searched + confirmed)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Search, then time the winner anew. Raises what ``ModelBench.each`` raises."""
        dataset, bench = subject.datasets[DatasetRole.EVALUATION], subject.bench
        inputs = dataset.inputs
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to time: the frame asks `needs` first"
            raise TypeError(message)
        if isinstance(bench, Gap):
            return {"gap": write_gap(bench)}
        sample = subject.sample(DatasetRole.EVALUATION, max(NATURAL, self.population))
        rows = inputs[sample]
        winner = self._winner(subject, bench, rows)
        taken = bench.each(np.concatenate([rows[:NATURAL], winner]), self.repeats)
        told = subject.space
        alike = (rows == winner).reshape(len(rows), -1).all(axis=1)
        found: list[int] = np.flatnonzero(alike).tolist()
        known = [str(dataset.ids[sample[row]]) for row in found]
        # Rows of the data are named and not shown; one that was made is shown.
        crafted: Evidence = {} if known else {"winner": winner[0]}
        return {
            "gap": None,
            "taken": taken,
            **crafted,
            "about": {
                "row": known[0] if known else "",
                "searched": not isinstance(told, Gap),
                "why": told.detail if isinstance(told, Gap) else "",
                "population": self.population,
                "rounds": self.rounds,
                "seed": subject.seed,
                "agree": self.agree,
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare the winner's times with those of ordinary rows in the same passes."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        about = cast("Mapping[str, Json]", evidence["about"])
        taken = cast("Floats", evidence["taken"])
        worst, natural = taken[:, -1], np.median(taken[:, :-1], axis=1)
        noise = find_timing_doubts(natural, {}, agree=cast("float", about["agree"]), stolen=1.0)
        generator = np.random.default_rng(cast("int", about["seed"]))
        rows = generator.integers(taken.shape[1] - 1, size=len(taken))
        ordinary = taken[np.arange(len(taken)), rows]
        pairs = np.log(np.maximum(np.stack([taken[:, -1], ordinary], axis=1), 1e-12))
        seen = float((pairs[:, 0] - pairs[:, 1]).mean())
        details: dict[str, Json] = {
            **{name: about[name] for name in ("searched", "why", "population", "rounds", "row")},
            "p_value": permutation_p_value(seen, swap_within_pairs(pairs, PERMUTATIONS, generator)),
            **({"doubts": [*noise]} if noise else {}),
        }
        ratio = ratio_of_medians(worst, natural, confidence)
        seconds = quantile(worst, 0.5, confidence)
        passes = worst.size, least_samples(0.5, 1 - (1 - confidence) / 2)
        return tuple(
            build_too_few_gap(metric, *passes, "passes", {})
            if interval is None
            else Measurement.of(
                interval,
                metric,
                self.emits[metric].unit,
                bound=BoundKind.AT_LEAST,
                repeat=Repeatability.INTERVAL,
                doubted=bool(noise),
                astray=BiasDirection.EITHER if noise else None,
                details=details,
            )
            for metric, interval in zip(self.emits, (ratio, seconds), strict=True)
        )

    def _winner(self, subject: Subject, bench: ModelBench, rows: Array) -> Array:
        space = None if isinstance(subject.space, Gap) else SearchSpace.of(subject.space, rows)
        rounds = 0

        def take(crowd: Array) -> Floats:
            nonlocal rounds
            subject.progress(rounds, self.rounds + 1, "looking for slow rows")
            rounds += 1
            return _median(bench.each(crowd, SEARCH_REPEATS))

        effort = SpongeSearchBudget(self.population, self.rounds)
        generator = np.random.default_rng(subject.seed)
        found = search_slow_inputs(rows, space, take, effort, generator)[:FINALISTS]
        slowest = int(np.argmax(_median(bench.each(found, FINAL_REPEATS))))
        return found[slowest : slowest + 1]


def _median(taken: Floats) -> Floats:
    middle: Floats = np.median(taken, axis=0)
    return middle


CHECK: type[Check] = SpongeCheck
