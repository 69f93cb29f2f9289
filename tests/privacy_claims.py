"""Claims of differential privacy for tests."""

from dataclasses import replace
from typing import Any

from auditor.domain.privacy_claims import (
    AdjacencyRelation,
    PrivacyAccountant,
    PrivacyClaim,
    SamplingScheme,
)

HONEST = PrivacyClaim(
    epsilon=6.03,
    delta=1e-5,
    noise_multiplier=1.0,
    sampling_rate=0.0356,
    steps=560,
    clip=1.0,
    sampling=SamplingScheme.POISSON,
    adjacency=AdjacencyRelation.ADD_REMOVE,
    accountant=PrivacyAccountant.PRV,
    dataset_size=1400,
    batch_size=50,
    epochs=20,
    digests={"model": "sha256:" + "a" * 64, "code": "sha256:" + "c" * 64},
)
"""20 epochs over 1,400 records, which keep an epsilon of 5.48."""


def claimed(**fields: Any) -> PrivacyClaim:  # noqa: ANN401 -- of PrivacyClaim
    """The honest claim with other fields."""
    return replace(HONEST, **fields)
