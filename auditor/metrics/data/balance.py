"""Class and group balance, completeness, and column summaries of a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import UNKNOWN, Dataset, DatasetRole
from auditor.domain.evidence import describe_cluster_doubt
from auditor.domain.gaps import missing_labels_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.metrics.data.label_leakage import LabelPredictor
from auditor.metrics.stats.class_imbalance import effective_class_count, imbalance_ratio
from auditor.metrics.stats.group_gaps import max_gap
from auditor.metrics.stats.proportions import clopper_pearson

NAMING = 0.99
"""From which share of distinct values on a column of codes or texts names rows."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ColumnSummary:
    """A column: how many values it has, whether they are measured, and where it has none."""

    name: str
    distinct: int
    measured: bool
    missing: Flags

    @property
    def constant(self) -> bool:
        """Whether all known values are the same."""
        return self.distinct <= 1

    @property
    def naming(self) -> bool:
        """Whether nearly every row has a value of its own, and values are no measurements."""
        known = int(np.count_nonzero(~self.missing))
        return not self.measured and known > 1 and self.distinct >= NAMING * known


def summarize_columns(dataset: Dataset) -> Iterator[ColumnSummary]:
    """Yield the columns that the model reads, if they are a table, then groups and slices."""
    values = dataset.inputs
    if values is not None and dataset.tabular:
        for at, name in enumerate(dataset.features):
            column = values[:, at].astype(np.float64)
            known = column[~np.isnan(column)]
            whole = bool(np.all(known == np.round(known)))
            yield ColumnSummary(name, len(np.unique(known)), not whole, np.isnan(column))
    for name, texts in {**dataset.slices, **dataset.groups}.items():
        if name in dataset.features:
            continue
        missing = np.array([level == UNKNOWN for level in texts.names])[texts.codes]
        distinct = len(texts.names) - (UNKNOWN in texts.names)
        measured = any("." in level for level in texts.names)
        yield ColumnSummary(name, distinct, measured, missing)


MOST_CLASSES = 20
PAIR = 2


def count_missing_by_group(dataset: Dataset, columns: Sequence[ColumnSummary]) -> list[Json]:
    """Count, for each column that lacks something and each column of groups, by group.

    Rows of unknown group are no group, and a column is not compared over itself.
    """
    return [
        {
            "column": column.name,
            "group_column": name,
            "groups": [level for level in members.names if level != UNKNOWN],
            "k": _of(members.names, np.bincount(members.codes, column.missing, len(members.names))),
            "n": _of(members.names, np.bincount(members.codes, minlength=len(members.names))),
        }
        for column in columns
        if column.missing.any()
        for name, members in dataset.groups.items()
        if name != column.name
    ]


def _of(names: tuple[str, ...], counts: np.ndarray[tuple[int], np.dtype[np.generic]]) -> Json:
    return [int(count) for name, count in zip(names, counts, strict=True) if name != UNKNOWN]


