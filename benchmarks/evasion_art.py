"""Our cascade against ART's AutoAttack with its own defaults: CPU seconds a row, in one run.

    python benchmarks/evasion_art.py [--rows 20]

ART's defaults are five restarts of Auto-PGD with two losses, DeepFool with all classes' gradients,
and Square with 5 x 5,000 iterations; some seconds a row.
"""

import argparse

import numpy as np
import torch
from art.attacks.evasion import AutoAttack
from art.estimators.classification import PyTorchClassifier
from bench_arenas import lead, one_thread, ours, paired, timed
from bench_models import BenchModel, load
from bench_peers import net_of
from figures import over, tell

from auditor.domain.tasks import Array


def crafted(model: BenchModel, rows: int) -> Array:
    """Return what ART's AutoAttack crafts."""
    np.random.seed(0)  # noqa: NPY002 -- ART's own generator
    classifier = PyTorchClassifier(
        net_of(model), torch.nn.CrossEntropyLoss(), model.rows.shape[1:], 10,
        clip_values=(0.0, 1.0), device_type="cpu",
    )  # fmt: skip
    attack = AutoAttack(classifier, norm=np.inf, eps=model.eps, eps_step=model.eps / 4)
    return attack.generate(model.rows[:rows], np.eye(10)[model.labels[:rows]])


def main() -> None:
    """Run and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20)
    rows = parser.parse_args().rows
    one_thread()
    (model,) = load(("hardened",))
    ours(model, ("cross_entropy:20",), rows)  # the first passes of a process are slow
    base = ours(model, ("cross_entropy:20", "targeted:50x3"), rows)
    theirs = timed("ART AutoAttack, defaults", lambda: crafted(model, rows), model, rows)
    for item in (base, theirs):
        print(f"{item.tool:50s} {item.accuracy:6.3f} {item.seconds:9.2f} CPU s")
    difference, low, high = paired(base.robust, theirs.robust)
    ratio, against = [theirs.seconds / base.seconds], "ART AutoAttack, its defaults"
    tell(over("attacks", f"L-inf, {rows} rows of hardened: CPU of theirs, of ours", ratio, against),
         *lead("attacks", f"L-inf, {rows} rows of hardened", base, theirs, against))  # fmt: skip
    print(
        f"theirs / ours: {theirs.seconds / base.seconds:.0f} x CPU; ours - theirs "
        f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"
    )


if __name__ == "__main__":
    main()
