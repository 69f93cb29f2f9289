"""Whether what the model meets now looks like what it was made and audited for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from scipy.stats import rankdata

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence, describe_cluster_doubt
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import Floats, get_class_names
from auditor.metrics.data.distribution_shift import (
    ColumnCounts,
    column_shift_readings,
    column_shifts,
    count_columns,
    count_decisions_by_label,
    doubt_p_value,
    label_shift_readings,
    largest_shift_readings,
    list_unshared_columns,
    most_shifted_columns,
    read_column_counts,
    scores_column,
    select_compared_datasets,
    shared_columns,
    write_column_counts,
)
from auditor.metrics.data.model_answers import Flags, find_dataset_answers
from auditor.metrics.data.train_test_leakage import cluster_details, independent_rows
from auditor.metrics.data.two_sample_classifier import classifier_features, classify_samples
from auditor.metrics.stats.p_values import permutation_p_value, shuffle_statistic
from auditor.metrics.stats.ranking import auc

SECONDS_A_ROW = 2e-5
SIDES = ("reference", "current")


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """Current data (production, else evaluation) against reference data (else training).

    Of every column that both have, and of the model's score: the ``distance`` is how much the
    chance of some threshold, or of some set of levels, has changed (Kolmogorov-Smirnov, total
    variation); numbers have ``moved`` by so many standard deviations of the reference
    (Wasserstein). The p-value of no change, adjusted for all columns by Benjamini and Hochberg, is
    ``adjusted_p_value`` in the details of a distance; the least of all is ``least_p``. Intervals
    hold jointly over all columns; readings name the ``most`` columns that have changed most, and
    the ``most`` that have moved farthest. A classifier is trained to tell ``rows`` of both apart,
    and tested on others; its p-value is from ``rounds`` permutations. ``label_share_change``
    estimates from decisions alone how many of each class there are now.

    Neither effect nor p-value is a verdict alone: p-values and what is estimated without labels
    are doubted, so that no rule passes on them. Of rows that hang together one stands for each
    cluster. Evidence is the reference's sketch, on whose cells
    a later sample is counted.
    """

    rows: int = 4000
    rounds: int = 999
    most: int = 60

    id: ClassVar[str] = "data.drift"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Drift of the data"
    needs: ClassVar[frozenset[Need]] = frozenset()
    wants: ClassVar[frozenset[Need]] = frozenset({Need.SCORES, Need.REFERENCE, Need.PRODUCTION})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "largest_distance": Metric(
            "Largest change of a column", Unit.SHARE, higher_is_better=False
        ),
        "distance": Metric("Change of a column's distribution", Unit.SHARE, higher_is_better=False),
        "moved": Metric("Standard deviations moved", Unit.NONE, higher_is_better=False),
        "least_p": Metric(
            "Least p-value of no change, adjusted", Unit.NONE, exact=True, number=True
        ),
        "classifier_auc": Metric(
            "How well both are told apart", Unit.SHARE, BoundKind.AT_LEAST, higher_is_better=False
        ),
        "classifier_p": Metric(
            "P-value of not being told apart", Unit.NONE, exact=True, number=True
        ),
        "label_share_change": Metric("Estimated change of a class's share", Unit.NONE),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rounds": 199},
        Budget.CI: {},
        Budget.FULL: {"rows": 10_000},
    }
    grid: ClassVar[Mapping[str, str]] = {}
    coordinates: ClassVar[frozenset[str]] = frozenset({"column", "class"})

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.rounds, self.most) < 1:
            message = "rows, rounds and most are at least 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row of both once; other checks of the same audit share the scores."""
        rows = size.rows + sum(size.beside.values())
        return CheckCost(queries=rows, seconds=SECONDS_A_ROW * rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Say nothing: it depends on how many columns there are."""
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Count every column of both, train the classifier, and count decisions by label."""
        pair = select_compared_datasets(subject)
        if isinstance(pair, Gap):
            return {"gap": write_gap(pair)}
        said = [find_dataset_answers(subject, data.role) for data in pair]
        columns = [*shared_columns(*pair), *scores_column(subject, said)]
        kept = [independent_rows(subject, data) for data in pair]
        clustered = any(data.clustered for data in pair)
        whole = [column.take(*kept) for column in columns] if clustered else columns
        taken = list(count_columns(whole))
        if not taken:
            return {"gap": write_gap(NO_COLUMNS)}
        rows = [part[: self.rows] for part in kept]
        some = [column.take(*rows) for column in columns]
        current = np.arange(len(rows[0]) + len(rows[1])) >= len(rows[0])
        scores, held_out = classify_samples(classifier_features(some, len(rows[0])), current)
        return {
            **write_column_counts(taken),
            "scores": scores,
            "held_out": held_out,
            **count_decisions_by_label(subject, said),
            "task": {
                **{name: at.role.value for name, at in zip(SIDES, pair, strict=True)},
                "rows": [len(part) for part in kept],
                "clustered": clustered,
                "only_in_one": list(list_unshared_columns(*pair)),
                "seed": subject.seed,
                "classes": list(get_class_names(subject.task)),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare the columns, test the classifier, estimate the labels."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        task = cast("Mapping[str, Json]", evidence["task"])
        columns = read_column_counts(evidence)
        doubt, alone = (
            describe_cluster_doubt(task["clustered"], "the figure"),
            cluster_details(task["clustered"]),
        )
        independent = (
            *self.by_column(columns, task, confidence),
            *self.classifier(evidence, confidence),
        )
        return (
            *(_told(item, alone) for item in independent),
            *(
                _told(item, doubt, doubted=bool(doubt))
                for item in label_shift_readings(evidence, confidence)
            ),
        )

    def by_column(
        self, columns: Sequence[ColumnCounts], task: Mapping[str, Json], confidence: float
    ) -> Iterator[Reading]:
        """Yield the largest change, and the columns that have changed most."""
        found, adjusted = column_shifts(columns, confidence)
        yield from largest_shift_readings(columns, found, adjusted, task)
        for at in most_shifted_columns(found, self.most):
            yield from column_shift_readings(columns[at].name, found[at], float(adjusted[at]))

    def classifier(self, evidence: Evidence, confidence: float) -> Iterator[Reading]:
        """Yield how well held-out rows are told apart, and how often chance does as well."""
        scores, current = cast("Floats", evidence["scores"]), cast("Flags", evidence["held_out"])
        if not 0 < int(current.sum()) < current.size:
            yield from (
                replace(ONE_SIDE, metric=name) for name in ("classifier_auc", "classifier_p")
            )
            return
        area = auc(scores, current, confidence)
        yield Measurement.of(area, "classifier_auc", Unit.SHARE, bound=BoundKind.AT_LEAST)
        seed = cast("Mapping[str, int]", evidence["task"])["seed"]
        ranks = rankdata(scores)
        chance = shuffle_statistic(
            lambda order: float(ranks[order == 1].sum()),
            current.astype(np.int64),
            self.rounds,
            np.random.default_rng(seed),
        )
        yield doubt_p_value(
            "classifier_p",
            permutation_p_value(float(ranks[current].sum()), chance),
            f"{self.rounds} permutations of held-out rows (phipson and smyth)",
            len(scores),
        )


def _told(item: Reading, more: Mapping[str, Json], *, doubted: bool = False) -> Reading:
    if isinstance(item, Gap):
        return item
    return replace(item, doubted=item.doubted or doubted, details={**more, **item.details})


ONE_SIDE = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail="The rows that were held out are of one side only, so that there is nothing to tell.",
    cure="Take more rows of both.",
)
NO_COLUMNS = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="Reference and current data have no column in common, and nobody scored both.",
    cure="Name the same columns under slices or groups of both in the audit file.",
)


CHECK: type[Check] = DriftCheck
