"""A regression from the audit file to the record: real models on a real table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor

Command = Callable[..., Any]
TRAINED_ON = 300
TOLERANCE = 100.0
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {{name: {name}, artifact: {name}.onnx, tags: [not-about-people]}}
task: {{kind: regression, tolerance: {tolerance}}}
input: {{domain: [0.0, 1.0]}}
data: {{evaluation: {{path: test.npz, labels: progression}}}}
budget: smoke
"""
EVASION = ("linf", "linf_query", "l2", "l1", "l0")

Floats = NDArray[np.float64]


def table() -> tuple[NDArray[np.float32], Floats]:
    rows, progression = load_diabetes(return_X_y=True, scaled=False)
    low, high = rows.min(axis=0), rows.max(axis=0)
    return ((rows - low) / (high - low)).astype(np.float32), progression


def write(folder: Path, name: str, model: Ridge | MLPRegressor, tolerance: float) -> None:
    rows, truth = table()
    model.fit(rows[:TRAINED_ON], truth[:TRAINED_ON])
    exported = to_onnx(model, rows[:1], target_opset=18)
    (folder / f"{name}.onnx").write_bytes(exported.SerializeToString())
    np.savez(folder / "test.npz", x=rows[TRAINED_ON:], progression=truth[TRAINED_ON:])
    text = AUDIT.format(name=name, tolerance=tolerance)
    (folder / "audit.yaml").write_text(text, encoding="utf-8")


def audited(auditor: Command, folder: Path, *checks: str) -> list[dict[str, Any]]:
    only = [part for check in checks for part in ("--only", check)]
    auditor("audit", folder / "audit.yaml", "--out", folder / "out", *only)
    found: list[dict[str, Any]] = json.loads((folder / "out" / "record.json").read_text())[
        "readings"
    ]
    return found


def robust(readings: list[dict[str, Any]], check: str) -> dict[float, float]:
    return {
        item["params"]["eps"]: item["value"]
        for item in readings
        if item["check"] == check and item.get("metric") == "robust_accuracy"
    }


def closed_form(model: Ridge, eps: float) -> float:
    """Return the share of rows whose error is tolerable wherever each number goes by ``eps``."""
    rows, truth = (part[TRAINED_ON:].astype(np.float64) for part in table())
    error = model.predict(rows) - truth
    way = np.asarray(model.coef_, dtype=np.float64)
    up, down = np.minimum(rows + eps, 1) - rows, np.maximum(rows - eps, 0) - rows
    most = (np.where(way > 0, up, down) * way).sum(axis=1)
    least = (np.where(way > 0, down, up) * way).sum(axis=1)
    return float(np.mean((error + most <= TOLERANCE) & (error + least >= -TOLERANCE)))


@pytest.mark.slow
def test_the_robust_share_of_a_ridge_is_its_closed_form(
    auditor: Command, home: Path, tmp_path: Path
) -> None:
    model = Ridge()
    write(tmp_path, "ridge", model, TOLERANCE)
    readings = audited(auditor, tmp_path, *(f"evasion.{norm}" for norm in EVASION))
    exact = {eps: closed_form(model, eps) for eps in (0.02, 0.05, 0.1, 0.2)}
    assert robust(readings, "evasion.linf") == pytest.approx(exact)
    asked = robust(readings, "evasion.linf_query")
    assert all(exact[eps] - 1e-9 <= asked[eps] <= exact[eps] + 0.1 for eps in exact)
    for norm in EVASION:
        (clean,) = (
            item for item in readings
            if item["check"] == f"evasion.{norm}" and item["metric"] == "clean_accuracy"
        )  # fmt: skip
        assert clean["value"] == pytest.approx(closed_form(model, 0.0))
        measured = [item for item in readings if item.get("metric") == "robust_accuracy"]
        (bound,) = {item["bound"] for item in measured}
        assert bound == "at_most"


@pytest.mark.slow
def test_a_network_on_numbers_is_attacked_and_checks_of_classes_are_gaps(
    auditor: Command, home: Path, tmp_path: Path
) -> None:
    network = MLPRegressor(hidden_layer_sizes=(32, 32), random_state=0, max_iter=2000)
    write(tmp_path, "network", network, TOLERANCE)
    others = ("quality.accuracy", "evasion.corruption", "evasion.transfer", "evasion.universal")
    readings = audited(auditor, tmp_path, "evasion.linf", *others)
    curve = robust(readings, "evasion.linf")
    assert sorted(curve.values(), reverse=True) == list(curve.values())
    assert curve[0.02] > 0.7
    assert curve[0.2] < 0.3
    (first, *_) = (item for item in readings if item.get("metric") == "robust_accuracy")
    assert first["details"]["success"] == "an error beyond the tolerance"
    assert first["details"]["tolerance"] == TOLERANCE
    gaps = {item["check"]: item["reason"] for item in readings if item["kind"] == "gap"}
    # A rule rests on the attack, so that its gradients are to be examined: a gap of regressions
    assert gaps == dict.fromkeys((*others, "evasion.masking"), "needs_classification")


@pytest.mark.slow
def test_a_plan_of_a_regression_tells_what_both_ways_cost(
    auditor: Command, home: Path, tmp_path: Path
) -> None:
    write(tmp_path, "ridge", Ridge(), TOLERANCE)
    said = auditor("plan", tmp_path / "audit.yaml", "--format", "json")
    told = json.loads(said.out)["cpu"]
    (one,) = (item for item in told["checks"] if item["check"] == "evasion.linf")
    rows = len(table()[0]) - TRAINED_ON
    # Two ways: three walks of 30 steps for all budgets, and at each of four a climb of 20 steps.
    assert one["passes"] == 2 * (3 * 30 + 4 * 20) * rows
