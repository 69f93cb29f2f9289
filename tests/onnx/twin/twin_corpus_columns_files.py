"""The files of scikit-learn's models: with ZipMap and without, by themselves and in pipelines."""

import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from skl2onnx import to_onnx
from skl2onnx.common import tree_ensemble
from twin_corpus import Entry
from twin_corpus_columns import CLASSES, COARSE, MODELS, labels_of
from twin_corpus_rows import KINDS

WITH_ZIPMAP = ("logistic", "logistic of three", "forest", "perceptron", "columns", "svc rbf",
               "gradient boosting")  # fmt: skip
RAW = ("logistic of three", "svc rbf of three")
"""Converted with their raw scores, which are logits or votes, instead of probabilities."""
STEPPED = ("tree", "forest", "extra", "boosting", "adaboost", "neighbours", "isotonic", "bernoulli",
           "columns and a forest")  # fmt: skip
COMPARED, TRAINED = 48, 400


@cache
def trained(name: str) -> Any:  # noqa: ANN401 -- scikit-learn has no types
    """Return a model fitted on the rows of its kind that it is not compared on."""
    make, kind = MODELS[name]
    rows, labels = KINDS[kind]()[COMPARED:TRAINED], labels_of(kind)[COMPARED:TRAINED]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations are meant
        return make().fit(rows, labels)


def convert(path: Path, *, name: str, **options: Any) -> None:  # noqa: ANN401 -- of the converter
    """Convert a model."""
    model, kind = trained(name), MODELS[name][1]
    plain = partial(_with_numbers, tree_ensemble.add_node)
    with warnings.catch_warnings(), patch.object(tree_ensemble, "add_node", plain):
        warnings.simplefilter("ignore")  # the converter's own deprecations
        made = to_onnx(model, KINDS[kind]()[:1], options={id(model): options})
    path.write_bytes(made.SerializeToString())


def _with_numbers(add: Callable[..., None], *given: object, **more: Any) -> None:  # noqa: ANN401 -- a node's
    """Add a tree's node. skl2onnx 1.20 marks leaves with False, which protobuf takes no longer."""
    name = "nodes_missing_value_tracks_true"
    add(*given, **{**more, name: int(more.get(name, 0))})


def _entry(name: str, label: str, **options: Any) -> Entry:  # noqa: ANN401 -- of the converter
    kind = MODELS[name][1]
    return Entry(
        f"{name}/{label}", "scikit-learn", partial(convert, name=name, **options), kind,
        CLASSES[kind], step=COARSE if any(part in name for part in STEPPED) else 0.02,
        frozen=(4,) if kind == "mixed" else (), logits=bool(options.get("raw_scores")),
        rows=COMPARED,
    )  # fmt: skip


def columns_files() -> list[Entry]:
    """Return the files of scikit-learn's models."""
    return [
        *[_entry(name, "skl2onnx", zipmap=False) for name in MODELS],
        *[_entry(name, "zipmap", zipmap=True) for name in WITH_ZIPMAP],
        *[_entry(name, "raw", zipmap=False, raw_scores=True) for name in RAW],
    ]
