"""LightGBM's and XGBoost's classifiers as onnxmltools converts them."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from twin_corpus import Entry
from twin_corpus_columns import CLASSES, COARSE, labels_of
from twin_corpus_rows import KINDS

LIGHT: Mapping[str, Any] = {"verbose": -1, "n_jobs": 1, "random_state": 0}
EXTREME: Mapping[str, Any] = {"n_jobs": 1, "random_state": 0}
BOOSTERS: Mapping[str, Callable[[], Any]] = {
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=12, num_leaves=12, **LIGHT),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=12, max_depth=4, **EXTREME),
    "xgboost forest": lambda: xgboost.XGBRFClassifier(n_estimators=8, max_depth=4, **EXTREME),
    "xgboost stumps": lambda: xgboost.XGBClassifier(n_estimators=30, max_depth=1, **EXTREME),
    "lightgbm deep": lambda: lightgbm.LGBMClassifier(
        n_estimators=25, num_leaves=31, min_child_samples=3, **LIGHT
    ),
}
KINDS_OF_EACH = ("breast_cancer", "wine")
COMPARED, TRAINED = 48, 400
ONNX_OPSET = 15


def convert(path: Path, *, name: str, kind: str, zipmap: bool) -> None:
    """Train a booster and convert it."""
    rows = KINDS[kind]()
    given = [("x", FloatTensorType([None, rows.shape[1]]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parameters that a booster does not use
        seen, labels = rows[COMPARED:TRAINED], labels_of(kind)[COMPARED:TRAINED]
        model = BOOSTERS[name]().fit(seen, labels)
        if name.startswith("lightgbm"):
            made = onnxmltools.convert_lightgbm(
                model, initial_types=given, target_opset=ONNX_OPSET, zipmap=zipmap
            )
        else:
            made = onnxmltools.convert_xgboost(model, initial_types=given, target_opset=ONNX_OPSET)
    path.write_bytes(made.SerializeToString())


def _entry(name: str, kind: str, *, zipmap: bool = False) -> Entry:
    return Entry(
        f"{name} of {CLASSES[kind]}{'/zipmap' * zipmap}", "boosters",
        partial(convert, name=name, kind=kind, zipmap=zipmap), kind, CLASSES[kind],
        step=0.02 if "linear" in name else COARSE, rows=COMPARED,
    )  # fmt: skip


def boosters() -> list[Entry]:
    """Return the files of boosters."""
    each = [_entry(name, kind) for name in BOOSTERS for kind in KINDS_OF_EACH]
    return [*each, *[_entry("lightgbm", kind, zipmap=True) for kind in KINDS_OF_EACH]]
