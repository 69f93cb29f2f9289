"""Which rows hang together: how evidence keeps it, and how a reading tells that it matters."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.datasets import Dataset
from auditor.domain.evidence import Evidence, Item

KEY = "clusters"


def write_clusters(dataset: Dataset) -> dict[str, Item]:
    """Return the evidence of which rows share a cluster; nothing where none do."""
    cluster = dataset.cluster
    return {} if cluster is None or not dataset.clustered else {KEY: cluster.codes}


def read_clusters(evidence: Evidence) -> NDArray[np.int64] | None:
    """Return the cluster ``[n]`` of each row, or ``None`` where every row stands alone."""
    codes = evidence.get(KEY)
    return None if codes is None else cast("NDArray[np.integer]", codes).astype(np.int64)


def dependent(what: str = "the interval") -> str:
    """Say why a figure is doubted that takes rows of one cluster for independent."""
    return f"rows of one cluster are not independent, and {what} takes them as if they were"


def doubts(clustered: object, what: str = "the interval") -> dict[str, Json]:
    """Return what the details of such a figure say, where rows are ``clustered``."""
    return {"doubt": dependent(what)} if clustered else {}
