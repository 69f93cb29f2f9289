import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.test_case import TestCase as NodeCase
from onnx.backend.test.loader import load_model_tests
from small_models import make_model, run, save

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.operators.ml_preprocessing import hash_text, hash_texts
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

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
LINES = {"coefficients": [1.0, -2.0, 0.5], "intercepts": [0.45]}
NEARLY_HALF = {"coefficients": [1.0, -2.0, 0.5, -1.0, 1.0, 2.0], "intercepts": [0.4, 0.45]}
TABLES: list[tuple[int, dict[str, Any], np.ndarray]] = [
    (2, {"keys_int64s": [1, 0], "values_floats": [0.5, 2.5], "default_float": -3.0}, CODES),
    (2, {"keys_int64s": [1, 0], "values_floats": [0.5, 2.5]}, CODES),
    (2, {"keys_floats": [1.0, 2.0], "values_int64s": [5, 6]}, CODES),
    (2, {"keys_floats": [1.0, 2.0], "values_int64s": [5, 6], "default_int64": 9}, CODES),
    (4, {"keys_floats": [NAN, 2.0, 2.0], "values_floats": [5.0, 6.0, 7.0]}, GAPS),
    (
        4,
        {
            "keys_tensor": numpy_helper.from_array(np.array([1, 3])),
            "values_tensor": numpy_helper.from_array(np.array([1.5, 3.5], dtype=np.float32)),
            "default_tensor": numpy_helper.from_array(np.array([9.5], dtype=np.float32)),
        },
        CODES,
    ),
]
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
    ("Imputer", {"imputed_value_int64s": [7], "replaced_value_int64": 2}, CODES.astype(np.int64)),
    *[
        (operator, {**lines, "post_transform": transform}, 0.1 * ROWS)
        for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
        for operator, lines in (
            ("LinearClassifier", {**LINES, "classlabels_ints": [3, 7]}),
            ("LinearClassifier", {**NEARLY_HALF, "classlabels_ints": [3, 7]}),
            ("LinearRegressor", {**NEARLY_HALF, "targets": 2}),
            ("LinearRegressor", LINES),
        )
        if (operator, transform, lines.get("intercepts")) != ("LinearClassifier", "PROBIT", [0.45])
    ],
]


@pytest.mark.parametrize(("operator", "attributes", "rows"), CASES)
def test_an_operator_of_the_ml_domain_agrees_with_the_runtime(
    tmp_path: Path, operator: str, attributes: dict[str, Any], rows: np.ndarray
) -> None:
    outputs = ["label", "scores"] if operator == "LinearClassifier" else ["scores"]
    node = helper.make_node(operator, ["x"], outputs, domain=ML, **attributes)
    model = make_model([node], {}, ["n", 3], kind=helper.np_dtype_to_tensor_dtype(rows.dtype))
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs[:-1])
    path = save(model, tmp_path)
    values = compile_graph(read_graph(model)).run({"x": to_tensor(rows)})
    for name in outputs:
        wanted = run(path, rows, name)
        np.testing.assert_allclose(values[name].numpy(), wanted, rtol=1e-5, atol=2e-6)


def test_columns_are_extracted_as_the_runtime_does(tmp_path: Path) -> None:
    node = helper.make_node("ArrayFeatureExtractor", ["x", "columns"], ["scores"], domain=ML)
    model = make_model([node], {"columns": np.array([2, 0])}, ["n", 3])
    wanted = run(save(model, tmp_path), ROWS, "scores")
    found = compile_graph(read_graph(model)).run({"x": to_tensor(ROWS)})["scores"]
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize(("version", "attributes", "rows"), TABLES)
def test_a_table_of_numbers_is_that_of_the_runtime(
    tmp_path: Path, version: int, attributes: dict[str, Any], rows: np.ndarray
) -> None:
    keys = attributes.get("keys_tensor") or attributes.get("keys_int64s")
    rows = rows.astype(np.float32 if keys is None else np.int64)
    node = helper.make_node("LabelEncoder", ["x"], ["scores"], domain=ML, **attributes)
    model = make_model([node], {}, ["n", 3], kind=helper.np_dtype_to_tensor_dtype(rows.dtype))
    model.opset_import[1].version = version
    wanted = run(save(model, tmp_path), rows, "scores")
    found = compile_graph(read_graph(model)).run({"x": to_tensor(rows)})["scores"]
    np.testing.assert_array_equal(found.numpy(), wanted)


