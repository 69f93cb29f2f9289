"""Check for gradient masking: whether gradients lead where attacks succeed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.counterexamples.refutable_claims import not_refutable
from auditor.attacks.evasion.attack_setup import require_positive, sort_budgets
from auditor.attacks.evasion.readings import best_half_width
from auditor.attacks.evasion.run_check import SECONDS_A_PASS, SECONDS_A_QUERY
from auditor.attacks.gradient_masking.gradient_survey import (
    EXAMINED_ROWS,
    LOOKED_AT,
    survey_masking,
)
from auditor.attacks.gradient_masking.indicators import (
    INDICATORS,
    build_masking_readings,
    masking_metrics,
)
from auditor.attacks.gradient_masking.probe import MaskingEffort
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
class GradientMaskingCheck(Check):
    """Looks for signs that gradient attacks on your model fail only because its gradients mislead
    them (Athalye et al. 2018; Carlini et al. 2019; Pintor et al. 2022).

    On rows that the model decides correctly, the cascade ``stages`` at each of ``eps`` (shares of
    the range) is compared with one step, ``corners`` drawn at random, ``queries`` of Square Attack,
    and the same cascade without a budget. Gradients are compared with those of ``neighbours``, and
    an attack of ``steps`` steps with its own end.

    If a sign clearly exceeds the values of ordinary models, ``believable`` is no, and every bound
    of the evasion checks that use gradients is doubted.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    stages: tuple[str, ...] = ("cross_entropy:20", "targeted:20x2")
    rows: int = 50
    queries: int = 100
    corners: int = 10
    neighbours: int = 4
    steps: int = 20
    near: float = 1 / 255

    id: ClassVar[str] = "evasion.masking"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Signs of gradient masking"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE, Need.TWIN}
    )
    emits: ClassVar[Mapping[str, Metric]] = masking_metrics()
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0043.000"),
        FrameworkControl("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.2),
            "stages": ("cross_entropy:20", "targeted:50x3"),
            "rows": 100,
            "queries": 500,
            "corners": 30,
            "neighbours": 8,
            "steps": 30,
        },
        Budget.FULL: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
            "stages": ("cross_entropy:20", "margin:100", "targeted:100x9"),
            "rows": 500,
            "queries": 2000,
            "corners": 100,
            "neighbours": 16,
            "steps": 100,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_parts: ClassVar[bool] = True
    fewest_rows: ClassVar[int] = EXAMINED_ROWS
    by_example: ClassVar[CounterexampleClaims] = not_refutable(
        "it looks for signs that attacks by gradients fail, and says of no row that it stays right"
    )
    by_row: ClassVar[RowEvidence] = LOOKED_AT

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets((*self.eps, self.near))
        sort_budgets(self.eps)
        require_positive(
            rows=self.rows,
            queries=self.queries,
            corners=self.corners,
            neighbours=self.neighbours,
            steps=self.steps,
        )
        _ = self.effort.cascade

    @property
    def effort(self) -> MaskingEffort:
        """How hard to look."""
        return MaskingEffort(
            eps=sort_budgets(self.eps),
            stages=self.stages,
            rows=self.rows,
            queries=self.queries,
            corners=self.corners,
            neighbours=self.neighbours,
            steps=self.steps,
            near=self.near,
        )

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        rows, effort = min(self.rows, size.rows), self.effort
        passes, asked = rows * effort.passes, rows * effort.asked
        seconds = passes * SECONDS_A_PASS + asked * SECONDS_A_QUERY
        return CheckCost(queries=size.rows + asked, clean=size.rows, passes=passes, seconds=seconds)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {name: best for name, item in INDICATORS.items() if item.unit is Unit.SHARE}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Look at the rows that are right, of the first ``rows`` of the audit's permutation."""
        return survey_masking(subject, self.effort)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count every sign again from the target's decisions."""
        return build_masking_readings(evidence, confidence)


CHECK: type[Check] = GradientMaskingCheck
