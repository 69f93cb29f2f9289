"""How often the model stays right when one and the same change is put on every row."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.arenas import growing, positive
from auditor.attacks.attacked_rows import ATTACKED
from auditor.attacks.bouts import SECONDS_A_PASS, robustness_metrics
from auditor.attacks.counterexamples.claims import ByExample
from auditor.attacks.counterexamples.spreads import SPREAD
from auditor.attacks.curves import best_half_width, readings
from auditor.attacks.offline import gap_of, halves, too_few
from auditor.attacks.tallies import recount
from auditor.attacks.trials import describe
from auditor.attacks.universal import Fit, fooled_alone, spread
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject


@dataclass(frozen=True, slots=True)
class Universal:
    """Fits one perturbation a budget on half of the evaluation rows, with gradients of the twin
    (Shafahi et al. 2020), and judges it on rows of the other half, on the target.

    Such a change is a sticker, a constant noise, a fixed shift of a sensor: it takes no knowledge
    of the row. ``eps`` are shares of each coordinate's range. At most ``fitting`` rows are fitted
    on, in ``steps`` of ``batch`` rows each. A row that the perturbation of a smaller budget breaks
    counts as broken at each larger one; ``fooled_alone`` in the details is the share of the rows
    that are right which the one perturbation of that budget breaks. Up to ``examples`` broken rows
    are kept with their clean inputs.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    steps: int = 100
    batch: int = 64
    fitting: int = 500
    rows: int = 200
    examples: int = 8

    id: ClassVar[str] = "evasion.universal"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under one change for all rows"
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
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics()
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(5)"),
        Control("nist-ai-rmf", "MEASURE 2.7"),
        Control("iso-42001", "A.6.2.4"),
        Control("mitre-atlas", "AML.T0015"),
        Control("mitre-atlas", "AML.T0043.000"),
        Control("owasp-ml", "ML01"),
        Control("nist-ai-100-2", "NISTAML.022"),
    )
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
    by_row: ClassVar[ByRow] = ATTACKED
    by_example: ClassVar[ByExample] = SPREAD

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        growing(self.eps)
        positive(steps=self.steps, batch=self.batch, fitting=self.fitting, rows=self.rows)

    def cost(self, size: Size) -> Cost:
        """Return upper bounds: one query a judged row and budget."""
        budgets, half = len(growing(self.eps)), (size.rows + 1) // 2
        passes = budgets * self.steps * min(self.batch, self.fitting, half)
        asked = budgets * min(self.rows, half)
        return Cost(size.rows + asked, passes, passes * SECONDS_A_PASS)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, (size.rows + 1) // 2), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Fit on one half of the evaluation rows, and judge on the other."""
        split = halves(subject, self.rows, self.fitting)
        lacking = too_few(split)
        if lacking is not None:
            return lacking
        found = spread(
            split.judged.arena,
            split.prepared.arena,
            growing(self.eps),
            Fit(self.steps, self.batch),
            subject.seed,
            subject.progress,
        )
        twin = None if isinstance(subject.twin, Gap) else subject.twin
        most = self.examples * subject.show_examples
        return {
            **describe(split.judged, found.sweep, most_examples=most, twin=twin),
            "fitted": len(split.prepared.sample),
            "perturbations": found.perturbations.astype(np.float32),
            "alone_probabilities": found.alone,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        gap = gap_of(cast("dict[str, Json]", evidence["settings"]))
        if gap is not None:
            return (gap,)
        fitted = cast("Json", evidence["fitted"])
        effort: dict[str, Json] = {"attack": "universal", "steps": self.steps, "fitted": fitted}
        if "alone_probabilities" not in evidence:
            return readings(evidence, confidence, effort)  # it goes by no row, and may be withheld
        alone = iter(fooled_alone(evidence, recount(evidence)))
        return tuple(
            replace(item, details={**item.details, "fooled_alone": next(alone)})
            if isinstance(item, Measurement) and item.metric == "robust_accuracy"
            else item
            for item in readings(evidence, confidence, effort)
        )


CHECK: type[Check] = Universal
