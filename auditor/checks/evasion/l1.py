"""How often the model stays right when an attacker who knows it may move few numbers far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.counterexamples.claims import CounterexampleClaims
from auditor.attacks.counterexamples.perturbed_inputs import BALL
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
from auditor.attacks.evasion.suites import AttackSuite, build_suite
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.subjects import CheckShard, Subject


@dataclass(frozen=True, slots=True)
class L1EvasionCheck:
    """Crafts on the twin by Fast Minimum-Norm walks (Pintor et al. 2021) and by Auto-PGD in the L1
    ball cut by the box (Croce & Hein 2021), and counts success on the target alone.

    ``eps`` are sums of absolute changes, each coordinate counted in ranges: 12 is usual for
    pictures of 32 x 32 x 3. ``stages``, ``label`` and ``decision`` are those of ``evasion.l2``.
    Up to ``examples`` broken rows are kept with their clean inputs, to be shown in the report.
    """

    eps: tuple[float, ...] = (1.0, 3.0, 6.0, 12.0)
    stages: tuple[str, ...] = ("fmn:50", "cross_entropy:20")
    rows: int = 200
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.l1"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Accuracy under an attack whose changes are small in sum"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {
            Need.EVALUATION,
            Need.LABELS,
            Need.MODEL,
            Need.SPACE,
            Need.TWIN,
        }
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics(Unit.NONE)
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0015"),
        FrameworkControl("mitre-atlas", "AML.T0043.000"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "eps": (1.0, 2.0, 4.0, 8.0, 12.0),
            "stages": ("fmn:100x4", "cross_entropy:20"),
            "rows": 500,
        },
        Budget.FULL: {
            "eps": (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0),
            "stages": ("fmn:200x10", "cross_entropy:50", "targeted:100x9"),
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_row: ClassVar[RowEvidence] = ATTACKED
    by_example: ClassVar[CounterexampleClaims] = BALL

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps, Norm.L1)
        require_harmful_decision(self.label, self.decision)
        require_positive(rows=self.rows)
        build_suite(self.stages, Norm.L1)

    @property
    def suite(self) -> AttackSuite:
        """The attacks that the stages name."""
        return build_suite(self.stages, Norm.L1)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        return estimate_attack_cost(
            self.suite, len(sort_budgets(self.eps, Norm.L1)), self.rows, size
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Attack the first ``rows`` rows of the audit's permutation at each budget."""
        return run_attack_check(
            subject,
            self.suite,
            sort_budgets(self.eps, Norm.L1),
            norm=Norm.L1,
            rows=self.rows,
            examples=self.examples,
            label=self.label,
            decision=self.decision,
        )

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        effort: dict[str, Json] = {"attack": "apgd-l1 and fmn", "stages": list(self.suite.names)}
        return build_robustness_readings(evidence, confidence, effort)


CHECK: type[Check] = L1EvasionCheck
