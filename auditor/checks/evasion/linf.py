"""How often the model stays right when an attacker who knows it changes each number a little."""

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
from auditor.domain.readings import Reading
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject


@dataclass(frozen=True, slots=True)
class Linf:
    """Crafts on the twin by Fast Minimum-Norm walks (Pintor et al. 2021) and a cascade of Auto-PGD
    climbs (Croce & Hein 2020), and counts success on the target alone.

    ``eps`` are shares of each coordinate's range. ``stages`` are ``NAME:STEPS`` or
    ``NAME:STEPSxCOUNT``: ``fmn`` looks for the nearest success of each row in COUNT walks, once for
    all budgets; what still stands at a budget then faces, in turn, ``cross_entropy``, ``margin``
    (the difference of probabilities) and ``targeted`` (towards the likeliest COUNT classes).
    ``label`` and ``decision`` name classes, to ask about rows of one and decisions for the other
    alone (empty: any). Up to ``examples`` broken rows are kept with their clean inputs, to be shown
    in the report.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    stages: tuple[str, ...] = ("fmn:30x3", "cross_entropy:20")
    rows: int = 200
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.linf"
    version: ClassVar[int] = 4
    title: ClassVar[str] = "Accuracy under a bounded attack that knows the model"
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
        Budget.CI: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.2),
            "stages": ("fmn:50x4", "cross_entropy:20", "targeted:50x2"),
            "rows": 500,
        },
        Budget.FULL: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
            "stages": ("fmn:50x10", "cross_entropy:20", "margin:100", "targeted:100x9"),
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_row: ClassVar[ByRow] = ATTACKED
    by_example: ClassVar[ByExample] = BALL

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        growing(self.eps)
        two_classes(self.label, self.decision)
        positive(rows=self.rows)
        suite(self.stages, Norm.LINF)

    @property
    def suite(self) -> Suite:
        """The attacks that the stages name."""
        return suite(self.stages, Norm.LINF)

    def cost(self, size: Size) -> Cost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        return bout_cost(self.suite, len(growing(self.eps)), self.rows, size)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Attack the first ``rows`` rows of the audit's permutation at each budget."""
        return fight(
            subject,
            self.suite,
            growing(self.eps),
            norm=Norm.LINF,
            rows=self.rows,
            examples=self.examples,
            label=self.label,
            decision=self.decision,
        )

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        effort: dict[str, Json] = {"attack": "fmn and apgd", "stages": list(self.suite.names)}
        return readings(evidence, confidence, effort)


CHECK: type[Check] = Linf
