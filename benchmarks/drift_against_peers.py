"""Drift and accuracy without labels against evidently and nannyml: CPU seconds and peak memory.

    python benchmarks/drift_against_peers.py [--environments FOLDER]

Peers are installed by pip into environments of their own, which are thrown away unless FOLDER keeps
them; one that cannot be installed is named, and its ratios are left out. All see the same rows, in
memory. CPU seconds are those of the whole process over all its threads, for the job alone: neither
imports nor the making of data count. Ours take the best of several runs, peers run once.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from figures import over, tell
from numpy.typing import NDArray
from peers import asked, cpu, environment, named, one_read, peak

from auditor.metrics.data.distribution_shift import SharedColumn, column_shifts, count_columns
from auditor.metrics.stats.drift import (
    GROUPS,
    LabelledReference,
    UnlabelledSample,
    estimated_accuracy,
)

AREA = "statistics"
ROWS, COLUMNS, MOVED = 100_000, 50, 4
SCORED = 250_000
CONFIDENCE = 0.95
PEERS = {
    "evidently": ("evidently==0.7.23", "pandas<3"),
    "nannyml": ("nannyml==0.13.1", "statsmodels"),
}
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}

EVIDENTLY = """
import json, resource, sys, time
import numpy as np, pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
data = np.load(sys.argv[1])
names = [f"c{at}" for at in range(data["before"].shape[1])]
before, now = (pd.DataFrame(data[side], columns=names) for side in ("before", "now"))
start = time.process_time()
made = Report([DataDriftPreset()]).run(reference_data=before, current_data=now)
told = json.loads(made.json())
seconds = time.process_time() - start
drifted = next(m["value"]["count"] for m in told["metrics"] if isinstance(m["value"], dict)
    and "count" in m["value"])
print(json.dumps({"seconds": seconds, "drifted": drifted,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""
NANNYML = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
import nannyml as nml
data = np.load(sys.argv[1])
before = pd.DataFrame({"p": data["stated"], "d": (data["stated"] >= 0.5).astype(int),
    "y": data["labels"].astype(int)})
now = pd.DataFrame({"p": data["later"], "d": (data["later"] >= 0.5).astype(int)})
start = time.process_time()
maker = nml.CBPE(y_pred_proba="p", y_pred="d", y_true="y", metrics=["accuracy"],
    problem_type="classification_binary", chunk_size=len(now))
maker.fit(before)
found = maker.estimate(now).to_df()
seconds = time.process_time() - start
value = float(found[("accuracy", "value")].iloc[-1])
print(json.dumps({"seconds": seconds, "value": value,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""
Floats = NDArray[np.float64]


def compare(before: Floats, now: Floats) -> list[str]:
    """Count all columns of two tables, and name those whose interval lies above no change."""
    sides = [np.ascontiguousarray(table.T) for table in (before, now)]
    columns = [
        SharedColumn(f"c{at}", numbers=(sides[0][at], sides[1][at])) for at in range(COLUMNS)
    ]
    counted = list(count_columns(columns))
    found, _ = column_shifts(counted, CONFIDENCE)
    pairs = zip(counted, found, strict=True)
    return [column.name for column, shift in pairs if shift.distance.low > 0]


def drift(folder: Path, python: Path | None) -> None:
    """Measure the comparison of columns."""
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=(2, ROWS, COLUMNS))
    now[:, :MOVED] += 0.05
    print(f"\n{ROWS:,} rows against {ROWS:,}, {COLUMNS} columns, {MOVED} moved by 0.05 sd")
    seconds, moved = cpu(lambda: compare(before, now)), compare(before, now)
    print(f"  ours {seconds:.3f} s, peak {peak():,} MB: {moved} (goal 0.15 s)")
    what = f"drift of {COLUMNS} columns, {ROWS:,} rows a side"
    floor = seconds / one_read(before, now)
    tell(over(AREA, f"{what}: CPU of ours", [floor], "one read of the rows", better="less"))
    file = folder / "drift.npz"
    np.savez(file, before=before, now=now)
    theirs = asked(python, EVIDENTLY, file, settings=QUIET)
    if theirs is not None:
        ratio = theirs["seconds"] / seconds
        print(
            f"  evidently {theirs['seconds']:.1f} s, peak {theirs['peak']:,} MB: "
            f"{theirs['drifted']:.0f} columns drifted; {ratio:,.0f}x (goal 150x)"
        )
        against, memory = named(python, "evidently"), theirs["peak"] / peak()
        tell(
            over(AREA, f"{what}: CPU of theirs, of ours", [ratio], against, goal=150),
            over(AREA, f"{what}: memory of theirs, of ours", [memory], against),
        )


def unlabelled(folder: Path, python: Path | None) -> None:
    """Measure the estimate of accuracy without labels."""
    rng = np.random.default_rng(1)
    stated, later = rng.random(SCORED), rng.beta(2, 2, SCORED)
    labels = rng.random(SCORED) < stated**1.3
    groups = rng.permutation(SCORED) % GROUPS
    known = LabelledReference(stated, labels, np.ones(SCORED), groups)
    unknown = UnlabelledSample(later, later >= 0.5)
    print(f"\naccuracy of {SCORED:,} rows without labels, from {SCORED:,} with labels")
    seconds = cpu(lambda: estimated_accuracy(known, unknown, CONFIDENCE))
    found = estimated_accuracy(known, unknown, CONFIDENCE)
    right = (rng.random(SCORED) < later**1.3) == (later >= 0.5)
    print(f"  truth {right.mean():.4f}")
    print(
        f"  ours {seconds:.3f} s (goal 0.03 s): "
        f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
    )
    what = f"accuracy without labels, {SCORED:,} rows"
    floor = seconds / one_read(stated, later, labels)
    tell(over(AREA, f"{what}: CPU of ours", [floor], "one read of the rows", better="less"))
    file = folder / "scored.npz"
    np.savez(file, stated=stated, later=later, labels=labels)
    theirs = asked(python, NANNYML, file, settings=QUIET)
    if theirs is not None:
        ratio = theirs["seconds"] / seconds
        print(
            f"  nannyml {theirs['seconds']:.2f} s, peak {theirs['peak']:,} MB: "
            f"{theirs['value']:.4f}; {ratio:,.0f}x"
        )
        tell(over(AREA, f"{what}: CPU of theirs, of ours", [ratio], named(python, "nannyml")))


def main() -> None:
    """Install the peers, and print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path)
    kept = parser.parse_args().environments
    with tempfile.TemporaryDirectory() as made:
        folder = kept or Path(made)
        print(f"Python {sys.version.split()[0]}, numpy {np.__version__}")
        pythons = {
            name: environment(folder, name, packages, QUIET) for name, packages in PEERS.items()
        }
        drift(Path(made), pythons["evidently"])
        unlabelled(Path(made), pythons["nannyml"])


if __name__ == "__main__":
    main()
