"""Converts models of Python libraries to ONNX: scikit-learn, LightGBM, XGBoost and PyTorch.

A library is imported only where a model's own class comes from it, and its converter only then.
"""

import copy
import importlib
import importlib.util
import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import onnx

from auditor.domain.datasets import TEXT
from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats
from auditor.errors import AuditorError, MissingExtraError, ModelExportError, suggest_install
from auditor.targets.outputs import to_class_name
from auditor.targets.protocol import to_plain_text

Foreign: TypeAlias = Any
"""An object of a library that has no types, or that may be missing."""
INPUT = "input"
ROWS = "rows"
OPSET = 18
BOOSTER_OPSET = 15
"""The latest one that onnxmltools converts a bare booster to."""
BOOSTERS: Mapping[str | None, str] = {
    "lightgbm": "onnxmltools.convert.lightgbm.operator_converters.LightGbm",
    "xgboost": "onnxmltools.convert.xgboost.operator_converters.XGBoost",
}
LIBRARIES = (*(str(name) for name in BOOSTERS), "torch", "sklearn", "onnx")
"""Boosters first: their classes come from scikit-learn, too."""
INSTALLS: Mapping[str, str] = {
    "skl2onnx": "skl2onnx>=1.18", "onnxmltools": "onnxmltools>=1.16",
}  # fmt: skip
HALF = 0.5
FEW = 2
"""Rows of a trace: one alone would be taken for a fixed size."""
EXPORT_YOURSELF = "export the model to ONNX yourself and give the path of that file"


@dataclass(frozen=True, slots=True)
class OriginalAnswers:
    """What an original answers to rows: numbers ``[n, …]``, and a class index a row if it has any.

    They are ``of`` probabilities, scores or values.
    """

    of: str
    scores: Floats
    decisions: Array | None = None


@dataclass(frozen=True, slots=True)
class ModelConversion:
    """A model in ONNX, the modules that made it and its original, and how that answers rows.

    ``output`` is the place of the output of the same answers.
    """

    proto: onnx.ModelProto
    exporter: str
    library: str
    answer: Callable[[Array], OriginalAnswers]
    output: int = -1


def identify_library(model: object) -> str | None:
    """Return the library that a model's class comes from; ``None`` for one that is not exported."""
    roots = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    return next((name for name in LIBRARIES if name in roots), None)


def describe_class(model: object) -> str:
    """Return the name of a model's class as users import it: without private modules."""
    kind = type(model)
    parts = [*kind.__module__.split("."), kind.__qualname__]
    name = ".".join(part for part in parts if not part.startswith("_") or part == "__main__")
    return "".join(char for char in name if char.isprintable())[:256]


def describe_task(model: Foreign) -> Mapping[str, Json]:
    """Return what a fitted estimator of scikit-learn's kind says of its task, as a file does.

    Other models, and those that are not fitted, say nothing.
    """
    if identify_library(model) not in {"sklearn", "lightgbm", "xgboost"}:
        return {}
    base = importlib.import_module("sklearn.base")
    if not isinstance(model, base.BaseEstimator):
        return {}
    if base.is_regressor(model):
        return {"kind": "regression"}
    if not (base.is_classifier(model) and hasattr(model, "classes_")):
        return {}
    classes = _list_classes(model, describe_class(model))
    truths = {"classes": ["false", "true"]}  # as tables write them
    return truths if model.classes_.dtype == bool else {"classes": list(classes)}


def convert_model(model: object, sample: Array) -> ModelConversion:
    """Convert a fitted model for rows such as those of ``sample``.

    Raises ``ModelExportError`` for what cannot be converted, or takes no such rows, and
    ``MissingExtraError`` where the converter is not installed.
    """
    title = describe_class(model)
    convert = CONVERSIONS.get(identify_library(model) or "")
    if convert is None:
        raise ModelExportError(
            f"a model of the class {title} cannot be exported",
            cure="Give a path, an onnx.ModelProto, or a fitted model of scikit-learn, LightGBM, "
            f"XGBoost or PyTorch; or {EXPORT_YOURSELF}.",
        )
    if not len(sample) or sample.dtype.kind not in "biuf":
        raise ModelExportError(
            f"{title} cannot be exported for {len(sample)} rows of "
            f"{'texts' if sample.dtype.kind == TEXT else sample.dtype.name}",
            cure=f"Give rows of numbers, or {EXPORT_YOURSELF}.",
        )
    with failing_as(f"{title} cannot be exported", f"Fix it, or {EXPORT_YOURSELF}."):
        return convert(model, sample, title)


