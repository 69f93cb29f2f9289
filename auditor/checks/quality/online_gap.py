"""Check of the gap between audited accuracy and accuracy in production."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import ReportTopic
from auditor.metrics.data.model_answers import (
    DatasetAnswers,
    find_dataset_answers,
    labelled_answers,
    shared_cluster_evidence,
)
from auditor.metrics.stats.share_differences import (
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
class OnlineGapCheck(Check):
    """Compares accuracy on delayed production labels with accuracy on the evaluation data.

    Production rows count once they have a label; the others are counted and listed. ``details``
    hold the change if all of these were answered right, and if all were answered wrong. In a
    regression a row is right if it is within the tolerance. Related rows, as your ``cluster``
    column declares, count as clusters.
    """

    id: ClassVar[str] = "quality.online_gap"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Production compared with the audit"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.PRODUCTION}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "online_accuracy": Metric("Accuracy in production", Unit.SHARE, higher_is_better=True),
        "accuracy_change": Metric(
            "Accuracy in production, minus that of the audit", Unit.NONE, higher_is_better=True
        ),
        "labelled_share": Metric(
            "Production rows with a label", Unit.SHARE, higher_is_better=True, exact=True
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
    )
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.DRIFT})

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row of both once; other checks of the same audit share the scores."""
        online = size.beside.get(DatasetRole.PRODUCTION.value, 0)
        return CheckCost(queries=size.rows + online, clean=size.rows)

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
        waiting_online = both[1]
        rows = np.flatnonzero(~waiting_online.labelled)[:MOST_NAMED]
        return {
            "right": np.concatenate([at.right for at in both]),
            "labelled": np.concatenate([at.labelled for at in both]),
            "online": np.repeat([False, True], [at.data.rows for at in both]),
            **shared_cluster_evidence(both),
            "task": {"waiting": [waiting_online.data.ids[row] for row in rows]},
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
        # Say how far the change could be, whatever the labels that have not come
        base = float(right[~online].mean())
        best_hits, waiting = int(right[online].sum()), int((~labelled[online]).sum())
        rows = int(online.sum())
        details: dict[str, Json] = {
            "audited_accuracy": float(hits[~apart].mean()),
            "assumed": ASSUMED,
            "if_all_others_are_wrong": best_hits / rows - base,
            "if_all_others_are_right": (best_hits + waiting) / rows - base,
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


CHECK: type[Check] = OnlineGapCheck
