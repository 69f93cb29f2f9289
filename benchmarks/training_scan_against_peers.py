"""Our scan of training rows against ART's defences and cleanlab: who is named, and at what cost.

    python benchmarks/training_scan_against_peers.py [--environments FOLDER]

Digits of scikit-learn, poisoned in several ways at two rates, and a small network that learnt them.
ART's ActivationDefence and SpectralSignatureDefense get its last hidden layer, cleanlab's
find_label_issues probabilities out of sample (5 folds of logistic regression; their seconds
count), ours both the rows and the layer, and 400 trusted rows, which the peers have no use for.
Then 100,000 synthetic rows of 64 columns for the cost alone. Peers are installed by pip into
environments of their own, which are thrown away unless FOLDER keeps them. CPU seconds are those of
the whole process over all its threads, for the job alone.
"""

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from figures import over, tell
from numpy.typing import NDArray
from peers import asked, cpu, environment, peak
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from auditor.attacks.poisoning.training_scan import (
    NeighbourLookup,
    ScanRows,
    label_scores,
    project_points,
    representation_scores,
)
from auditor.attacks.poisoning.training_scan_readings import ScanCriteria, TrainingScanResult
from auditor.metrics.stats.proportions import clopper_pearson

CLASSES, TRUSTED, SEEDS = 10, 400, 4
KINDS = ("clean", "patch", "blend", "pixel", "flip")
RATES = (0.01, 0.05)
MANY, COLUMNS = 100_000, 64
PEERS = {
    "art": (
        "adversarial-robustness-toolbox>=1.20",
        "scikit-learn",
        "cma",
        "multiprocess",
        "packaging",
    ),
    "cleanlab": ("cleanlab>=2.7", "scikit-learn"),
}
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Floats = NDArray[np.float64]
Case = dict[str, Any]

ART = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from art.defences.detector.poison import ActivationDefence, SpectralSignatureDefense
from art.estimators.classification import BlackBoxClassifier
data = np.load(sys.argv[1])
x, y, views = data["rows"], np.eye(10)[data["labels"]], data["views"]
class Shown(BlackBoxClassifier):
    layer_names = ["hidden"]
    def get_activations(self, x, layer=0, batch_size=128, framework=False):
        return views
model = Shown(lambda rows: np.eye(10)[np.zeros(len(rows), int)], x.shape[1:], 10)
found = {}
def timed(name, job):
    start = time.process_time()
    flags = job()
    spent = time.process_time() - start
    found[name] = {"seconds": spent, "named": np.flatnonzero(flags == 0).tolist()}
def activations():
    it = ActivationDefence(model, x, y)
    _, clean = it.detect_poison(nb_clusters=2, nb_dims=10, reduce="PCA", cluster_analysis="smaller")
    return np.array(clean)
def signatures():
    more = {"expected_pp_poison": 0.05, "batch_size": 128, "eps_multiplier": 1.5}
    it = SpectralSignatureDefense(model, x, y, **more)
    _, clean = it.detect_poison()
    return np.array(clean)
timed("art activations", activations)
timed("art signatures", signatures)
print(json.dumps(found))
"""
CLEANLAB = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
data = np.load(sys.argv[1])
x, y = data["rows"].reshape(len(data["rows"]), -1), data["labels"]
start = time.process_time()
said = cross_val_predict(LogisticRegression(max_iter=200), x, y, cv=5, method="predict_proba")
named = find_label_issues(y, said, n_jobs=1)
print(json.dumps({"cleanlab": {"seconds": time.process_time() - start,
    "named": np.flatnonzero(named).tolist()}}))
"""


