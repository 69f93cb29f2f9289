"""Group tables and slice search against Fairlearn and SliceLine: CPU seconds and peak memory.

    python benchmarks/slices_and_groups.py [--environments FOLDER]

Peers are installed by pip into environments of their own, which are thrown away unless FOLDER keeps
them; one that cannot be installed is named, and its ratios are left out. All read the same rows.
CPU seconds are those of the whole process over all its threads, for the job alone: neither imports
nor the making of data count. Ours take the best of several runs, peers run once.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from figures import absent, over, tell
from numpy.typing import NDArray
from peers import asked, cpu, environment, named, one_read, peak

from auditor.checks.fairness.groups import GroupFairnessCheck
from auditor.domain.artifacts import SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, GapReason, Reading
from auditor.domain.tasks import ClassificationTask
from auditor.inputs.datasets.column_conversion import to_groups
from auditor.inputs.datasets.raw_dataset import RawDataset
from auditor.metrics.stats.group_gaps import Counts, bootstrap_tables, rate_counts, tabulate
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.slice_discovery import SliceSearch, confirm_slices, discover_slices
from auditor.metrics.stats.slice_lattices import CodedSample, enumerate_slices

RACES = np.array(["asian", "black", "hispanic", "native", "white"])
SEXES = np.array(["female", "male", "other"])
AREA = "statistics"
ROWS, FEWER_ROWS = 1_000_000, 100_000
ROUNDS, PEER_ROUNDS = 2000, 5
COLUMNS, LEVELS, PLANTED = 20, 5, ((2, 1), (5, 3))
METRICS = ("selection_rate", "tpr", "fpr", "ppv", "accuracy")
MOST_MEMORY = 8 << 30

FAIRLEARN = """
import json, resource, sys, time
import numpy as np, pandas as pd
from fairlearn.metrics import (
    MetricFrame, false_positive_rate, selection_rate, true_positive_rate)
from sklearn.metrics import accuracy_score, precision_score
data = np.load(sys.argv[1])
metrics = {"selection_rate": selection_rate, "tpr": true_positive_rate,
    "fpr": false_positive_rate, "ppv": precision_score, "accuracy": accuracy_score}
def frame(rows, **more):
    people = pd.DataFrame({"race": data["race"][:rows], "sex": data["sex"][:rows]})
    start = time.process_time()
    made = MetricFrame(metrics=metrics, y_true=data["labels"][:rows],
        y_pred=data["decided"][:rows], sensitive_features=people, **more)
    table = made.by_group.sort_index()
    return table, time.process_time() - start