@contextmanager
def failing_as(problem: str, cure: str) -> Iterator[None]:
    """Run the code of others without its warnings; whatever it raises is a ``ModelExportError``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except AuditorError:
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        said = " ".join(to_plain_text(str(cause), 300).split()) or type(cause).__name__
        raise ModelExportError(f"{problem}: {said}", cure=cure) from error


def _import_converter(package: str, title: str) -> Foreign:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f"{title} is exported by {package}, which is not installed",
            cure=f"{suggest_install('export')}, or run: pip install '{INSTALLS[package]}'.",
        ) from error


def _convert_estimator(model: Foreign, sample: Array, title: str) -> ModelConversion:
    """Export a fitted estimator or pipeline; skl2onnx does, and onnxmltools the boosters in it."""
    base = importlib.import_module("sklearn.base")
    skl2onnx = _import_converter("skl2onnx", title)
    validation = importlib.import_module("sklearn.utils.validation")
    unfitted = importlib.import_module("sklearn.exceptions").NotFittedError
    try:
        validation.check_is_fitted(model)
    except (unfitted, TypeError):
        raise _unfitted(title) from None
    classifier = base.is_classifier(model)
    if not (classifier or base.is_regressor(model)):
        raise ModelExportError(
            f"{title} is neither a classifier nor a regressor",
            cure="Give the whole pipeline, with the model as its last step.",
        )
    columns = _count_columns(sample, getattr(model, "n_features_in_", None), title)
    if classifier:
        _list_classes(model, title)
    library = identify_library(model) or "sklearn"
    boosted = {identify_library(step) for step in _list_steps(model)} & {"lightgbm", "xgboost"}
    if boosted:
        model = copy.deepcopy(model)
        _prepare_boosters(_list_steps(model), title)
    last = _list_steps(model)[-1]
    # A linear SVM has scores and no probabilities, so that its converter knows no ZipMap.
    choices = [{id(model): {"zipmap": False}}, {id(last): {"raw_scores": True}}]
    with failing_as(
        f"skl2onnx cannot convert {title}", f"Use estimators that it knows, or {EXPORT_YOURSELF}."
    ):
        convert = _bind_conversion(skl2onnx, columns)
        try:
            proto = convert(model, options=choices[0] if classifier else None)
        except NameError:
            proto = convert(model, options=choices[1])
    exporter = "skl2onnx" if library == "sklearn" else "onnxmltools"
    return ModelConversion(proto, exporter, library, partial(_ask_estimator, model))


def _list_steps(model: Foreign) -> list[Foreign]:
    return [step for _, step in getattr(model, "steps", [("", model)])]


def _unfitted(title: str) -> ModelExportError:
    return ModelExportError(f"{title} is not fitted", cure="Fit it first, and give it then.")


def _count_columns(sample: Array, wanted: int | None, title: str) -> int:
    found = math.prod(sample.shape[1:])
    if wanted is not None and found != wanted:
        raise ModelExportError(
            f"{title} was fitted on {wanted} features, and a row of the data has {found}",
            cure="Give the columns that it was fitted on, in that order. Names in `groups` and "
            "the like take columns out of the inputs: for a column that the model reads too, "
            "pass values under another name.",
        )
    return found


def _list_classes(model: Foreign, title: str) -> tuple[str, ...]:
    if isinstance(model.classes_, list):
        raise ModelExportError(
            f"{title} gives each row {len(model.classes_)} labels, and an audit takes one",
            cure="Give a model for each label.",
        )
    return tuple(to_class_name(label) for label in model.classes_.tolist())


def _bind_conversion(skl2onnx: Foreign, columns: int) -> Callable[..., onnx.ModelProto]:
    """Return skl2onnx's conversion for rows of so many numbers, with what it cannot do by itself.

    It hands the numbers of histogram-based trees to protobuf as NumPy's, which takes Python's only.
    """
    ensemble = importlib.import_module("sklearn.ensemble")
    find = importlib.import_module("skl2onnx.common._registration").get_converter
    floats = importlib.import_module("skl2onnx.common.data_types").FloatTensorType

    def convert_histograms(scope: object, operator: Foreign, container: Foreign) -> None:
        plain = PlainNumberContainer(container)
        find(operator.type)(scope, operator, plain)

    kinds = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
    return partial(
        skl2onnx.convert_sklearn,
        name="model",
        initial_types=[(INPUT, floats([None, columns]))],
        target_opset={"": OPSET, "ai.onnx.ml": 3},
        custom_conversion_functions=dict.fromkeys(kinds, convert_histograms),
    )


class PlainNumberContainer:
    """A container of skl2onnx into which attributes go as Python's own whole numbers."""

    def __init__(self, container: Foreign) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Foreign:
        """Return what the container has of that name."""
        return getattr(self._container, name)

    def add_node(self, *given: object, **attributes: object) -> None:
        """Add a node."""
        kinds = (bool, np.integer, np.bool_)
        plain = {
            name: [int(item) if isinstance(item, kinds) else item for item in value]
            if isinstance(value, list)
            else value
            for name, value in attributes.items()
        }
        self._container.add_node(*given, **plain)


