"""Attacks that only ask, against ART's: robust accuracy, queries a row, CPU seconds, in one run.

    python benchmarks/evasion_queries.py [--rows 100]

Square Attack on scores and RayS on labels alone, on the hardened digits model and its target, and
ART's SquareAttack and HopSkipJump through a black-box estimator on the same ONNX Runtime session.
ART's label-only settings are ten iterations of at most 1,000 evaluations, fewer than its defaults.
"""

import argparse
import time

import numpy as np
from art.attacks.evasion import HopSkipJump, SquareAttack
from art.estimators.classification import BlackBoxClassifierNeuralNetwork
from bench_arenas import Outcome, Target, arena_of, judge, lead, one_thread, ours, paired
from bench_models import BenchModel, load
from figures import over, tell

from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Array


def estimator(model: BenchModel, target: Target) -> BlackBoxClassifierNeuralNetwork:
    """Return ART's view of a target that only answers."""

    def predict(rows: Array) -> Array:
        return target.probabilities(target.predict(rows.astype(np.float32)))

    return BlackBoxClassifierNeuralNetwork(
        predict, model.rows.shape[1:], int(model.labels.max()) + 1, clip_values=(0.0, 1.0)
    )


def square(model: BenchModel, rows: int) -> Outcome:
    """Return what ART's Square Attack leaves standing."""
    target = Target(model)
    attack = SquareAttack(
        estimator(model, target), norm=np.inf, eps=model.eps, max_iter=1000,
        batch_size=rows, verbose=False,
    )  # fmt: skip
    start = time.process_time()
    crafted = attack.generate(model.rows[:rows], np.eye(10)[model.labels[:rows]])
    seconds = time.process_time() - start
    robust = judge(model, rows, crafted)
    return Outcome("ART SquareAttack, 1000 iterations", robust, seconds, target.queries / rows)


def hop_skip_jump(model: BenchModel, rows: int) -> Outcome:
    """Return what ART's HopSkipJump leaves standing, its points cut to the budget."""
    target = Target(model)
    attack = HopSkipJump(
        estimator(model, target), norm=np.inf, max_iter=10, max_eval=1000, init_eval=100,
        verbose=False,
    )  # fmt: skip
    start = time.process_time()
    crafted = attack.generate(model.rows[:rows])
    seconds = time.process_time() - start
    near = np.clip(crafted, model.rows[:rows] - model.eps, model.rows[:rows] + model.eps)
    robust = judge(model, rows, np.clip(near, 0, 1))
    return Outcome("ART HopSkipJump, 10 iterations", robust, seconds, target.queries / rows)


def rays(model: BenchModel, rows: int, queries: int, walks: int = 1) -> Outcome:
    """Return what RayS leaves standing: it walks in the whole range and is read at the budget."""
    arena = arena_of(model, rows)
    start = time.process_time()
    found = run_sweep(
        build_suite((f"rays:{queries}x{walks}",), Norm.LINF), arena, (1.0,), 0, report_nothing
    )
    seconds = time.process_time() - start
    robust = ~(found.breaking <= model.eps * (1 + 1e-6))
    asked = sum(bill.queries for bill in found.log) / rows
    return Outcome(f"auditor rays, {walks} walks of {queries} queries", robust, seconds, asked)


def show(left: Outcome, right: Outcome) -> None:
    """Print two tools beside each other."""
    for item in (left, right):
        print(f"  {item.tool:40s} {item.accuracy:6.3f} {item.queries:8.0f} {item.seconds:8.2f} s")
    difference, low, high = paired(left.robust, right.robust)
    what, rows = left.tool.removeprefix("auditor "), len(left.robust)
    tell(
        over("attacks", f"{what}, {rows} rows: queries of theirs, of ours",
             [right.queries / left.queries], right.tool),
        over("attacks", f"{what}, {rows} rows: CPU of theirs, of ours",
             [right.seconds / left.seconds], right.tool),
        *lead("attacks", f"{what}, {rows} rows", left, right, right.tool),
    )  # fmt: skip
    print(
        f"  theirs / ours: {right.queries / left.queries:.1f} x queries, "
        f"{right.seconds / left.seconds:.1f} x CPU; ours - theirs {difference:+.3f} "
        f"({low:+.3f} to {high:+.3f})"
    )


def main() -> None:
    """Run and print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    rows = parser.parse_args().rows
    one_thread()
    np.random.seed(0)  # noqa: NPY002 -- ART's own generator
    (model,) = load(("hardened",))
    print(f"{model.name}, {rows} rows, eps {model.eps}: robust accuracy, queries a row, CPU")
    show(ours(model, ("square:1000",), rows), square(model, rows))
    show(rays(model, rows, 200), hop_skip_jump(model, rows))


if __name__ == "__main__":
    main()
