"""Our cascade against AutoAttack on five models: robust accuracy on the target, CPU seconds.

    python benchmarks/evasion_white_box.py [--rows 500] [--rows-standard 100]
        [--minutes-standard 10] [--models hardened] [--quick]

Everything runs in one process on one thread, alternating; robust accuracy of every tool is counted
on the ONNX file, and differences are paired row by row. What takes less than a second is run again,
alternating, and the quickest run of each counts: a first run pays for what libraries set up. With
``--minutes-standard`` the whole standard gets as many rows of each model as it will do in about
that time, and no more than ``--rows-standard``.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

from bench_arenas import Outcome, lead, one_thread, ours, paired, timed
from bench_models import MAKERS, BenchModel, load
from bench_peers import auto_attack
from figures import over, tell

QUICK = ("cross_entropy:20", "targeted:50x3")
STRONG = ("cross_entropy:20", "margin:100", "targeted:100x9")
TWO = ("apgd-ce", "apgd-t")
SHORT, AGAIN = 1.0, 5
STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
TIMES, FEWEST = 40.0, 10
"""What the standard takes, in times of our cascade, on nets of digits; and the fewest rows."""


def show(name: str, rows: int, base: Outcome, other: Outcome) -> None:
    """Print one line of the table: ``other`` beside ``base``."""
    difference, low, high = paired(base.robust, other.robust)
    if other.floor:
        tell(
            over(
                "attacks",
                f"{other.tool}, {rows} rows of {name}: CPU of it",
                [other.seconds / other.floor],
                "its passes and queries alone",
                better="less",
            )
        )
    elif other is not base:
        what = f"{base.tool}, {rows} rows of {name}"
        ratio = [other.seconds / base.seconds]
        tell(over("attacks", f"{what}: CPU of theirs, of ours", ratio, other.tool),
             *lead("attacks", what, base, other, other.tool))  # fmt: skip
    floor = f"{other.seconds / other.floor:5.2f}" if other.floor else "    -"
    print(
        f"{name:9s} {rows:4d}  {other.tool:58s} {other.accuracy:6.3f} {other.seconds:8.2f} s "
        f"{other.seconds / base.seconds:7.1f} x {floor}   ours - theirs "
        f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"
    )


def together(tool: str, outcomes: Sequence[Outcome]) -> None:
    """Print what a tool took for all models, and times the floor of its passes where it counts."""
    seconds, floor = (sum(getattr(it, name) for it in outcomes) for name in ("seconds", "floor"))
    times = f"{seconds / floor:.3f} x the floor of its passes" if floor else ""
    if floor:
        what, passes = f"{tool}, {len(outcomes)} models: CPU of it", "its passes and queries alone"
        tell(over("attacks", what, [seconds / floor], passes, better="less", goal=1.15))
    print(f"all models {tool:58s} {seconds:8.2f} s {times}")


def quickest(runs: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
    """Run each once, and those that are all short again in turn; return each one's quickest."""
    found = [[run()] for run in runs]
    if all(tries[0].seconds < SHORT for tries in found):
        for _ in range(AGAIN):
            for tries, run in zip(found, runs, strict=True):
                tries.append(run())
    return [min(tries, key=lambda outcome: outcome.seconds) for tries in found]


def compared(model: BenchModel, rows: int, suites: Sequence[tuple[str, ...]]) -> list[Outcome]:
    """Return what our suites and the strongest half of AutoAttack leave standing."""
    runs: list[Callable[[], Outcome]] = [partial(ours, model, stages, rows) for stages in suites]
    attack = partial(auto_attack, model, rows, TWO)
    runs.append(partial(timed, f"AutoAttack {'+'.join(TWO)}", attack, model, rows))
    return quickest(runs)


def fitting(base: Outcome, minutes: float) -> int:
    """Return how many rows the standard will do in some minutes, from what our cascade took."""
    each = TIMES * base.seconds / len(base.robust)
    return max(FEWEST, int(60 * minutes / each))


def main() -> None:
    """Run and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--rows-standard", type=int, default=100)
    parser.add_argument("--minutes-standard", type=float, default=24 * 60.0)
    parser.add_argument("--models", nargs="+", default=list(MAKERS))
    parser.add_argument("--quick", action="store_true", help="leave our stronger cascade out")
    asked = parser.parse_args()
    one_thread()
    print("model     rows  tool, robust accuracy, CPU seconds, times ours, times its own floor")
    spent: dict[str, list[Outcome]] = {}
    for model in load(tuple(asked.models)):
        rows = min(asked.rows, len(model.rows))
        found = compared(model, rows, (QUICK,) if asked.quick else (QUICK, STRONG))
        for other in found:
            show(model.name, rows, found[0], other)
            spent.setdefault(other.tool, []).append(other)
        few = min(rows, asked.rows_standard, fitting(found[0], asked.minutes_standard))
        base = ours(model, QUICK, few)
        show(model.name, few, base, base)
        attack = partial(auto_attack, model, few, STANDARD)
        show(model.name, few, base, timed("AutoAttack standard", attack, model, few))
    for tool, outcomes in spent.items():
        together(tool, outcomes)


if __name__ == "__main__":
    main()