def _prepare_boosters(steps: Iterable[Foreign], title: str) -> None:
    """Tell skl2onnx how onnxmltools converts the boosters among ``steps``.

    XGBoost's lose the names of their features, which the converter wants to be numbers.
    """
    _import_converter("onnxmltools", title)
    skl2onnx = importlib.import_module("skl2onnx")
    shapes = importlib.import_module("skl2onnx.common.shape_calculator")
    is_classifier = importlib.import_module("sklearn.base").is_classifier
    choices = [True, False]
    for step in steps:
        library, kind = identify_library(step), type(step)
        if library not in BOOSTERS:
            continue
        code = importlib.import_module(BOOSTERS[library])
        answers = "classifier" if is_classifier(step) else "regressor"
        skl2onnx.update_registered_converter(
            kind,
            f"{library} {kind.__name__}",
            getattr(shapes, f"calculate_linear_{answers}_output_shapes"),
            getattr(code, f"convert_{library}"),
            options={"nocl": choices, "zipmap": [*choices, "columns"]}
            if answers == "classifier"
            else {"split": None},
        )
        if library == "xgboost":
            step.get_booster().feature_names = None


def _ask_estimator(model: Foreign, rows: Array) -> OriginalAnswers:
    flat = rows.reshape(len(rows), -1)
    decided = np.asarray(model.predict(flat))
    if not hasattr(model, "classes_") or not importlib.import_module("sklearn.base").is_classifier(
        model
    ):
        return OriginalAnswers("values", decided)
    places = {label: index for index, label in enumerate(model.classes_.tolist())}
    decisions = np.array([places[label] for label in decided.tolist()])
    if hasattr(model, "predict_proba"):
        return OriginalAnswers("probabilities", model.predict_proba(flat), decisions)
    return OriginalAnswers("scores", model.decision_function(flat), decisions)


def _convert_booster(model: Foreign, sample: Array, title: str) -> ModelConversion:
    """Export a LightGBM or XGBoost model: a bare booster, or one with scikit-learn's interface."""
    library = str(identify_library(model))
    booster = importlib.import_module(library).Booster
    if not isinstance(model, booster):
        return _convert_estimator(model, sample, title)
    tools = _import_converter("onnxmltools", title)
    floats = importlib.import_module("onnxmltools.convert.common.data_types").FloatTensorType
    try:
        trees = model.num_trees() if library == "lightgbm" else model.num_boosted_rounds()
    except ValueError:  # an empty one of XGBoost cannot count
        trees = 0
    if not trees:
        raise _unfitted(title)
    wanted = model.num_feature if library == "lightgbm" else model.num_features
    columns = _count_columns(sample, wanted(), title)
    given = {"initial_types": [(INPUT, floats([None, columns]))], "target_opset": BOOSTER_OPSET}
    with failing_as(f"onnxmltools cannot convert {title}", f"Fix it, or {EXPORT_YOURSELF}."):
        if library == "lightgbm":
            proto = tools.convert_lightgbm(model, name="model", zipmap=False, **given)
            predict = model.predict
        else:
            model = copy.deepcopy(model)
            model.feature_names = None
            proto = tools.convert_xgboost(model, name="model", **given)
            matrix = importlib.import_module(library).DMatrix
            predict = lambda rows: model.predict(matrix(rows))  # noqa: E731 -- one line
    classifies = len(proto.graph.output) > 1
    answer = partial(_ask_booster, predict, classifies=classifies)
    return ModelConversion(proto, "onnxmltools", library, answer)


