"""The effect of leaked rows on accuracy, and the selection of independent rows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.metrics.data.model_answers import Flags
from auditor.metrics.stats.cluster_robust import clustered_proportion_difference

Rows = NDArray[np.int64]


METRIC = "accuracy_gain"
LEAST = 2


def accuracy_gains(
    right: Flags, clusters: Rows, leaked: Mapping[str, Rows], confidence: float
) -> Iterator[Reading]:
    """Yield, for each way to leak, the accuracy on the rows ``leaked`` less that on clean rows.

    ``right`` and ``clusters`` are ``[n]``; clean rows leak in no way. The intervals hold jointly
    over all ways (Bonferroni).
    """
    every = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *leaked.values()]))
    clean = np.setdiff1d(np.arange(len(right)), every)
    if not len(every):
        yield _NOTHING_LEAKS
    for way, rows in leaked.items():
        if not len(rows):
            continue
        sides = [len(np.unique(clusters[side])) for side in (rows, clean)]
        if min(sides) < LEAST:
            yield _too_few(way, *sides)
            continue
        both = np.concatenate((rows, clean))
        ours = np.arange(len(both)) < len(rows)
        each = 1 - (1 - confidence) / len(leaked)
        found = clustered_proportion_difference(right[both], ours, clusters[both], each)
        details: dict[str, Json] = {
            "leaked": {"k": int(right[rows].sum()), "n": len(rows)},
            "clean": {"k": int(right[clean].sum()), "n": len(clean)},
            "holds": f"jointly over {len(leaked)} ways to leak",
        }
        interval = replace(found, confidence=confidence)
        yield Measurement.of(interval, METRIC, Unit.SHARE, params={"leak": way}, details=details)


def _too_few(way: str, leaked: int, clean: int) -> Gap:
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{leaked} of what leaks ({way}) and {clean} of what does not are too few to "
        "compare their accuracy.",
        cure="Evaluate on more rows that do not stand in the training data.",
        metric=METRIC,
        params={"leak": way},
    )


_NOTHING_LEAKS = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="No evaluation row was found in the training data, so there is nothing to compare.",
    cure="Nothing has to be done.",
    metric=METRIC,
)


HELD = "one row of each cluster, chosen by the audit's seed, stands for it"


def independent_rows(subject: Subject, dataset: Dataset) -> Rows:
    """Return all rows, or, where some hang together, the first of each cluster as they are drawn.

    They come in the order of the audit's permutation. What is computed from them takes rows for
    independent and may do so, at the price of the rows that are left out.
    """
    order = subject.sample(dataset.role, dataset.rows)
    if dataset.cluster is None or not dataset.clustered:
        return order
    _, first = np.unique(dataset.cluster.codes[order], return_index=True)
    return order[np.sort(first)]


def cluster_details(clustered: object) -> dict[str, str]:
    """Return what the details of a figure say, where one row stands for its cluster."""
    return {"rows_are": HELD} if clustered else {}
