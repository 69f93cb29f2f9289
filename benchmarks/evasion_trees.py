"""Trees on ONNX Runtime: what scores, labels and a soft twin's slopes break, against HopSkipJump.

    python benchmarks/evasion_trees.py [--rows 500] [--rows-peer 40]

A random forest and gradient boosting of scikit-learn on its digits (64 measurements), each changed
by at most 0.2 of its range. Square Attack asks the target for scores and RayS for labels;
Auto-PGD climbs on the twin, and the target judges. ART's HopSkipJump asks the same session, on
fewer rows.
"""

import argparse
from collections.abc import Callable, Mapping

import numpy as np
from bench_arenas import Target, one_thread, ours
from bench_models import CACHE, TRAINED_ON, BenchModel
from evasion_queries import hop_skip_jump, rays, show
from figures import over, tell
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

EPS = 0.2
STAGES = (("square:1000",), ("cross_entropy:20",))
WALKS = ((500, 1), (100, 5))
"""Decisions of a search by RayS, and searches. Within one, a walk that has stalled gives way to
another: on trees, whose scores are steps, it soon does."""
TREES: Mapping[str, Callable[[], ClassifierMixin]] = {
    "forest": lambda: RandomForestClassifier(100, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(random_state=0),
}


def trained(name: str) -> BenchModel:
    """Return a model of trees, made where the cache does not hold it."""
    CACHE.mkdir(exist_ok=True)
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    rows, labels = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    path = CACHE / f"{name}.onnx"
    if not path.exists():
        fitted = TREES[name]().fit(rows[:TRAINED_ON], labels[:TRAINED_ON])
        proto = to_onnx(
            fitted,
            initial_types=[("x", FloatTensorType([None, rows.shape[1]]))],
            options={"zipmap": False},
        )
        del proto.graph.output[0]  # the label: what is left are probabilities
        path.write_bytes(proto.SerializeToString())
    held = slice(TRAINED_ON, None)
    return BenchModel(name, path, rows[held], labels[held], EPS, None, "probabilities")


def compare(model: BenchModel, rows: int, peer_rows: int) -> None:
    """Print what each attack leaves standing, and the queries a row."""
    rows = min(rows, len(model.rows))
    clean = Target(model).predict(model.rows[:rows]).argmax(axis=1) == model.labels[:rows]
    print(f"{model.name}, {rows} rows, eps {model.eps}: clean accuracy {clean.mean():.3f}")
    found = [ours(model, stages, rows) for stages in STAGES]
    found += [rays(model, rows, *walk) for walk in WALKS]
    for item in found:
        what = f"{item.tool}, {rows} rows of a {model.name}: robust accuracy"
        tell(over("attacks", what, [item.accuracy], "the clean accuracy", better="less", unit=""))
        print(
            f"  {item.tool:40s} {item.accuracy:6.3f} {item.queries:8.0f} queries "
            f"{item.passes:6.0f} passes {item.seconds:8.2f} s"
        )
    print(f"  the same {peer_rows} rows:")
    show(rays(model, peer_rows, *WALKS[0]), hop_skip_jump(model, peer_rows))


def main() -> None:
    """Run and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--rows-peer", type=int, default=40)
    asked = parser.parse_args()
    one_thread()
    np.random.seed(0)  # noqa: NPY002 -- ART's own generator
    for name in TREES:
        compare(trained(name), asked.rows, asked.rows_peer)


if __name__ == "__main__":
    main()
