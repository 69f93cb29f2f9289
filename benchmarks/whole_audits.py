"""Whole audits of the examples, against the model's own time for the queries that they make.

    python benchmarks/whole_audits.py [--examples digits loans docstrings] [--rounds 2]

A smoke audit is run as a user runs it, as a command, and its CPU seconds are those of all its
processes. The floor is what ONNX Runtime itself takes on one thread, in batches of 256, for as many
rows as the plan names as queries, a gradient counting as three; a model that takes texts has none
here. Beside it stands `auditor plan`, which opens model and data and measures nothing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from figures import over, tell
from peers import cpu

ROOT = Path(__file__).resolve().parents[1]
AUDITOR = Path(sys.executable).with_name("auditor")
AREA = "whole audits"
BATCH, GRADIENT = 256, 3


def spent(command: Sequence[object], home: Path) -> tuple[float, float, str]:
    """Return the CPU seconds of a command with all its children, the wall seconds, and its text."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603 -- our own command
        list(map(str, command)), env={**os.environ, "AUDITOR_HOME": str(home)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in {0, 1, 3}, done.stderr
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stdout


def a_row(model: Path) -> float | None:
    """Return the CPU seconds that the runtime takes for a row; nothing for other than numbers."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    (taken, *more) = session.get_inputs()
    if more or taken.type != "tensor(float)":
        return None
    shape = [BATCH, *(size if isinstance(size, int) else 1 for size in taken.shape[1:])]
    rows = np.random.default_rng(0).random(shape, dtype=np.float32)
    return cpu(lambda: session.run(None, {taken.name: rows}), 20) / BATCH


def asks(plan: str) -> int:
    """Return how many rows a plan will have scored, a gradient counting as three."""
    checks = [
        item
        for target in json.loads(plan).values()
        if isinstance(target, dict)
        for item in target.get("checks", ())
        if not item["missing"]
    ]
    return sum(item["queries"] + GRADIENT * item["passes"] for item in checks)


def measure(example: Path, rounds: int, home: Path) -> None:
    """Print and tell what audits of an example cost."""
    audit, ratios, floors, walls = example / "audit.yaml", [], [], []
    for turn in range(rounds):
        smoke = ["--budget", "smoke"]
        planning, _, plan = spent([AUDITOR, "plan", audit, *smoke, "--format", "json"], home)
        out = ["--out", home / f"{example.name}-{turn}"]
        seconds, wall, _ = spent([AUDITOR, "audit", audit, *smoke, *out], home)
        row = a_row(example / "model.onnx")
        ratios.append(seconds / planning)
        walls.append(seconds / wall)
        if row is not None:
            floors.append(seconds / (row * asks(plan)))
        print(f"{example.name}: audit {seconds:.1f} CPU s in {wall:.1f} s, plan {planning:.1f}")
    what, less = f"smoke audit of {example.name}", {"better": "less"}
    against = "`auditor plan`, which measures nothing"
    tell(over(AREA, f"{what}: CPU of it", ratios, against, **less))
    tell(over(AREA, f"{what}: CPU seconds of a wall second", walls, "one core", unit="cores"))
    if floors:
        against = "ONNX Runtime alone for the queries planned"
        tell(over(AREA, f"{what}: CPU of all of it", floors, against, **less))


def main() -> None:
    """Audit the examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", nargs="+", default=["digits", "docstrings", "loans"])
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in asked.examples:
            measure(ROOT / "examples" / name, asked.rounds, Path(home))


if __name__ == "__main__":
    main()
