from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from small_models import make_model, run, save

from auditor.twins.graphs import read_graph
from auditor.twins.interpreting import compile_graph
from auditor.twins.tensors import to_tensor

ML = "ai.onnx.ml"
NAN = float("nan")
RNG = np.random.default_rng(8)
ROWS = RNG.normal(size=(7, 3)).astype(np.float32)
GAPS = np.where(RNG.random((7, 3)) < 0.3, np.nan, ROWS).astype(np.float32)
CODES = RNG.integers(0, 4, (7, 3)).astype(np.float32)
CLASSIFIER = {
    "classlabels_ints": [0, 1, 2],
    "coefficients": RNG.normal(size=9).tolist(),
    "intercepts": [0.1, -0.2, 0.3],
}
CASES: list[tuple[str, dict[str, Any], np.ndarray]] = [
    ("Scaler", {"offset": [0.1, 0.2, 0.3], "scale": [2.0, 3.0, 4.0]}, ROWS),
    ("Scaler", {"offset": [0.5], "scale": [2.0]}, ROWS),
    ("Normalizer", {"norm": "L1"}, ROWS),
    ("Normalizer", {"norm": "L2"}, ROWS),
    ("Normalizer", {"norm": "MAX"}, np.abs(ROWS)),
    ("Normalizer", {"norm": "L2"}, np.zeros((2, 3), dtype=np.float32)),
    ("Imputer", {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": NAN}, GAPS),
    ("Imputer", {"imputed_value_floats": [5.0]}, CODES),
    ("Imputer", {"imputed_value_floats": [9.0], "replaced_value_float": 2.0}, CODES),
    ("FeatureVectorizer", {"inputdimensions": [3]}, ROWS),
    ("Binarizer", {"threshold": 0.2}, ROWS),
    ("OneHotEncoder", {"cats_int64s": [0, 1, 2], "zeros": 1}, CODES),
    ("LinearRegressor", {"coefficients": [1.0, -2.0, 0.5], "intercepts": [0.25]}, ROWS),
    ("LinearRegressor", {"coefficients": [1.0, -2.0, 0.5, 2.0, 3.0, 1.0], "targets": 2}, ROWS),
    ("LinearClassifier", CLASSIFIER, ROWS),
    ("LinearClassifier", {**CLASSIFIER, "post_transform": "SOFTMAX"}, ROWS),
    ("LinearClassifier", {**CLASSIFIER, "post_transform": "LOGISTIC"}, ROWS),
]


@pytest.mark.parametrize(("operator", "attributes", "rows"), CASES)
def test_an_operator_of_the_ml_domain_agrees_with_the_runtime(
    tmp_path: Path, operator: str, attributes: dict[str, Any], rows: np.ndarray
) -> None:
    outputs = ["label", "scores"] if operator == "LinearClassifier" else ["scores"]
    node = helper.make_node(operator, ["x"], outputs, domain=ML, **attributes)
    model = make_model([node], {}, ["n", 3], kind=TensorProto.FLOAT)
    wanted = run(save(model, tmp_path), rows, "scores")
    found = compile_graph(read_graph(model)).run({"x": to_tensor(rows)})["scores"]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_columns_are_extracted_as_the_runtime_does(tmp_path: Path) -> None:
    node = helper.make_node("ArrayFeatureExtractor", ["x", "columns"], ["scores"], domain=ML)
    model = make_model([node], {"columns": np.array([2, 0])}, ["n", 3])
    wanted = run(save(model, tmp_path), ROWS, "scores")
    found = compile_graph(read_graph(model)).run({"x": to_tensor(ROWS)})["scores"]
    np.testing.assert_array_equal(found.numpy(), wanted)
