"""scikit-learn's classifiers and pipelines as skl2onnx converts them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import (
    calibration,
    discriminant_analysis,
    ensemble,
    feature_selection,
    linear_model,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    svm,
    tree,
)  # fmt: skip
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)  # fmt: skip
from twin_corpus_rows import KINDS, digits, table

Model = Any
CLASSES = {"flat": 10, "mixed": 2, "breast_cancer": 2, "wine": 3, "iris": 3}
COARSE = 0.05


def labels_of(kind: str) -> np.ndarray:
    """Return the classes of a kind's rows."""
    if kind == "flat":
        return digits()[1]
    if kind == "mixed":
        rows = KINDS[kind]()
        return (rows[:, 0] + 0.3 * rows[:, 1] + 0.5 * (rows[:, 4] == 1) > 0).astype(np.int64)
    return table(kind)[1]


def columns() -> Model:
    """Return scaled and filled numbers beside one-hot codes."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    codes = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("n", numbers, [0, 1, 2, 3]), ("c", codes, [4])])


def logistic() -> Model:
    """Return a logistic regression."""
    return linear_model.LogisticRegression(max_iter=200)


def behind(*steps: Model) -> Callable[[], Model]:
    """Return a maker of ``steps`` and a logistic regression."""
    return lambda: make_pipeline(*steps, logistic())


MODELS: Mapping[str, tuple[Callable[[], Model], str]] = {
    "logistic": (logistic, "breast_cancer"),
    "logistic of three": (logistic, "wine"),
    "logistic of ten": (logistic, "flat"),
    "one against all": (lambda: multiclass.OneVsRestClassifier(logistic()), "wine"),
    "stochastic": (
        lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0), "breast_cancer"
    ),
    "ridge": (
        lambda: calibration.CalibratedClassifierCV(linear_model.RidgeClassifier(), cv=2),
        "breast_cancer",
    ),
    "linear svc": (
        lambda: calibration.CalibratedClassifierCV(svm.LinearSVC(random_state=0), cv=2), "wine"
    ),
    "isotonic": (
        lambda: calibration.CalibratedClassifierCV(logistic(), method="isotonic", cv=2),
        "breast_cancer",
    ),
    "svc rbf": (lambda: svm.SVC(probability=True, random_state=0), "breast_cancer"),
    "svc rbf of three": (lambda: svm.SVC(probability=True, random_state=0), "wine"),
    "svc poly": (lambda: svm.SVC(kernel="poly", probability=True, random_state=0), "iris"),
    "svc linear": (
        lambda: svm.SVC(kernel="linear", probability=True, random_state=0), "breast_cancer"
    ),
    "svc sigmoid": (lambda: svm.SVC(kernel="sigmoid", probability=True, random_state=0), "iris"),
    "nu svc": (lambda: svm.NuSVC(probability=True, random_state=0), "breast_cancer"),
    "tree": (lambda: tree.DecisionTreeClassifier(max_depth=6, random_state=0), "flat"),
    "forest": (lambda: ensemble.RandomForestClassifier(20, max_depth=6, random_state=0), "flat"),
    "forest of two": (
        lambda: ensemble.RandomForestClassifier(20, max_depth=6, random_state=0), "breast_cancer"
    ),
    "extra trees": (
        lambda: ensemble.ExtraTreesClassifier(20, max_depth=6, random_state=0), "wine"
    ),
    "gradient boosting": (
        lambda: ensemble.GradientBoostingClassifier(n_estimators=15, random_state=0),
        "breast_cancer",
    ),
    "gradient boosting of three": (
        lambda: ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0), "wine"
    ),
    "histogram boosting": (
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=15, random_state=0),
        "breast_cancer",
    ),
    "histogram boosting of three": (
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=0), "wine"
    ),
    "adaboost": (lambda: ensemble.AdaBoostClassifier(n_estimators=10, random_state=0), "iris"),
    "bagging": (lambda: ensemble.BaggingClassifier(logistic(), 4, random_state=0), "wine"),
    "voting": (
        lambda: ensemble.VotingClassifier(
            [("a", logistic()), ("b", naive_bayes.GaussianNB())],
            voting="soft", flatten_transform=False,
        ),
        "wine",
    ),
    "stacking": (
        lambda: ensemble.StackingClassifier(
            [("a", logistic()), ("b", naive_bayes.GaussianNB())], logistic(), cv=2
        ),
        "wine",
    ),
    "perceptron": (
        lambda: neural_network.MLPClassifier((12,), max_iter=60, random_state=0), "wine"
    ),
    "perceptron of two": (
        lambda: neural_network.MLPClassifier(
            (12,), activation="tanh", max_iter=60, random_state=0
        ),
        "breast_cancer",
    ),
    "neighbours": (lambda: neighbors.KNeighborsClassifier(15, weights="distance"), "iris"),
    "even neighbours": (lambda: neighbors.KNeighborsClassifier(15), "wine"),
    "naive bayes": (naive_bayes.GaussianNB, "iris"),
    "bernoulli bayes": (lambda: naive_bayes.BernoulliNB(binarize=0.3), "flat"),
    "multinomial bayes": (naive_bayes.MultinomialNB, "flat"),
    "linear discriminant": (discriminant_analysis.LinearDiscriminantAnalysis, "wine"),
    "quadratic discriminant": (discriminant_analysis.QuadraticDiscriminantAnalysis, "iris"),
    "standardised": (behind(StandardScaler()), "wine"),
    "robust": (behind(RobustScaler()), "wine"),
    "largest": (behind(MinMaxScaler(), MaxAbsScaler()), "wine"),
    "normalised rows": (behind(Normalizer()), "wine"),
    "filled": (behind(SimpleImputer(strategy="median"), StandardScaler()), "breast_cancer"),
    "polynomial": (behind(PolynomialFeatures(2), StandardScaler()), "iris"),
    "components": (behind(PCA(10, whiten=True, random_state=0)), "flat"),
    "singular vectors": (behind(TruncatedSVD(8, random_state=0)), "flat"),
    "powers": (behind(PowerTransformer()), "iris"),
    "selected": (
        behind(feature_selection.SelectKBest(feature_selection.f_classif, k=8)), "breast_cancer"
    ),
    "union": (
        lambda: make_pipeline(
            FeatureUnion([("a", StandardScaler()), ("b", PCA(3, random_state=0))]), logistic()
        ),
        "wine",
    ),
    "columns": (lambda: make_pipeline(columns(), logistic()), "mixed"),
    "columns and a forest": (
        lambda: make_pipeline(
            columns(), ensemble.RandomForestClassifier(10, max_depth=5, random_state=0)
        ),
        "mixed",
    ),
    "columns and a perceptron": (
        lambda: make_pipeline(
            columns(), neural_network.MLPClassifier((8,), max_iter=60, random_state=0)
        ),
        "mixed",
    ),
}  # fmt: skip