@dataclass(frozen=True, slots=True, eq=False)
class BalanceSurvey:
    """What was counted in one sample; ``family`` gaps of all samples hold jointly."""

    role: str
    sample: Mapping[str, Json]
    confidence: float
    family: int

    def classes(self) -> Iterator[Reading]:
        """Return the share of each class (the rarest, of very many), and how even they are."""
        metrics = ("class_share", "imbalance_ratio", "effective_classes")
        if self.sample["classes"] is None:
            yield from (self._gap(name, _NO_CLASSES) for name in metrics)
            return
        if self.sample["labels"] is None:
            yield from (
                self._gap(name, missing_labels_gap(DatasetRole(self.role))) for name in metrics
            )
            return
        names = cast("Sequence[str]", self.sample["classes"])
        counts = np.array(self.sample["labels"], dtype=np.float64)
        each = 1 - (1 - self.confidence) / len(counts)
        for at in np.sort(np.argsort(counts, kind="stable")[:MOST_CLASSES]):
            share = clopper_pearson(int(counts[at]), int(counts.sum()), each)
            told: dict[str, Json] = {"holds": "jointly over all classes", "k": int(counts[at])}
            yield self._measured(share, "class_share", Unit.SHARE, told, {"class": names[at]})
        yield self._imbalance(names, counts)
        even = effective_class_count(counts, self.confidence)
        yield self._measured(even, "effective_classes", Unit.NONE, {"classes": len(counts)})

    def _imbalance(self, names: Sequence[str], counts: Floats) -> Reading:
        absent = [name for name, count in zip(names, counts, strict=True) if not count]
        if absent or len(counts) < PAIR:
            lacking = replace(_ABSENT, detail=f"{_ABSENT.detail} {', '.join(absent)}.")
            return self._gap("imbalance_ratio", lacking)
        told = {
            "most": names[int(counts.argmax())],
            "least": names[int(counts.argmin())],
        }
        found = imbalance_ratio(counts, self.confidence)
        return self._measured(found, "imbalance_ratio", Unit.NONE, cast("dict[str, Json]", told))

    def columns(self) -> Iterator[Measurement]:
        """Return how many columns are constant, and how many name rows."""
        for metric, key in (("constant_columns", "constant"), ("identifier_columns", "naming")):
            named = cast("Sequence[str]", self.sample[key])
            yield Measurement(
                metric=metric,
                value=len(named),
                method="every column looked at",
                n=cast("int", self.sample["columns"]),
                unit=Unit.COUNT,
                params={"data": self.role},
                details={"columns": list(named)},
            )

    def predictors(self) -> Iterator[Reading]:
        """Return how well single columns tell the label."""
        if not self.sample["labelled"]:
            yield self._gap("column_auc", missing_labels_gap(DatasetRole(self.role)))
            return
        listed = cast("Sequence[Mapping[str, Json]]", self.sample["predictors"])
        areas = [
            (str(item["column"]), _area(item, self.confidence, len(listed))) for item in listed
        ]
        for name, area in areas:
            if area is not None:
                told: dict[str, Json] = {"holds": f"jointly over {len(listed)} columns"}
                yield self._measured(area, "column_auc", Unit.SHARE, told, {"column": name})
        if all(area is None for _, area in areas):
            yield self._gap("column_auc", _NO_COLUMNS)

    def missing(self) -> Iterator[Reading]:
        """Return how many rows lack something, and how groups differ in what they lack."""
        missing = cast("Mapping[str, int]", self.sample["missing"])
        share = clopper_pearson(
            cast("int", self.sample["incomplete"]),
            cast("int", self.sample["rows"]),
            self.confidence,
        )
        yield self._measured(share, "missing_share", Unit.SHARE, {"columns": dict(missing)})
        compared = cast("Sequence[Mapping[str, Json]]", self.sample["groups"])
        for item in compared:
            missing_gap: Reading
            names = cast("Sequence[str]", item["groups"])
            hits, rows = (np.array(item[key], dtype=np.float64) for key in ("k", "n"))
            where = {"column": str(item["column"]), "group_column": str(item["group_column"])}
            if np.count_nonzero(rows) < PAIR:
                missing_gap = self._gap("missing_gap", _ONE_GROUP, where)
            else:
                found = max_gap(hits, rows, self.confidence, self.family)
                told: dict[str, Json] = {
                    "highest": names[found.highest],
                    "lowest": names[found.lowest],
                    "counts": {
                        name: {"k": int(k), "n": int(n)}
                        for name, k, n in zip(names, hits, rows, strict=True)
                    },
                }
                missing_gap = self._measured(found.interval, "missing_gap", Unit.SHARE, told, where)
            yield missing_gap
        if not compared:
            yield self._gap("missing_gap", _COMPLETE if not missing else _NO_GROUPS)

    def _measured(
        self,
        interval: ConfidenceInterval,
        metric: str,
        unit: Unit,
        details: Mapping[str, Json],
        more: Mapping[str, Scalar] | None = None,
    ) -> Measurement:
        clustered = bool(self.sample["clustered"])
        return Measurement.of(
            replace(interval, confidence=self.confidence),
            metric,
            unit,
            params={"data": self.role, **(more or {})},
            doubted=clustered,
            details={**details, **describe_cluster_doubt(clustered)},
        )

    def _gap(self, metric: str, why: Gap, more: Mapping[str, Scalar] | None = None) -> Gap:
        return replace(why, metric=metric, params={"data": self.role, **(more or {})})


def _area(item: Mapping[str, Json], confidence: float, family: int) -> ConfidenceInterval | None:
    chosen, measured = (np.array(item[key], dtype=np.int64) for key in ("chosen", "measured"))
    return LabelPredictor(str(item["column"]), chosen, measured).area(confidence, family)


_NO_CLASSES = Gap(
    reason=GapReason.NEEDS_CLASSIFICATION,
    detail="The task has no classes.",
    cure="This figure has no meaning for other tasks.",
)
_ABSENT = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="No row has the class",
    cure="Bring rows of every class, or leave the class out of task.classes.",
)
_NO_COLUMNS = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="There is no column that varies, beside labels of two classes in each half of the rows.",
    cure="Name columns under groups or slices; pictures and texts have none of their own.",
)
_NO_GROUPS = Gap(
    reason=GapReason.NEEDS_GROUPS,
    detail="Values are missing, and the data names no other groups to compare.",
    cure="Name the columns under data.evaluation.groups in the audit file.",
)
_COMPLETE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="Nothing is missing, so that groups cannot differ in it.",
    cure="Nothing has to be done.",
)
_ONE_GROUP = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="Fewer than two known groups have rows.",
    cure="Evaluate on data that hold more groups.",
)
