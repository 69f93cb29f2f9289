"""Check of robust accuracy under transfer attacks, crafted on a surrogate of the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.counterexamples.norm_ball_claims import TRANSFERRED
from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_setup import require_positive, sort_budgets
from auditor.attacks.evasion.evidence import describe_attack_run
from auditor.attacks.evasion.holdout import report_too_few_rows, split_holdout, too_few_rows_gap
from auditor.attacks.evasion.readings import best_half_width, build_robustness_readings
from auditor.attacks.evasion.row_evidence import ATTACKED
from auditor.attacks.evasion.run_check import robustness_metrics
from auditor.attacks.evasion.transfer import SurrogateTraining, distil_surrogate, run_transfer
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading
from auditor.domain.row_evidence import RowEvidence

SECONDS_A_LESSON_ROW = 1e-4
SECONDS_A_STEP = 1e-4
"""Of a row, on the surrogate: pictures of many thousand pixels take longer."""


@dataclass(frozen=True, slots=True)
class TransferAttackCheck(Check):
    """Simulates an attacker who has data and answers, but neither your model nor permission to
    experiment.

    A small network learns the target's answers to half of the evaluation rows. Attacks are made on
    it by Auto-PGD, and each result is sent to the target once.

    ``eps`` are shares of each coordinate's range. The surrogate has ``hidden`` units and sees at
    most ``teaching`` answers ``epochs`` times; the attack takes ``steps`` steps. ``agreement`` in
    the details is the share of unseen rows on which surrogate and target decide alike: if it is
    low, a high accuracy proves little.

    The check does not measure transfer from one real target or variant to another. Up to
    ``examples`` broken rows are kept with their clean inputs.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    hidden: int = 64
    epochs: int = 60
    teaching: int = 1000
    steps: int = 20
    rows: int = 200
    examples: int = 8

    id: ClassVar[str] = "evasion.transfer"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under transfer attacks from a surrogate model"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics()
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0015"),
        FrameworkControl("mitre-atlas", "AML.T0043.002"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.025"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"eps": (0.02, 0.05, 0.1, 0.2, 0.3), "epochs": 100, "rows": 500},
        Budget.FULL: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
            "hidden": 128,
            "epochs": 200,
            "teaching": 10_000,
            "steps": 50,
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_row: ClassVar[RowEvidence] = ATTACKED
    by_example: ClassVar[CounterexampleClaims] = TRANSFERRED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        require_positive(
            hidden=self.hidden,
            epochs=self.epochs,
            teaching=self.teaching,
            steps=self.steps,
            rows=self.rows,
        )

    @property
    def attack(self) -> AutoPgd:
        """The climb on the surrogate."""
        return AutoPgd(self.steps)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds: the answers that teach are those that every check shares."""
        budgets, half = len(sort_budgets(self.eps)), (size.rows + 1) // 2
        asked = budgets * min(self.rows, half)
        taught = self.epochs * min(self.teaching, half)
        seconds = taught * SECONDS_A_LESSON_ROW + asked * self.steps * SECONDS_A_STEP
        return CheckCost(queries=size.rows + asked, clean=size.rows, seconds=seconds)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, (size.rows + 1) // 2), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Teach on one half of the evaluation rows, craft and judge on the other."""
        split = split_holdout(subject, self.rows, self.teaching)
        lacking = report_too_few_rows(split)
        if lacking is not None:
            return lacking
        arena, answered = split.judged.arena, split.prepared.arena
        rng = np.random.default_rng(subject.seed)
        surrogate = distil_surrogate(
            arena, answered, SurrogateTraining(self.hidden, self.epochs), rng
        )
        found = run_transfer(
            arena, surrogate, self.attack, sort_budgets(self.eps), rng, subject.progress
        )
        most = self.examples * subject.show_examples
        return {
            **describe_attack_run(split.judged, found, most_examples=most, twin=surrogate),
            "taught": len(answered.rows) * answered.repeats,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        settings = cast("dict[str, Json]", evidence["settings"])
        gap = too_few_rows_gap(settings)
        if gap is not None:
            return (gap,)
        like = cast("Mapping[str, Json]", settings["twin_distance"])
        effort: dict[str, Json] = {
            "attack": "transfer",
            "surrogate": {"hidden": self.hidden, "epochs": self.epochs},
            "agreement": like["agreement"],
            "teaching_queries": cast("Json", evidence["taught"]),
        }
        return build_robustness_readings(evidence, confidence, effort)


CHECK: type[Check] = TransferAttackCheck
