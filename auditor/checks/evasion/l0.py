"""How often the model stays right when an attacker who knows it changes a few places at will."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.arenas import growing, positive, two_classes
from auditor.attacks.attacked_rows import ATTACKED
from auditor.attacks.bouts import bout_cost, fight, robustness_metrics
from auditor.attacks.counterexamples.balls import BALL
from auditor.attacks.counterexamples.claims import ByExample
from auditor.attacks.curves import best_half_width, readings
from auditor.attacks.norms import Norm
from auditor.attacks.suites import Suite, suite
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Reading, Unit
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject


@dataclass(frozen=True, slots=True)
class L0:
    """Crafts on the twin by sigma-zero (Cina et al. 2025), which descends a soft count of changed
    places, then exchanges places for steeper ones and drops the least; success counts on the target
    alone.

    ``eps`` are numbers of places: columns of a table, or pixels with all their channels. ``stages``
    may name ``sigma_zero``, ``fmn`` and ``exchange``, which goes on from what those before it
    found; ``label`` and ``decision`` are those of ``evasion.linf``. Up to ``examples`` broken rows
    are kept with their clean inputs, to be shown in the report.
    """

    eps: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    stages: tuple[str, ...] = ("sigma_zero:50", "exchange:50")
    rows: int = 200
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.l0"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Accuracy under an attack that changes a few places at will"
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
        Budget.CI: {
            "eps": (1.0, 3.0, 5.0, 10.0, 30.0),
            "stages": ("sigma_zero:50x4", "exchange:100"),
            "rows": 500,
        },
        Budget.FULL: {
            "eps": (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0),
            "stages": ("sigma_zero:100x10", "exchange:300"),
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_row: ClassVar[ByRow] = ATTACKED
    by_example: ClassVar[ByExample] = BALL

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        growing(self.eps, Norm.L0)
        two_classes(self.label, self.decision)
        positive(rows=self.rows)
        suite(self.stages, Norm.L0)

    @property
    def suite(self) -> Suite:
        """The attacks that the stages name."""
        return suite(self.stages, Norm.L0)

    def cost(self, size: Size) -> Cost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        return bout_cost(self.suite, len(growing(self.eps, Norm.L0)), self.rows, size)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Attack the first ``rows`` rows of the audit's permutation at each budget."""
        return fight(
            subject,
            self.suite,
            growing(self.eps, Norm.L0),
            norm=Norm.L0,
            rows=self.rows,
            examples=self.examples,
            label=self.label,
            decision=self.decision,
        )

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        effort: dict[str, Json] = {
            "attack": "sigma-zero and exchange",
            "stages": list(self.suite.names),
        }
        return readings(evidence, confidence, effort)


CHECK: type[Check] = L0