def test_texts_between_two_tables_lead_where_they_lead_in_the_runtime(tmp_path: Path) -> None:
    texts = ["red", "green", "blue"]
    nodes = [
        helper.make_node(
            "LabelEncoder", ["x"], ["t"], domain=ML, keys_int64s=[0, 1, 2], values_strings=texts
        ),
        helper.make_node(
            "LabelEncoder", ["t"], ["n"], domain=ML, keys_strings=["blue", "red", "_Unused"],
            values_int64s=[10, 11, 12],
        ),
        helper.make_node("OneHotEncoder", ["t"], ["h"], domain=ML, cats_strings=texts),
        helper.make_node("ReduceSum", ["h", "axes"], ["s"]),
    ]  # fmt: skip
    model = make_model(nodes, {"axes": np.array([1])}, ["n", 3], kind=TensorProto.INT64)
    del model.graph.output[:]
    model.graph.output.extend(map(helper.make_empty_tensor_value_info, ["n", "h"]))
    model.opset_import[1].version = 2
    rows = CODES.astype(np.int64)
    values = compile_graph(read_graph(model)).run({"x": to_tensor(rows)})
    for name in ("n", "h"):
        np.testing.assert_array_equal(values[name], run(save(model, tmp_path), rows, name))


def test_a_mapper_of_categories_works_either_way() -> None:
    settings = {"cats_strings": ["low", "high"], "cats_int64s": [4, 9]}
    model = make_model(
        [
            helper.make_node("CategoryMapper", ["x"], ["t"], domain=ML, **settings),
            helper.make_node("CategoryMapper", ["t"], ["scores"], domain=ML, **settings),
        ],
        {},
        ["n", 3],
        kind=TensorProto.INT64,
    )
    rows = torch.tensor([[4, 9, 5]])
    values = compile_graph(read_graph(model)).run({"x": rows})
    texts = [hash_text("low"), hash_text("high"), hash_text("_Unused")]
    assert values["t"].tolist() == [texts]
    assert values["scores"].tolist() == [[4, 9, -1]]


def test_a_category_that_is_not_known_is_refused_where_the_model_refuses_it() -> None:
    node = helper.make_node("OneHotEncoder", ["x"], ["scores"], domain=ML, cats_int64s=[0], zeros=0)
    program = compile_graph(read_graph(make_model([node], {}, ["n", 3])))
    with pytest.raises(TwinError, match=r"OneHotEncoder.*not among those that the model knows"):
        program.run({"x": torch.ones(2, 3)})


@pytest.mark.parametrize("operator", ["CastMap", "DictVectorizer"])
def test_maps_are_refused_by_name(operator: str) -> None:
    node = helper.make_node(operator, ["x"], ["scores"], domain=ML)
    with pytest.raises(TwinError, match=rf"ai\.onnx\.ml::{operator} .*no differentiable form"):
        compile_graph(read_graph(make_model([node], {}, ["n", 3])))


def test_a_second_score_that_the_runtime_does_not_set_is_refused() -> None:
    line = {**LINES, "classlabels_ints": [0, 1], "post_transform": "PROBIT"}
    node = helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain=ML, **line)
    program = compile_graph(read_graph(make_model([node], {}, ["n", 3])))
    with pytest.raises(TwinError, match="no second score out of one PROBIT"):
        program.run({"x": to_tensor(ROWS)})


def published() -> list[NodeCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases provoke overflows while they are made
        cases = load_model_tests(kind="node")
    return [case for case in cases if any(node.domain == ML for node in case.model.graph.node)]


@pytest.mark.slow
def test_the_cases_that_the_standard_publishes_for_this_domain_hold() -> None:
    cases = published()
    assert len(cases) >= 8
    for case in cases:
        for given, (wanted,) in case.data_sets:
            feeds = {
                slot.name: hash_texts(array) if array.dtype == object else torch.from_numpy(array)
                for slot, array in zip(case.model.graph.input, given, strict=True)
            }
            values = compile_graph(read_graph(case.model)).run(feeds)
            found = values[case.model.graph.output[0].name].numpy()
            np.testing.assert_allclose(found, wanted, rtol=1e-5, err_msg=case.name)
