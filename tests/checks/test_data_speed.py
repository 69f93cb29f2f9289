import time
from dataclasses import replace

import numpy as np
import pytest
from scored_subjects import read
from surveyed_subjects import sample, surveyed

from auditor.checks.registry import discover_checks
from auditor.domain.datasets import Dataset, DatasetRole

ROWS, COLUMNS, MOST_SECONDS = 100_000, 20, 60
SURVEYS = ("anomalies", "balance", "duplicates", "labels", "leakage", "representativeness")


def rows_of(role: DatasetRole, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(ROWS, COLUMNS))
    rows[:, COLUMNS // 2 :] = rng.integers(0, 5, (ROWS, COLUMNS // 2))
    stated = 1 / (1 + np.exp(-2 * rows[:, 0]))
    return sample(
        rows,
        rng.random(ROWS) < stated,
        role=role,
        scores=np.stack((1 - stated, stated), axis=1),
        groups={"sex": rng.choice(["f", "m"], ROWS).tolist()},
    )


@pytest.mark.slow
def test_a_hundred_thousand_rows_of_twenty_columns_are_surveyed_in_under_a_minute() -> None:
    subject = surveyed(rows_of(DatasetRole.EVALUATION, 1), rows_of(DatasetRole.TRAINING, 2))
    subject = replace(subject, population={"sex": {"f": 0.5, "m": 0.5}})
    checks = discover_checks()
    started = time.process_time()
    for name in SURVEYS:
        assert read(checks[f"data.{name}"](), subject)
    assert time.process_time() - started < MOST_SECONDS
