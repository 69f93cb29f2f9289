"""Scan of training rows for poison: wrong labels, triggers and strange views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.poisoning.training_scan import (
    LEAST_OF_A_CLASS,
    VIEWS,
    Narrow,
    NeighbourCodes,
    NeighbourLookup,
    ScanRows,
    SuspicionScores,
    fit_projection,
    label_scores,
    project_points,
    representation_scores,
)
from auditor.attacks.poisoning.training_scan_readings import (
    PLANTED,
    PRECISION,
    SCANNED,
    SHARE,
    ScanCriteria,
    TrainingScanResult,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import VERDICT, missing_labels_gap, read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_measurement
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import BlockPanel, list_doubts
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.metrics.data.anomalies import ColumnScale, comparable_points
from auditor.metrics.data.near_duplicates import NO_INPUTS
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_ROW = 2e-4
CHUNK = 8192
Chosen = Mapping[DatasetRole, NeighbourCodes]
MOST_SHOWN = 25
NAMED = (
    "Rows that trusted rows of the same label do not explain, most suspicious first. "
    "Review them before you train on them again. Rows without an ID are counted from 1."
)


@dataclass(frozen=True, slots=True)
class TrainingScanCheck(Check):
    """Compares each training row with trusted rows of the same label, by five methods.

    Evaluation rows are trusted: the check assumes that their source and labels are clean.

    - ``neighbours`` and ``references`` test whether a row lies nearer to another class than to its
      own, among up to ``pool`` training rows and among trusted rows (tables on a robust scale,
      pictures by their means over a grid of 8 by 8).
    - ``spectre`` (Hayase et al. 2021), ``spectral`` (Tran et al. 2018) and ``clusters`` (Chen et
      al. 2018, with silhouettes) use the input of your model's last layer, class by class, for rows
      that the model decides as they are labelled.

    Every score is compared with the scores of trusted rows: by the count of training rows among the
    highest scores (Fisher's exact test), and by conformal p-values with a tail that continues
    exponentially beyond the trusted rows. A method lists rows only if it shows poison, at ``level``
    over all methods. At most ``false_share`` of the listed rows are ordinary on average (Benjamini
    and Hochberg).

    Limits:

    - On clean training data from the source of the trusted rows, almost no audit lists any row.
      Training data of another source are reported as such, and their figures are doubted.
    - Rows of one cluster are alike even without poison: there the verdict is ``inconclusive``.
    - The check finds rows that stand out. It misses poison that keeps true labels, and less poison
      than ``least_share`` in the details.
    """

    rows: int = 100_000
    trusted: int = 5000
    neighbours: int = 5
    references: int = 3
    pool: int = 4096
    level: float = 0.005
    false_share: float = 0.2
    listed: int = 50

    id: ClassVar[str] = "poisoning.training_scan"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Suspicious training rows"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.TRAINING, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.MODEL})
    coordinates: ClassVar[frozenset[str]] = frozenset({"method"})
    emits: ClassVar[Mapping[str, Metric]] = {
        SHARE: Metric(
            "Flagged training rows", Unit.SHARE, BoundKind.AT_LEAST, higher_is_better=False
        ),
        PRECISION: Metric(
            "Flagged rows that are not ordinary rows", Unit.SHARE, BoundKind.AT_LEAST
        ),
        VERDICT: Metric("Poison detected", Unit.NONE, BoundKind.AT_LEAST, exact=True),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.7.4"),
        FrameworkControl("nist-ai-100-2", "NISTAML.013"),
        FrameworkControl("owasp-ml", "ML02"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 5000, "trusted": 1000, "pool": 2000},
        Budget.CI: {"rows": 50_000},
        Budget.FULL: {"rows": 1_000_000, "trusted": 10_000, "pool": 8192},
    }
    by_row: ClassVar[RowEvidence] = SCANNED
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DATA, 3)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        counts = (self.rows, self.trusted, self.neighbours, self.references, self.pool)
        if min(*counts, self.listed) < 1:
            message = "rows, trusted, neighbours, references, pool and listed are at least 1"
            raise ValueError(message)
        if not 0 < self.level < 1 or not 0 < self.false_share < 1:
            message = "level and false_share lie between 0 and 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once, which other checks share, and look at each once more."""
        training = size.beside.get(DatasetRole.TRAINING.value, 0)
        seen = min(self.rows, training) + min(self.trusted, size.rows)
        asked = training + size.rows + seen
        return CheckCost(queries=asked, clean=size.rows, seconds=SECONDS_A_ROW * seen)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width if no row is named."""
        rows = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0))
        return {SHARE: clopper_pearson(0, rows, confidence).high / 2} if rows else {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score training and trusted rows alike. Raises what ``ModelBench.embedding`` raises."""
        training, trusted = (
            subject.datasets[role] for role in (DatasetRole.TRAINING, DatasetRole.EVALUATION)
        )
        lacking = _lacking(training, trusted)
        if lacking is not None or not isinstance(subject.task, ClassificationTask):
            return {"gap": write_gap(lacking or NO_INPUTS)}
        chosen = {
            DatasetRole.TRAINING: np.sort(subject.sample(DatasetRole.TRAINING, self.rows)),
            DatasetRole.EVALUATION: np.sort(subject.sample(DatasetRole.EVALUATION, self.trusted)),
        }
        labels = [
            cast("NeighbourCodes", subject.datasets[role].labels)[at] for role, at in chosen.items()
        ]
        trained = np.arange(sum(map(len, labels))) < len(labels[0])
        rows = ScanRows(np.concatenate(labels), trained, len(subject.task.classes))
        if not rows.scanned[trained].any():
            return {"gap": write_gap(_TOO_FEW)}
        found, suggested, gaps = self._scores(subject, chosen, rows)
        return {
            "gap": None,
            "ids": np.asarray(training.ids, dtype=np.str_)[chosen[DatasetRole.TRAINING]],
            "labels": labels[0],
            "suggested": suggested,
            "about": {
                "classes": list(subject.task.classes),
                "not_scanned": [subject.task.classes[kind] for kind in rows.left_out],
                "clustered": training.clustered or trusted.clustered,
                "gaps": gaps,
            },
            **_written(found),
        }

    def _scores(
        self, subject: Subject, chosen: Chosen, rows: ScanRows
    ) -> tuple[dict[str, SuspicionScores], NeighbourCodes, dict[str, Json]]:
        """Return the scores of each method, the labels suggested, and why a method has none."""
        subject.progress(0, 2, "labels")
        points = project_points(_points(subject, chosen), subject.seed)
        lookup = NeighbourLookup(self.neighbours, self.references, self.pool)
        found, suggested = label_scores(points, rows, lookup, subject.seed)
        subject.progress(1, 2, "the model's view")
        views = _views(subject, chosen)
        if isinstance(views, Gap):
            return found, suggested, {name: write_gap(views) for name in VIEWS}
        # Which rows the model decides as they are labelled
        if isinstance(subject.model, Gap):
            told = np.empty(0, dtype=np.bool_)
        else:
            told = np.concatenate([subject.right(role)[rows] for role, rows in chosen.items()])
        found |= representation_scores(views, rows, told, subject.seed)
        subject.progress(2, 2)
        return found, suggested, {}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Hold the scores of training rows against those of trusted ones."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        terms = ScanCriteria(self.level, self.false_share, self.listed)
        return TrainingScanResult.of(evidence, terms).readings(confidence)

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the training rows that the scan names, where it names any."""
        return ReportBlock(
            parts=tuple(
                BlockPanel(
                    title=cls.title,
                    caption=f"{NAMED} Flagged share: {format_measurement(m).whole}."
                    + _hidden(len(rows)),
                    header=("Row", "Label", "Label by trusted rows"),
                    rows=rows[:MOST_SHOWN],
                    notes=list_doubts([m]),
                )
                for m in measurements
                if m.metric == "suspect_share" and m.params.get("method") == "joint"
                if (rows := _suspects(m))
            )
        )


def _lacking(training: Dataset, trusted: Dataset) -> Gap | None:
    if training.inputs is None or trusted.inputs is None:
        return NO_INPUTS
    if training.labels is None:
        return missing_labels_gap(DatasetRole.TRAINING)
    first = (
        comparable_points(data.inputs[:1])
        for data in (training, trusted)
        if data.inputs is not None
    )
    return _NO_NUMBERS if any(points is None for points in first) else None


def _points(subject: Subject, chosen: Chosen) -> Floats:
    """Return training and trusted rows as points: tables scaled by the trusted rows."""
    parts = {}
    for role, rows in chosen.items():
        inputs = cast("Array", subject.datasets[role].inputs)
        cut = [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]
        parts[role] = np.concatenate(
            [cast("Floats", comparable_points(inputs[part])) for part in cut]
        )
    whole = np.concatenate((parts[DatasetRole.TRAINING], parts[DatasetRole.EVALUATION]))
    if not subject.datasets[DatasetRole.EVALUATION].tabular:
        return whole
    features = () if isinstance(subject.space, Gap) else subject.space.features
    return ColumnScale.of(parts[DatasetRole.EVALUATION], features).points(whole)


def _views(subject: Subject, chosen: Chosen) -> Narrow | Gap:
    """Return what the last layer is given of training and trusted rows, in few columns."""
    bench = subject.bench
    if isinstance(subject.model, Gap):
        return subject.model
    if isinstance(bench, Gap):
        return bench
    narrow, found = None, []
    for role, rows in chosen.items():
        inputs = cast("Array", subject.datasets[role].inputs)
        for at in range(0, len(rows), CHUNK):
            seen = bench.embedding(inputs[rows[at : at + CHUNK]])
            if isinstance(seen, Gap):
                return seen
            narrow = narrow or fit_projection(seen.values, subject.seed)
            found.append(narrow(seen.values))
    return np.concatenate(found)


def _written(found: Mapping[str, SuspicionScores]) -> Evidence:
    kept = {}
    for name, item in found.items():
        kept[name] = np.concatenate((item.training, item.trusted)).astype(np.float32)
        if item.planted.size:
            kept[name + PLANTED] = item.planted.astype(np.float32)
    return kept


_TOO_FEW = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"No class of the training data has {LEAST_OF_A_CLASS} trusted rows to compare with.",
    cure=f"Evaluate on at least {LEAST_OF_A_CLASS} rows of each class; 100 see far more.",
)
_NO_NUMBERS = Gap(
    reason=GapReason.NEEDS_NUMERIC_INPUT,
    detail="Rows that are neither a table nor pictures have no distance here.",
    cure="Leave the check out; data.duplicates compares texts.",
)


def _suspects(m: Measurement) -> tuple[tuple[str, ...], ...]:
    listed, names = m.details.get("suspects"), ("id", "label", "suggested")
    told = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return tuple(tuple(str(item.get(name, "")) for name in names) for item in told)


def _hidden(rows: int) -> str:
    return f" {rows - MOST_SHOWN} more are in the record only." if rows > MOST_SHOWN else ""


CHECK: type[Check] = TrainingScanCheck
