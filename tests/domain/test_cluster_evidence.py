"""Which rows hang together: kept where it matters, and told in one sentence."""

from dataclasses import replace

import numpy as np

from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.evidence import (
    decode_evidence,
    describe_cluster_doubt,
    encode_evidence,
    read_clusters,
    write_clusters,
)

ROWS = Dataset(DatasetRole.EVALUATION, (FileDigest("a", 1, "0" * 64),), None, None, tuple("abcd"))


def test_rows_that_share_a_cluster_are_kept_and_read_back() -> None:
    data = replace(ROWS, cluster=TextColumn.of(["x", "y", "x", "z"]))
    kept = {
        name: decode_evidence(encode_evidence(item).raw)
        for name, item in write_clusters(data).items()
    }
    found = read_clusters(kept)
    assert found is not None
    assert (found.tolist(), found.dtype) == ([0, 1, 0, 2], np.int64)
    assert (data.clustered, data.units) == (True, 3)


def test_a_column_that_names_every_row_alone_is_no_cluster() -> None:
    for data in (ROWS, replace(ROWS, cluster=TextColumn.of(tuple("wxyz")))):
        assert not data.clustered
        assert data.units == 4
        assert read_clusters(write_clusters(data)) is None


def test_only_rows_in_clusters_cast_doubt() -> None:
    assert describe_cluster_doubt(clustered=False) == {}
    assert "and the interval takes them" in str(describe_cluster_doubt(clustered=True)["doubt"])
    assert "and evidence takes them" in str(describe_cluster_doubt(1, "evidence")["doubt"])
