"""Whether the target gives the answers that the artifact gives elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from auditor.comparing.pairs import FLIPS, read_pairs, write_pairs
from auditor.comparing.runs import run_both
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Reading, Reason
from auditor.domain.rows import ByRow, RowFigures
from auditor.domain.subjects import Shard, Subject
from auditor.stats.proportions import clopper_pearson


@dataclass(frozen=True, slots=True)
class Parity:
    """Runs the same rows on the target and on the reference, and compares row by row.

    Aggregate accuracy hides flips that cancel out, so decisions are compared one by one. The
    reference is ONNX Runtime on this machine's processor with exact 8-bit products, unless the
    audit names another target. Rates by class (the reference's decision) and by group are joint
    over their family (Bonferroni).
    """

    rows: int = 1000

    id: ClassVar[str] = "hardware.parity"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Answers on the target against the reference run"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = FLIPS
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(1)"),
        Control("eu-ai-act", "15(3)"),
        Control("eu-ai-act", "13(3)(e)"),
        Control("nist-ai-rmf", "MEASURE 2.3"),
        Control("nist-ai-rmf", "MEASURE 2.5"),
        Control("iso-42001", "A.4.5"),
        Control("iso-42001", "A.6.2.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 500},
        Budget.CI: {"rows": 2000},
        Budget.FULL: {"rows": 20_000},
    }
    grid: ClassVar[Mapping[str, str]] = {}
    by_row: ClassVar[ByRow] = ByRow(
        each=frozenset({"after", "before", "decided", "expected", "ids", "labels"}),
        apart=frozenset({"classes", "reference"}),
        counted=frozenset({"flip_rate"}),
        adds=lambda evidence: (RowFigures("flip_rate", read_pairs(evidence).flipped),),
    )

    def cost(self, size: Size) -> Cost:
        """Score the rows once; a whole dataset's scores are shared with other checks."""
        return Cost(queries=min(self.rows, size.rows))

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Half width of the flip rate where nothing flips."""
        count = min(self.rows, size.rows)
        if not count:
            return {}
        clean = clopper_pearson(0, count, confidence)
        return {"flip_rate": (clean.high - clean.low) / 2}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Score the same rows twice. Raises what ``run_both`` raises."""
        reference = subject.reference.model()
        if isinstance(reference, Gap):
            return {"gap": reference.to_json()}
        pairs = run_both(subject, reference, self.rows)
        return {**write_pairs(pairs), "reference": dict(subject.reference.about)}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare decisions and scores row by row."""
        if "gap" in evidence:
            return (_no_reference(cast("Mapping[str, str]", evidence["gap"])),)
        return read_pairs(evidence).figures(confidence)


def _no_reference(said: Mapping[str, str]) -> Gap:
    return Gap(
        reason=Reason.NEEDS_REFERENCE,
        detail=f"There is no reference run to compare with: {said['detail']}",
        cure=said["cure"],
    )


CHECK: type[Check] = Parity
