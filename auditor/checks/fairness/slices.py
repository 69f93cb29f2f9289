"""Check for error slices: parts of the data, by column values, on which the model is worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject, seeded_permutation
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection, ReportTopic
from auditor.domain.tasks import FeatureKind, get_class_names
from auditor.metrics.performance.error_slices import (
    METRICS,
    SliceSearchSettings,
    collect_decided_rows,
    describe_slice_errors,
)
from auditor.metrics.performance.slice_panels import build_slice_panels
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.slice_lattices import MOST_LEVELS, ColumnCoding, code_columns

SECONDS_A_ROW = 1e-5
NO_COLUMNS = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="There is no column to slice by: no groups or slice columns in the evaluation data, and "
    "the model's inputs are not named columns, or all say the same of every row.",
    cure="Name columns under data.evaluation.slices or groups in the audit file.",
)


@dataclass(frozen=True, slots=True)
class ErrorSliceCheck(Check):
    """Searches slices of your data in which the model errs more often than on the rest, and
    confirms them on other rows.

    A slice is a combination of up to ``depth`` columns: groups, slice columns and, unless
    ``inputs`` is false, the columns that the model reads. Numbers are cut into ``bins`` quantile
    bins; the ``categories`` most frequent categories are separate. A slice has at least
    ``least_rows`` rows and the share ``least_share`` of the searched rows.

    One half of the rows, chosen by the audit's seed (whole clusters, if you declare them), proposes
    at most ``most`` slices. On the other half each is tested against the rest (exact, one-sided,
    mid-p). It is confirmed if its p-value, corrected for all tests, is at most ``level`` and no
    slice confirmed before explains it. ``holm`` bounds the chance of any false confirmation, ``bh``
    the mean share of false ones. If columns repeat each other, the reported slice often stands for
    another with mostly the same rows.

    Figures come from the held-out half alone; ``error`` is also measured on the whole sample. An
    error is a wrong decision (a rejection too), or a number that misses the truth by more than the
    tolerance. ``worst_slice_error`` is a bound: a search without a result is no proof. Evidence
    holds every row's levels, label and decision, not its values.
    """

    depth: int = 3
    bins: int = 5
    categories: int = 20
    least_rows: int = 50
    least_share: float = 0.005
    most: int = 50
    level: float = 0.05
    correction: Literal["holm", "bh"] = "holm"
    inputs: bool = True

    id: ClassVar[str] = "fairness.slices"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Slices on which the model is worse"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.LABELS, Need.SCORES})
    emits: ClassVar[Mapping[str, Metric]] = METRICS
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(v)"),
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "Annex IV 3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.5.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"depth": 1},
        Budget.CI: {"depth": 2},
        Budget.FULL: {"depth": 3},
    }
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.GROUPS})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.WORSE, 1)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.bins, self.categories) < 1 or max(self.bins, self.categories) >= MOST_LEVELS:
            message = f"bins and categories are at least 1, and below {MOST_LEVELS}"
            raise ValueError(message)
        _ = self.rules

    @property
    def rules(self) -> SliceSearchSettings:
        """How slices are searched and confirmed."""
        return SliceSearchSettings(
            self.depth, self.least_rows, self.least_share, self.most, self.level, self.correction
        )

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows, seconds=SECONDS_A_ROW * size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width for the whole sample, one row in ten wrong and nothing tried."""
        if not size.rows:
            return {}
        whole = clopper_pearson(size.rows // 10, size.rows, confidence)
        return dict.fromkeys(("error", "worst_slice_error"), (whole.high - whole.low) / 2)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep each row's levels, half, and whether it is wrong."""
        dataset = subject.datasets[DatasetRole.EVALUATION]
        searched = first_half(
            seeded_permutation(subject.audit_seed, dataset.units), dataset.cluster
        )
        features = () if isinstance(subject.space, Gap) else subject.space.features
        fixed = frozenset(item.name for item in features if item.kind is FeatureKind.CATEGORICAL)
        coding = ColumnCoding(searched, self.bins, self.categories, fixed)
        coded = code_columns(dataset, coding, inputs=self.inputs)
        none = np.zeros((0, dataset.rows), dtype=np.uint8)
        return {
            "codes": np.stack([item.codes for item in coded.values()]) if coded else none,
            "wrong": ~subject.right(DatasetRole.EVALUATION),
            "searched": searched,
            "columns": [{"name": name, "levels": list(at.names)} for name, at in coded.items()],
            "task": {"clusters": dataset.units, "classes": list(get_class_names(subject.task))},
            **collect_decided_rows(subject),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Search one half and confirm on the other; the same slices at any confidence."""
        if not evidence["columns"]:
            return (NO_COLUMNS,)
        outcome = self.rules.outcome(evidence)
        if isinstance(outcome, Gap):
            return (outcome,)
        return describe_slice_errors(outcome.readings(confidence), evidence, outcome)

    def block(self, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show what the search confirmed, and what it could not have seen."""
        return ReportBlock(parts=build_slice_panels(self.title, measurements, self.rules))


CHECK: type[Check] = ErrorSliceCheck
