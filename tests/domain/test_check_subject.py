"""Seeds and samples: every check speaks of the same rows, each with a seed of its own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.check_subject import CheckShard, derive_seed, seeded_permutation


def test_a_seed_is_the_published_function_of_audit_check_and_shard() -> None:
    # SHA-256("7\nevasion.linf\n0/1"), first 8 bytes big-endian, without its lowest 11 bits.
    assert derive_seed(7, "evasion.linf", CheckShard()) == 0xE0AED280C4EDD846 >> 11


@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(0, 300))
def test_samples_are_prefixes_of_one_permutation(seed: int, rows: int, count: int) -> None:
    whole = seeded_permutation(seed, rows)
    assert sorted(whole.tolist()) == list(range(rows))
    assert np.array_equal(seeded_permutation(seed, rows)[:count], whole[:count])


@given(st.integers(0, 2**32))
def test_checks_and_shards_do_not_share_a_seed(seed: int) -> None:
    seeds = [
        derive_seed(seed, check, shard)
        for check in ("evasion.linf", "evasion.l2")
        for shard in (CheckShard(0, 2), CheckShard(1, 2))
    ]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_fits_into_a_json_number() -> None:
    assert all(derive_seed(seed, "x", CheckShard()) < 2**53 for seed in range(200))
