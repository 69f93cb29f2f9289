"""Whether the model's probabilities mean what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.subjects import CheckShard, Subject, seeded_permutation
from auditor.domain.tasks import Floats
from auditor.metrics.performance.calibration import (
    CERTAINTY,
    CORRECTIONS,
    ODDS,
    CalibrationFigures,
    ClassProbabilities,
    binary_log_probabilities,
    binary_probabilities,
    observe_stated_probabilities,
    read_stated_probabilities,
)
from auditor.metrics.performance.clipped_probabilities import CHANCES, read_log_probabilities
from auditor.metrics.stats.recalibration import expected_half_widths
from auditor.metrics.stats.separation import first_half

SECONDS_A_ROW = 3e-6


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """Whether stated probabilities come true as often as they say, and what would mend it.

    Slope and intercept decide, the debiased L2 error and the smooth error say how large it is,
    and ECE is there for comparison with others. A binary model is judged by the probability of its
    positive class, one of more classes by that of its answer, then class by class. What a
    temperature or Platt scaling would gain is learnt on one half of the rows (whole clusters, where
    there are any), and measured on the other; it is advised only where the interval of the gain
    excludes zero. Slope, intercept and gains allow for clusters, from ten on. They are those of the
    logits, where the target gives them; what hangs on where probabilities are cut off is doubted,
    and nothing is advised.
    """

    id: ClassVar[str] = "quality.calibration"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Calibration of probabilities"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLASSIFICATION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    coordinates: ClassVar[frozenset[str]] = frozenset({"class"})
    emits: ClassVar[Mapping[str, Metric]] = {**CERTAINTY, **CORRECTIONS}
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(vii)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.9"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset(
            {"clusters", "happened", "ids", "labels", "learnt", "probabilities", "stated"}
        )
        | {CHANCES, ODDS},
        apart=frozenset({"seed", "task"}),
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, seconds=SECONDS_A_ROW * size.rows * size.classes)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths for calibrated scores spread evenly between 0 and 1."""
        if not size.rows:
            return {}
        slope, intercept = expected_half_widths(size.rows, confidence)
        return {"slope": slope, "intercept": intercept}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep what was stated, what happened, and two halves."""
        seen = observe_stated_probabilities(subject)
        dataset = subject.datasets[DatasetRole.EVALUATION]
        clusters = dataset.cluster if dataset.clustered else None
        learnt = first_half(seeded_permutation(subject.audit_seed, dataset.units), clusters)
        return {**seen, "learnt": learnt, "seed": subject.seed}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from stated probabilities and outcomes."""
        seen = CalibrationFigures(
            read_stated_probabilities(evidence), confidence, cast("int", evidence["seed"])
        )
        classes = _classes(seen, evidence)
        return (
            *seen.line(),
            seen.debiased(),
            seen.smooth(),
            *classes.errors(confidence),
            *seen.brier(),
            *classes.gains(confidence),
            seen.ece(),
        )


def _classes(found: CalibrationFigures, evidence: Evidence) -> ClassProbabilities:
    seen, task = found.seen, cast("Mapping[str, Json]", evidence["task"])
    names = tuple(cast("list[str]", task["classes"]))
    learnt = cast("NDArray[np.bool_]", evidence["learnt"])
    if "probabilities" not in evidence:
        happened, chances = seen.happened.astype(int), binary_log_probabilities(seen.odds)
        return ClassProbabilities(
            seen, names, binary_probabilities(seen.stated), happened, learnt, chances
        )
    stated, labels = (cast("Floats", evidence["probabilities"]), evidence["labels"])
    chances = read_log_probabilities(evidence)
    return ClassProbabilities(
        seen, names, stated, cast("NDArray[np.int64]", labels), learnt, chances
    )


CHECK: type[Check] = CalibrationCheck
