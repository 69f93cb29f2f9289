"""Check of data drift: whether production data look like the training and evaluation data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from scipy.stats import rankdata

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence, describe_cluster_doubt
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_measurement, format_number
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection, ReportTopic
from auditor.domain.report_panels import build_interval_panels, format_figure_cells
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
from auditor.metrics.data.leakage_effect import cluster_details, independent_rows
from auditor.metrics.data.model_answers import Flags, find_dataset_answers
from auditor.metrics.data.two_sample_classifier import classifier_features, classify_samples
from auditor.metrics.stats.p_values import permutation_p_value, shuffle_statistic
from auditor.metrics.stats.roc_auc import auc

SECONDS_A_ROW = 2e-5
SIDES = ("reference", "current")
BOTH = (
    "Largest change of the probability of any range or set of values (total "
    "variation). Intervals hold for all columns jointly. With many rows small changes "
    "have small p-values, and with few rows large changes have large ones, so a "
    "p-value alone decides nothing."
)


@dataclass(frozen=True, slots=True)
class DriftCheck(Check):
    """Compares current data with reference data, column by column and as a whole.

    Current data are your production data, or else the evaluation data. The reference is your
    reference data, or else the training data. The check measures every column that both have, and
    the model's score:

    - ``distance``: the largest change in the probability of a threshold or of a set of levels
      (Kolmogorov-Smirnov, total variation). Its details hold ``adjusted_p_value``, the p-value of
      no change, adjusted for all columns by Benjamini and Hochberg; ``least_p`` is the smallest.
    - ``moved``: by how many standard deviations of the reference a number moved (Wasserstein).
    - ``classifier_auc``: how well a classifier separates both sides. It is trained on ``rows`` rows
      of each and tested on others; its p-value comes from ``rounds`` permutations.
    - ``label_share_change``: the estimated change of class shares, from decisions alone.

    Intervals hold jointly over all columns. Readings list the ``most`` columns that changed most
    and the ``most`` that moved farthest.

    An effect or a p-value alone is no verdict: p-values and estimates without labels are doubted,
    so that no rule passes on them. Each cluster of related rows counts as one row. Evidence holds a
    sketch of the reference; later samples are counted on its cells.
    """

    rows: int = 4000
    rounds: int = 999
    most: int = 60

    id: ClassVar[str] = "data.drift"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Data drift"
    needs: ClassVar[frozenset[Need]] = frozenset()
    wants: ClassVar[frozenset[Need]] = frozenset({Need.SCORES, Need.REFERENCE, Need.PRODUCTION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "largest_distance": Metric(
            "Largest change of a column", Unit.SHARE, higher_is_better=False
        ),
        "distance": Metric("Change of a column's distribution", Unit.SHARE, higher_is_better=False),
        "moved": Metric(
            "Shift of the mean, in standard deviations", Unit.NONE, higher_is_better=False
        ),
        "least_p": Metric(
            "Smallest adjusted p-value for no change", Unit.NONE, exact=True, number=True
        ),
        "classifier_auc": Metric(
            "AUC of a classifier that separates both samples",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
        "classifier_p": Metric("P-value for not separable", Unit.NONE, exact=True, number=True),
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
    coordinates: ClassVar[frozenset[str]] = frozenset({"column", "class"})
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.DRIFT})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.TIME, 3)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.rounds, self.most) < 1:
            message = "rows, rounds and most are at least 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row of both once; other checks of the same audit share the scores."""
        rows = size.rows + sum(size.beside.values())
        return CheckCost(queries=rows, clean=size.rows, seconds=SECONDS_A_ROW * rows)

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

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to compare."""
        pair = select_compared_datasets(subject)
        return pair if isinstance(pair, Gap) else None

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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the columns that have changed most, with how much and how surely."""
        mine = [m for m in measurements if "column" in m.params]
        moved = {str(m.params["column"]): m for m in mine if m.metric == "moved"}
        return ReportBlock(
            parts=build_interval_panels(
                [m for m in mine if m.metric == "distance"],
                lambda m: str(m.params["column"]),
                title="Columns with the largest change of distribution",
                caption=BOTH,
                header=("Column", "Change", "Interval", "Deviations moved", "Adjusted p-value"),
                most=14,
                unit=Unit.NONE,
                cells=lambda m: (
                    *format_figure_cells(m)[:2],
                    _beside(moved.get(str(m.params["column"]))),
                    _p_value(m.details.get("adjusted_p_value")),
                ),
            )
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


def _beside(m: Measurement | None) -> str:
    if m is None:
        return "no number"
    words = format_measurement(m)
    return f"{words.value} ({words.interval})" if words.interval else words.value


def _p_value(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "unknown"
    return "below 0.0001" if value < 1e-4 else format_number(round(value, 4))  # noqa: PLR2004 -- four digits


CHECK: type[Check] = DriftCheck
