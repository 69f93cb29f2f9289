"""How near minimum-norm attacks come in four norms: our checks' suites against three libraries.

    python benchmarks/evasion_norms.py [--rows 200] [--model hardened] [--norms l2 l1 l0 linf]

Everything runs in one process on one thread. A row counts at the size of the change that the ONNX
target gets wrong. Robust accuracy is told at three budgets. Optimality is that of AttackBench (Cina
et al. 2025, arXiv 2404.19460, equations 4 and 5): the area between clean accuracy and a tool's
curve of robust accuracy over the budget, as a share of the same area for the best of all tools row
by row, up to the budget at which nothing is left; a tool on fewer rows is compared on those.
"""

import argparse
import time
from collections.abc import Mapping

import numpy as np
from bench_arenas import Counted, Target, arena_of, one_thread
from bench_minimal import PEERS, Found, Peer, run
from bench_models import MAKERS, BenchModel, load
from figures import absent, over, tell

from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.checks.evasion.l0 import L0EvasionCheck
from auditor.checks.evasion.l1 import L1EvasionCheck
from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats

BUDGETS: Mapping[Norm, tuple[float, ...]] = {
    Norm.LINF: (0.05, 0.1, 0.15),
    Norm.L2: (0.5, 1.0, 2.0),
    Norm.L1: (2.0, 4.0, 8.0),
    Norm.L0: (3.0, 10.0, 30.0),
}
WIDEST: Mapping[Norm, float] = {Norm.LINF: 0.5, Norm.L2: 8.0, Norm.L1: 60.0, Norm.L0: 200.0}
"""So wide that every row breaks: libraries have no largest budget either."""
CHECKS = {
    Norm.LINF: LinfEvasionCheck,
    Norm.L2: L2EvasionCheck,
    Norm.L1: L1EvasionCheck,
    Norm.L0: L0EvasionCheck,
}
ALONE: Mapping[Norm, tuple[str, ...]] = {
    Norm.LINF: ("fmn:100", "fmn:50x4", "fab:50x9"),
    Norm.L2: ("fmn:100", "fab:20x9", "fab:50x9"),
    Norm.L1: ("fmn:100", "fab:50x9"),
    Norm.L0: ("sigma_zero:100", "sigma_zero:1000", "sigma_zero:300x4", "fmn:100"),
}
"""Single attacks of ours, beside the suite of the check; long ones are a yardstick for it."""


def stages_of(norm: Norm) -> tuple[str, ...]:
    """Return the stages that the norm's check has in continuous integration."""
    stages = CHECKS[norm].presets[Budget.CI]["stages"]
    assert isinstance(stages, tuple)
    return tuple(str(stage) for stage in stages)


def ours(model: BenchModel, rows: int, norm: Norm, stages: tuple[str, ...]) -> Found:
    """Return what a suite of ours finds at the three budgets and in the widest ball."""
    arena = arena_of(model, rows, norm)
    twin, target = arena.twin, arena.model
    assert isinstance(twin, Counted)
    assert isinstance(target, Target)
    before = target.seconds
    start = time.process_time()
    found = run_sweep(
        build_suite(stages, norm), arena, (*BUDGETS[norm], WIDEST[norm]), 0, report_nothing
    )
    seconds = time.process_time() - start
    return Found(
        f"auditor {', '.join(stages)}",
        found.breaking,
        seconds / rows,
        twin.passes / rows,
        twin.passes / rows,
        sum(bill.queries for bill in found.log) / rows,
        (twin.seconds + target.seconds - before) / rows,
    )


def optimality(distance: Floats, best: Floats) -> float:
    """Return how much of the area that the best curve takes from clean accuracy a tool takes.

    Both are ``[n]`` distances of the same rows, 0 where a row is wrong from the start, infinite
    where nothing was found; the area ends where the best curve reaches its last row.
    """
    end = best[np.isfinite(best)].max()
    clean = float((best > 0).mean())
    # The area under a curve of robust accuracy is the mean distance, cut at the end.
    taken, most = (clean * end - np.minimum(side, end).mean() for side in (distance, best))
    return float(taken / most)


def tools(model: BenchModel, rows: int, norm: Norm) -> list[Found]:
    """Run our suites and the libraries' attacks in one norm."""
    found = [ours(model, rows, norm, stages_of(norm))]
    found += [ours(model, rows, norm, (stage,)) for stage in ALONE[norm]]
    return found + [
        item for peer in PEERS if peer.norm is norm for item in tried(peer, model, rows)
    ]


def tried(peer: Peer, model: BenchModel, rows: int) -> list[Found]:
    """Run a library's attack; say so where it does not run here."""
    try:
        return [run(peer, model, rows, BUDGETS[peer.norm])]
    except ModuleNotFoundError as missing:
        absent(f"{peer.name} in {peer.norm.value}", str(missing))
        print(f"{peer.norm.value:5s} {peer.name}: not run, {missing}")
        return []


def show(norm: Norm, found: list[Found]) -> None:
    """Print one line a tool."""
    rows = max(len(item.distance) for item in found)
    best = np.full(rows, np.inf)
    for item in found:
        count = len(item.distance)
        best[:count] = np.minimum(best[:count], item.distance)
    mine, theirs = found[0], [item for item in found if not item.tool.startswith("auditor")]
    what = f"{norm.value}, {mine.tool.removeprefix('auditor ')}"
    for item in theirs:
        count = len(item.distance)
        ours, peer = (optimality(side.distance[:count], best[:count]) for side in (mine, item))
        tell(
            over("attacks", f"{what}: CPU of {item.tool}, of ours", [item.seconds / mine.seconds],
                 item.tool),
            over("attacks", f"{what}: optimality of ours, of {item.tool}", [ours / max(peer, 1e-9)],
                 item.tool),
        )  # fmt: skip
    if mine.floor:
        tell(over("attacks", f"{what}: CPU of ours", [mine.seconds / mine.floor],
                  "its passes and queries alone", better="less"))  # fmt: skip
    for item in [*found, Found("best of all", best, 0.0, 0.0, 0.0)]:
        count = len(item.distance)
        robust = " ".join(f"{np.mean(item.distance > eps + 1e-6):.3f}" for eps in BUDGETS[norm])
        ratio = f"{item.seconds / item.floor:5.2f}" if item.floor else "    -"
        print(
            f"{norm.value:5s} {item.tool:42s} {count:4d} {np.median(item.distance):8.4f} "
            f"{robust} {optimality(item.distance, best[:count]):6.3f} {1e3 * item.seconds:8.1f} ms "
            f"{item.passes:7.0f} {item.forwards:7.0f} {item.queries:6.0f} {ratio}",
            flush=True,
        )


def main() -> None:
    """Run and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--model", default="hardened", choices=list(MAKERS))
    parser.add_argument("--norms", nargs="+", default=[norm.value for norm in Norm])
    asked = parser.parse_args()
    one_thread()
    (model,) = load((asked.model,))
    rows = min(asked.rows, len(model.rows))
    print(
        "norm, tool, rows, median distance, robust accuracy at three budgets, optimality, a row: "
        "CPU, gradients, forward passes, queries of the target, times its own floor"
    )
    for norm in (Norm(name) for name in asked.norms):
        print(f"{norm.value:5s} budgets {BUDGETS[norm]}")
        show(norm, tools(model, rows, norm))


if __name__ == "__main__":
    main()
