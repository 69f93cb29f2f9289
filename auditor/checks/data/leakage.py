"""Check for leakage: evaluation rows that are in the training data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence, read_clusters, write_clusters
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_count, format_measurement
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    count_hidden_rows,
    format_figure_cells,
    list_detail_rows,
    note_chance,
)
from auditor.metrics.data.leakage_effect import accuracy_gains
from auditor.metrics.data.model_answers import find_right_rows
from auditor.metrics.data.near_duplicates import (
    NEARLY,
    NearDuplicateRule,
    build_comparable_rows,
    find_leaks,
    shuffle_columns,
)

SECONDS_A_ROW = 2e-5
WAYS = ("exact", "near", "entity")
METHODS = {
    "exact": "every row looked up by its digest",
    "near": NEARLY,
    "entity": "every name of the cluster column looked up",
}
Rows = NDArray[np.int64]
MOST_SHOWN = 12
LEAKED = ("id", "training")
LEAKS = {
    "exact": "Evaluation rows that are also in the training data",
    "near": "Evaluation rows with a near-duplicate in the training data",
    "entity": "Evaluation rows of an entity that is also in the training data",
}


@dataclass(frozen=True, slots=True)
class LeakageCheck(Check):
    """Finds evaluation rows that are also in the training data, and measures how much accuracy they
    add.

    A row leaks exactly; nearly, as in `data.duplicates`; or by entity, if its value in the cluster
    column (the same person, the same day) occurs on both sides. ``accuracy_gain`` is the accuracy
    on rows that leak in one way minus the accuracy on rows that do not leak; its intervals hold
    jointly over the ways.

    Tables with few columns match by chance: ``by_chance`` in the details is the share after each
    column of the evaluation data was shuffled.
    """

    columns: int = 1
    tolerance: float = 1e-3
    distance: float = 0.1
    shingles: float = 0.8
    listed: int = 50

    id: ClassVar[str] = "data.leakage"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Evaluation rows in the training data"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.TRAINING})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.SCORES})
    coordinates: ClassVar[frozenset[str]] = frozenset({"leak"})
    emits: ClassVar[Mapping[str, Metric]] = {
        "exact_share": Metric(
            "Evaluation rows that are also in the training data",
            Unit.SHARE,
            higher_is_better=False,
            exact=True,
        ),
        "near_share": Metric(
            "Evaluation rows with a near-duplicate in the training data",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
        ),
        "entity_share": Metric(
            "Evaluation rows of an entity that is also in the training data",
            Unit.SHARE,
            higher_is_better=False,
            exact=True,
        ),
        "accuracy_gain": Metric("Accuracy on leaked rows, minus that on other rows", Unit.SHARE),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DATA, 4, once=True)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        rows = size.rows + size.beside.get(DatasetRole.TRAINING.value, 0)
        return CheckCost(queries=size.rows, clean=size.rows, seconds=SECONDS_A_ROW * rows)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Look each row up; keep the ids of those that leak, and which answers are right."""
        ours, theirs = (
            subject.datasets[role] for role in (DatasetRole.EVALUATION, DatasetRole.TRAINING)
        )
        right = find_right_rows(subject, DatasetRole.EVALUATION)
        return {
            "rows": ours.rows,
            **self._looked_up(subject, ours, theirs),
            **_entities(ours, theirs),
            **({"no_answers": write_gap(right)} if isinstance(right, Gap) else {"right": right}),
        }

    def _looked_up(self, subject: Subject, ours: Dataset, theirs: Dataset) -> Evidence:
        mine, other = (
            build_comparable_rows(ours, subject.space),
            build_comparable_rows(theirs, subject.space),
        )
        if isinstance(mine, Gap):
            return {"no_rows": write_gap(mine)}
        if isinstance(other, Gap):
            return {"no_rows": write_gap(other)}
        likeness = NearDuplicateRule.of(self.columns, self.tolerance, self.distance, self.shingles)
        found = find_leaks(mine, other, likeness)
        mixed = shuffle_columns(mine, subject.seed)
        chance: Json = None
        if mixed is not None:
            again = find_leaks(mixed, other, likeness)
            chance = {way: len(getattr(again, way)) / ours.rows for way in ("exact", "near")}
        kept = {way: getattr(found, way) for way in ("exact", "near")}
        return {
            "by_chance": chance,
            **{way: links[:, 0] for way, links in kept.items()},
            **{f"{way}_ids": _names(ours, links[:, 0]) for way, links in kept.items()},
            **{f"{way}_twins": _names(theirs, links[:, 1]) for way, links in kept.items()},
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count the rows that leak each way, and compare their accuracy with that of the rest."""
        found = [self._share(evidence, way) for way in WAYS]
        return (*found, *_gains(evidence, confidence))

    def _share(self, evidence: Evidence, way: str) -> Reading:
        metric = f"{way}_share"
        lacking = evidence.get("no_entities" if way == "entity" else "no_rows")
        if lacking is not None:
            return read_gap(lacking, metric)
        rows, total = cast("Rows", evidence[way]), cast("int", evidence["rows"])
        details: dict[str, Json] = {"k": len(rows), "n": total}
        ids = [str(name) for name in cast("NDArray[np.str_]", evidence[f"{way}_ids"])]
        twins = [str(name) for name in cast("NDArray[np.str_]", evidence[f"{way}_twins"])]
        pairs = list(zip(ids, twins, strict=True))[: self.listed]
        details["leaked"] = [{"id": one, "training": other} for one, other in pairs]
        chance = cast("Mapping[str, Json] | None", evidence.get("by_chance"))
        if chance is not None and way in chance:
            details["by_chance"] = chance[way]
        return Measurement(
            metric=metric,
            value=len(rows) / total,
            bound=LeakageCheck.emits[metric].bound,
            method=METHODS[way],
            n=total,
            unit=Unit.SHARE,
            details=details,
        )

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the evaluation rows that stand in the training data."""

        def gaps(way: str) -> list[str]:
            return [
                "Accuracy on these rows minus that on rows that do not leak: "
                f"{format_measurement(m).whole}."
                for m in measurements
                if m.params.get("leak") == way
            ]

        found = ((m, list_detail_rows(m.details.get("leaked"), LEAKED)) for m in measurements)
        return ReportBlock(
            parts=tuple(
                BlockPanel(
                    title=LEAKS.get(way := m.metric.removesuffix("_share"), way),
                    caption=f"{format_figure_cells(m)[0]} of {format_count(m.n)} evaluation rows.",
                    header=("Evaluation row", "Training row"),
                    rows=rows[:MOST_SHOWN],
                    notes=(*gaps(way), *note_chance(m), *count_hidden_rows(len(rows), MOST_SHOWN)),
                )
                for m, rows in found
                if rows
            )
        )


def _names(dataset: Dataset, rows: Rows) -> NDArray[np.str_]:
    return np.array([dataset.ids[row] for row in rows], dtype=np.str_)


def _entities(ours: Dataset, theirs: Dataset) -> Evidence:
    """Return the rows whose name in the cluster column stands on both sides."""
    mine, other = ours.entities, theirs.entities
    if mine is None or other is None:
        return {"no_entities": write_gap(_NO_CLUSTER), **write_clusters(ours)}
    first = {name: row for row, name in reversed(list(enumerate(other)))}
    shared = np.array([first.get(name, -1) for name in mine.names])[mine.codes]
    rows = np.flatnonzero(shared >= 0)
    return {
        "entity": rows,
        "entity_ids": _names(ours, rows),
        "entity_twins": _names(theirs, shared[rows]),
        **write_clusters(ours),
    }


def _gains(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    if "no_answers" in evidence:
        yield read_gap(evidence["no_answers"], "accuracy_gain")
        return
    right = cast("NDArray[np.bool_]", evidence["right"])
    shared = read_clusters(evidence)
    clusters = np.arange(len(right)) if shared is None else shared
    leaked = {way: cast("Rows", evidence[way]) for way in WAYS if way in evidence}
    yield from accuracy_gains(right, clusters, leaked, confidence)


_NO_CLUSTER = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The evaluation data, the training data or both name no cluster column.",
    cure="Name the column of persons, devices or days under data.evaluation.cluster and "
    "data.training.cluster in the audit file.",
)
CHECK: type[Check] = LeakageCheck