def _ask_booster(
    predict: Callable[[Array], Floats], rows: Array, *, classifies: bool
) -> OriginalAnswers:
    scores = np.asarray(predict(rows.reshape(len(rows), -1)))
    if not classifies:
        return OriginalAnswers("values", scores)
    single = scores.ndim == 1
    decisions = (scores > HALF).astype(np.int64) if single else scores.argmax(axis=1)
    return OriginalAnswers("probabilities", scores, decisions)


class _EvaluatedModule:
    """A module of PyTorch as it answers rows in evaluation mode; its own flags stay as they were.

    The kind of number that it takes is found out with ``few`` rows: its weights' own, or, for whole
    numbers that it refuses so, indices.
    """

    def __init__(self, module: Foreign, few: Array, title: str) -> None:
        self._torch = importlib.import_module("torch")
        self._module = module
        weights = [*module.parameters(), *module.buffers()]
        held = [item.dtype for item in weights if item.dtype.is_floating_point]
        self._device = weights[0].device if weights else "cpu"
        self._kind = held[0] if held else self._torch.float32
        with failing_as(
            f"{title} takes no rows of the shape {few.shape[1:]}",
            "Give rows as its forward takes them, the number of rows first.",
        ):
            try:
                found = self._ask(few)
            except Exception:
                if few.dtype.kind == "f":
                    raise
                self._kind = self._torch.int64
                found = self._ask(few)
        self.example = self._tensor(np.zeros_like(few))
        self.output = next((at for at, item in enumerate(found) if _has_rows(item, few)), None)
        if self.output is None:
            raise ModelExportError(
                f"{title} gives no scores [rows, …], but {[tuple(item.shape) for item in found]}",
                cure="Return one tensor of scores with a row for each row of the input.",
            )

    def __call__(self, rows: Array) -> OriginalAnswers:
        """Return the module's scores; where a row has several, the largest decides."""
        scores = self._ask(rows)[self.output or 0].cpu().double().numpy()
        table = scores.reshape(len(rows), -1)
        return OriginalAnswers(
            "values", scores, table.argmax(axis=1) if table.shape[1] > 1 else None
        )

    def _ask(self, rows: Array) -> list[Foreign]:
        with self._torch.no_grad(), _evaluation_mode(self._module):
            found = self._module(self._tensor(rows))
        leaves = self._torch.utils._pytree.tree_leaves(found)  # noqa: SLF001 -- as the exporter orders outputs
        return [item for item in leaves if isinstance(item, self._torch.Tensor)]

    def _tensor(self, rows: Array) -> Foreign:
        return self._torch.tensor(rows, dtype=self._kind, device=self._device)


def _has_rows(item: Foreign, rows: Array) -> bool:
    return bool(item.dtype.is_floating_point and item.shape[:1] == rows.shape[:1])


@contextmanager
def _evaluation_mode(module: Foreign) -> Iterator[None]:
    flags = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in flags:
            part.training = training


def _convert_module(model: Foreign, sample: Array, title: str) -> ModelConversion:
    """Trace a module for any number of rows: by torch.export where onnxscript is installed.

    Without it, torch records one run of it (TorchScript).
    """
    torch = importlib.import_module("torch")
    if not isinstance(model, torch.nn.Module):
        raise ModelExportError(
            f"{title} is not a torch.nn.Module", cure="Give the module that has the forward method."
        )
    module = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    evaluated = _EvaluatedModule(module, np.resize(sample[:FEW], (FEW, *sample.shape[1:])), title)
    stream, given = io.BytesIO(), (evaluated.example,)
    export = partial(torch.onnx.export, module, given, input_names=[INPUT], opset_version=OPSET)
    recorded = importlib.util.find_spec("onnxscript") is None
    with (
        failing_as(
            f"{title} cannot be traced for any number of rows",
            f"Keep its forward free of decisions by values, or {EXPORT_YOURSELF}.",
        ),
        _evaluation_mode(module),
    ):
        if recorded:
            export(stream, dynamic_axes={INPUT: {0: ROWS}}, dynamo=False)
            proto = onnx.load_model_from_string(stream.getvalue())
        else:
            shapes = ({0: torch.export.Dim(ROWS)},)
            proto = export(dynamic_shapes=shapes, dynamo=True, verbose=False).model_proto
    exporter = "torch" if recorded else "onnxscript"
    return ModelConversion(proto, exporter, "torch", evaluated, evaluated.output or 0)


CONVERSIONS: Mapping[str, Callable[[Foreign, Array, str], ModelConversion]] = {
    "sklearn": _convert_estimator,
    "lightgbm": _convert_booster,
    "xgboost": _convert_booster,
    "torch": _convert_module,
}
