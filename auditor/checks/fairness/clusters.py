"""Check for error clusters: rows alike to the model on which it is worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject, seeded_permutation
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import NO_BENCH
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.tasks import get_class_names
from auditor.metrics.performance.embedding_clusters import (
    RowClusters,
    build_contact_sheets,
    excerpt_rows,
)
from auditor.metrics.performance.error_slices import (
    METRICS,
    SliceSearchSettings,
    collect_decided_rows,
    describe_slice_errors,
)
from auditor.metrics.performance.slice_panels import build_slice_panels
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.slice_lattices import MOST_LEVELS

SECONDS_A_ROW = 1e-3
Rows = NDArray[np.int64]
ALIKE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="To the model's last layer all rows are alike, so that they have no clusters.",
    cure="Look at the data and at the model's accuracy: it decides all rows alike.",
)


@dataclass(frozen=True, slots=True)
class ErrorClusterCheck(Check):
    """Searches clusters of rows that look alike to your model for higher error rates, and confirms
    them on other rows.

    Rows are clustered by the input of the model's last layer with weights, read from the graph on
    the target in a separate session. For a model with one layer these are the model's inputs (for
    texts, the output of its vectoriser). Numbers are standardised and projected on 32 principal
    axes. K-means then forms each number of ``clusters`` that leaves ``least_rows`` rows to each on
    average.

    One half of the rows fits all of this and proposes at most ``most`` clusters. The other half
    tests them as ``fairness.slices`` does, and alone gives the figures. At most ``rows`` rows are
    used, a prefix of the audit's permutation.

    Unlike ``fairness.slices``, this check needs the artifact, and a cluster is defined only by its
    rows. The two checks therefore do not share a correction. ``worst_slice_error`` is a bound: a
    search without a result is no proof.

    Evidence holds each row's clusters, label and decision, and for confirmed clusters the rows
    nearest to the centre with their distances, but no embeddings. If your audit may show examples,
    it also holds these rows' pictures or the openings of their texts.
    """

    clusters: tuple[int, ...] = (8, 16, 32)
    rows: int = 20_000
    least_rows: int = 20
    least_share: float = 0.005
    most: int = 20
    level: float = 0.05
    correction: Literal["holm", "bh"] = "holm"
    examples: int = 12

    id: ClassVar[str] = "fairness.clusters"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Clusters of similar rows on which the model is worse"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION, Need.LABELS})
    emits: ClassVar[Mapping[str, Metric]] = METRICS
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.5.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"clusters": [8], "rows": 2000},
        Budget.CI: {"clusters": [8, 16, 32], "rows": 20_000},
        Budget.FULL: {"clusters": [8, 16, 32, 64], "rows": 50_000},
    }
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.WORSE, 2)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.clusters or min(self.clusters) < 2 or max(self.clusters) > MOST_LEVELS:  # noqa: PLR2004 -- one cluster is everything
            message = f"clusters are whole numbers from 2 to {MOST_LEVELS}"
            raise ValueError(message)
        if min(self.rows, self.examples) < 1:
            message = "rows and examples are whole numbers of at least 1"
            raise ValueError(message)
        _ = self.rules

    @property
    def rules(self) -> SliceSearchSettings:
        """How clusters are searched and confirmed: each alone."""
        return SliceSearchSettings(
            1, self.least_rows, self.least_share, self.most, self.level, self.correction
        )

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once, which other checks share, and look at some once more."""
        seen = min(self.rows, size.rows)
        return CheckCost(queries=size.rows + seen, clean=size.rows, seconds=SECONDS_A_ROW * seen)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width for all rows seen, one in ten wrong and nothing tried."""
        seen = min(self.rows, size.rows)
        if not seen:
            return {}
        whole = clopper_pearson(seen // 10, seen, confidence)
        return dict.fromkeys(("error", "worst_slice_error"), (whole.high - whole.low) / 2)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Cluster what the last layer is given. Raises what ``ModelBench.embedding`` raises."""
        dataset, bench = subject.datasets[DatasetRole.EVALUATION], subject.bench
        if isinstance(bench, Gap) or dataset.inputs is None:
            return {"gap": write_gap(bench if isinstance(bench, Gap) else NO_BENCH)}
        sample = np.sort(subject.sample(DatasetRole.EVALUATION, self.rows))
        searched, units = _halves(subject, dataset, sample)
        size = int(searched.sum())
        if min(size, len(sample) - size) < max(2 * self.least_rows, min(self.clusters)):
            return {"gap": write_gap(self.rules.too_few(size, len(sample) - size))}
        wrong = ~subject.right(DatasetRole.EVALUATION)[sample]
        seen = bench.embedding(dataset.inputs[sample])
        if isinstance(seen, Gap):
            return {"gap": write_gap(seen)}
        fitting = [count for count in self.clusters if count * self.least_rows <= size]
        found = RowClusters.of(
            seen.values, searched, tuple(fitting) or (min(self.clusters),), subject.seed
        )
        if not found.axes:
            return {"gap": write_gap(ALIKE)}
        evidence: Evidence = {
            "gap": None,
            "codes": found.codes,
            "wrong": wrong,
            "searched": searched,
            "columns": found.columns(),
            "task": {
                "clusters": units,
                "view": {
                    "layer": seen.node,
                    "operator": seen.operator,
                    "inputs": seen.given,
                    "width": int(seen.values.shape[1]),
                    "axes": found.axes,
                },
                "classes": list(get_class_names(subject.task)),
            },
            **{name: given[sample] for name, given in collect_decided_rows(subject).items()},
        }
        return {**evidence, **self._sheet(subject, evidence, found, sample)}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Search one half and confirm on the other; the same clusters at any confidence."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        outcome = self.rules.outcome(evidence)
        if isinstance(outcome, Gap):
            return (outcome,)
        view = cast("Mapping[str, Json]", evidence["task"])["view"]
        return tuple(
            replace(item, details={**item.details, "view": view})
            if isinstance(item, Measurement)
            else item
            for item in describe_slice_errors(outcome.readings(confidence), evidence, outcome)
        )

    def _sheet(
        self, subject: Subject, evidence: Evidence, found: RowClusters, sample: Rows
    ) -> Evidence:
        outcome = self.rules.outcome(evidence)
        dataset = subject.datasets[DatasetRole.EVALUATION]
        if isinstance(outcome, Gap) or dataset.inputs is None:
            return {}
        listed = build_contact_sheets(outcome, found, np.asarray(evidence["wrong"]), self.examples)
        places = sample[[entry.place for entry in listed]]
        rows: list[Json] = [
            {**entry.to_json(), "row": dataset.ids[at]}
            for entry, at in zip(listed, places, strict=True)
        ]
        leave = subject.show_examples and len(listed) > 0
        return {"sheet": rows, **(excerpt_rows(dataset.inputs[places]) if leave else {})}

    def block(self, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show what the search confirmed, and what it could not have seen."""
        return ReportBlock(parts=build_slice_panels(self.title, measurements, self.rules))


def _halves(subject: Subject, dataset: Dataset, sample: Rows) -> tuple[NDArray[np.bool_], int]:
    """Return which rows of a sample are searched, and how many units stay together in it."""
    cluster = None if dataset.cluster is None else dataset.cluster.take(sample)
    units = len(sample) if cluster is None else len(cluster.names)
    return first_half(seeded_permutation(subject.audit_seed, units), cluster), units


CHECK: type[Check] = ErrorClusterCheck
