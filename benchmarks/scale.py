"""How time and memory grow with samples, features, classes, the model's size, checks and workers.

    python benchmarks/scale.py [--points 5]

Each is measured at several sizes, a factor apart, and a line is fitted to the logarithms: its slope
is the power with which the cost grows (1: twice the rows, twice the seconds). Intervals are those
of least squares, by Student's t. CPU seconds are the best of three runs of this process; memory is
what numpy and Python hold at most, by tracemalloc; workers are told by wall seconds of audits that
only wait, so that the slope is the engine's (-1: twice the workers, half the time). Models are so
large that no block of one comes from memory that was freed before, and rules so many that few of
their numbers are among those that Python keeps ready: below, the step between the two is measured.
The collector of cycles does not walk what all jobs were given, as in a process that has settled.
"""

import argparse
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from drift_against_peers import Floats
from figures import Figure, tell
from judging import CONTEXT, policy, reading, rule
from memory_bounds import model
from peers import cpu
from scipy.stats import linregress, t
from service_engine import timed

from auditor._gc import freeze_live_objects
from auditor.inputs.datasets.column_conversion import encode_column
from auditor.metrics.data.distribution_shift import SharedColumn, column_shifts, count_columns
from auditor.metrics.performance.classification import ClassifierScores
from auditor.metrics.stats.smooth_calibration import smooth_calibration_error
from auditor.onnx.scan.artifact import scan_artifact
from auditor.policy.evaluate.engine import judge_readings

CONFIDENCE, SEED = 0.95, 7
ROWS, FEW_ROWS = 1_000_000, 20_000
Job = Callable[[], object]
Grown = Mapping[int, Job]


def slope(sizes: Sequence[float], costs: Sequence[float]) -> tuple[float, float, float]:
    """Return the slope of a cost over a size on logarithms, with its interval.

    Least squares; the interval by Student's t with n - 2 degrees of freedom.
    """
    line = linregress(np.log(sizes), np.log(costs))
    room = float(t.ppf((1 + CONFIDENCE) / 2, len(sizes) - 2)) * line.stderr
    return float(line.slope), float(line.slope - room), float(line.slope + room)


def sizes(least: int, most: int, points: int) -> list[int]:
    """Return sizes that are a factor apart."""
    return [round(size) for size in np.geomspace(least, most, points)]


def scored(rows: int, classes: int) -> ClassifierScores:
    """Return answers of a model of so many classes."""
    rng = np.random.default_rng(SEED)
    chances = rng.dirichlet(np.ones(classes), rows)
    labels = rng.integers(0, classes, rows)
    return ClassifierScores.of(
        {
            "ids": np.arange(rows).astype(np.str_),
            "labels": labels,
            "probabilities": chances,
            "decided": chances.argmax(axis=1),
            "task": {
                "classes": [str(at) for at in range(classes)],
                "positive": classes - 1,
                "decided_otherwise": 0,
            },
        }
    )


def accuracy(seen: ClassifierScores) -> Job:
    """Return the job of every figure of accuracy."""
    return lambda: (
        seen.accuracy(CONFIDENCE),
        seen.balanced(CONFIDENCE),
        seen.auc(CONFIDENCE),
        seen.losses(CONFIDENCE),
    )


def calibrated(rows: int) -> Job:
    """Return the job of the smooth calibration error."""
    rng = np.random.default_rng(SEED)
    stated = rng.beta(2, 3, rows)
    happened = rng.random(rows) < stated
    return lambda: smooth_calibration_error(stated, happened, CONFIDENCE, SEED)


def compared(table: Floats) -> Job:
    """Return the job of comparing columns ``[features, 2, rows]``."""
    shared = [SharedColumn(f"c{at}", numbers=(side[0], side[1])) for at, side in enumerate(table)]
    return lambda: column_shifts(list(count_columns(shared)), CONFIDENCE)


def judged(rules: int) -> Job:
    """Return the job of judging so many rules, with ten readings each."""
    readings = [reading(at, "cpu", 0.9, at=float(of)) for at in range(rules) for of in range(10)]
    asked = policy([rule(at, metrics=rules) for at in range(rules)])
    return lambda: judge_readings(asked, lambda _: readings, CONTEXT)


def grown(points: int, place: Path) -> dict[tuple[str, str], Grown]:
    """Return the jobs by what they do and what grows."""
    rng = np.random.default_rng(SEED)
    columns = rng.normal(size=(80, 2, FEW_ROWS))
    binary = {size: scored(size, 2) for size in sizes(10_000, ROWS, points)}
    many = {size: scored(FEW_ROWS, size) for size in sizes(2, 100, points)}
    texts = {size: _column(size) for size in binary}
    models = {size: _model(place, size) for size in sizes(256 << 20, 1 << 30, points)}
    return {
        ("figures of accuracy", "samples"): {n: accuracy(seen) for n, seen in binary.items()},
        ("smooth calibration error", "samples"): {n: calibrated(n) for n in binary},
        ("a column read as groups", "samples"): {
            n: lambda it=it: encode_column(it, "unknown") for n, it in texts.items()
        },
        ("drift of columns", "features"): {
            n: compared(columns[:n]) for n in sizes(5, len(columns), points)
        },
        ("figures of accuracy", "classes"): {n: accuracy(seen) for n, seen in many.items()},
        ("scanning a model", "bytes of the model"): {
            n: lambda it=it: scan_artifact(it, "model.onnx") for n, it in models.items()
        },
        ("judging", "rules"): {n: judged(n) for n in sizes(1_000, 16_000, points)},
    }


def _column(rows: int) -> pl.Series:
    return pl.Series(np.random.default_rng(SEED).integers(18, 90, rows))


def _model(place: Path, size: int) -> Path:
    folder = place / str(size)
    folder.mkdir()
    model(folder, size, beside=False)
    return folder


def most_held(job: Job) -> int:
    """Return how many bytes a job holds at most beyond what was there."""
    tracemalloc.start()
    try:
        job()
        return max(tracemalloc.get_traced_memory()[1], 1)
    finally:
        tracemalloc.stop()


def put(what: str, over: Sequence[float], costs: Sequence[float], goal: float | None) -> None:
    """Print and tell how a cost grows."""
    value, low, high = slope(over, costs)
    print(f"{what}: slope {value:.2f} ({low:.2f} to {high:.2f}), {over[0]:g} to {over[-1]:g}")
    tell(
        Figure(
            area="scale", name=f"{what}, {over[0]:,} to {over[-1]:,}", value=value, low=low,
            high=high, n=len(over), against="1 is in proportion", better="less",
            unit="slope", goal=goal,
        )
    )  # fmt: skip


def main() -> None:
    """Measure, fit, print and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5)
    points = parser.parse_args().points
    with tempfile.TemporaryDirectory() as name:
        measured = grown(points, Path(name))
        freeze_live_objects()
        for (what, grows), jobs in measured.items():
            seconds = [cpu(job, 3) for job in jobs.values()]
            put(f"{what}: CPU over {grows}", list(jobs), seconds, 1.1)
            peaks = [most_held(job) for job in jobs.values()]
            put(f"{what}: memory over {grows}", list(jobs), peaks, 1.1)
    counts = [1, 2, 4]
    walls = [timed(count, 16, 2, 0.25)[0] for count in counts]
    put("audits that wait, through the engine: wall over workers", counts, walls, None)


if __name__ == "__main__":
    main()
