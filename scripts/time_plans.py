"""Plans and audits small models, and says how the time that a plan names compares with the time
that its audit takes on this machine.

Each model is planned and audited twice: the second plan knows of the first audit. Keys and
times lie in a folder of the moment.

    python scripts/time_plans.py --budget smoke iris wine
"""  # noqa: INP001 -- a script

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from auditor import AuditSpec, Dataset
from auditor.domain.checks import Check
from auditor.domain.observed_checks import Result
from auditor.workflows.progress import CallbackProgress
from auditor.workflows.remaining_time import CheckPlace

FACTOR = 1.5
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SEED = 7
Rows = tuple[Any, Any]


def _call(place: str, *given: object, **settings: object) -> Any:  # noqa: ANN401 -- whatever it makes
    """Call what scikit-learn has at a place."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"sklearn.{module}"), name)(*given, **settings)


def _scaled(place: str, **settings: object) -> Any:  # noqa: ANN401 -- a pipeline
    scaler = _call("preprocessing.StandardScaler")
    return _call("pipeline.make_pipeline", scaler, _call(place, **settings))


def _made(classes: int) -> Callable[[], Rows]:
    shape = {"n_samples": 6000, "n_features": 12, "n_informative": 8, "n_classes": classes}
    return lambda: _call("datasets.make_classification", **shape, random_state=SEED)


def _load(name: str) -> Callable[[], Rows]:
    return lambda: _call(f"datasets.load_{name}", return_X_y=True)


LOGISTIC, FOREST = "linear_model.LogisticRegression", "ensemble.RandomForestClassifier"
NETWORK = "neural_network.MLPClassifier"
MODELS: dict[str, tuple[Callable[[], Rows], Any]] = {
    "iris": (_load("iris"), _call(LOGISTIC, max_iter=500)),
    "wine": (_load("wine"), _scaled(LOGISTIC)),
    "cancer": (_load("breast_cancer"), _scaled(NETWORK, hidden_layer_sizes=(32,))),
    "cancer-forest": (_load("breast_cancer"), _call(FOREST, random_state=SEED)),
    "digits": (_load("digits"), _scaled(NETWORK, hidden_layer_sizes=(64,))),
    "digits-svc": (_load("digits"), _call("svm.SVC")),
    "made-logistic": (_made(2), _scaled(LOGISTIC)),
    "made-network": (_made(4), _scaled(NETWORK, hidden_layer_sizes=(128, 128))),
    "made-boosted": (_made(2), _call("ensemble.GradientBoostingClassifier", random_state=SEED)),
    "made-tree": (_made(3), _call("tree.DecisionTreeClassifier", max_depth=8)),
    "diabetes": (_load("diabetes"), _scaled("linear_model.Ridge")),
    "diabetes-forest": (_load("diabetes"), _call("ensemble.RandomForestRegressor", 50)),
    "diabetes-network": (
        _load("diabetes"),
        _scaled("neural_network.MLPRegressor", hidden_layer_sizes=(32,), max_iter=500),
    ),
}
FILES = {"loans": EXAMPLES / "loans", "docstrings": EXAMPLES / "docstrings"}


class Stopwatch(CallbackProgress):
    """Keeps the seconds of each check."""

    def __init__(self) -> None:
        super().__init__()
        self.began: dict[CheckPlace, float] = {}
        self.took: dict[CheckPlace, float] = {}

    def started(self, target: str, check: Check) -> None:
        """Note that a check begins."""
        self.began[target, check.id] = time.monotonic()

    def ended(self, target: str, check: Check, result: Result) -> None:  # noqa: ARG002 -- timed
        """Note how long it took."""
        self.took[target, check.id] = time.monotonic() - self.began[target, check.id]


def build(name: str) -> AuditSpec:
    """Return the request of a model, from an audit file."""
    if name in FILES:
        return AuditSpec.load(FILES[name] / "audit.yaml")
    rows, model = MODELS[name]
    inputs, truth = rows()
    learnt, held, learnt_y, held_y = _call(
        "model_selection.train_test_split", inputs.astype(np.float32), truth, random_state=SEED
    )
    model.fit(learnt, learnt_y)
    task: dict[str, Any] = {}
    if not hasattr(model, "classes_"):
        task = {"task": {"kind": "regression", "tolerance": 30.0}}
    spec = AuditSpec.build(
        model, Dataset(held, held_y), training=Dataset(learnt, learnt_y), name=name,
        tags=["not-about-people"], **task,
    )  # fmt: skip
    return AuditSpec.load(spec.save())


def compare(name: str, budget: str, *, verbose: bool) -> list[float]:
    """Plan and audit a model twice, print a line each, and return real time by planned time."""
    spec = build(name)
    found: list[float] = []
    for run in ("first", "again"):
        began = time.monotonic()
        plans = spec.plan(budget=budget)
        planning = time.monotonic() - began
        (plan,) = plans.values()
        watch = Stopwatch()
        began = time.monotonic()
        spec.audit(budget=budget, progress=watch)
        real = time.monotonic() - began
        planned = plan.seconds or math.nan
        found.append(real / planned)
        sys.stdout.write(
            f"{name:18} {run}  planned {planned:7.1f} s  real {real:7.1f} s  ratio {found[-1]:5.2f}"
            f"  (checks {sum(watch.took.values()):.1f} s, planning {planning:.1f} s)\n"
        )
        if verbose:
            said = {it.check: it.seconds or 0.0 for it in plan.checks if it.missing is None}
            rows = [(took, said.get(check, 0.0), check) for (_, check), took in watch.took.items()]
            for took, expected, check in sorted(rows, reverse=True)[:15]:
                sys.stdout.write(f"    {check:36} planned {expected:6.2f} real {took:6.2f}\n")
        sys.stdout.flush()
    return found


def main() -> None:
    """Print a line for each model, and the share of those within the factor."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", default=[*MODELS, *FILES])
    asked.add_argument("--budget", default="smoke")
    asked.add_argument("--verbose", action="store_true")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUDITOR_HOME"] = str(Path(folder) / "home")
        ratios = []
        for name in given.names:
            place = Path(folder) / name
            place.mkdir()
            os.chdir(place)
            ratios.append(compare(name, given.budget, verbose=given.verbose))
    for at, run in enumerate(("first", "again")):
        held = [1 / FACTOR <= it[at] <= FACTOR for it in ratios]
        sys.stdout.write(f"{run}: {sum(held)} of {len(held)} within a factor of {FACTOR}\n")


if __name__ == "__main__":
    main()
