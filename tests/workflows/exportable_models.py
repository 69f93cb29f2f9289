"""Small fitted models of each library that is exported, and the rows that they were fitted on.

As a script, it exports the models that are named, and prints the digest of each file.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import torch
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from auditor.workflows.model_export import export_model

X = np.random.default_rng(0).normal(size=(200, 4))
PICTURES = np.random.default_rng(1).random((40, 1, 8, 8)).astype(np.float32)
BINARY = (X[:, 0] + X[:, 1] > 0).astype(int)
NAMED = np.where(X[:, 0] > 0.5, "high", np.where(X[:, 0] < -0.5, "low", "middle"))
NUMBERS = X @ [1.0, 2.0, 3.0, 4.0]
Model = Any


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)
    )


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


CLASSIFIERS: Mapping[str, Callable[[], Model]] = {
    "forest": lambda: RandomForestClassifier(5, random_state=0).fit(X, BINARY),
    "logistic": lambda: LogisticRegression().fit(X, NAMED),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, BINARY),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=3).fit(X, NAMED),
    "svm": lambda: make_pipeline(StandardScaler(), LinearSVC(random_state=0)).fit(X, BINARY),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, NAMED),
    "lightgbm alone": lambda: lightgbm.train(
        {"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, BINARY), 3
    ),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=3).fit(X, BINARY),
    "xgboost alone": lambda: xgboost.train(
        {"objective": "multi:softprob", "num_class": 3},
        xgboost.DMatrix(X, BINARY, feature_names=["a", "b", "c", "d"]),
        3,
    ),
    "pipeline of lightgbm": lambda: make_pipeline(
        StandardScaler(), lightgbm.LGBMClassifier(n_estimators=3, verbose=-1)
    ).fit(X, BINARY),
}
REGRESSIONS: Mapping[str, Callable[[], Model]] = {
    "linear": lambda: LinearRegression().fit(X, NUMBERS),
    "lightgbm of numbers": lambda: lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(
        X, NUMBERS
    ),
    "xgboost of numbers": lambda: xgboost.XGBRegressor(n_estimators=3).fit(X, NUMBERS),
}
MODULES: Mapping[str, Callable[[], Model]] = {
    "perceptron": perceptron,
    "convolutions": convolutions,
}
MODELS = {**CLASSIFIERS, **REGRESSIONS, **MODULES}


def rows_of(name: str) -> np.ndarray[Any, Any]:
    return PICTURES if name == "convolutions" else X


def export_digest(name: str, folder: Path) -> str:
    """Return the digest of a fitted model's file."""
    exported = export_model(MODELS[name](), rows_of(name), folder)
    return hashlib.sha256(exported.path.read_bytes()).hexdigest()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(*(export_digest(name, Path(place)) for name in sys.argv[1:]), sep="\n")  # noqa: T201
