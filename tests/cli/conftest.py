"""A small real audit, and the command as a user calls it."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from disclosed_folders import HIDDEN, ONLY
from onnx import TensorProto, helper, numpy_helper

from auditor.cli.main import main

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


AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join((self.out + self.err).split())


Command = Callable[..., Ended]


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: arguments in, exit code and words out."""

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return Ended(int(stopped.value.code or 0), captured.out, captured.err)

    return call


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


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with a small model, its data, a policy and an audit file; nothing is signed."""
    folder = tmp_path / "example"
    folder.mkdir()
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
    return folder


@pytest.fixture
def inside(example: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the small audit, as the working directory."""
    monkeypatch.chdir(example)
    return example


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one finished audit is kept, once there is one."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def finished(auditor: Command, inside: Path, home: Path, kept: Path) -> Path:
    """The folder with a finished, passing audit and a signed model in it."""
    if not any(kept.iterdir()):
        assert auditor(*AUDITED).code == 0
        assert auditor("sign", "model.onnx", "--out", "model.sig").code == 0
        shutil.copytree(inside, kept / "example")
        shutil.copytree(home, kept / "home")
    shutil.copytree(kept / "example", inside, dirs_exist_ok=True)
    shutil.copytree(kept / "home", home, dirs_exist_ok=True)
    return inside


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one audit that all tests here look at is kept, once there is one."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def disclosed(auditor: Command, inside: Path, home: Path, made: Path) -> Path:
    """The folder with a committed record (`full`), and one of which rows are withheld (`part`)."""
    if not any(made.iterdir()):
        with (inside / "audit.yaml").open("a") as file:
            file.write("disclosure: rows\n")
        assert auditor("audit", "audit.yaml", *ONLY, "--out", "full").code == 0
        (inside / "ids.txt").write_text("\n".join(HIDDEN))
        assert auditor("disclose", "full", "--withhold", "ids.txt", "--out", "part").code == 0
        shutil.copytree(inside, made / "example")
        shutil.copytree(home, made / "home")
    shutil.copytree(made / "example", inside, dirs_exist_ok=True)
    shutil.copytree(made / "home", home, dirs_exist_ok=True)
    return inside


@pytest.fixture
def verify(auditor: Command, home: Path) -> Command:
    def call(folder: str, *more: object) -> Ended:
        return auditor("verify", folder, "--key", home / "signer.pub", *more)

    return call
