"""Check of robust accuracy under universal perturbations: one change for all rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.counterexamples.universal_claims import SPREAD
from auditor.attacks.evasion.attack_setup import require_positive, sort_budgets
from auditor.attacks.evasion.evidence import describe_attack_run, recount_rows
from auditor.attacks.evasion.holdout import report_too_few_rows, split_holdout, too_few_rows_gap
from auditor.attacks.evasion.readings import best_half_width, build_robustness_readings
from auditor.attacks.evasion.row_evidence import ATTACKED
from auditor.attacks.evasion.run_check import (
    CRAFTED_INPUT_CONTROLS,
    SECONDS_A_PASS,
    robustness_metrics,
)
from auditor.attacks.evasion.universal import PerturbationFit, attack_universally, fooling_rates
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.row_evidence import RowEvidence


@dataclass(frozen=True, slots=True)
class UniversalPerturbationCheck(Check):
    """Fits one perturbation for each budget on half of the evaluation rows, with gradients of the
    twin (Shafahi et al. 2020), and tests it on the other half, on the target.

    Think of a sticker, constant noise or a fixed shift of your sensor: such a change needs no
    knowledge of the row. ``eps`` are shares of each coordinate's range. The fit uses at most
    ``fitting`` rows, in ``steps`` steps of ``batch`` rows each.

    A row that the perturbation of a smaller budget breaks counts as broken at each larger one.
    ``fooled_alone`` in the details is the share of correctly decided rows that the perturbation of
    that budget breaks by itself. Up to ``examples`` broken rows are kept with their clean inputs.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    steps: int = 100
    batch: int = 64
    fitting: int = 500
    rows: int = 200
    examples: int = 8

    id: ClassVar[str] = "evasion.universal"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under a universal perturbation (one change for all rows)"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {
            Need.CLASSIFICATION,
            Need.EVALUATION,
            Need.LABELS,
            Need.MODEL,
            Need.SPACE,
            Need.TWIN,
        }
    )
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics()
    controls: ClassVar[tuple[FrameworkControl, ...]] = CRAFTED_INPUT_CONTROLS
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"eps": (0.02, 0.05, 0.1, 0.2, 0.3), "steps": 150, "rows": 500},
        Budget.FULL: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
            "steps": 500,
            "batch": 128,
            "fitting": 5000,
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_row: ClassVar[RowEvidence] = ATTACKED
    by_example: ClassVar[CounterexampleClaims] = SPREAD

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        require_positive(steps=self.steps, batch=self.batch, fitting=self.fitting, rows=self.rows)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds: one query a judged row and budget."""
        budgets, half = len(sort_budgets(self.eps)), (size.rows + 1) // 2
        passes = budgets * self.steps * min(self.batch, self.fitting, half)
        asked = budgets * min(self.rows, half)
        return CheckCost(size.rows + asked, passes, passes * SECONDS_A_PASS, clean=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, (size.rows + 1) // 2), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Fit on one half of the evaluation rows, and judge on the other."""
        split = split_holdout(subject, self.rows, self.fitting)
        lacking = report_too_few_rows(split)
        if lacking is not None:
            return lacking
        found = attack_universally(
            split.judged.arena,
            split.prepared.arena,
            sort_budgets(self.eps),
            PerturbationFit(self.steps, self.batch),
            subject.seed,
            subject.progress,
        )
        twin = None if isinstance(subject.twin, Gap) else subject.twin
        most = self.examples * subject.show_examples
        return {
            **describe_attack_run(split.judged, found.sweep, most_examples=most, twin=twin),
            "fitted": len(split.prepared.sample),
            "perturbations": found.perturbations.astype(np.float32),
            "alone_probabilities": found.alone,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        gap = too_few_rows_gap(cast("dict[str, Json]", evidence["settings"]))
        if gap is not None:
            return (gap,)
        fitted = cast("Json", evidence["fitted"])
        effort: dict[str, Json] = {"attack": "universal", "steps": self.steps, "fitted": fitted}
        if "alone_probabilities" not in evidence:
            return build_robustness_readings(
                evidence, confidence, effort
            )  # it goes by no row, and may be withheld
        seen = recount_rows(evidence)
        alone = dict(zip(seen.budgets, fooling_rates(evidence, seen), strict=True))
        return tuple(
            replace(
                item,
                details={**item.details, "fooled_alone": alone[cast("float", item.params["eps"])]},
            )
            if isinstance(item, Measurement) and item.metric == "robust_accuracy"
            else item
            for item in build_robustness_readings(evidence, confidence, effort)
        )


CHECK: type[Check] = UniversalPerturbationCheck
