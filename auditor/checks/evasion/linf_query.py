"""Check of robust accuracy in an L-infinity ball under score-based query attacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.counterexamples.norm_ball_claims import BALL
from auditor.attacks.evasion.attack_protocol import AttackFeedback
from auditor.attacks.evasion.attack_setup import (
    require_harmful_decision,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import best_half_width, build_robustness_readings
from auditor.attacks.evasion.row_evidence import ATTACKED
from auditor.attacks.evasion.run_check import (
    estimate_attack_cost,
    robustness_metrics,
    run_attack_check,
)
from auditor.attacks.evasion.suite_parser import AttackSuite, build_suite
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError


@dataclass(frozen=True, slots=True)
class LinfQueryCheck(Check):
    """Attacks rows with the target's scores alone, by Square Attack (Andriushchenko et al. 2020).

    - ``eps``: shares of each coordinate's range.
    - ``iterations``: each costs one query for a row that still withstands.
    - ``stages``: further attacks on scores for the rows that remain: ``nes:STEPSxPAIRS`` (Ilyas et
      al. 2018).
    - ``label`` and ``decision``: classes. Attack only rows of the first, and count only decisions
      for the second (empty: any).
    - ``examples``: how many broken rows are kept, with their clean inputs.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    iterations: int = 150
    restarts: int = 1
    stages: tuple[str, ...] = ()
    rows: int = 200
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.linf_query"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Accuracy under score-based black-box L∞ attacks"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics()
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0043.001"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.025"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"eps": (0.01, 0.02, 0.05, 0.1, 0.2), "iterations": 1000, "rows": 500},
        Budget.FULL: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
            "iterations": 5000,
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_parts: ClassVar[bool] = True
    by_row: ClassVar[RowEvidence] = ATTACKED
    by_example: ClassVar[CounterexampleClaims] = BALL

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        require_harmful_decision(self.label, self.decision)
        require_positive(iterations=self.iterations, restarts=self.restarts, rows=self.rows)
        attacks = self.suite
        if attacks.minimal or any(
            item.source is not AttackFeedback.SCORES for item in attacks.bounded
        ):
            raise PolicyError(
                f"the stages {list(self.stages)} of evasion.linf_query are no attacks on scores",
                cure="Name attacks on scores alone: square:ITERATIONS or nes:STEPSxPAIRS.",
            )

    @property
    def suite(self) -> AttackSuite:
        """The searches: the first goes on from what is known, others begin anew."""
        square = f"square:{self.iterations}x{self.restarts}"
        return build_suite((square, *self.stages), Norm.LINF)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        return estimate_attack_cost(self.suite, len(sort_budgets(self.eps)), self.rows, size)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Attack the first ``rows`` rows of the audit's permutation at each budget."""
        return run_attack_check(
            subject,
            self.suite,
            sort_budgets(self.eps),
            norm=Norm.LINF,
            rows=self.rows,
            examples=self.examples,
            label=self.label,
            decision=self.decision,
        )

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        effort: dict[str, Json] = {
            "attack": "square",
            "iterations": self.iterations,
            "restarts": self.restarts,
            "stages": list(self.suite.names),
        }
        return build_robustness_readings(evidence, confidence, effort)


CHECK: type[Check] = LinfQueryCheck
