"""Check for anomalies: evaluation rows that are unlike the data that the model has learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence, describe_cluster_doubt
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import Floats, InputFeature
from auditor.metrics.data.anomalies import ColumnScale, comparable_points, neighbour_distances
from auditor.metrics.data.near_duplicates import NO_INPUTS
from auditor.metrics.stats.p_values import (
    benjamini_hochberg,
    conformal_p_values,
    fewest_detectable_rows,
)
from auditor.metrics.stats.proportions import clopper_pearson

METRIC = "anomaly_share"
LEAST = 40
"""Fewest reference rows: half of them fit, half of them compare."""
SECONDS_A_ROW = 1.5e-5


@dataclass(frozen=True, slots=True)
class AnomalyCheck(Check):
    """Counts and lists the evaluation rows that are stranger than the reference data allow.

    The score of a row is its distance to the ``neighbours``-th nearest of up to ``known`` reference
    rows. Numbers are scaled robustly, categories are weighted by how rare they are, and pictures
    are compared by their means over a grid of 8 by 8. Reference rows that were set aside give each
    row a conformal p-value. Benjamini and Hochberg's adjustment then keeps the share of ordinary
    rows among the listed ones to ``false_share`` on average (Bates et al. 2023).

    The reference is your training data. Without training data, one half of the evaluation data is
    the reference and the other half is examined.

    Limits:

    - Evaluation data that differ from the reference as a whole are reported as a whole.
    - The share is a lower bound: against a small reference no row can be listed, however strange,
      because ``fewest_found`` rows must lie beyond all of it.
    - Other kinds of strangeness do not show in the distance.
    """

    neighbours: int = 5
    known: int = 1000
    false_share: float = 0.05
    listed: int = 50

    id: ClassVar[str] = "data.anomalies"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Anomalous rows"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING})
    emits: ClassVar[Mapping[str, Metric]] = {
        METRIC: Metric(
            "Rows more anomalous than the reference allows", Unit.SHARE, BoundKind.AT_LEAST
        )
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"ids", "scores"}), apart=frozenset({"about", "gap"})
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask the model nothing."""
        rows = size.rows + size.beside.get(DatasetRole.TRAINING.value, 0)
        return CheckCost(seconds=SECONDS_A_ROW * rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width if no row is strange."""
        rows = size.rows if DatasetRole.TRAINING.value in size.beside else size.rows // 2
        return {METRIC: clopper_pearson(0, rows, confidence).high / 2} if rows else {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the rows, and reference rows that had no part in the scores."""
        evaluation = subject.datasets[DatasetRole.EVALUATION]
        training = subject.datasets.get(DatasetRole.TRAINING)
        rng = np.random.default_rng(subject.seed)
        ours = _points(evaluation)
        theirs = None if training is None else _points(training)
        rows = np.arange(evaluation.rows)
        if evaluation.inputs is None:
            return {"gap": write_gap(NO_INPUTS)}
        if ours is None or (training is not None and theirs is None):
            return {"gap": write_gap(_NO_NUMBERS)}
        if theirs is None:
            order = rng.permutation(evaluation.rows)
            half = evaluation.rows // 2
            rows, theirs = np.sort(order[half:]), ours[order[:half]]
        if len(theirs) < LEAST or not len(rows):
            return {"gap": write_gap(_too_few(len(theirs)))}
        features = () if isinstance(subject.space, Gap) else subject.space.features
        scores, others = self._scores(ours[rows], theirs, features, rng)
        return {
            "scores": scores,
            "reference": others,
            "ids": np.array([evaluation.ids[int(row)] for row in rows], dtype=np.str_),
            "about": {
                "reference": (
                    DatasetRole.EVALUATION if training is None else DatasetRole.TRAINING
                ).value,
                "clustered": any(it.clustered for it in (evaluation, training) if it is not None),
            },
        }

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there are no inputs, as where only predictions are audited."""
        return NO_INPUTS if subject.datasets[DatasetRole.EVALUATION].inputs is None else None

    def _scores(
        self,
        ours: Floats,
        theirs: Floats,
        features: tuple[InputFeature, ...],
        rng: np.random.Generator,
    ) -> tuple[Floats, Floats]:
        """Return the distances of our rows, and of the half of theirs that has no part in them."""
        order = rng.permutation(len(theirs))
        half = len(theirs) // 2
        fitted, rest = theirs[order[:half]], theirs[order[half:]]
        scale = ColumnScale.of(fitted, features)
        points = scale.points(np.concatenate((fitted[: self.known], rest, ours)))
        near = points[: min(self.known, half)]
        away = neighbour_distances(points[len(near) :], near, self.neighbours)
        return away[len(rest) :], away[: len(rest)]

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count the rows that are strange at the level of false findings."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"], METRIC),)
        scores, reference = (cast("Floats", evidence[name]) for name in ("scores", "reference"))
        about = cast("Mapping[str, Json]", evidence["about"])
        ids = cast("NDArray[np.str_]", evidence["ids"])
        chances = conformal_p_values(scores, reference)
        strange = benjamini_hochberg(chances) <= self.false_share
        worst = np.argsort(-scores, kind="stable")
        named = [str(ids[row]) for row in worst[: self.listed] if strange[row]]
        details: dict[str, Json] = {
            "k": int(strange.sum()),
            "false_share": self.false_share,
            "reference": about["reference"],
            "reference_rows": len(reference),
            "fewest_found": fewest_detectable_rows(len(scores), len(reference), self.false_share),
            "worst_rows": cast("Json", named),
            **describe_cluster_doubt(about["clustered"]),
        }
        interval = clopper_pearson(int(strange.sum()), len(scores), confidence)
        return (
            Measurement.of(
                interval,
                METRIC,
                Unit.SHARE,
                bound=BoundKind.AT_LEAST,
                doubted=bool(about["clustered"]),
                details=details,
            ),
        )


def _points(dataset: Dataset) -> Floats | None:
    return None if dataset.inputs is None else comparable_points(dataset.inputs)


def _too_few(rows: int) -> Gap:
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{rows} reference rows are too few to say what is strange; {LEAST} are needed.",
        cure="Name training data, or evaluate on more rows.",
    )


_NO_NUMBERS = Gap(
    reason=GapReason.NEEDS_NUMERIC_INPUT,
    detail="Rows that are neither a table nor pictures have no distance here.",
    cure="Leave the check out; data.duplicates compares texts.",
)
CHECK: type[Check] = AnomalyCheck
