"""A small real audit: a model of a line, its data, a policy, and an audit file."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: tiny, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
params: {}
checks: {}
rules:
  - id: accuracy
    title: It is right often enough
    severity: high
    effect: deny
    measure: quality.accuracy/accuracy
    at_least: 0.6
    rationale: A coin is right half the time.
    remediation: Train it.
"""
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: line, version: 1.0.0, artifact: model.onnx}
task: {kind: classification, classes: ["no", "yes"]}
input: {domain: [0.0, 1.0]}
targets: [cpu]
data:
  evaluation: {path: test.csv, labels: y, id: id, groups: [town]}
policy: policy.yaml
budget: smoke
seed: 3
"""


def linear_model(path: Path, weights: list[float], bias: float) -> None:
    """A logistic model of a line: probability of `yes` from the features."""
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(weights)])
    outputs = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
    ]
    stored = [
        numpy_helper.from_array(np.array(weights, np.float32)[:, None], "w"),
        numpy_helper.from_array(np.array([bias], np.float32), "b"),
    ]
    graph = helper.make_graph(nodes, "line", [inputs], [outputs], stored)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )


def write_example(folder: Path) -> None:
    """Write a small model, its data, a policy and an audit file; nothing is signed."""
    linear_model(folder / "model.onnx", [6.0, 4.0, 0.0], -5.0)
    random = np.random.default_rng(5)
    rows = random.uniform(size=(240, 3)).round(4)
    truth = 6 * rows[:, 0] + 4 * rows[:, 1] - 5 + random.normal(0, 1, 240) > 0
    lines = ["id,a,b,c,town,y"]
    for number, (row, label) in enumerate(zip(rows.tolist(), truth.tolist(), strict=True)):
        town = ("north", "south")[number % 2]
        lines.append(f"r{number},{row[0]},{row[1]},{row[2]},{town},{'yes' if label else 'no'}")
    (folder / "test.csv").write_text("\n".join(lines) + "\n")
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "audit.yaml").write_text(AUDIT)
