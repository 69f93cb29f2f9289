"""Data whose truth is a number."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from auditor.domain.datasets import DatasetRole
from auditor.domain.tasks import ClassificationTask, RegressionTask
from auditor.errors import AuditorError, DatasetError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.inspect import inspect_data_file
from auditor.inputs.datasets.load import LoadedDatasets, count_rows_by_label, load_datasets
from auditor.targets.target_specs import resolve_target

HEAD = "apiVersion: auditor/v1\nkind: Audit\n"
MODEL = "model: {name: m, artifact: model.onnx}\n"


def load(folder: Path, text: str, model: str = MODEL) -> LoadedDatasets:
    audit = read_audit_file((HEAD + model + text).encode(), "audit.yaml", resolve_target)
    return load_datasets(audit, lambda written: folder / written)


def regression(labels: str = "price", more: str = "") -> str:
    return (
        "task: {kind: regression, tolerance: 2.5}\n"
        f"data: {{evaluation: {{path: houses.csv, labels: {labels}{more}}}}}\n"
    )


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    table = pl.DataFrame(
        {"rooms": [1, 2, 3], "price": [10.5, 20.0, 30.25], "said": [11.0, 19.0, 31.0]}
    )
    table.write_csv(tmp_path / "houses.csv")
    return tmp_path


def test_labels_are_read_as_numbers(houses: Path) -> None:
    loaded = load(houses, regression())
    assert loaded.task == RegressionTask(2.5)
    data = loaded.datasets[DatasetRole.EVALUATION]
    assert data.labels is None
    assert data.targets is not None
    assert data.targets.tolist() == [10.5, 20.0, 30.25]
    assert data.targets.dtype == np.float64
    size = count_rows_by_label(data, loaded.task)
    assert (size.rows, size.classes, dict(size.labels)) == (3, 1, {})
    grouped = load(houses, regression(more=", groups: [rooms]")).datasets[DatasetRole.EVALUATION]
    counted = count_rows_by_label(grouped, loaded.task).groups
    assert counted == {"rooms": {"1": {"": 1}, "2": {"": 1}, "3": {"": 1}}}


def test_predictions_of_a_regression_are_one_column(houses: Path) -> None:
    told = "model: {name: m}\n"
    loaded = load(houses, regression(more=", scores: [said]"), told)
    scores = loaded.datasets[DatasetRole.EVALUATION].scores
    assert scores is not None
    assert scores.tolist() == [[11.0], [19.0], [31.0]]
    with pytest.raises(DatasetError, match="scores names 2 columns for a regression"):
        load(houses, regression(more=", scores: [said, rooms]"), told)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (["10", "", "30"], "no number in row 2"),
        (["10", "cheap", "30"], "'cheap' is not a number"),
        (["10", "inf", "30"], "no number in row 2"),
        (["10", "10.0", "1e1"], "every row has the number 10"),
    ],
)
def test_what_is_no_truth_of_a_regression_is_refused(
    tmp_path: Path, prices: list[str], said: str
) -> None:
    rows = "\n".join(f"{index},{price}" for index, price in enumerate(prices))
    (tmp_path / "houses.csv").write_text(f"rooms,price\n{rows}\n")
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, regression())
    assert said in caught.value.problem
    assert "'price'" in caught.value.problem


def labelled(folder: Path, task: str) -> ClassificationTask:
    (folder / "t.csv").write_text("x,y\n1,deny\n2,approve\n3,refer\n")
    loaded = load(folder, f"task: {{{task}}}\ndata: {{evaluation: {{path: t.csv, labels: y}}}}\n")
    assert isinstance(loaded.task, ClassificationTask)
    return loaded.task


def test_costs_by_name_become_a_matrix_in_the_order_of_the_classes(tmp_path: Path) -> None:
    task = labelled(tmp_path, "costs: {deny: {approve: 9}, approve: {deny: 2, refer: 1}}")
    assert task.classes == ("approve", "deny", "refer")
    assert task.costs == ((0.0, 2.0, 1.0), (9.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def test_the_positive_class_is_the_last_one_that_decides(tmp_path: Path) -> None:
    task = labelled(tmp_path, "reject: refer")
    assert (task.reject, task.positive, task.favourable) == ("refer", "deny", "approve")
    assert labelled(tmp_path, "output: auto").positive == "refer"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("costs: {deny: {grant: 1}}", "task.costs names 'grant'"),
        ("costs: {grant: {deny: 1}}", "task.costs names 'grant'"),
        ("reject: none", "task.reject is 'none'"),
    ],
)
def test_a_name_that_is_no_label_of_the_data_is_refused(
    tmp_path: Path, task: str, said: str
) -> None:
    with pytest.raises(AuditorError) as caught:
        labelled(tmp_path, task)
    assert f"{said}, but the labels in t.csv are approve, deny, refer" in str(caught.value)


def test_many_different_numbers_under_the_name_of_a_label_look_like_a_regression(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.random((200, 3)), y=rng.normal(size=200))
    seen = inspect_data_file(tmp_path / "d.npz")
    assert (seen.labels, seen.classes) == ("y", ())
    assert seen.spread == pytest.approx(1.0, abs=0.2)
    np.savez(tmp_path / "c.npz", x=rng.random((200, 3)), y=np.arange(200) % 3)
    assert (
        inspect_data_file(tmp_path / "c.npz").classes,
        inspect_data_file(tmp_path / "c.npz").spread,
    ) == (
        ("0", "1", "2"),
        None,
    )
