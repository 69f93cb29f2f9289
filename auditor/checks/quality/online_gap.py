"""Whether the model is as often right in production as it was when it was audited."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.metrics.data.model_answers import (
    DatasetAnswers,
    find_dataset_answers,
    labelled_answers,
    shared_cluster_evidence,
)
from auditor.metrics.stats.differences import (
    LEAST_CLUSTERS,
    Flags,
    group_share_difference,
    has_few_clusters,
    share_difference,
    share_with_clusters,
)

MOST_NAMED = 10
PLAUSIBLE = 0.9
ASSUMED = "rows whose label has not come yet are answered right as often as those whose label has"


@dataclass(frozen=True, slots=True)
class OnlineGapCheck:
    """Accuracy on delayed labels from production, against that on the evaluation data.

    Of production, the rows count whose label has come; the others are counted and named, and
    ``details`` say how far the change could be if all of them were answered right, or all wrong. In
    a regression a row is right within the tolerance. Rows that hang together, in the column that
    ``cluster`` names, are counted as such.
    """

    id: ClassVar[str] = "quality.online_gap"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Production against the audit"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.PRODUCTION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "online_accuracy": Metric("Accuracy in production", Unit.SHARE, higher_is_better=True),
        "accuracy_change": Metric(
            "Accuracy in production, less that of the audit", Unit.NONE, higher_is_better=True
        ),
        "labelled_share": Metric(
            "Production rows whose label has come", Unit.SHARE, higher_is_better=True, exact=True
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row of both once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows + size.beside.get(DatasetRole.PRODUCTION.value, 0))

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the change if nine in ten are right and every label has come."""
        online = size.beside.get(DatasetRole.PRODUCTION.value, 0)
        if not size.rows or not online:
            return {}
        one, other = ((round(PLAUSIBLE * rows), rows) for rows in (online, size.rows))
        found = share_difference(one, other, confidence)
        return {"accuracy_change": (found.high - found.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score both; keep which rows were right, which are labelled, and what hangs together."""
        online = labelled_answers(subject, DatasetRole.PRODUCTION)
        audited = find_dataset_answers(subject, DatasetRole.EVALUATION)
        for found in (online, audited):
            if isinstance(found, Gap):
                return {"gap": write_gap(found)}
        both = [cast("DatasetAnswers", audited), cast("DatasetAnswers", online)]
        return {
            "right": np.concatenate([at.right for at in both]),
            "labelled": np.concatenate([at.labelled for at in both]),
            "online": np.repeat([False, True], [at.data.rows for at in both]),
            **shared_cluster_evidence(both),
            "task": {"waiting": _waiting(both[1])},
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare the two shares of right answers."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        right, labelled, online = (
            cast("Flags", evidence[name]) for name in ("right", "labelled", "online")
        )
        codes = read_clusters(evidence)
        clusters = None if codes is None else codes[labelled]
        apart = online[labelled]
        if clusters is not None and has_few_clusters(clusters, apart):
            lacking = (replace(TOO_FEW_CLUSTERS, metric=metric) for metric in NEED_CLUSTERS)
            return (*lacking, _labelled(labelled[online], evidence))
        hits = right[labelled]
        mine = None if clusters is None else clusters[apart]
        change = group_share_difference(hits, apart, clusters, confidence)
        details: dict[str, Json] = {
            "audited_accuracy": float(hits[~apart].mean()),
            "assumed": ASSUMED,
            **_worst_and_best(right, labelled, online),
        }
        return (
            Measurement.of(
                share_with_clusters(hits[apart], mine, confidence), "online_accuracy", Unit.SHARE
            ),
            Measurement.of(change, "accuracy_change", Unit.NONE, details=details),
            _labelled(labelled[online], evidence),
        )


TOO_FEW_CLUSTERS = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"Fewer than {LEAST_CLUSTERS} clusters of rows are labelled in production or in the "
    "evaluation data, and nothing tells how much clusters differ.",
    cure="Take rows of more clusters.",
)
NEED_CLUSTERS = ("online_accuracy", "accuracy_change")


def _waiting(online: DatasetAnswers) -> list[Json]:
    rows = np.flatnonzero(~online.labelled)[:MOST_NAMED]
    return [online.data.ids[row] for row in rows]


def _labelled(labelled: Flags, evidence: Evidence) -> Measurement:
    task = cast("Mapping[str, Json]", evidence["task"])
    return Measurement(
        metric="labelled_share",
        value=float(labelled.mean()),
        method="count",
        n=len(labelled),
        unit=Unit.SHARE,
        details={"without_label": int((~labelled).sum()), "worst_rows": task["waiting"]},
    )


def _worst_and_best(right: Flags, labelled: Flags, online: Flags) -> dict[str, Json]:
    """Say how far the change could be, whatever the labels that have not come."""
    base = float(right[~online].mean())
    hits, waiting = int(right[online].sum()), int((~labelled[online]).sum())
    rows = int(online.sum())
    return {
        "if_all_others_are_wrong": hits / rows - base,
        "if_all_others_are_right": (hits + waiting) / rows - base,
    }


CHECK: type[Check] = OnlineGapCheck
