"""Costs, rejections and regressions as an audit file writes them."""

import pytest

from auditor.domain.auditfiles import TaskSection
from auditor.errors import AuditFileError
from auditor.inputs.auditfile.draft import DraftFacts, draft_audit_file
from auditor.inputs.auditfile.read import read_audit_file
from auditor.targets.target_specs import resolve_target

HEAD = "apiVersion: auditor/v1\nkind: Audit\nmodel: {name: m, artifact: model.onnx}\n"


def read(task: str) -> TaskSection:
    return read_audit_file((HEAD + task).encode(), "audit.yaml", resolve_target).task


def test_costs_are_written_by_name_or_as_rows_in_the_order_of_the_classes() -> None:
    named = read("task: {classes: [a, b], costs: {a: {b: 2}, b: {a: 5}}}")
    rows = read("task: {classes: [a, b], costs: [[0, 2], [5, 0]]}")
    assert named.costs == {"a": {"b": 2.0}, "b": {"a": 5.0}}
    assert rows.costs == {"a": {"a": 0.0, "b": 2.0}, "b": {"a": 5.0, "b": 0.0}}
    assert read("task: {classes: [a, b], costs: null}").costs is None


def test_whole_numbers_as_classes_of_costs_are_their_text() -> None:
    assert read("task: {classes: [0, 1], costs: {0: {1: 2}}}").costs == {"0": {"1": 2.0}}


def test_names_of_costs_are_left_to_the_data_where_no_classes_are_listed() -> None:
    assert read("task: {costs: {a: {b: 2}}}").costs == {"a": {"b": 2.0}}


def test_a_number_with_an_exponent_needs_no_dot() -> None:
    for written in ("7e+04", "7e4", "7.0e4", "70000"):
        task = read(f"task: {{kind: regression, tolerance: {written}}}")
        assert task.tolerance == 70_000


def test_a_regression_is_read() -> None:
    task = read("task: {kind: regression, tolerance: 0.1}")
    assert (task.kind, task.tolerance, task.classes) == ("regression", 0.1, None)


def drafted(outputs: int | None) -> TaskSection:
    seen = DraftFacts(
        name="m", artifact="m.onnx", data="d.csv", outputs=outputs, labels="y", spread=77.0
    )
    return read_audit_file(draft_audit_file(seen).encode(), "audit.yaml", resolve_target).task


def test_labels_that_look_like_numbers_are_drafted_as_a_regression() -> None:
    for outputs in (None, 1):
        assert (drafted(outputs).kind, drafted(outputs).tolerance) == ("regression", 38)


def test_a_model_of_many_scores_is_drafted_as_a_classification_whatever_its_labels() -> None:
    assert (drafted(1000).kind, drafted(1000).tolerance) == ("classification", None)


MISTAKES = {
    "an unknown decision": (
        "task:\n  classes: [a, b]\n  costs:\n    a:\n      c: 1\n    b: {a: 1}\n",
        "audit.yaml:8: task.costs.a.c names 'c', which task.classes does not list",
        "Choose from a, b",
    ),
    "an unknown label": (
        "task:\n  classes: [a, b]\n  costs:\n    a: {b: 1}\n    c: {b: 1}\n",
        "audit.yaml:8: task.costs.c names 'c'",
        "Choose from a, b",
    ),
    "a negative cost": (
        "task:\n  classes: [a, b]\n  costs:\n    - [0, 1]\n    - [-2, 0]\n",
        "audit.yaml:8: task.costs.1.0 is -2, which is not a cost",
        "0 or a positive number",
    ),
    "a price for being right": (
        "task: {classes: [a, b], costs: {a: {a: 1, b: 1}}}",
        "audit.yaml:4: task.costs.a.a is 1, though the decision is right",
        "or remove it",
    ),
    "a row too few": (
        "task: {classes: [a, b], costs: [[0, 1]]}",
        "audit.yaml:4: task.costs has 1 rows for 2 classes",
        "for a, b",
    ),
    "a row that is too long": (
        "task: {classes: [a, b], costs: [[0, 1], [1, 0, 2]]}",
        "audit.yaml:4: task.costs.1 has 3 numbers for 2 classes",
        "for a, b",
    ),
    "a cost in words": (
        "task: {classes: [a, b], costs: {a: {b: much}}}",
        "audit.yaml:4: task.costs: a, b: 'much' is not a number",
        "without quotes",
    ),
    "an infinite cost": (
        "task: {classes: [a, b], costs: [[0, .inf], [1, 0]]}",
        "audit.yaml:4: task.costs: 0, 1: inf is not finite",
        "ordinary number",
    ),
    "a number for costs": (
        "task: {costs: 3}",
        "audit.yaml:4: task.costs: is neither",
        "list of rows",
    ),
    "costs that cost nothing": (
        "task: {classes: [a, b], costs: {a: {b: 0}}}",
        "audit.yaml:4: task.costs gives no decision a cost",
        "a positive number",
    ),
    "costs of rejections alone": (
        "task: {classes: [a, b, c], reject: c, costs: {a: {c: 1}, b: {c: 1}}}",
        "audit.yaml:4: task.costs gives no decision a cost",
        "a positive number",
    ),
    "the same in rows": (
        "task: {classes: [a, b, c], reject: c, costs: [[0, 0, 1], [0, 0, 1], [0, 0, 0]]}",
        "audit.yaml:4: task.costs gives no decision a cost",
        "a positive number",
    ),
    "a rejection of none": (
        "task: {classes: [a, b], reject: c}",
        "audit.yaml:4: task.reject is 'c', which task.classes does not list",
        "Choose one of a, b",
    ),
    "a rejection that leaves one class": (
        "task: {classes: [a, b], reject: b}",
        "audit.yaml:4: task.reject leaves one class beside 'b'",
        "every class",
    ),
    "a tolerance of nothing": (
        "task: {kind: regression, tolerance: 0}",
        "audit.yaml:4: task.tolerance is 0",
        "above 0",
    ),
    "a regression with classes": (
        "task: {kind: regression, tolerance: 1, classes: [a, b]}",
        "audit.yaml:4: task.classes is set, but a regression has no classes",
        "Remove it",
    ),
    "a regression with a threshold": (
        "task: {kind: regression, tolerance: 1, threshold: 0.5}",
        "audit.yaml:4: task.threshold is set",
        "Remove it",
    ),
    "a regression with costs": (
        "task: {kind: regression, tolerance: 1, costs: {a: {b: 1}}}",
        "audit.yaml:4: task.costs is set",
        "Remove it",
    ),
    "another kind": ("task: {kind: ranking}", "audit.yaml:4: task.kind", "'regression'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_is_named_with_its_line_and_its_cure(case: str) -> None:
    text, place, cure = MISTAKES[case]
    with pytest.raises(AuditFileError) as caught:
        read(text)
    assert place in caught.value.problem
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)
