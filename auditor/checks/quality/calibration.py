"""Whether the model's probabilities mean what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.certainty import CERTAINTY, Certainty
from auditor.comparing.clipped import CHANCES, read_chances
from auditor.comparing.corrections import CORRECTIONS, Classes, both_chances, both_classes
from auditor.comparing.stated import ODDS, observe_stated, read_stated
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Reading
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject, permutation
from auditor.domain.tasks import Floats
from auditor.stats.halving import first_half
from auditor.stats.recalibration import expected_half_widths

SECONDS_A_ROW = 3e-6


@dataclass(frozen=True, slots=True)
class Calibration:
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
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(1)"),
        Control("eu-ai-act", "15(3)"),
        Control("eu-ai-act", "13(3)(b)(vii)"),
        Control("nist-ai-rmf", "MEASURE 2.5"),
        Control("nist-ai-rmf", "MEASURE 2.9"),
        Control("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}
    by_row: ClassVar[ByRow] = ByRow(
        each=frozenset(
            {"clusters", "happened", "ids", "labels", "learnt", "probabilities", "stated"}
        )
        | {CHANCES, ODDS},
        apart=frozenset({"seed", "task"}),
    )

    def cost(self, size: Size) -> Cost:
        """Score every row once; other checks of the same audit share the scores."""
        return Cost(queries=size.rows, seconds=SECONDS_A_ROW * size.rows * size.classes)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Half widths for calibrated scores spread evenly between 0 and 1."""
        if not size.rows:
            return {}
        slope, intercept = expected_half_widths(size.rows, confidence)
        return {"slope": slope, "intercept": intercept}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Score the evaluation data; keep what was stated, what happened, and two halves."""
        seen = observe_stated(subject)
        dataset = subject.datasets[Role.EVALUATION]
        clusters = dataset.cluster if dataset.clustered else None
        learnt = first_half(permutation(subject.audit_seed, dataset.units), clusters)
        return {**seen, "learnt": learnt, "seed": subject.seed}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from stated probabilities and outcomes."""
        seen = Certainty(read_stated(evidence), confidence, cast("int", evidence["seed"]))
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


def _classes(found: Certainty, evidence: Evidence) -> Classes:
    seen, task = found.seen, cast("Mapping[str, Json]", evidence["task"])
    names = tuple(cast("list[str]", task["classes"]))
    learnt = cast("NDArray[np.bool_]", evidence["learnt"])
    if "probabilities" not in evidence:
        happened, chances = seen.happened.astype(int), both_chances(seen.odds)
        return Classes(seen, names, both_classes(seen.stated), happened, learnt, chances)
    stated, labels = (cast("Floats", evidence["probabilities"]), evidence["labels"])
    chances = read_chances(evidence)
    return Classes(seen, names, stated, cast("NDArray[np.int64]", labels), learnt, chances)


CHECK: type[Check] = Calibration
