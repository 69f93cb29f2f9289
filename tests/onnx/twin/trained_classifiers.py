"""Classifiers of scikit-learn, LightGBM and XGBoost, trained on its data and exported to ONNX."""

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
import skl2onnx
import xgboost
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from auditor.domain.tasks import Floats


def forest(trees: int = 20) -> RandomForestClassifier:
    return RandomForestClassifier(trees, random_state=0)


def machine(kernel: str, *, probability: bool) -> SVC:
    return SVC(kernel=kernel, probability=probability, random_state=0)


def two_models(kind: Any) -> Any:  # noqa: ANN401 -- scikit-learn has no types
    members = [("forest", forest()), ("line", LogisticRegression(max_iter=500))]
    if kind is VotingClassifier:
        return kind(members, voting="soft", flatten_transform=False)
    return kind(members)


def columns() -> ColumnTransformer:
    parts = [("a", StandardScaler(), [0, 1, 2, 3]), ("b", MinMaxScaler(), [4, 5, 6])]
    return ColumnTransformer(parts, remainder="passthrough")


TREES = {
    "decision tree": lambda: DecisionTreeClassifier(random_state=0),
    "random forest": lambda: forest(100),
    "extra trees": lambda: ExtraTreesClassifier(100, random_state=0),
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=10, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=20, n_jobs=1),
    "bagging": lambda: BaggingClassifier(DecisionTreeClassifier(max_depth=5), 10, random_state=0),
    "scaled forest": lambda: make_pipeline(RobustScaler(), forest()),
}
VECTORS = {
    **{
        f"{kernel} machine, calibrated": lambda kernel=kernel: machine(kernel, probability=True)
        for kernel in ("rbf", "linear", "poly", "sigmoid")
    },
    "nu machine, calibrated": lambda: NuSVC(nu=0.1, probability=True, random_state=0),
    "imputed machine": lambda: make_pipeline(
        SimpleImputer(), StandardScaler(), machine("rbf", probability=True)
    ),
}
SCORES = {
    **{
        f"{kernel} machine": lambda kernel=kernel: machine(kernel, probability=False)
        for kernel in ("rbf", "linear", "poly")
    },
    "nu machine": lambda: NuSVC(nu=0.1),
    "linear support vectors": LinearSVC,
}
OTHERS = {
    "logistic": lambda: LogisticRegression(max_iter=500),
    "perceptron": lambda: MLPClassifier((16,), max_iter=30, random_state=0),
    "calibrated lines": lambda: CalibratedClassifierCV(LinearSVC(), cv=2),
    "calibrated forest": lambda: CalibratedClassifierCV(forest(), cv=2),
    "vote": lambda: two_models(VotingClassifier),
    "stack": lambda: two_models(StackingClassifier),
    "naive Bayes": lambda: GaussianNB(var_smoothing=1e-3),
    "quadratic": lambda: QuadraticDiscriminantAnalysis(reg_param=0.1),
    "polynomial": lambda: make_pipeline(PolynomialFeatures(2), LogisticRegression(max_iter=50)),
    "columns": lambda: make_pipeline(columns(), LogisticRegression(max_iter=500)),
}
CLASSIFIERS = {**TREES, **VECTORS, **SCORES, **OTHERS}


@dataclass(frozen=True)
class Exported:
    """An ONNX file, the output that holds scores, and rows that the model was not trained on."""

    path: Path
    session: onnxruntime.InferenceSession
    input: str
    output: str
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]

    def scores(self, rows: NDArray[np.float32]) -> Floats:
        """Return what ONNX Runtime says."""
        feeds = {self.input: np.asarray(rows, dtype=np.float32)}
        (found,) = self.session.run([self.output], feeds)
        return np.asarray(found, dtype=np.float64)


@cache
def data(name: str) -> tuple[NDArray[Any], ...]:
    """Return training rows, other rows and their labels; columns are scaled to [0, 1]."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = MinMaxScaler().fit_transform(x).astype(np.float32)
    return tuple(train_test_split(x, y, test_size=0.3, random_state=0, stratify=y))


def trained(name: str, on: str, folder: Path) -> Exported:
    """Train a classifier on one of scikit-learn's data sets and export it."""
    x, rows, y, labels = data(on)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations, deprecations, the converters' own
        model = converted(CLASSIFIERS[name]().fit(x, y), x)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given, said = session.get_inputs()[0].name, session.get_outputs()[1].name
    return Exported(path, session, given, said, rows[:100], labels[:100])


def converted(model: Any, x: NDArray[np.float32]) -> Any:  # noqa: ANN401 -- none has types
    kinds = [("X", FloatTensorType([None, x.shape[1]]))]
    if isinstance(model, HistGradientBoostingClassifier):
        return boosted(model, x.shape[1])
    if isinstance(model, lightgbm.LGBMClassifier):
        return onnxmltools.convert_lightgbm(
            model, initial_types=kinds, target_opset=15, zipmap=False
        )
    if isinstance(model, xgboost.XGBClassifier):
        return onnxmltools.convert_xgboost(model, initial_types=kinds, target_opset=15)
    options = None if isinstance(model, LinearSVC) else {id(model): {"zipmap": False}}
    opsets = {"": 18, "ai.onnx.ml": 3}
    return skl2onnx.to_onnx(model, x[:1], options=options, target_opset=opsets)


def boosted(model: HistGradientBoostingClassifier, columns: int) -> Any:  # noqa: ANN401 -- onnx has none
    """Write a model as skl2onnx does, whose own way fails on the whole numbers of new NumPy."""
    attributes: dict[str, list[Any]] = {}

    def add(**values: object) -> None:
        for name, value in values.items():
            attributes.setdefault(name, []).append(value)

    trees = [(tree, place) for step in model._predictors for place, tree in enumerate(step)]  # noqa: SLF001 -- as the converter does
    for at, (tree, place) in enumerate(trees):
        for index, node in enumerate(tree.nodes):
            leaf = bool(node["is_leaf"])
            add(
                nodes_treeids=at,
                nodes_nodeids=index,
                nodes_featureids=0 if leaf else int(node["feature_idx"]),
                nodes_modes="LEAF" if leaf else "BRANCH_LEQ",
                nodes_values=0.0 if leaf else float(node["num_threshold"]),
                nodes_truenodeids=0 if leaf else int(node["left"]),
                nodes_falsenodeids=0 if leaf else int(node["right"]),
                nodes_missing_value_tracks_true=int(node["missing_go_to_left"]),
            )
            if leaf:
                vote = {"treeids": at, "nodeids": index, "ids": place, "weights": node["value"]}
                add(**{f"class_{name}": value for name, value in vote.items()})
    made = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_int64s=model.classes_.tolist(),
        base_values=np.ravel(model._baseline_prediction).tolist(),  # noqa: SLF001 -- as the converter does
        post_transform="SOFTMAX" if len(model.classes_) > 2 else "LOGISTIC",
        **attributes,
    )
    graph = helper.make_graph(
        [made],
        "boosted",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", columns])],
        [helper.make_empty_tensor_value_info(name) for name in made.output],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
