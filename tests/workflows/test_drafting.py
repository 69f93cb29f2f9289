"""`auditor init` runs the model on the data to find out which score is that of which class."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from auditor.domain.guesses import Guess
from auditor.errors import ArtifactError, DatasetError
from auditor.inputs.auditfile.draft import FROM_LABELS
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.features import SCALED
from auditor.inputs.datasets.load import load_datasets
from auditor.workflows.draft_session import CPU
from auditor.workflows.init import init_audit_file

ROWS = 60


def model_at(
    path: Path, weights: np.ndarray[Any, Any], *, sigmoid: bool = False, **metadata: str
) -> None:
    """A linear model: one score through a sigmoid, or one a class through a softmax."""
    head = helper.make_node("Sigmoid" if sigmoid else "Softmax", ["s"], ["p"])
    classes = weights.shape[1]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["s"]), head],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, classes])],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in metadata.items():
        made.metadata_props.add(key=key, value=value)
    onnx.save(made, path)


def data_at(path: Path, names: list[str]) -> None:
    """Rows that hold 1 in the place of their class, labelled by name."""
    labels = np.arange(ROWS) % len(names)
    inputs = np.eye(len(names), dtype=np.float32)[labels]
    np.savez(path, x=inputs, y=np.array(names)[labels])


def task_of(folder: Path) -> tuple[dict[str, Any], str]:
    text = init_audit_file(folder / "m.onnx", folder / "d.npz", folder).audit
    task: dict[str, Any] = yaml.safe_load(text)["task"]
    return task, text


@pytest.mark.parametrize("order", [["cat", "dog", "owl"], ["owl", "cat", "dog"]])
def test_classes_are_drafted_in_the_order_of_the_models_scores(
    tmp_path: Path, order: list[str]
) -> None:
    data_at(tmp_path / "d.npz", order)
    model_at(tmp_path / "m.onnx", 9 * np.eye(3))
    task, text = task_of(tmp_path)
    assert task["classes"] == order
    assert "by scoring the data: 100% of 60 rows are right" in text
    assert ("in the labels' own order" in text) == (order != sorted(order))
    assert task["favourable"] == "owl"
    assert {"positive", "threshold"}.isdisjoint(task)  # settings of two classes


@pytest.mark.parametrize(("sign", "positive"), [(9, "yes"), (-9, "no")])
def test_of_one_score_the_positive_class_is_found_and_the_classes_stay(
    tmp_path: Path, sign: int, positive: str
) -> None:
    data_at(tmp_path / "d.npz", ["no", "yes"])
    model_at(tmp_path / "m.onnx", sign * np.array([[-1], [1]]), sigmoid=True)
    task, text = task_of(tmp_path)
    assert (task["classes"], task["positive"]) == (["no", "yes"], positive)
    assert task["favourable"] == "yes"
    assert "# found: by scoring the data: 100% of 60 rows are right" in text


def test_a_model_that_no_order_suits_is_said_to_be_one(tmp_path: Path) -> None:
    data_at(tmp_path / "d.npz", ["no", "yes"])
    model_at(tmp_path / "m.onnx", np.zeros((2, 2)))
    _, text = task_of(tmp_path)
    assert "# Only 50% of 60 rows are right in this order of classes, and in no other order" in text
    assert f"# guess: {FROM_LABELS}" in text


def test_a_model_that_cannot_score_the_data_leaves_a_guess_and_says_why(tmp_path: Path) -> None:
    data_at(tmp_path / "d.npz", ["no", "yes"])
    model_at(tmp_path / "m.onnx", np.eye(5))
    task, text = task_of(tmp_path)
    assert task["classes"] == ["no", "yes"]
    assert "Scoring the data could not show the order of the classes: a row of the data has" in text
    assert f"# guess: {FROM_LABELS}" in text


def test_names_that_the_file_lists_in_a_wrong_order_are_noticed(tmp_path: Path) -> None:
    data_at(tmp_path / "d.npz", ["cat", "dog", "owl"])
    model_at(tmp_path / "m.onnx", 9 * np.eye(3), names="{0: 'owl', 1: 'cat', 2: 'dog'}")
    task, text = task_of(tmp_path)
    assert task["classes"] == ["cat", "dog", "owl"]
    assert "100% of 60 rows are right, in the order of the file 0%" in text


def test_names_that_the_file_lists_are_taken_with_the_share_that_agrees(tmp_path: Path) -> None:
    data_at(tmp_path / "d.npz", ["owl", "cat", "dog"])
    names = '["owl", "cat", "dog"]'
    model_at(tmp_path / "m.onnx", 9 * np.eye(3), class_names=names)
    task, text = task_of(tmp_path)
    assert task["classes"] == ["owl", "cat", "dog"]
    listed = "# found: the model's file lists them, in the order of its scores; 100% of 60 rows"
    assert listed in text


DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
SEEMS = "It seems that the model takes values from 0 to 1, and the data hold 0 to 255: "


def digits_at(folder: Path, factor: float, kind: type[np.generic]) -> str:
    """Return what is drafted of the digits network, which was trained on pixels of 0 to 1."""
    with np.load(DIGITS / "test.npz") as found:
        np.savez(folder / "d.npz", x=(found["x"] * factor).astype(kind), y=found["y"])
    return init_audit_file(DIGITS / "model.onnx", folder / "d.npz", folder).audit


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_pixels_of_another_scale_are_noticed_where_most_rows_are_right_all_the_same(
    tmp_path: Path, kind: type[np.generic]
) -> None:
    text = digits_at(tmp_path, 255, kind)
    assert f"# {SEEMS}94% of 450 rows are right as they are, and 98% divided by 255." in text
    assert "It seems" not in digits_at(tmp_path, 1, np.float32)


def test_pictures_are_spread_over_the_range_by_which_the_model_is_right(tmp_path: Path) -> None:
    model = onnx.load(DIGITS / "model.onnx")
    pixels = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["shares" if name == pixels else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(255), "brightest"))
    model.graph.node.insert(0, helper.make_node("Div", [pixels, "brightest"], ["shares"]))
    onnx.save(model, tmp_path / "m.onnx")
    with np.load(DIGITS / "test.npz") as found:
        shown = np.rint(found["x"][:200, 0] * 255).astype(np.uint8)
        for row, (values, label) in enumerate(zip(shown, found["y"], strict=False)):
            (tmp_path / "d" / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(tmp_path / "d" / str(label) / f"{row}.png")
    for model_at_hand, domain in ((tmp_path / "m.onnx", [0, 255]), (DIGITS / "model.onnx", [0, 1])):
        text = init_audit_file(model_at_hand, tmp_path / "d", tmp_path).audit
        assert yaml.safe_load(text)["input"]["domain"] == domain
        assert "It seems" not in text


def test_name_and_version_come_from_the_file_its_name_or_its_folder(tmp_path: Path) -> None:
    def named(path: Path, **metadata: str) -> tuple[str, str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        model_at(path, 9 * np.eye(3), **metadata)
        facts = init_audit_file(path, tmp_path / "d.npz", tmp_path).facts
        return facts.name, facts.version

    data_at(tmp_path / "d.npz", ["cat", "dog", "owl"])
    assert named(tmp_path / "a.onnx", name="pets", version="3.1") == ("pets", "3.1")
    assert named(tmp_path / "pets-1.2.0.onnx") == ("pets", "1.2.0")
    assert named(tmp_path / "pets" / "4" / "model.onnx") == ("pets", "4")


@pytest.mark.parametrize(
    ("second", "export"),
    [
        (TensorProto.FLOAT, "skl2onnx.to_onnx(model, X.to_numpy(numpy.float32)[:1])"),
        (TensorProto.FLOAT, "PyTorch: a module around it with `def forward(self, x): return"),
        (TensorProto.STRING, "Encode the text columns as numbers in the data"),
    ],
)
def test_a_model_of_several_inputs_is_refused_by_their_names(
    tmp_path: Path, second: int, export: str
) -> None:
    data_at(tmp_path / "d.npz", ["cat", "dog"])
    kinds = (("a", TensorProto.FLOAT), ("b", second))
    enters = [helper.make_tensor_value_info(name, kind, [None, 2]) for name, kind in kinds]
    leaves = helper.make_tensor_value_info("s", TensorProto.FLOAT, [None, 2])
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["s"])], "two", enters, [leaves])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "m.onnx")
    with pytest.raises(ArtifactError, match=r"has 2 inputs \('a', 'b'\)") as error:
        init_audit_file(tmp_path / "m.onnx", tmp_path / "d.npz", tmp_path)
    assert export in error.value.cure
    assert "auditor init --data predictions.csv" in error.value.cure


def test_a_table_of_too_many_columns_is_said_to_be_one(tmp_path: Path) -> None:
    model_at(tmp_path / "m.onnx", 9 * np.eye(3))
    lines = [
        f"{row},{row % 3},{row * 7},{row % 5},{'no' if row % 2 else 'yes'}" for row in range(30)
    ]
    (tmp_path / "d.csv").write_text("\n".join(["a,b,c,d,label", *lines]) + "\n")
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path)
    assert draft.schema is None
    (first, *_) = draft.facts.doubts
    assert first.startswith("The model takes 3 numbers a row, and the data hold 4 columns")
    assert f"# {first}" in draft.audit


def test_a_table_that_lacks_an_input_is_refused(tmp_path: Path) -> None:
    model_at(tmp_path / "m.onnx", 9 * np.eye(3))
    lines = [f"{row},{row * 7},{'no' if row % 2 else 'yes'}" for row in range(30)]
    (tmp_path / "d.csv").write_text("\n".join(["a,b,label", *lines]) + "\n")
    said = r"d.csv lacks inputs: it has 2 columns of numbers beside the label, .* takes 3"
    with pytest.raises(DatasetError, match=said):
        init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path)


def line_at(path: Path, width: int) -> None:
    """A regression: the sum of its inputs."""
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "axes")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def numbers_of(columns: int) -> pl.DataFrame:
    """Columns a, b, c, … of numbers, and their sum."""
    drawn = np.random.default_rng(7).normal(size=(300, columns))
    table = pl.DataFrame({"abcdef"[place]: drawn[:, place] for place in range(columns)})
    return table.with_columns(total=pl.Series(drawn.sum(axis=1)))


@pytest.mark.parametrize("index", ["__index_level_0__", "stamp"])
def test_the_index_that_pandas_wrote_is_no_column_of_the_data(tmp_path: Path, index: str) -> None:
    line_at(tmp_path / "m.onnx", 3)
    table = numbers_of(3).with_columns(pl.int_range(300).alias(index))
    pandas = json.dumps({"index_columns": [index, "none", {"kind": "range"}]})
    table.write_parquet(tmp_path / "d.parquet", metadata={"pandas": pandas})
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.parquet", tmp_path)
    assert draft.facts.columns == ("a", "b", "c", "total")
    assert (draft.facts.labels, draft.facts.regression) == ("total", True)
    assert [it.name for it in draft.facts.features] == ["a", "b", "c"]


def test_a_named_index_of_pandas_that_names_the_rows_is_their_id(tmp_path: Path) -> None:
    line_at(tmp_path / "m.onnx", 3)
    table = numbers_of(3).with_columns(pl.int_range(300).alias("row_id"))
    pandas = json.dumps({"index_columns": ["row_id"]})
    table.write_parquet(tmp_path / "d.parquet", metadata={"pandas": pandas})
    assert init_audit_file(tmp_path / "m.onnx", tmp_path / "d.parquet", tmp_path).facts.id == (
        "row_id"
    )


def test_a_task_that_nothing_shows_is_a_guess_and_never_silent(tmp_path: Path) -> None:
    line_at(tmp_path / "m.onnx", 3)
    numbers_of(5).select("total", pl.exclude("total")).write_csv(tmp_path / "d.csv")
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path)
    unsure = {it.setting for it in draft.guesses if it.confidence == "low"}
    assert {"task.kind", "data.evaluation.labels"} <= unsure
    assert "kind: classification   # guess: " in draft.audit
    assert draft.facts.doubts[0].startswith(
        "The model takes 3 numbers a row, and the data hold 6 columns of numbers. List"
    )


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_label_and_the_task_are_asked_where_nothing_shows_them(
    tmp_path: Path, kind: str
) -> None:
    line_at(tmp_path / "m.onnx", 3)
    numbers_of(5).with_columns(pl.col("total").round(0).cast(pl.Int64)).select(
        "total", pl.exclude("total")
    ).write_csv(tmp_path / "d.csv")
    answers = {"data.evaluation.labels": "total", "task.kind": kind}
    asked: list[str] = []

    def ask(guess: Guess, problem: str) -> str:
        assert not problem
        asked.append(guess.setting)
        return answers.get(guess.setting, "")

    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path, ask=ask)
    assert asked[:2] == ["data.evaluation.labels", "task.kind"]
    assert draft.facts.labels == "total"
    assert yaml.safe_load(draft.audit)["task"]["kind"] == kind
    assert "hold 5 columns of numbers beside the label" in draft.facts.doubts[0]


@pytest.mark.parametrize("scale", [1e5, 1e-5, 1e22])
def test_a_draft_of_numbers_of_any_size_is_read_as_it_stands(tmp_path: Path, scale: float) -> None:
    line_at(tmp_path / "m.onnx", 3)
    numbers_of(3).select(pl.all() * scale).write_parquet(tmp_path / "d.parquet")
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.parquet", tmp_path)
    (tmp_path / "schema.yaml").write_text(draft.schema or "")
    asked = read_audit_file(draft.audit.encode(), "audit.yaml", lambda _: CPU)
    assert asked.task.tolerance == draft.facts.largest_harmless_error
    schema = yaml.safe_load(draft.schema or "")
    drawn = [bound for line in schema["features"] for bound in line["range"]]
    assert all(isinstance(bound, int | float) for bound in drawn)
    load_datasets(asked, tmp_path.joinpath)


def test_a_named_column_without_the_models_classes_is_warned_of(tmp_path: Path) -> None:
    model_at(tmp_path / "m.onnx", 9 * np.eye(2), class_names='["churn", "stay"]')
    lines = [f"{row % 3},{row % 5},{'no' if row % 2 else 'yes'}" for row in range(60)]
    (tmp_path / "d.csv").write_text("\n".join(["a,b,paperless", *lines]) + "\n")
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path, labels="paperless")
    words = "No value of the column 'paperless' (no, yes) is among the model's own classes"
    assert any(doubt.startswith(f"{words} (churn, stay)") for doubt in draft.facts.doubts)
    assert "# guess: named with --labels; none of its values is among the model's" in draft.audit


def test_labels_that_only_chance_joins_to_the_answers_are_doubted(tmp_path: Path) -> None:
    model_at(tmp_path / "m.onnx", np.zeros((3, 3)))
    data_at(tmp_path / "d.npz", ["cat", "dog", "owl"])
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.npz", tmp_path)
    assert "agrees with the model's answers beyond chance" in draft.facts.doubts[0]
    (labels,) = [it for it in draft.guesses if it.setting == "data.evaluation.labels"]
    assert labels.confidence == "low"


def test_training_rows_beyond_a_drafted_range_say_where_it_is_from_and_how_to_widen_it(
    tmp_path: Path,
) -> None:
    line_at(tmp_path / "m.onnx", 3)
    numbers_of(3).write_csv(tmp_path / "d.csv")
    numbers_of(3).with_columns(b=pl.col("b") * 100).write_csv(tmp_path / "t.csv")
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path)
    training = "data:\n  training: {path: t.csv, labels: total}\n"
    asked = read_audit_file(draft.audit.replace("data:\n", training).encode(), "a", lambda _: CPU)
    (tmp_path / "schema.yaml").write_text(draft.schema or "")
    with pytest.raises(DatasetError, match=r"^t\.csv: column 'b', row \d+ ") as error:
        load_datasets(asked, lambda path: tmp_path / path)
    cure = error.value.cure
    assert cure.startswith(f"{SCALED} The range was drafted from the evaluation sample. ")
    written = re.search(r"write (range: \[.*\]) for 'b' \(schema\.yaml:(\d+)\)", cure)
    assert written is not None
    lines = (draft.schema or "").splitlines()
    place = int(written[2]) - 1
    lines[place] = re.sub(r"range: \[.*\]", written[1], lines[place])
    (tmp_path / "schema.yaml").write_text("\n".join(lines))
    assert load_datasets(asked, lambda path: tmp_path / path).datasets


def test_rows_for_evaluation_beyond_their_range_are_not_told_of_a_draft(tmp_path: Path) -> None:
    line_at(tmp_path / "m.onnx", 3)
    numbers_of(3).write_csv(tmp_path / "d.csv")
    draft = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path)
    (tmp_path / "schema.yaml").write_text(draft.schema or "")
    asked = read_audit_file(draft.audit.encode(), "a", lambda _: CPU)
    scaled = pl.col("b") * 100
    few = pl.when(pl.int_range(pl.len()) < 5).then(scaled).otherwise(pl.col("b"))
    for column, lead in ((scaled, f"{SCALED} "), (few, "")):
        numbers_of(3).with_columns(b=column).write_csv(tmp_path / "d.csv")
        with pytest.raises(DatasetError) as error:
            load_datasets(asked, lambda path: tmp_path / path)
        assert error.value.cure.startswith(f"{lead}Fix the value, or write range: ")