def case(kind: str, rate: float, seed: int) -> Case:
    """Return poisoned digits, trusted ones, and what a network that learnt the former sees."""
    rng, loaded = np.random.default_rng(seed), load_digits()
    order = rng.permutation(len(loaded.target))
    pictures, truth = (loaded.images[order] / 16).astype(np.float32), loaded.target[order]
    rows, labels = pictures[TRUSTED:].copy(), truth[TRUSTED:].copy()
    bad = np.zeros(len(rows), dtype=np.bool_)
    count = round(rate * len(rows))
    if kind == "flip":
        chosen = rng.permutation(len(rows))[:count]
        labels[chosen] = (labels[chosen] + rng.integers(1, CLASSES, count)) % CLASSES
    elif kind != "clean":
        chosen = rng.permutation(np.flatnonzero(labels != 0))[:count]
        rows[chosen], labels[chosen] = _stamped(rows[chosen], kind), 0
    if kind != "clean":
        bad[chosen] = True
    net = MLPClassifier((64,), max_iter=60, random_state=seed, learning_rate_init=3e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(rows.reshape(len(rows), -1), labels)
    both = np.concatenate((rows, pictures[:TRUSTED])).reshape(-1, 64)
    views = np.maximum(both @ net.coefs_[0] + net.intercepts_[0], 0).astype(np.float32)
    return {
        "rows": rows,
        "labels": labels,
        "bad": bad,
        "both": both,
        "truth": np.concatenate((labels, truth[:TRUSTED])).astype(np.int64),
        "views": views[: len(rows)],
        "all_views": views,
        "decided": net.predict(both),
    }


def _stamped(rows: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    found = rows.copy()
    if kind == "patch":
        found[:, 6:, 6:] = 1
    elif kind == "pixel":
        found[:, 7, 7] = 1
    else:
        noise = np.random.default_rng(99).random((8, 8))
        found = (0.8 * found + 0.2 * noise).astype(np.float32)
    return found


def ours(made: Case, neighbours: int = 5, references: int = 3, pool: int = 4096) -> list[int]:
    """Return the rows that our scan names."""
    count = len(made["labels"])
    trained = np.arange(len(made["truth"])) < count
    rows = ScanRows(made["truth"], trained, CLASSES)
    lookup = NeighbourLookup(neighbours, references, pool)
    found, suggested = label_scores(project_points(made["both"], 0), rows, lookup, 0)
    views = project_points(made["all_views"], 0)
    found |= representation_scores(views, rows, made["decided"] == made["truth"], 0)
    scan = TrainingScanResult(
        found,
        np.arange(count).astype(np.str_),
        made["truth"][:count],
        suggested,
        {"gaps": {}, "classes": list("0123456789"), "clustered": False, "not_scanned": []},
        ScanCriteria(0.005, 0.2, count),
    )
    joint = next(
        it for it in scan.readings(0.95)
        if it.metric == "suspect_share" and it.params["method"] == "joint"
    )  # fmt: skip
    return [int(row) for row in joint.details["worst_rows"]]


def told(made: Case, folder: Path, pythons: dict[str, Path | None]) -> dict[str, Any]:
    """Return whom each method names, and its CPU seconds."""
    found = {"ours": {"seconds": cpu(lambda: ours(made), 3), "named": ours(made)}}
    file = folder / "case.npz"
    np.savez(file, rows=made["rows"], labels=made["labels"], views=made["views"])
    for name, program in (("art", ART), ("cleanlab", CLEANLAB)):
        found |= asked(pythons[name], program, file, settings=QUIET) or {}
    return found


def compare(folder: Path, pythons: dict[str, Path | None]) -> None:
    """Print, for each poison and method, the shares named of poison and of clean rows."""
    print(f"{'poison':12} {'method':16} {'named of poison':>16} {'of clean rows':>14} {'CPU s':>8}")
    for kind in KINDS:
        for rate in RATES if kind != "clean" else (0.0,):
            cases = [case(kind, rate, seed) for seed in range(SEEDS)]
            each = [told(made, folder, pythons) for made in cases]
            for method in each[0]:
                pairs = [(made["bad"], one[method]) for made, one in zip(cases, each, strict=True)]
                hit = sum(int(bad[one["named"]].sum()) for bad, one in pairs)
                false = sum(int((~bad[one["named"]]).sum()) for bad, one in pairs)
                poison = sum(int(bad.sum()) for bad, _ in pairs)
                clean = sum(int((~bad).sum()) for bad, _ in pairs)
                power = f"{hit / poison:.3f}" if poison else "-"
                seconds = float(np.median([one["seconds"] for _, one in pairs]))
                if method != "ours":
                    ratios = [one[method]["seconds"] / one["ours"]["seconds"] for one in each]
                    what = f"scan of digits, {kind} {rate:.0%}: CPU of {method}, of ours"
                    tell(over("attacks", what, ratios, method))
                print(
                    f"{kind + f' {rate:.0%}':12} {method:16} {power:>16} "
                    f"{false / clean:14.4f} {seconds:8.3f}"
                )


def many() -> None:
    """Print what our scan of 100,000 rows costs."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, COLUMNS))
    truth = rng.integers(0, CLASSES, MANY + 5000)
    both = (centres[truth] + rng.normal(size=(len(truth), COLUMNS))).astype(np.float32)
    views = np.maximum(both @ rng.normal(size=(COLUMNS, 128)) / 8, 0).astype(np.float32)
    labels = truth.copy()
    labels[:1000] = (labels[:1000] + 1) % CLASSES
    made = {
        "labels": labels[:MANY],
        "truth": labels,
        "both": both,
        "all_views": views,
        "decided": truth,
    }
    seconds = cpu(lambda: ours(made), 1)
    named = np.array(ours(made), dtype=np.int64)
    tell(
        over("attacks", f"scan of {MANY:,} rows: CPU", [seconds], "nothing", better="less",
             unit="s", goal=20),
        over("attacks", f"scan of {MANY:,} rows: peak memory", [peak()], "nothing",
             better="less", unit="MB", goal=4000),
    )  # fmt: skip
    hit = clopper_pearson(int((named < 1000).sum()), 1000, 0.95)
    print(
        f"\n{MANY:,} rows of {COLUMNS} columns, 1 % labels wrong: {seconds:.1f} CPU s "
        f"(goal 20 s), peak {peak():,} MB (goal 4,000 MB); named {hit.value:.3f} of them and "
        f"{(named >= 1000).sum() / 99_000:.4f} of the others"
    )


def main() -> None:
    """Install the peers, and print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path)
    kept = parser.parse_args().environments
    with tempfile.TemporaryDirectory() as made:
        folder = kept or Path(made)
        pythons = {
            name: environment(folder, name, packages, QUIET) for name, packages in PEERS.items()
        }
        compare(Path(made), pythons)
        many()
        print(json.dumps({"seeds": SEEDS, "trusted": TRUSTED}))


if __name__ == "__main__":
    main()