table, seconds = frame(len(data["labels"]))
_, fewer = frame(int(sys.argv[2]))
_, drawn = frame(int(sys.argv[2]), n_boot=int(sys.argv[3]), ci_quantiles=[0.025, 0.975])
print(json.dumps({"seconds": seconds, "a_round": (drawn - fewer) / int(sys.argv[3]),
    "table": table.to_numpy().tolist(),
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""
SLICELINE = """
import json, resource, sys, time
import numpy as np
from sliceline.slicefinder import Slicefinder
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
data = np.load(sys.argv[1])
codes, wrong = data["codes"].T.astype(int) + 1, data["wrong"].astype(float)
start, problem, found = time.process_time(), "", []
try:
    finder = Slicefinder(alpha=0.99, k=10, max_l=int(sys.argv[2]), min_sup=500, verbose=False)
    found = [[(at, int(level) - 1) for at, level in enumerate(row) if level is not None]
        for row in finder.fit(codes, wrong).top_slices_.tolist()]
except MemoryError as error:
    problem = str(error)
print(json.dumps({"seconds": time.process_time() - start, "problem": problem, "found": found,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""


@dataclass(frozen=True, slots=True)
class People:
    """Rows as a file has them: two columns of texts, labels and decisions, and their names."""

    race: pl.Series
    sex: pl.Series
    labels: NDArray[np.int64]
    decided: NDArray[np.int64]
    ids: tuple[str, ...]


def people(rng: np.random.Generator) -> People:
    """Draw a million decisions about people."""
    race, sex = RACES[rng.integers(0, 5, ROWS)], SEXES[rng.integers(0, 3, ROWS)]
    labels = rng.random(ROWS) < 0.3
    decided = labels ^ (rng.random(ROWS) < 0.2)
    ids = tuple(str(row) for row in range(1, ROWS + 1))
    numbers = labels.astype(np.int64), decided.astype(np.int64)
    return People(pl.Series(race), pl.Series(sex), *numbers, ids)


def coded(column: pl.Series) -> tuple[NDArray[np.uint8], int]:
    """Code a column where it is read: no text becomes a Python object."""
    names = column.unique().sort()
    return column.cast(pl.Enum(names)).to_physical().to_numpy(), len(names)


def by_race_and_sex(data: People) -> Counts:
    """Count from texts, by race, sex, label and decision."""
    (race, races), (sex, sexes) = coded(data.race), coded(data.sex)
    return tabulate((race, sex, data.labels, data.decided), (races, sexes, 2, 2))


def dataset_of(data: People) -> Dataset:
    """Read the rows as an audit does that names both columns as groups."""
    source = RawDataset(
        name="people", rows=ROWS, files=(), columns={"race": data.race, "sex": data.sex}
    )
    return Dataset(
        role=DatasetRole.EVALUATION,
        files=(),
        inputs=None,
        labels=data.labels,
        ids=data.ids,
        groups={name: to_groups(source, name) for name in ("race", "sex")},
        decisions=data.decided,
    )


def through_the_check(data: People) -> Evidence:
    """Code the texts and observe, as an audit of stated predictions does."""
    none = Gap(reason=GapReason.NEEDS_MODEL, detail="There is no model.", cure="Name one.")
    subject = Subject(
        artifact=None,
        structure=none,
        signature=SignatureMaterial(),
        model=none,
        twin=none,
        task=ClassificationTask(("0", "1"), "1", "1"),
        space=none,
        datasets={DatasetRole.EVALUATION: dataset_of(data)},
        audit_seed=7,
        seed=7,
        budget=Budget.FULL,
    )
    return GroupFairnessCheck().observe(subject, CheckShard())


def figures_of(data: People) -> tuple[Reading, ...]:
    """Go on to every rate, gap and ratio with its interval."""
    return GroupFairnessCheck().figures(through_the_check(data), 0.95)


def table_of(cells: Counts) -> NDArray[np.float64]:
    """Return ``[groups, metrics]``."""
    found = rate_counts(cells)
    flat = [found[name].reshape(-1, 2) for name in METRICS]
    return np.stack([pair[:, 0] / pair[:, 1] for pair in flat], axis=1)


def sliced(rng: np.random.Generator) -> CodedSample:
    """Draw rows of which one slice in 25 is wrong twice as often."""
    codes = rng.integers(0, LEVELS, (COLUMNS, FEWER_ROWS)).astype(np.uint8)
    inside = np.logical_and.reduce([codes[column] == level for column, level in PLANTED])
    wrong = rng.random(FEWER_ROWS) < np.where(inside, 0.2, 0.1)
    return CodedSample(codes, (LEVELS,) * COLUMNS, wrong)


def groups(folder: Path, python: Path | None) -> None:
    """Measure the table of groups, and its bootstrap."""
    data = people(np.random.default_rng(0))
    cells = by_race_and_sex(data)
    rng = np.random.default_rng(1)
    ours = {
        "from texts, coded where they are read": cpu(lambda: table_of(by_race_and_sex(data))),
        "from texts to the evidence of the check": cpu(lambda: through_the_check(data)),
        "from texts to every figure of the check": cpu(lambda: figures_of(data)),
    }
    drawn = cpu(lambda: rate_counts(bootstrap_tables(cells, ROUNDS, rng))) / ROUNDS
    print(f"\n{len(METRICS)} metrics of {cells[..., 0, 0].size} groups of {ROWS:,} rows")
    file = folder / "people.npz"
    race, sex = (at.to_numpy().astype(str) for at in (data.race, data.sex))
    labels, decided = data.labels.astype(int), data.decided.astype(int)
    np.savez(file, race=race, sex=sex, labels=labels, decided=decided)
    theirs = asked(python, FAIRLEARN, file, FEWER_ROWS, PEER_ROUNDS)
    if theirs is not None:
        off = np.abs(np.array(theirs["table"]) - table_of(cells)).max()
        print(f"  Fairlearn {theirs['seconds']:.2f} s, {theirs['peak']:,} MB")
        print(f"  largest difference from ours: {off:.1e}")
    against, read = named(python, "fairlearn"), one_read(labels, decided, race, sex)
    for way, seconds in ours.items():
        what, floor = f"groups of {ROWS:,} rows, {way}", [seconds / read]
        tell(over(AREA, f"{what}: CPU of ours", floor, "one read of the rows", better="less"))
        if theirs is not None:
            ratio = [theirs["seconds"] / seconds]
            tell(over(AREA, f"{what}: CPU of theirs, of ours", ratio, against, goal=200))
        ratio = "" if theirs is None else f", {theirs['seconds'] / seconds:,.0f}x (goal 200x)"
        print(f"  ours {way}: {seconds:.4f} s{ratio}")
    ratio = (
        "" if theirs is None else f"; Fairlearn {theirs['a_round']:.2f} s on {FEWER_ROWS:,} rows"
    )
    if theirs is not None:
        what = f"a bootstrap round, ours of {ROWS:,} rows, theirs of {FEWER_ROWS:,}: CPU of theirs"
        tell(over(AREA, what, [theirs["a_round"] / drawn], against, goal=1000))
    many = "" if theirs is None else f", {theirs['a_round'] / drawn:,.0f}x (goal 1,000x)"
    print(f"  one round of the bootstrap: {drawn * 1e6:.1f} us on {ROWS:,} rows{ratio}{many}")


def slices(folder: Path, python: Path | None) -> None:
    """Measure the search for slices, and see who finds the one that is there."""
    whole = sliced(np.random.default_rng(2))
    half = first_half(np.random.default_rng(3).permutation(FEWER_ROWS), None)
    print(f"\nslices of {FEWER_ROWS:,} rows x {COLUMNS} columns x {LEVELS} levels")
    file = folder / "slices.npz"
    np.savez(file, codes=whole.codes, wrong=whole.wrong)
    for depth in (2, 3):
        search = SliceSearch(depth, 250, 50)
        found = confirm_slices(
            whole.part(~half), discover_slices(whole.part(half), search), "holm", 0.05
        )
        sure = [item.conditions for item in found if item.confirmed]
        ours = cpu(partial(enumerate_slices, whole, depth, 1), 3)
        number = len(enumerate_slices(whole, depth, 1).rows)
        print(f"  ours to depth {depth}: all {number:,} counted in {ours:.3f} s; confirmed {sure}")
        searching = cpu(partial(discover_slices, whole.part(half), search), 3)
        print(f"    one half searched and shortlisted in {searching:.3f} s")
        theirs = asked(python, SLICELINE, file, depth, MOST_MEMORY)
        if theirs is not None:
            ending = (
                theirs["problem"]
                or f"{theirs['seconds'] / ours:,.0f}x; found {theirs['found'][:2]}"
            )
            if not theirs["problem"]:
                what = f"slices to depth {depth} of {FEWER_ROWS:,} rows: CPU of theirs, of ours"
                tell(over(AREA, what, [theirs["seconds"] / ours], named(python, "sliceline")))
            else:
                absent(f"SliceLine to depth {depth}", theirs["problem"])
            print(f"    SliceLine {theirs['seconds']:.1f} s, {theirs['peak']:,} MB: {ending}")
    print(f"  peak of this process: {peak():,} MB")


def main() -> None:
    """Install the peers, and print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path)
    kept = parser.parse_args().environments
    with tempfile.TemporaryDirectory() as made:
        folder = kept or Path(made)
        print(f"Python {sys.version.split()[0]}, numpy {np.__version__}, polars {pl.__version__}")
        slices(Path(made), environment(folder, "sliceline"))
        groups(Path(made), environment(folder, "fairlearn"))


if __name__ == "__main__":
    main()
