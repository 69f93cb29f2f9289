"""The search of slices as an audit makes it: `observe`, then `figures`, CPU seconds and memory.

    OMP_NUM_THREADS=1 python benchmarks/slices_as_audited.py

100,000 rows of a file that brings its decisions, 20 columns of five levels: 147,350 slices of up to
three conditions, goal 1 s and 500 MB for both steps together.
"""

import resource
import time

import numpy as np
from figures import over, tell

from auditor.checks.fairness.slices import ErrorSliceCheck
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import ClassificationTask

ROWS, COLUMNS, LEVELS = 100_000, 20, 5
RUNS = 5
ABSENT = Gap(reason=GapReason.NEEDS_MODEL, detail="There is no model.", cure="Name one.")


def audited(rng: np.random.Generator) -> Subject:
    """Draw a predictions-only audit in which one row in ten is wrong, and no slice is worse."""
    names = tuple(f"level {at}" for at in range(LEVELS))
    columns = {
        f"column {at}": TextColumn(names, rng.integers(0, LEVELS, ROWS).astype(np.int32))
        for at in range(COLUMNS)
    }
    labels = (rng.random(ROWS) < 1 / 2).astype(np.int64)
    decided = labels ^ (rng.random(ROWS) < 1 / 10)
    dataset = Dataset(
        role=DatasetRole.EVALUATION,
        files=(FileDigest("scored.csv", 1, "0" * 64),),
        inputs=None,
        labels=labels,
        ids=tuple(map(str, range(ROWS))),
        slices=columns,
        scores=np.stack([1.0 - decided, decided], axis=1),
    )
    return Subject(
        artifact=None,
        structure=ABSENT,
        signature=SignatureMaterial(),
        model=ABSENT,
        twin=ABSENT,
        task=ClassificationTask(("0", "1"), "1", "1"),
        space=ABSENT,
        datasets={DatasetRole.EVALUATION: dataset},
        audit_seed=7,
        seed=7,
        budget=Budget.FULL,
    )


def main() -> None:
    """Print the least CPU seconds of several runs, and the process's peak of memory."""
    check, subject = ErrorSliceCheck(depth=3), audited(np.random.default_rng(0))
    spent = []
    for _ in range(RUNS):
        began = time.process_time()
        readings = check.figures(check.observe(subject, CheckShard()), 0.95)
        spent.append(time.process_time() - began)
    (looked,) = [item.value for item in readings if item.metric == "slices_looked_at"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    what = f"{looked:,} slices of {ROWS:,} rows, observed and figured"
    more = {"area": "statistics", "against": "nothing", "better": "less"}
    tell(
        over(name=f"{what}: CPU", rounds=spent, unit="s", goal=1, **more),
        over(name=f"{what}: peak memory", rounds=[peak], unit="MB", goal=500, **more),
    )
    print(f"{looked:,} slices of {ROWS:,} rows: {min(spent):.2f} s of CPU, peak {peak:,} MB")


if __name__ == "__main__":
    main()
