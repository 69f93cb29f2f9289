"""Calibration error against netcal and relplot: CPU seconds and peak memory.

    python benchmarks/calibration_against_peers.py [--environments FOLDER]

Peers are installed by pip into environments of their own, which are thrown away unless FOLDER keeps
them; one that cannot be installed is named, and its ratios are left out. All read the same rows.
CPU seconds are those of the whole process over all its threads, for the job alone: neither imports
nor the making of data count. Ours take the best of several runs, peers run once.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from figures import over, tell
from numpy.typing import NDArray
from peers import asked, cpu, environment, named, one_read, peak
from scipy.special import expit, logit, softmax

from auditor.metrics.stats.binned_calibration import (
    debiased_calibration_error,
    expected_calibration_error,
)
from auditor.metrics.stats.smooth_calibration import smooth_calibration_error

AREA = "statistics"
ROWS, CLASSES, SEED = 1_000_000, 10, 7
MOST_SECONDS = 3600
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

NETCAL = """
import json, resource, sys, time
import numpy as np
from netcal.metrics import ECE
data = np.load(sys.argv[1])
start = time.process_time()
found = ECE(bins=15).measure(data["probabilities"], data["labels"])
spent = time.process_time() - start
print(json.dumps({"seconds": spent, "ece": float(found),
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""
RELPLOT = """
import json, resource, sys, time
import numpy as np
import relplot
data = np.load(sys.argv[1])
stated, happened = data["stated"], data["happened"].astype(float)
start = time.process_time()
alone = relplot.smECE(stated, happened)
middle = time.process_time()
relplot.prepare_rel_diagram(stated, happened)
print(json.dumps({"seconds": middle - start, "with_interval": time.process_time() - middle,
    "smece": float(alone), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""


def bold(rng: np.random.Generator) -> tuple[Floats, Flags]:
    """Draw a million stated probabilities whose truth is cooler by a temperature of 1.6."""
    stated = rng.beta(2, 3, ROWS)
    return stated, rng.random(ROWS) < expit(logit(stated) / 1.6)


def classes(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw a million rows of probabilities of ten classes, too bold by a factor of 1.5."""
    odds = rng.normal(size=(ROWS, CLASSES)) * 2
    labels = (odds + rng.gumbel(size=odds.shape)).argmax(axis=1)
    return softmax(odds * 1.5, axis=1).astype(np.float32), labels


def top_label_ece(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the ECE of the answer, from probabilities as a model gives them."""
    answered = probabilities.argmax(axis=1)
    stated = probabilities[np.arange(len(labels)), answered].astype(np.float64)
    return expected_calibration_error(stated, answered == labels)


def smooth(folder: Path, python: Path | None) -> None:
    """Measure the smooth error with its interval, null and curve."""
    stated, happened = bold(np.random.default_rng(0))
    before = peak()
    ours = cpu(lambda: smooth_calibration_error(stated, happened, 0.95, SEED))
    found, held = smooth_calibration_error(stated, happened, 0.95, SEED), peak()
    floor = one_read(stated, happened)
    tell(
        over(
            AREA, "smooth calibration error with interval, a million rows: CPU of ours",
            [ours / floor], "one read of the rows", better="less",
        ),
        over(
            AREA, "smooth calibration error with interval, a million rows: peak memory",
            [held], "nothing", better="less", unit="MB", goal=500,
        ),
    )  # fmt: skip
    file = folder / "bold.npz"
    np.savez(file, stated=stated, happened=happened)
    print(f"\nsmooth calibration error of {ROWS:,} rows")
    print(f"  ours with interval, null and curve: {ours:.3f} s (goal 0.6 s)")
    print(f"  {found.interval.value:.6f} in {found.interval.low:.6f}..{found.interval.high:.6f}")
    print(f"  peak {held:,} MB (goal 500 MB), {held - before:,} MB above the rows themselves")
    theirs = asked(python, RELPLOT, file, most=MOST_SECONDS)
    if theirs is not None:
        print(f"  relplot alone {theirs['seconds']:.3f} s: {theirs['smece']:.6f}")
        ratio, memory = theirs["with_interval"] / ours, theirs["peak"] / held
        print(f"  relplot with interval {theirs['with_interval']:.1f} s, {theirs['peak']:,} MB")
        print(f"  {ratio:,.0f}x less CPU (goal 100x), {memory:.1f}x less memory")
        against = named(python, "relplot")
        what = "smooth calibration error with interval, a million rows"
        tell(
            over(AREA, f"{what}: CPU of theirs, of ours", [ratio], against, goal=100),
            over(AREA, f"{what}: memory of theirs, of ours", [memory], against),
        )


def expected(folder: Path, python: Path | None) -> None:
    """Measure the ECE of ten classes, and the debiased error with its interval."""
    probabilities, labels = classes(np.random.default_rng(1))
    answered = probabilities.argmax(axis=1)
    top = probabilities.max(axis=1).astype(np.float64)
    ours = cpu(lambda: top_label_ece(probabilities, labels))
    debiased = cpu(lambda: debiased_calibration_error(top, answered == labels, 0.95), 3)
    file = folder / "classes.npz"
    np.savez(file, probabilities=probabilities, labels=labels)
    value = top_label_ece(probabilities, labels)
    print(f"\nexpected calibration error of {ROWS:,} rows x {CLASSES} classes, 15 bins")
    print(f"  ours {ours:.3f} s (goal 0.06 s): {value:.10f}")
    print(f"  ours, debiased over equal-mass bins, with interval: {debiased:.3f} s")
    what = f"ECE of {CLASSES} classes, a million rows"
    floor = ours / one_read(probabilities, labels)
    tell(over(AREA, f"{what}: CPU of ours", [floor], "one read of the rows", better="less"))
    theirs = asked(python, NETCAL, file, most=MOST_SECONDS)
    if theirs is not None:
        off = abs(theirs["ece"] - value)
        print(f"  netcal {theirs['seconds']:.3f} s, {theirs['peak']:,} MB: {theirs['ece']:.10f}")
        print(f"  {theirs['seconds'] / ours:.1f}x less CPU; the values differ by {off:.1e}")
        ratio, against = theirs["seconds"] / ours, named(python, "netcal")
        tell(over(AREA, f"{what}: CPU of theirs, of ours", [ratio], against))


def main() -> None:
    """Install the peers, and print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path)
    kept = parser.parse_args().environments
    with tempfile.TemporaryDirectory() as made:
        folder = kept or Path(made)
        print(f"Python {sys.version.split()[0]}, numpy {np.__version__}")
        smooth(Path(made), environment(folder, "relplot"))
        expected(Path(made), environment(folder, "netcal"))


if __name__ == "__main__":
    main()
