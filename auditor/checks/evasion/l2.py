"""Check of robust accuracy in an L2 ball: a white-box attacker may spread or focus a change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.counterexamples.norm_ball_claims import BALL
from auditor.attacks.evasion.attack_setup import (
    require_harmful_decision,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import best_half_width, build_robustness_readings
from auditor.attacks.evasion.row_evidence import ATTACKED
from auditor.attacks.evasion.run_check import (
    CRAFTED_INPUT_CONTROLS,
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
from auditor.domain.readings import Reading, Unit
from auditor.domain.row_evidence import RowEvidence


@dataclass(frozen=True, slots=True)
class L2EvasionCheck(Check):
    """Attacks rows with changes that are small in the L2 norm, and counts success on the target
    alone.

    The attack runs on the twin by Fast Minimum-Norm (Pintor et al. 2021) and Auto-PGD.

    ``eps`` are Euclidean lengths of a change, with each coordinate counted in ranges: 0.5 is the
    usual budget for pictures in 0..1. ``stages`` are those of ``evasion.linf``, and also ``fmn``
    and ``fab``, which search each row's nearest success once for all budgets; ``fmn:50x4`` makes 4
    searches of 50 steps. ``label`` and ``decision`` work as in ``evasion.linf``. Up to ``examples``
    broken rows are kept with their clean inputs; your report shows them.
    """

    eps: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    stages: tuple[str, ...] = ("fmn:50", "cross_entropy:20")
    rows: int = 200
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.l2"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Accuracy under L2 attacks (small Euclidean distance)"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE, Need.TWIN}
    )
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics(Unit.NONE)
    controls: ClassVar[tuple[FrameworkControl, ...]] = CRAFTED_INPUT_CONTROLS
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "eps": (0.1, 0.25, 0.5, 1.0, 2.0),
            "stages": ("fmn:50x4", "cross_entropy:20"),
            "rows": 500,
        },
        Budget.FULL: {
            "eps": (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
            "stages": ("fmn:100x10", "fab:50x9", "cross_entropy:50", "targeted:100x9"),
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_parts: ClassVar[bool] = True
    by_row: ClassVar[RowEvidence] = ATTACKED
    by_example: ClassVar[CounterexampleClaims] = BALL

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps, Norm.L2)
        require_harmful_decision(self.label, self.decision)
        require_positive(rows=self.rows)
        build_suite(self.stages, Norm.L2)

    @property
    def suite(self) -> AttackSuite:
        """The attacks that the stages name."""
        return build_suite(self.stages, Norm.L2)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        return estimate_attack_cost(
            self.suite, len(sort_budgets(self.eps, Norm.L2)), self.rows, size
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
            sort_budgets(self.eps, Norm.L2),
            norm=Norm.L2,
            rows=self.rows,
            examples=self.examples,
            label=self.label,
            decision=self.decision,
        )

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        effort: dict[str, Json] = {"attack": "apgd and fmn", "stages": list(self.suite.names)}
        return build_robustness_readings(evidence, confidence, effort)


CHECK: type[Check] = L2EvasionCheck
